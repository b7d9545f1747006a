import type { Buffer } from 'node:buffer';
import type { CommandHandler, GatewayClientEntry, GatewayContext } from '../context.js';

/** SET_SESSION: the session becomes ext_data, byte for byte; empty clears it. */
export const setSession: CommandHandler = (gateway, packet) => {
  const client = gateway.clients.get(packet.connectionId);
  if (client !== undefined) keepSession(gateway, client, packet.extBytes());
};

/** The session becomes this one, unless it is too large. */
export function keepSession(gateway: GatewayContext, client: GatewayClientEntry, session: Buffer): void {
  const { maxSessionSize: limit } = gateway.clientLimits;
  if (limit > 0 && session.length > limit)
    gateway.beyondLimit(client, 'sessionTooLarge', { bytes: session.length, limit });
  else client.session = session;
}
