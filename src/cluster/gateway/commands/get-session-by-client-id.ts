import type { CommandHandler } from '../context.js';

/** GET_SESSION_BY_CLIENT_ID: the session text as it stands, `a:0:{}` for none, null for no such client. */
export const getSessionByClientId: CommandHandler = (gateway, packet, from) => {
  const client = gateway.clients.get(packet.connectionId);
  if (client === undefined) from.reply('N;');
  else from.reply(client.session.length === 0 ? 'a:0:{}' : client.session);
};
