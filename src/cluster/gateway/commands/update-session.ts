import { messageOf } from '../../../util/mod.js';
import { mergeSession } from '../../protocol/mod.js';
import type { CommandHandler } from '../context.js';
import { keepSession } from './set-session.js';

/** UPDATE_SESSION: ext_data is merged into the session by PHP's rule; see session-merge.ts. */
export const updateSession: CommandHandler = (gateway, packet) => {
  const client = gateway.clients.get(packet.connectionId);
  if (client === undefined) return;
  try {
    keepSession(gateway, client, mergeSession(client.session, packet.extBytes()));
  } catch (thrown) {
    gateway.unusable(packet, "a session can't be updated", { reason: messageOf(thrown) });
  }
};
