import { Buffer } from 'node:buffer';
import { describe, expect, test } from 'vitest';
import {
  LinkProtocolError,
  PacketReader,
  type PacketSink,
  packetHead,
  ReplyReader,
  writePacket,
  writeReply,
} from '../../../src/cluster/protocol/mod.js';
import { Arena } from '../../../src/util/mod.js';
import { hex, mutated, randomOf, vectors } from './support.js';

const recorded = vectors<{ hex: string; reply?: { hex: string } }>('gateway-protocol');
const stream = Buffer.concat(recorded.map((vector) => hex(vector.hex)));
const short = Buffer.concat([packet(1, '', ''), packet(3, 'session', 'hello'), packet(4, '', 'x'.repeat(40))]);

describe('PacketReader', () => {
  test('gives the same packets whole, byte by byte and in pieces of any size', () => {
    const whole = read(stream, [stream.length]);
    expect(whole.length).toBe(recorded.length);
    expect(Buffer.concat(whole.map((bytes) => hex(bytes)))).toEqual(stream);
    expect(read(stream, [1])).toEqual(whole);
    for (const size of [2, 3, 7, 27, 28, 29, 100, 1000, 4096]) expect(read(stream, [size])).toEqual(whole);
    const random = randomOf(1);
    const sizes = Array.from({ length: 500 }, () => 1 + random(200));
    expect(read(stream, sizes)).toEqual(whole);
  });

  test('gives the same packets split at every offset', () => {
    const whole = read(short, [short.length]);
    expect(whole.length).toBe(3);
    for (let at = 0; at <= short.length; at++) {
      expect(read(short, [at, short.length - at])).toEqual(whole);
    }
  });

  test('hands out in place what lies complete in a chunk, and copies only what does not', () => {
    const reader = new PacketReader();
    const buffers: Buffer[] = [];
    const sink = sinkOf((view) => buffers.push(view.buffer) > 0);
    reader.push(short, sink);
    expect(buffers).toEqual([short, short, short]);
    expect(buffers.every((buffer) => buffer === short)).toBe(true);
    expect(reader.held).toBe(0);
    buffers.length = 0;
    const first = short.subarray(0, 10);
    const rest = short.subarray(10);
    reader.push(first, sink);
    expect(reader.held).toBe(10);
    reader.push(rest, sink);
    expect(buffers.map((buffer) => buffer === rest)).toEqual([false, true, true]);
    expect(reader.held).toBe(0);
  });

  test('reuses one view', () => {
    const views = new Set<unknown>();
    new PacketReader().push(
      short,
      sinkOf((view) => views.add(view).size > 0),
    );
    expect(views.size).toBe(1);
  });

  test('holds the rest when the sink says stop, and goes on when told to', () => {
    const whole = read(short, [short.length]);
    for (let at = 0; at <= short.length; at++) {
      const reader = new PacketReader();
      const seen: string[] = [];
      const sink = sinkOf((view) => {
        seen.push(view.buffer.toString('hex', view.extStart - 28, view.bodyEnd));
        return false;
      });
      reader.push(short.subarray(0, at), sink);
      const before = seen.length;
      expect(before).toBeLessThanOrEqual(1);
      reader.push(short.subarray(at), sink);
      if (before === 1) expect(seen.length).toBe(1);
      expect(reader.held).toBe(short.length - seen.join('').length / 2);
      reader.resume(sink);
      reader.resume(sink);
      expect(seen).toEqual(whole);
      expect(reader.held).toBe(0);
      reader.resume(sink);
      expect(seen).toEqual(whole);
    }
  });

  test('reads on in place after a pause has been worked off', () => {
    const reader = new PacketReader();
    let goOn = false;
    let count = 0;
    const sink = sinkOf(() => {
      count++;
      return goOn;
    });
    reader.push(Buffer.concat([short, short.subarray(0, 5)]), sink);
    expect(count).toBe(1);
    goOn = true;
    reader.resume(sink);
    expect([count, reader.held]).toEqual([3, 5]);
    reader.push(short.subarray(5), sink);
    expect([count, reader.held]).toEqual([6, 0]);
  });

  test('accepts a packet of exactly the limit and refuses one byte more as soon as its length is known', () => {
    const limit = 100;
    expect(read(packet(3, 'abc', 'x'.repeat(limit - 31)), [1], limit).length).toBe(1);
    const over = packet(3, 'abc', 'x'.repeat(limit - 30));
    for (const size of [1, 4, over.length]) {
      const { error, pushed } = readUntilError(over, size, limit);
      expect(error.code).toBe('GW_LINK_PACKET_TOO_LARGE');
      expect(error.fields).toEqual({ length: limit + 1, limit });
      expect(pushed).toBeLessThanOrEqual(Math.max(4, size));
    }
  });

  test('has the original limit of 10,485,760 bytes', () => {
    const head = Buffer.alloc(28);
    head.writeUInt32BE(10_485_760);
    expect(readUntilErrorOrEnd(head)).toBeUndefined();
    head.writeUInt32BE(10_485_761);
    expect(readUntilErrorOrEnd(head)?.code).toBe('GW_LINK_PACKET_TOO_LARGE');
    head.writeUInt32BE(0xffffffff);
    expect(readUntilErrorOrEnd(head)?.code).toBe('GW_LINK_PACKET_TOO_LARGE');
  });

  test('refuses every length below that of a header, where the original stalls or loses its place', () => {
    for (let length = 0; length <= 27; length++) {
      const bytes = Buffer.alloc(60);
      bytes.writeUInt32BE(length);
      for (const size of [1, 4, 60]) {
        const { error } = readUntilError(bytes, size);
        expect(error).toBeInstanceOf(LinkProtocolError);
        expect([error.code, error.fields]).toEqual(['GW_LINK_PACKET_LENGTH', { length }]);
      }
    }
  });

  test('accepts ext_data up to the end of the packet and refuses it beyond, before the body has come', () => {
    const bytes = packet(9, 'x'.repeat(10), '');
    expect(read(bytes, [bytes.length]).length).toBe(1);
    for (const extLength of [11, 0xffffffff]) {
      bytes.writeUInt32BE(extLength, 24);
      const { error, pushed } = readUntilError(bytes, 1);
      expect([error.code, error.fields]).toEqual(['GW_LINK_EXT_LENGTH', { extLength, length: 38 }]);
      expect(pushed).toBe(28);
    }
  });

  test('gives the packets before a broken one, fails once, and takes nothing more', () => {
    const events: string[] = [];
    const reader = new PacketReader();
    const sink: PacketSink = {
      packet: (view) => events.push(String(view.cmd)) > 0,
      fail: (error) => events.push(error.code),
    };
    reader.push(Buffer.concat([short, Buffer.alloc(4), short]), sink);
    reader.push(short, sink);
    reader.resume(sink);
    expect(events).toEqual(['1', '3', '4', 'GW_LINK_PACKET_LENGTH']);
    expect(reader.held).toBe(0);
  });

  test('takes a packet of 10 MiB in small pieces in no time', () => {
    // 40 milliseconds or so; with a copy of everything held for each piece it would be hours.
    const large = packet(3, '', 'x'.repeat(10_485_760 - 28));
    const started = performance.now();
    expect(outcome(large, [97]).seen.length).toBe(1);
    expect(performance.now() - started).toBeLessThan(10_000);
  });

  test('answers broken bytes with packets and at most one typed error', () => {
    const random = randomOf(20);
    for (let round = 0; round < 3000; round++) {
      const from = random(recorded.length - 5);
      const bytes = mutated(Buffer.concat(recorded.slice(from, from + 5).map((vector) => hex(vector.hex))), random);
      const whole = outcome(bytes, [bytes.length], 5000);
      expect(outcome(bytes, [1 + random(60), 1 + random(60)], 5000)).toEqual(whole);
    }
  });
});

describe('ReplyReader', () => {
  const replies = recorded.flatMap((vector) => (vector.reply === undefined ? [] : [hex(vector.reply.hex)]));
  const answers = Buffer.concat(replies);

  test('gives the same answers whole, byte by byte and in pieces of any size', () => {
    const whole = readReplies(answers, answers.length);
    expect(whole).toEqual(replies.map((reply) => reply.toString('hex', 4)));
    for (const size of [1, 2, 3, 4, 5, 7, 64, 1000]) expect(readReplies(answers, size)).toEqual(whole);
  });

  test('takes an answer without payload for one', () => {
    const out = new Arena();
    writeReply(out, '');
    writeReply(out, Buffer.from('N;'));
    expect(readReplies(out.buffer.subarray(0, out.offset), 1)).toEqual(['', '4e3b']);
  });

  test('accepts an answer of exactly the limit and refuses one byte more as soon as its length is known', () => {
    const events: unknown[] = [];
    const sink = {
      reply: (_: Buffer, start: number, end: number) => events.push(end - start) > 0,
      fail: (error: LinkProtocolError) => events.push([error.code, error.fields]),
    };
    const reader = new ReplyReader({ maxReplySize: 10 });
    reader.push(Buffer.from('\0\0\0\x0a0123456789\0\0\0', 'latin1'), sink);
    expect(events).toEqual([10]);
    reader.push(Buffer.from([11]), sink);
    expect(events).toEqual([10, ['GW_LINK_REPLY_TOO_LARGE', { length: 11, limit: 10 }]]);
  });

  test('holds the rest when the sink says stop', () => {
    const reader = new ReplyReader();
    const seen: string[] = [];
    const sink = {
      reply(buffer: Buffer, start: number, end: number) {
        seen.push(buffer.toString('latin1', start, end));
        return false;
      },
      fail(error: LinkProtocolError) {
        throw error;
      },
    };
    reader.push(Buffer.from('\0\0\0\x02N;\0\0\0\x04i:1;', 'latin1'), sink);
    expect([seen, reader.held]).toEqual([['N;'], 8]);
    reader.resume(sink);
    expect([seen, reader.held]).toEqual([['N;', 'i:1;'], 0]);
  });
});

function packet(cmd: number, ext: string, body: string): Buffer {
  const out = new Arena();
  writePacket(out, packetHead({ cmd, connectionId: 7 }), ext, body);
  return Buffer.from(out.buffer.subarray(0, out.offset));
}

function sinkOf(packet: PacketSink['packet']): PacketSink {
  return {
    packet,
    fail(error) {
      throw error;
    },
  };
}

/** The packets as hex, from pushing pieces of the given sizes in turn. */
function read(bytes: Buffer, sizes: number[], maxPacketSize?: number): string[] {
  const { seen, error } = outcome(bytes, sizes, maxPacketSize);
  expect(error).toBeUndefined();
  return seen;
}

function outcome(
  bytes: Buffer,
  sizes: number[],
  maxPacketSize?: number,
): { seen: string[]; error: string | undefined } {
  const reader = new PacketReader(maxPacketSize === undefined ? {} : { maxPacketSize });
  const seen: string[] = [];
  const errors: LinkProtocolError[] = [];
  const sink: PacketSink = {
    packet(view) {
      seen.push(view.buffer.toString('hex', view.extStart - 28, view.bodyEnd));
      return true;
    },
    fail: (error) => errors.push(error),
  };
  for (let at = 0, index = 0; at < bytes.length; index++) {
    const size = sizes[index % sizes.length]!;
    // A piece of its own, which is overwritten afterwards: a reader must not rely on it.
    const piece = Buffer.from(bytes.subarray(at, at + size));
    reader.push(piece, sink);
    piece.fill(0xee);
    at += size;
    if (size === 0 && sizes.length === 1) break;
  }
  expect(errors.length).toBeLessThanOrEqual(1);
  for (const error of errors) expect(error).toBeInstanceOf(LinkProtocolError);
  return { seen, error: errors[0]?.code };
}

function readUntilError(
  bytes: Buffer,
  size: number,
  maxPacketSize?: number,
): { error: LinkProtocolError; pushed: number } {
  const reader = new PacketReader(maxPacketSize === undefined ? {} : { maxPacketSize });
  let failed: LinkProtocolError | undefined;
  let pushed = 0;
  const sink: PacketSink = {
    packet: () => true,
    fail(error) {
      failed = error;
    },
  };
  while (failed === undefined && pushed < bytes.length) {
    reader.push(bytes.subarray(pushed, pushed + size), sink);
    pushed = Math.min(bytes.length, pushed + size);
  }
  if (failed === undefined) throw new Error('no error came');
  return { error: failed, pushed };
}

function readUntilErrorOrEnd(bytes: Buffer): LinkProtocolError | undefined {
  try {
    return readUntilError(bytes, bytes.length).error;
  } catch {
    return undefined;
  }
}

function readReplies(bytes: Buffer, size: number): string[] {
  const reader = new ReplyReader();
  const seen: string[] = [];
  for (let at = 0; at < bytes.length; at += size) {
    reader.push(Buffer.from(bytes.subarray(at, at + size)), {
      reply: (buffer, start, end) => seen.push(buffer.toString('hex', start, end)) > 0,
      fail(error) {
        throw error;
      },
    });
  }
  return seen;
}
