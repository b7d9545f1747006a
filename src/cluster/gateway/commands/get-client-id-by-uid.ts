import { byteKey, parseUidList, serialize } from '../../protocol/mod.js';
import type { CommandHandler, GatewayContext } from '../context.js';
import { nameInExt } from '../names.js';

/** GET_CLIENT_ID_BY_UID: list of connection ids. */
export const getClientIdByUid: CommandHandler = (gateway, packet, from) => {
  from.reply(serialize(connectionIdsOf(gateway, nameInExt(packet))));
};

/** BATCH_GET_CLIENT_ID_BY_UID: uid → list of connection ids, empty for a uid nobody has. */
export const batchGetClientIdByUid: CommandHandler = (gateway, packet, from) => {
  const found = new Map<string, number[]>();
  for (const uid of parseUidList(packet.extText()) ?? []) found.set(uid, connectionIdsOf(gateway, byteKey(uid)));
  from.reply(serialize(found));
};

function connectionIdsOf(gateway: GatewayContext, uid: string): number[] {
  const ids: number[] = [];
  for (const client of gateway.clients.withUid(uid)) ids.push(client.connectionId);
  return ids;
}
