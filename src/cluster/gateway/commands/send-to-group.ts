import type { SharedFrame } from '../../../core/net/mod.js';
import { byteKey, parseGroupExt } from '../../protocol/mod.js';
import type { CommandHandler } from '../context.js';
import { deliverExcept, excludedBy, frameBody } from '../frame.js';

/** SEND_TO_GROUP: to each member of each group but some; a member of two of them gets it twice, as in the original. */
export const sendToGroup: CommandHandler = (gateway, packet, { worker }) => {
  const receivers = parseGroupExt(packet.extText());
  if (receivers === undefined) {
    gateway.unusable(packet, 'a message reaches nobody: its list of groups is not JSON');
    return;
  }
  const excluded = excludedBy(gateway, receivers.exclude);
  let frame: SharedFrame | null = null;
  for (const group of receivers.groups) {
    const key = byteKey(group);
    const members = gateway.clients.inGroup(key);
    if (members.size === 0) {
      // Of a program that pushes, and a worker of the original, nothing is known.
      if (worker?.supports('groups')) gateway.absences.tell(worker, key, packet.connectionId);
      continue;
    }
    frame ??= frameBody(gateway, packet);
    if (frame === null) return;
    deliverExcept(frame, members.keys(), excluded);
  }
};
