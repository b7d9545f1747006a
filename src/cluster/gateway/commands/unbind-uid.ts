import type { CommandHandler } from '../context.js';

/** UNBIND_UID: takes whatever uid the client has; the one in the packet is not looked at, as in the original. */
export const unbindUid: CommandHandler = (gateway, packet) => {
  const client = gateway.clients.get(packet.connectionId);
  if (client !== undefined) gateway.clients.unbindUid(client);
};
