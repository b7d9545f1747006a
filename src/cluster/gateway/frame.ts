import type { Buffer } from 'node:buffer';
import { type SharedFrame, shareFrame, shareRaw } from '../../core/net/mod.js';
import { messageOf } from '../../util/mod.js';
import { commandName, FLAG_BINARY, FLAG_RAW, FLAG_SCALAR, type PacketView, unserialize } from '../protocol/mod.js';
import type { GatewayClientEntry, GatewayContext } from './context.js';

/**
 * The body of a send command, framed once for however many clients get it; good for this turn. null when it can't be sent
 * (reported): the original's process dies of it.
 */
export function frameBody(gateway: GatewayContext, packet: PacketView): SharedFrame | null {
  const body = packet.buffer.subarray(packet.bodyStart, packet.bodyEnd);
  try {
    if ((packet.flag & FLAG_SCALAR) === 0) return shareFrame(gateway.codec, messageOfValue(gateway, body), false);
    if ((packet.flag & FLAG_RAW) !== 0) return shareRaw(body);
    return shareFrame(gateway.codec, body, (packet.flag & FLAG_BINARY) !== 0);
  } catch (thrown) {
    gateway.warn(`a message can't be sent to clients: ${messageOf(thrown)}`, { command: commandName(packet.cmd) });
    return null;
  }
}

/** Sends a frame to one client. */
export function deliver(frame: SharedFrame, client: GatewayClientEntry): void {
  client.connection.sendRange(frame.buffer, frame.start, frame.end);
}

/** Sends a frame to many clients; those whose turn looks alike share the bytes. */
export function deliverAll(frame: SharedFrame, clients: Iterable<GatewayClientEntry>): void {
  for (const client of clients) client.connection.sendShared(frame);
}

/** Sends a frame to many clients but some. */
export function deliverExcept(
  frame: SharedFrame,
  clients: Iterable<GatewayClientEntry>,
  exclude: readonly number[],
): void {
  if (exclude.length === 0) {
    deliverAll(frame, clients);
    return;
  }
  const excluded = new Set(exclude);
  for (const client of clients) {
    if (!excluded.has(client.connectionId)) client.connection.sendShared(frame);
  }
}

/**
 * A non-scalar body is a PHP value. A user-defined protocol gets it as it is; the others send it as JSON, as the original
 * does on WebSocket.
 */
function messageOfValue(gateway: GatewayContext, body: Buffer): unknown {
  const value = unserialize(body);
  return gateway.codec.name === 'custom' ? value : JSON.stringify(value);
}
