import { parseGroupExt } from '../../protocol/mod.js';
import { byteKey } from '../clients.js';
import type { CommandHandler } from '../context.js';
import { deliverExcept, frameBody } from '../frame.js';

/** SEND_TO_GROUP: to each member of each group but some; a member of two of them gets it twice, as in the original. */
export const sendToGroup: CommandHandler = (gateway, packet) => {
  const receivers = parseGroupExt(packet.extText());
  if (receivers === undefined) {
    gateway.unusable(packet, 'a message reaches nobody: its list of groups is not JSON');
    return;
  }
  const frame = frameBody(gateway, packet);
  if (frame === null) return;
  for (const group of receivers.groups) {
    deliverExcept(frame, gateway.clients.inGroup(byteKey(group)), receivers.exclude);
  }
};
