import type { CommandHandler } from '../context.js';
import { isEmptyName, nameInExt } from '../names.js';

/** JOIN_GROUP: joining twice is joining once. */
export const joinGroup: CommandHandler = (gateway, packet) => {
  const group = nameInExt(packet);
  if (isEmptyName(group)) {
    gateway.unusable(packet, 'a group must not be empty or 0');
    return;
  }
  const client = gateway.clients.get(packet.connectionId);
  if (client === undefined) return;
  const { maxGroupsPerClient: limit } = gateway.clientLimits;
  if (limit > 0 && client.groups !== null && client.groups.size >= limit && !gateway.clients.isIn(client, group)) {
    gateway.beyondLimit(client, 'tooManyGroups', { limit });
    return;
  }
  if (gateway.clients.joinGroup(client, group)) gateway.absences.appeared(group);
};
