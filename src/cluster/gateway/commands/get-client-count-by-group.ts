import { byteKey, parseUidList, serialize } from '../../protocol/mod.js';
import type { CommandHandler } from '../context.js';
import { nameInExt } from '../names.js';

/** GET_CLIENT_COUNT_BY_GROUP: how many members; an empty name asks for everybody. */
export const getClientCountByGroup: CommandHandler = (gateway, packet, from) => {
  const group = nameInExt(packet);
  const { clients } = gateway;
  from.reply(`i:${group === '' ? clients.size : clients.inGroup(group).size};`);
};

/** BATCH_GET_CLIENT_COUNT_BY_GROUP: group → how many members. */
export const batchGetClientCountByGroup: CommandHandler = (gateway, packet, from) => {
  const counts = new Map<string, number>();
  for (const group of parseUidList(packet.extText()) ?? []) {
    counts.set(group, gateway.clients.inGroup(byteKey(group)).size);
  }
  from.reply(serialize(counts));
};
