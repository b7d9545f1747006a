import { Buffer } from 'node:buffer';
import { type Arena, copyBytes } from '../../util/mod.js';

/** pack_len, cmd, local_ip, local_port, client_ip, client_port, connection_id, flag, gateway_port, ext_len. */
export const PACKET_HEAD_BYTES = 28;

/** Up to this length the room for a string is taken at its worst, three bytes a character, to save measuring it. */
const UNMEASURED_CHARS = 1024;
/** Up to this length a loop beats the call into native code. */
const LOOP_CHARS = 32;

/** The fields of a packet besides its lengths. Plain and mutable: a sender keeps one and changes what differs. */
export interface PacketHead {
  /** A `Command`. */
  cmd: number;
  /** The gateway's lan address as an unsigned number; 0 on the way to a gateway. */
  localIp: number;
  localPort: number;
  /** The client's IPv4 address as an unsigned number, 0 when it has none. */
  clientIp: number;
  clientPort: number;
  connectionId: number;
  /** `FLAG_SCALAR`, `FLAG_RAW`. The writer sends it as it is: the scalar bit is the caller's to set. */
  flag: number;
  /** The public port the client came in by. */
  gatewayPort: number;
}

/** A head with every field 0 except those given. `flag` is FLAG_SCALAR unless given. */
export function packetHead(fields: Partial<PacketHead> = {}): PacketHead {
  return {
    cmd: fields.cmd ?? 0,
    localIp: fields.localIp ?? 0,
    localPort: fields.localPort ?? 0,
    clientIp: fields.clientIp ?? 0,
    clientPort: fields.clientPort ?? 0,
    connectionId: fields.connectionId ?? 0,
    flag: fields.flag ?? 1,
    gatewayPort: fields.gatewayPort ?? 0,
  };
}

/**
 * Appends one packet to the arena.
 *
 * Values too wide for their field lose their upper bits, as in the original. Nothing is compared with the limit of the
 * reading side (10,485,760 bytes by default): a sender of unbounded bodies checks the length before.
 *
 * @param ext, body strings are written as UTF-8
 */
export function writePacket(out: Arena, head: PacketHead, ext: string | Buffer, body: string | Buffer): void {
  out.reserve(PACKET_HEAD_BYTES + roomFor(ext) + roomFor(body));
  const start = out.offset;
  const extStart = start + PACKET_HEAD_BYTES;
  const bodyStart = extStart + writeContent(out.buffer, extStart, ext);
  const end = bodyStart + writeContent(out.buffer, bodyStart, body);
  writeHead(out.buffer, start, head, end - start, bodyStart - extStart);
  out.offset = end;
}

/** Like writePacket, with body[start…end) as the body. */
export function writePacketRange(
  out: Arena,
  head: PacketHead,
  ext: string | Buffer,
  body: Buffer,
  start: number,
  end: number,
): void {
  out.reserve(PACKET_HEAD_BYTES + roomFor(ext) + (end - start));
  const at = out.offset;
  const extStart = at + PACKET_HEAD_BYTES;
  const bodyStart = extStart + writeContent(out.buffer, extStart, ext);
  const packetEnd = bodyStart + copyBytes(out.buffer, bodyStart, body, start, end);
  writeHead(out.buffer, at, head, packetEnd - at, bodyStart - extStart);
  out.offset = packetEnd;
}

/** Appends the answer to a query: 4 bytes of length, then the PHP-serialized payload. */
export function writeReply(out: Arena, payload: Buffer | string): void {
  out.reserve(4 + roomFor(payload));
  const start = out.offset;
  const length = writeContent(out.buffer, start + 4, payload);
  writeUint32(out.buffer, start, length);
  out.offset = start + 4 + length;
}

/** Byte stores: V8 compiles them to plain moves, where writeUInt32BE checks ranges (and throws) at every call. */
function writeHead(to: Buffer, at: number, head: PacketHead, length: number, extLength: number): void {
  writeUint32(to, at, length);
  to[at + 4] = head.cmd;
  writeUint32(to, at + 5, head.localIp);
  writeUint16(to, at + 9, head.localPort);
  writeUint32(to, at + 11, head.clientIp);
  writeUint16(to, at + 15, head.clientPort);
  writeUint32(to, at + 17, head.connectionId);
  to[at + 21] = head.flag;
  writeUint16(to, at + 22, head.gatewayPort);
  writeUint32(to, at + 24, extLength);
}

function writeUint32(to: Buffer, at: number, value: number): void {
  to[at] = value >>> 24;
  to[at + 1] = value >>> 16;
  to[at + 2] = value >>> 8;
  to[at + 3] = value;
}

function writeUint16(to: Buffer, at: number, value: number): void {
  to[at] = value >>> 8;
  to[at + 1] = value;
}

function roomFor(content: string | Buffer): number {
  if (typeof content !== 'string') return content.length;
  return content.length <= UNMEASURED_CHARS ? content.length * 3 : Buffer.byteLength(content);
}

/** @returns bytes written */
function writeContent(to: Buffer, at: number, content: string | Buffer): number {
  if (typeof content !== 'string') return copyBytes(to, at, content, 0, content.length);
  const length = content.length;
  if (length > LOOP_CHARS) return to.write(content, at);
  for (let index = 0; index < length; index++) {
    const code = content.charCodeAt(index);
    if (code > 0x7f) return to.write(content, at);
    to[at + index] = code;
  }
  return length;
}
