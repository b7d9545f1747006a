import type { CommandHandler } from '../context.js';
import { isEmptyName, nameInExt } from '../names.js';

/** BIND_UID: binds the client to the uid, and to no other any more. */
export const bindUid: CommandHandler = (gateway, packet) => {
  const uid = nameInExt(packet);
  if (isEmptyName(uid)) {
    gateway.unusable(packet, 'a uid must not be empty or 0');
    return;
  }
  const client = gateway.clients.get(packet.connectionId);
  if (client === undefined) return;
  gateway.clients.bindUid(client, uid);
  gateway.signedIn(client);
};
