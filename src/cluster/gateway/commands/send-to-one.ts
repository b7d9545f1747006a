import type { CommandHandler } from '../context.js';
import { deliverBody } from '../frame.js';

/** SEND_TO_ONE: a message for one client; an unknown one is ignored. */
export const sendToOne: CommandHandler = (gateway, packet) => {
  const client = gateway.clients.get(packet.connectionId);
  if (client !== undefined) deliverBody(gateway, packet, client);
};
