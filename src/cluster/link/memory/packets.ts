import { Buffer } from 'node:buffer';
import { turnWriter } from '../../../core/net/mod.js';
import { type PacketHead, PacketReader, type PacketView, writePacket, writePacketRange } from '../../protocol/mod.js';

/** What is read here was written here: there is nothing to hold it to. */
const reader = new PacketReader({ maxPacketSize: Number.MAX_SAFE_INTEGER });

/** A packet in bytes of its own: whoever hands it over may use its buffers again at once. */
export function packetOf(head: PacketHead, ext: string | Buffer, body: string | Buffer): Buffer {
  const { arena } = turnWriter;
  const { buffer, offset } = arena;
  writePacket(arena, head, ext, body);
  return taken(arena.buffer === buffer ? offset : 0);
}

/** The same, with body[start…end) as the body. */
export function packetOfRange(head: PacketHead, ext: Buffer, body: Buffer, start: number, end: number): Buffer {
  const { arena } = turnWriter;
  const { buffer, offset } = arena;
  writePacketRange(arena, head, ext, body, start, end);
  return taken(arena.buffer === buffer ? offset : 0);
}

/**
 * Shows a packet to whom it is for. It is good only during the call, and here that shows: afterwards its bytes are zeros,
 * where a link that reads from a socket uses them again sooner or later.
 */
export function showPacket(packet: Buffer, to: (view: PacketView) => void): void {
  reader.push(packet, {
    packet: (view) => {
      to(view);
      return true;
    },
    fail: (error) => {
      throw error;
    },
  });
  packet.fill(0);
}

/** Takes what was written last out of the arena, whose place is free again. */
function taken(start: number): Buffer {
  const { arena } = turnWriter;
  const packet = Buffer.from(arena.buffer.subarray(start, arena.offset));
  arena.offset = start;
  return packet;
}
