import { Buffer } from 'node:buffer';
import { constants, deflateRawSync, inflateRawSync } from 'node:zlib';
import { describe, expect, test, vi } from 'vitest';
import { type Codec, readPerMessageDeflate, websocketDeflateCodec } from '../../../../src/core/protocols/mod.js';
import type { PerMessageDeflateOptions } from '../../../../src/core/protocols/websocket/deflate-options.js';
import { Arena } from '../../../../src/util/mod.js';
import { clientFrame, request, SAMPLE_REQUEST } from '../../../support/client-frames.js';
import {
  cuttings,
  pushCopy,
  RecordingSink,
  type SinkEvent,
  seededRandom,
  WIDE,
} from '../../../support/recording-sink.js';
import { closeOf } from '../../../support/websocket-events.js';

/** Bytes that zlib has handed out. */
let handedOut = 0;

vi.mock('node:zlib', async (original) => {
  const zlib = await original<typeof import('node:zlib')>();
  const spy = (...args: Parameters<typeof zlib.inflateRawSync>) => {
    const result = zlib.inflateRawSync(...args);
    handedOut += ('buffer' in result && Buffer.isBuffer(result.buffer) ? result.buffer : result).length;
    return result;
  };
  return { ...zlib, inflateRawSync: spy };
});

const CONTINUATION = 0;
const TEXT = 1;
const BINARY = 2;
const RSV1 = { rsv: 4 };

function codecOf(options: Partial<PerMessageDeflateOptions> = {}): Codec {
  const read = readPerMessageDeflate('Test', options);
  if (read === null) throw new Error('off');
  return websocketDeflateCodec(read);
}

function offering(...offers: string[]): Buffer {
  return request([...SAMPLE_REQUEST, ...offers.map((offer) => `Sec-WebSocket-Extensions: ${offer}`)]);
}

function agreedReader(offer = 'permessage-deflate', codec = codecOf(), limits = WIDE) {
  const reader = codec.open(limits);
  const sink = new RecordingSink();
  pushCopy(reader, offering(offer), sink);
  return { reader, handshake: sink };
}

/** Events of frames behind a handshake, the same however they are cut. */
function framesEveryWay(bytes: Buffer, limits = WIDE): SinkEvent[] {
  let first: SinkEvent[] | undefined;
  for (const pieces of cuttings(bytes)) {
    const sink = new RecordingSink();
    const { reader } = agreedReader(undefined, undefined, limits);
    for (const piece of pieces) pushCopy(reader, piece, sink);
    first ??= sink.events;
    expect(sink.events).toEqual(first);
  }
  return first ?? [];
}

function failure(bytes: Buffer, limits = WIDE): [string, number] {
  const events = framesEveryWay(bytes, limits);
  const last = events.at(-1);
  if (last?.[0] !== 'fail') throw new Error(`no failure: ${JSON.stringify(events)}`);
  return [last[1], closeOf(last[2]).code];
}

/** As RFC 7692 section 7.2.1 has it. */
function deflated(data: string | Uint8Array, options = {}): Buffer {
  return deflateRawSync(data, { finishFlush: constants.Z_SYNC_FLUSH, ...options }).subarray(0, -4);
}

describe('the handshake with permessage-deflate', () => {
  const replyTo = (bytes: Buffer) => {
    const sink = new RecordingSink();
    const reader = codecOf().open(WIDE);
    pushCopy(reader, bytes, sink);
    return { reader, events: sink.events, reply: String(sink.events.find(([kind]) => kind === 'write')?.[1]) };
  };

  test('agrees to an offer, and its reader names the codec for that client', () => {
    const { reader, reply } = replyTo(offering('foo, permessage-deflate; client_max_window_bits'));
    expect(reply).toContain(
      '\r\nSec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n',
    );
    expect(reader.codec?.recode).toBeTypeOf('function');
  });

  test('offers in several header lines are taken in their order', () => {
    const { reply } = replyTo(
      offering('permessage-deflate; server_max_window_bits=12', 'permessage-deflate; server_max_window_bits=10'),
    );
    expect(reply).toContain('; server_max_window_bits=12\r\n');
  });

  test.each([[[]], [['permessage-deflate; server_max_window_bits=8']], [['foo']]])(
    'without an offer that can be taken there is no extension: %j',
    (offers) => {
      const { reader, reply } = replyTo(offering(...offers));
      expect(reply).toContain('101');
      expect(reply).not.toContain('Extensions');
      expect(reader.codec).toBeUndefined();
    },
  );

  test('a malformed header is refused before the owner is asked', () => {
    const { events } = replyTo(offering('permessage-deflate;'));
    expect(events).toEqual([['fail', 'GW_HANDSHAKE_MALFORMED', expect.stringContaining('HTTP/1.1 400 ')]]);
  });

  test('clients of the same terms share a codec, others do not', () => {
    const codec = codecOf();
    const of = (offer: string) => agreedReader(offer, codec).reader.codec;
    expect(of('permessage-deflate')).toBe(of('permessage-deflate; client_max_window_bits=9'));
    expect(of('permessage-deflate')).not.toBe(of('permessage-deflate; server_max_window_bits=9'));
  });
});

describe('compressed messages in', () => {
  // Samples of RFC 7692 sections 7.2.3.1 to 7.2.3.5.
  test.each([
    ['a fixed block', 'f248cdc9c90700'],
    ['a block without compression', '000500faff48656c6c6f00'],
    ['a final block', 'f348cdc9c9070000'],
    ['two blocks', 'f248050000 00ffffcac9c90700'.replace(' ', '')],
  ])('%s is Hello', (_, hex) => {
    expect(framesEveryWay(clientFrame(TEXT, Buffer.from(hex, 'hex'), RSV1))).toEqual([['message', 'Hello', false]]);
  });

  test('fragments, with a control frame between them', () => {
    const bytes = deflated('Hello, hello, hello');
    const frames = Buffer.concat([
      clientFrame(BINARY, bytes.subarray(0, 3), { fin: false, ...RSV1 }),
      clientFrame(9, 'p'),
      clientFrame(CONTINUATION, '', { fin: false }),
      clientFrame(CONTINUATION, bytes.subarray(3)),
      clientFrame(TEXT, 'plain'),
      clientFrame(TEXT, deflated('again'), RSV1),
    ]);
    expect(framesEveryWay(frames)).toEqual([
      ['write', '\x8a\x01p'],
      ['message', 'Hello, hello, hello', true],
      ['message', 'plain', false],
      ['message', 'again', false],
    ]);
  });

  test('an empty message, which is one byte', () => {
    expect(framesEveryWay(clientFrame(TEXT, Buffer.of(0), RSV1))).toEqual([['message', '', false]]);
  });

  test('a large message of random bytes', () => {
    const random = seededRandom(3);
    const payload = Buffer.from(Array.from({ length: 300_000 }, (_, index) => (index % 3 === 0 ? random(256) : 7)));
    const { reader } = agreedReader();
    const sink = new RecordingSink();
    const frame = clientFrame(BINARY, deflated(payload), RSV1);
    for (let at = 0; at < frame.length; at += 10_007) pushCopy(reader, frame.subarray(at, at + 10_007), sink);
    expect(sink.messages.map((message) => Buffer.from(message, 'latin1').equals(payload))).toEqual([true]);
    expect(reader.held).toBe(0);
  });

  test('a message that is delivered while paused waits for its turn', () => {
    const { reader } = agreedReader();
    const sink = new RecordingSink(() => false);
    pushCopy(
      reader,
      Buffer.concat([clientFrame(TEXT, deflated('one'), RSV1), clientFrame(TEXT, deflated('two'), RSV1)]),
      sink,
    );
    expect(sink.messages).toEqual(['one']);
    reader.resume(sink);
    expect(sink.messages).toEqual(['one', 'two']);
  });

  test.each([1, 16])('%i final blocks of its own are read', (count) => {
    const bytes = Buffer.concat([Buffer.concat(Array(count).fill(deflateRawSync('ab'))), Buffer.of(0)]);
    expect(framesEveryWay(clientFrame(TEXT, bytes, RSV1))).toEqual([['message', 'ab'.repeat(count), false]]);
  });

  test('one final block more is refused', () => {
    const bytes = Buffer.concat([Buffer.concat(Array(17).fill(deflateRawSync('ab'))), Buffer.of(0)]);
    expect(failure(clientFrame(TEXT, bytes, RSV1))).toEqual(['GW_WEBSOCKET_DEFLATE', 1007]);
  });

  test('every way to cut off a compressed message is refused', () => {
    const whole = deflated('It was a bright cold day in April, and the clocks were striking thirteen. '.repeat(3));
    for (let end = 0; end < whole.length; end++) {
      const { reader } = agreedReader();
      const sink = new RecordingSink();
      pushCopy(reader, clientFrame(TEXT, whole.subarray(0, end), RSV1), sink);
      expect(sink.events, `${end} of ${whole.length}`).toEqual([['fail', 'GW_WEBSOCKET_DEFLATE', expect.anything()]]);
    }
  });

  test.each([
    ['what is no deflate', Buffer.from('Hello'), 'GW_WEBSOCKET_DEFLATE', 1007],
    ['nothing at all', Buffer.alloc(0), 'GW_WEBSOCKET_DEFLATE', 1007],
    ['text that is no UTF-8', deflated(Buffer.of(0x61, 0xff)), 'GW_WEBSOCKET_UTF8', 1007],
  ])('%s is refused', (_, bytes, code, close) => {
    expect(failure(clientFrame(TEXT, bytes, RSV1))).toEqual([code, close]);
  });

  test.each([
    [
      'on a continuation',
      [clientFrame(TEXT, deflated('x'), { fin: false, ...RSV1 }), clientFrame(CONTINUATION, 'x', RSV1)],
    ],
    ['on a continuation of plain text', [clientFrame(TEXT, 'x', { fin: false }), clientFrame(CONTINUATION, 'x', RSV1)]],
    ['on a ping', [clientFrame(9, 'x', RSV1)]],
    ['on a close', [clientFrame(8, '', RSV1)]],
    ['with RSV2', [clientFrame(TEXT, 'x', { rsv: 6 })]],
    ['with RSV3', [clientFrame(TEXT, 'x', { rsv: 5 })]],
    ['with an unknown opcode', [clientFrame(3, 'x', RSV1)]],
  ])('RSV1 %s is a violation', (_, frames) => {
    expect(failure(Buffer.concat(frames))).toEqual(['GW_WEBSOCKET_RESERVED_BITS', 1002]);
  });

  test('RSV1 is a violation for who has not agreed', () => {
    const sink = new RecordingSink();
    const reader = codecOf().open(WIDE);
    pushCopy(reader, Buffer.concat([request(), clientFrame(TEXT, deflated('x'), RSV1)]), sink);
    expect(sink.events.at(-1)?.[1]).toBe('GW_WEBSOCKET_RESERVED_BITS');
  });

  test('a message may inflate to maxPackageSize, and not to one byte more', () => {
    const limits = { maxPackageSize: 70_000 };
    const events = (size: number) => {
      const { reader } = agreedReader(undefined, undefined, limits);
      const sink = new RecordingSink();
      pushCopy(reader, clientFrame(BINARY, deflated(Buffer.alloc(size)), RSV1), sink);
      return sink.events;
    };
    expect(events(70_000)).toEqual([['message', '\0'.repeat(70_000), true]]);
    const [[kind, code, reply]] = events(70_001) as [['fail', string, string]];
    expect([kind, code, closeOf(reply).code]).toEqual(['fail', 'GW_PACKAGE_TOO_LARGE', 1009]);
  });

  test.each([
    ['one that is far larger', deflated(Buffer.alloc(10_000_000))],
    [
      'one that is so with its last part',
      Buffer.concat([deflateRawSync(Buffer.alloc(40_000)), deflated(Buffer.alloc(70_000))]),
    ],
    [
      'one that is so by a byte of it',
      Buffer.concat([deflateRawSync(Buffer.alloc(40_000)), deflated(Buffer.alloc(40_000))]),
    ],
  ])('%s is refused without being inflated beyond the limit', (_, bytes) => {
    const { reader } = agreedReader(undefined, undefined, { maxPackageSize: 79_999 });
    const sink = new RecordingSink();
    handedOut = 0;
    pushCopy(reader, clientFrame(BINARY, bytes, RSV1), sink);
    expect(sink.error?.code).toBe('GW_PACKAGE_TOO_LARGE');
    expect(handedOut).toBeLessThanOrEqual(80_000);
  });

  test('mutated bytes never make the reader throw', () => {
    const random = seededRandom(11);
    const whole = deflated(JSON.stringify(Array.from({ length: 40 }, (_, id) => ({ id, text: `message ${id}` }))));
    const kinds = new Set<string>();
    for (let round = 0; round < 500; round++) {
      const bytes = Buffer.from(whole);
      for (let count = 1 + random(4); count > 0; count--) bytes[random(bytes.length)] = random(256);
      const { reader } = agreedReader(undefined, undefined, { maxPackageSize: 3000 });
      const sink = new RecordingSink();
      pushCopy(reader, clientFrame(BINARY, bytes, RSV1), sink);
      expect(sink.events).toHaveLength(1);
      kinds.add(String(sink.events[0]?.[sink.events[0][0] === 'fail' ? 1 : 0]));
    }
    expect(kinds).toContain('GW_WEBSOCKET_DEFLATE');
  });
});

describe('compressed messages out', () => {
  const LONG = 'It was a bright cold day in April. '.repeat(100);

  function encoderOf(options: Partial<PerMessageDeflateOptions> = {}, offer?: string): Codec {
    const { codec } = agreedReader(offer, codecOf(options)).reader;
    if (codec === undefined) throw new Error('nothing agreed');
    return codec;
  }

  function encoded(codec: Codec, data: unknown, binary = false, arena = new Arena()): Buffer {
    const { buffer, offset } = arena;
    codec.encode(arena, data, binary);
    return Buffer.from(arena.buffer.subarray(arena.buffer === buffer ? offset : 0, arena.offset));
  }

  function payloadOf(frame: Buffer): Buffer {
    return frame.subarray(frame[1] === 126 ? 4 : frame[1] === 127 ? 10 : 2);
  }

  const inflated = (frame: Buffer, windowBits = 15) =>
    // In small chunks: zlib looks back into what it has just put out, whatever the window is.
    inflateRawSync(payloadOf(frame), { finishFlush: constants.Z_SYNC_FLUSH, windowBits, chunkSize: 64 }).toString();

  test('a text is a text frame with RSV1 that inflates to it, bytes are a binary one', () => {
    const text = encoded(encoderOf(), LONG);
    expect(text[0]).toBe(0xc1);
    expect(text.length).toBeLessThan(200);
    expect(text.subarray(-4).toString('hex')).not.toBe('0000ffff');
    expect(inflated(text)).toBe(LONG);
    const bytes = encoded(encoderOf(), Buffer.from(LONG), true);
    expect(bytes[0]).toBe(0xc2);
    expect(inflated(bytes)).toBe(LONG);
  });

  test('from the threshold on, and not below', () => {
    const codec = encoderOf({ threshold: 300 });
    expect(encoded(codec, 'x'.repeat(299))[0]).toBe(0x81);
    expect(encoded(codec, 'x'.repeat(300))[0]).toBe(0xc1);
    expect(encoded(encoderOf(), 'x'.repeat(1023))[0]).toBe(0x81);
    expect(encoded(encoderOf(), 'x'.repeat(1024))[0]).toBe(0xc1);
  });

  test('what compressing does not make smaller leaves as it is', () => {
    const random = seededRandom(5);
    const noise = Buffer.from(Array.from({ length: 2000 }, () => random(256)));
    const frame = encoded(encoderOf(), noise, true);
    expect(frame[0]).toBe(0x82);
    expect(payloadOf(frame)).toEqual(noise);
  });

  test('with the window that was agreed on', () => {
    const random = seededRandom(9);
    // Repeats at a distance of 3000: within 2^15, beyond 2^9.
    const noise = Buffer.from(Array.from({ length: 3000 }, () => random(64)));
    const data = Buffer.concat([noise, noise]);
    const wide = encoded(encoderOf(), data, true);
    const narrow = encoded(encoderOf({}, 'permessage-deflate; server_max_window_bits=9'), data, true);
    expect(wide.length).toBeLessThan(narrow.length * 0.7);
    expect(inflated(narrow, 9)).toBe(data.toString());
    expect(() => inflated(wide, 9)).toThrow();
  });

  test('each message stands alone, whatever was sent before', () => {
    const codec = encoderOf();
    const arena = new Arena();
    const frames = [LONG, LONG, `${LONG}!`, LONG].map((text) => encoded(codec, text, false, arena));
    expect(frames.map((frame) => inflated(frame))).toEqual([LONG, LONG, `${LONG}!`, LONG]);
    expect(frames[1]).toEqual(frames[0]);
  });

  test('text and bytes that are the same are told apart', () => {
    const codec = encoderOf();
    expect([encoded(codec, LONG)[0], encoded(codec, Buffer.from(LONG), true)[0]]).toEqual([0xc1, 0xc2]);
  });

  test('frames stand one behind the other, over the end of a slab', () => {
    const codec = encoderOf();
    const arena = new Arena();
    for (let count = 0; count < 200; count++) {
      const text = `${count} ${LONG}`;
      expect(inflated(encoded(codec, text, false, arena))).toBe(text);
      expect(encoded(codec, 'short', false, arena).toString('latin1')).toBe('\x81\x05short');
    }
  });

  test('a value leaves as JSON', () => {
    const value = { list: Array.from({ length: 500 }, (_, index) => index) };
    expect(JSON.parse(inflated(encoded(encoderOf(), value)))).toEqual(value);
  });

  test('a plain frame is recoded behind what the arena has, or not at all', () => {
    const codec = encoderOf();
    const arena = new Arena();
    const plain = encoded(codecOf(), LONG, false, arena);
    const before = arena.offset;
    expect(codec.recode?.(arena, plain, 0, plain.length)).toBe(true);
    expect(inflated(arena.buffer.subarray(before, arena.offset))).toBe(LONG);
    const short = encoded(codecOf(), 'short', false, arena);
    const after = arena.offset;
    expect(codec.recode?.(arena, short, 0, short.length)).toBe(false);
    expect(arena.offset).toBe(after);
  });

  test('close and ping are those of WebSocket', () => {
    const arena = new Arena();
    const codec = encoderOf({ threshold: 0 });
    codec.encodePing?.(arena);
    codec.encodeClose?.(arena, 1000, 'bye');
    expect(arena.buffer.toString('latin1', 0, arena.offset)).toBe('\x89\x00\x88\x05\x03\xe8bye');
  });
});
