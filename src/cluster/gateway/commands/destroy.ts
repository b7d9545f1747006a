import type { CommandHandler } from '../context.js';

/** DESTROY: the connection ends at once; what waits for the client is lost. */
export const destroy: CommandHandler = (gateway, packet) => {
  gateway.clients.get(packet.connectionId)?.connection.destroy();
};
