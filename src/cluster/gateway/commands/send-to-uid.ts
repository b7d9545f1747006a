import { byteKey, parseUidList } from '../../protocol/mod.js';

import type { CommandHandler } from '../context.js';
import { deliverAll, frameBody } from '../frame.js';

/** SEND_TO_UID: to each client of each uid; one that is named twice gets it twice, as in the original. */
export const sendToUid: CommandHandler = (gateway, packet) => {
  const uids = parseUidList(packet.extText());
  if (uids === undefined) {
    gateway.unusable(packet, 'a message reaches nobody: its list of uids is not JSON');
    return;
  }
  const frame = frameBody(gateway, packet);
  if (frame === null) return;
  for (const uid of uids) deliverAll(frame, gateway.clients.withUid(byteKey(uid)));
};
