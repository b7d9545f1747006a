import type { CommandHandler } from '../context.js';
import { deliver, frameBody } from '../frame.js';

/** SEND_TO_ONE: a message for one client; an unknown one is ignored. */
export const sendToOne: CommandHandler = (gateway, packet) => {
  const client = gateway.clients.get(packet.connectionId);
  if (client === undefined) return;
  const frame = frameBody(gateway, packet);
  if (frame !== null) deliver(frame, client);
};
