import type { Buffer } from 'node:buffer';
import { serialize } from '../../protocol/mod.js';
import type { CommandHandler, GatewayClientEntry } from '../context.js';
import { nameInExt } from '../names.js';

/** GET_ALL_CLIENT_SESSIONS: connection id → session text. */
export const getAllClientSessions: CommandHandler = (gateway, _packet, from) => {
  from.reply(sessionsOf(gateway.clients.all));
};

/** GET_CLIENT_SESSIONS_BY_GROUP: the same for the members. */
export const getClientSessionsByGroup: CommandHandler = (gateway, packet, from) => {
  from.reply(sessionsOf(gateway.clients.inGroup(nameInExt(packet)).values()));
};

function sessionsOf(clients: Iterable<GatewayClientEntry>): Buffer {
  const sessions = new Map<number, Buffer>();
  for (const client of clients) sessions.set(client.connectionId, client.session);
  return serialize(sessions);
}
