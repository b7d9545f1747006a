import type { CommandHandler } from '../context.js';

/** IS_ONLINE: 1 or 0. */
export const isOnline: CommandHandler = (gateway, packet, from) => {
  from.reply(gateway.clients.get(packet.connectionId) === undefined ? 'i:0;' : 'i:1;');
};
