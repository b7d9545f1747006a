import { parseSendToAllExt } from '../../protocol/mod.js';
import type { CommandHandler } from '../context.js';
import { connectionsOf, deliverAll, deliverExcept, excludedBy, frameBody } from '../frame.js';

/**
 * SEND_TO_ALL: to everybody, to a list of clients in its order, or to everybody but some. With ext_data that can't be read
 * nobody gets the message (the original sends it to everybody, also to those that were to be left out).
 */
export const sendToAll: CommandHandler = (gateway, packet) => {
  const receivers = parseSendToAllExt(packet.extText());
  if (receivers === undefined) {
    gateway.unusable(packet, 'a message reaches nobody: its list of receivers is not JSON');
    return;
  }
  const frame = frameBody(gateway, packet);
  if (frame === null) return;
  if (receivers.connections === null) {
    deliverExcept(frame, gateway.clients.connections, excludedBy(gateway, receivers.exclude));
  } else {
    deliverAll(frame, connectionsOf(gateway, receivers.connections));
  }
};
