import { Buffer, isUtf8 } from 'node:buffer';
import { frameFor, type SharedFrame, shareFrame, shareRaw, type TcpConnection } from '../../core/net/mod.js';
import { messageOf } from '../../util/mod.js';
import { FLAG_BINARY, FLAG_RAW, FLAG_SCALAR, type PacketView, phpJson, unserialize } from '../protocol/mod.js';
import type { GatewayClientEntry, GatewayContext } from './context.js';

/**
 * The body of a send command, framed once for however many clients get it; good for this turn. null when it can't be sent
 * (reported): the original's process dies of it.
 */
export function frameBody(gateway: GatewayContext, packet: PacketView, raw = isRaw(packet)): SharedFrame | null {
  const body = packet.buffer.subarray(packet.bodyStart, packet.bodyEnd);
  try {
    if ((packet.flag & FLAG_SCALAR) === 0) return shareFrame(gateway.codec, messageOfValue(gateway, body), false);
    if (raw) return shareRaw(body);
    const binary = (packet.flag & FLAG_BINARY) !== 0;
    // A user-defined protocol gets the text that was sent. One of the original sends bytes as text too.
    const isText = gateway.codec.takesValues === true && !binary && isUtf8(body);
    return shareFrame(gateway.codec, isText ? body.toString() : body, binary);
  } catch (thrown) {
    gateway.unusable(packet, "a message can't be sent to clients", { reason: messageOf(thrown) });
    return null;
  }
}

/** Sends the body of a send command to one client. */
export function deliverBody(gateway: GatewayContext, packet: PacketView, { connection }: GatewayClientEntry): void {
  // Nearly always: text or bytes as they are, for a protocol that frames them as they are.
  if ((packet.flag & (FLAG_SCALAR | FLAG_RAW)) === FLAG_SCALAR && gateway.codec.takesValues !== true) {
    connection.sendBytes(packet.buffer, packet.bodyStart, packet.bodyEnd, (packet.flag & FLAG_BINARY) !== 0);
    return;
  }
  const frame = frameBody(gateway, packet);
  if (frame === null) return;
  const { buffer, start, end } = frameFor(connection.codec, frame);
  connection.sendRange(buffer, start, end);
}

function isRaw(packet: PacketView): boolean {
  return (packet.flag & FLAG_RAW) !== 0;
}

/** Sends a frame to many connections; those whose turn looks alike share the bytes. */
export function deliverAll(frame: SharedFrame, connections: Iterable<TcpConnection>): void {
  for (const connection of connections) connection.sendShared(frame);
}

/** Sends a frame to many connections but some. */
export function deliverExcept(
  frame: SharedFrame,
  connections: Iterable<TcpConnection>,
  excluded: ReadonlySet<TcpConnection>,
): void {
  if (excluded.size === 0) {
    deliverAll(frame, connections);
    return;
  }
  for (const connection of connections) if (!excluded.has(connection)) connection.sendShared(frame);
}

/** The connections of the clients that are there, in this order. */
export function* connectionsOf({ clients }: GatewayContext, ids: Iterable<number>): Iterable<TcpConnection> {
  for (const id of ids) {
    const client = clients.get(id);
    if (client !== undefined) yield client.connection;
  }
}

/** Those who are to be left out. */
export function excludedBy(gateway: GatewayContext, ids: readonly number[]): ReadonlySet<TcpConnection> {
  return ids.length === 0 ? NOBODY : new Set(connectionsOf(gateway, ids));
}

const NOBODY: ReadonlySet<TcpConnection> = new Set();

/**
 * A non-scalar body is a PHP value. A user-defined protocol gets it as it is; the others send it as JSON, as the original
 * does on WebSocket.
 */
function messageOfValue(gateway: GatewayContext, body: Buffer): unknown {
  const value = unserialize(body);
  return gateway.codec.takesValues === true ? value : jsonText(value);
}

/** JSON as the original sends it: slashes escaped, other characters not. Integers of 64 bits keep their digits. */
function jsonText(value: unknown): string {
  return phpJson(textsOf(value)).replace(/\\(?:u([0-9a-f]{4})|.)/g, (escaped, hex: string | undefined) => {
    const code = hex === undefined ? 0 : Number.parseInt(hex, 16);
    return code < 0x80 || code === 0x2028 || code === 0x2029 ? escaped : String.fromCharCode(code);
  });
}

/** The value with texts for strings that are not UTF-8, which JSON has no place for. */
function textsOf(value: unknown): unknown {
  if (Buffer.isBuffer(value)) return value.toString('utf8');
  if (Array.isArray(value)) return value.map(textsOf);
  if (typeof value !== 'object' || value === null) return value;
  return new Map(Object.entries(value).map(([key, item]) => [key, textsOf(item)]));
}
