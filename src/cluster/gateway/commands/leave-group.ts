import type { CommandHandler } from '../context.js';
import { nameInExt } from '../names.js';

/** LEAVE_GROUP: leaving a group one is not in does nothing. */
export const leaveGroup: CommandHandler = (gateway, packet) => {
  const client = gateway.clients.get(packet.connectionId);
  if (client !== undefined) gateway.clients.leaveGroup(client, nameInExt(packet));
};
