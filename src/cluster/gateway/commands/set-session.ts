import type { CommandHandler } from '../context.js';

/** SET_SESSION: the session becomes ext_data, byte for byte; empty clears it. */
export const setSession: CommandHandler = (gateway, packet) => {
  const client = gateway.clients.get(packet.connectionId);
  if (client !== undefined) client.session = packet.extBytes();
};
