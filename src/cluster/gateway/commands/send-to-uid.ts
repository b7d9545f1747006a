import type { SharedFrame } from '../../../core/net/mod.js';
import { byteKey, parseUidList } from '../../protocol/mod.js';
import type { CommandHandler } from '../context.js';
import { frameBody } from '../frame.js';

/** SEND_TO_UID: to each client of each uid; one that is named twice gets it twice, as in the original. */
export const sendToUid: CommandHandler = (gateway, packet) => {
  const uids = parseUidList(packet.extText());
  if (uids === undefined) {
    gateway.unusable(packet, 'a message reaches nobody: its list of uids is not JSON');
    return;
  }
  let frame: SharedFrame | null = null;
  for (const uid of uids) {
    const clients = gateway.clients.withUid(byteKey(uid));
    // Most uids are at one gateway of many: the others need not frame what nobody gets.
    if (clients.size === 0) continue;
    frame ??= frameBody(gateway, packet);
    if (frame === null) return;
    for (const { connection } of clients) connection.sendShared(frame);
  }
};
