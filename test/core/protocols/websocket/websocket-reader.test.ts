import { Buffer } from 'node:buffer';
import { describe, expect, test } from 'vitest';
import { clientFrame } from '../../../support/client-frames.js';
import { pushCopy, RecordingSink, seededRandom, WIDE } from '../../../support/recording-sink.js';
import { closeOf, framesEveryWay, openReader } from '../../../support/websocket-events.js';

const CONTINUATION = 0;
const TEXT = 1;
const BINARY = 2;
const CLOSE = 8;
const PING = 9;
const PONG = 10;
const OPEN = { fin: false };

/** The one failure that bytes end in: events before it, its code, the close code of its reply. */
function failure(bytes: Buffer, limits = WIDE): [string[], string, number] {
  const events = framesEveryWay(bytes, limits);
  const last = events.at(-1);
  if (last?.[0] !== 'fail') throw new Error(`no failure: ${JSON.stringify(events)}`);
  return [events.slice(0, -1).map((event) => event[0]), last[1], closeOf(last[2]).code];
}

function closePayload(code: number, reason: string | Uint8Array = ''): Buffer {
  return Buffer.concat([Buffer.of(code >> 8, code & 0xff), Buffer.from(reason as string)]);
}

describe('WebSocket messages', () => {
  test.each([0, 1, 2, 3, 4, 125, 126, 127, 128, 191, 192, 193, 300])('text and binary of %i bytes', (size) => {
    const payload = Buffer.from(Array.from({ length: size }, (_, index) => 0x20 + (index % 90)));
    expect(framesEveryWay(Buffer.concat([clientFrame(TEXT, payload), clientFrame(BINARY, payload)]))).toEqual([
      ['message', payload.toString('latin1'), false],
      ['message', payload.toString('latin1'), true],
    ]);
  });

  test.each([65535, 65536, 200_001])('a message of %i bytes, whole and in pieces', (size) => {
    const random = seededRandom(size);
    const payload = Buffer.from(Array.from({ length: size }, () => random(256)));
    const bytes = clientFrame(BINARY, payload);
    for (const step of [bytes.length, 60_000, 1_001]) {
      const sink = new RecordingSink();
      const reader = openReader();
      for (let at = 0; at < bytes.length; at += step) pushCopy(reader, bytes.subarray(at, at + step), sink);
      expect(sink.messages.map((message) => Buffer.from(message, 'latin1').equals(payload))).toEqual([true]);
      expect(reader.held).toBe(0);
    }
  });

  test('every alignment of buffer and mask is unmasked right', () => {
    const random = seededRandom(7);
    for (let offset = 0; offset < 8; offset++) {
      for (const size of [0, 1, 2, 3, 5, 191, 192, 193, 194, 195, 256, 1000]) {
        const payload = Buffer.from(Array.from({ length: size }, () => random(256)));
        const frame = clientFrame(BINARY, payload, {
          mask: [random(256), random(256), random(256), 0x80 | random(128)],
        });
        const slab = Buffer.alloc(offset + frame.length + 8, 0x77);
        frame.copy(slab, offset);
        const sink = new RecordingSink();
        openReader().push(slab.subarray(offset, offset + frame.length), sink);
        expect(sink.messages).toEqual([payload.toString('latin1')]);
        // Nothing beside the frame is touched.
        expect(slab.subarray(0, offset).every((byte) => byte === 0x77)).toBe(true);
        expect(slab.subarray(offset + frame.length).every((byte) => byte === 0x77)).toBe(true);
      }
    }
  });

  test('a message that lies in the chunk is a range of the chunk', () => {
    const chunk = Buffer.concat([clientFrame(TEXT, 'hello'), clientFrame(BINARY, 'x'.repeat(500))]);
    const seen: boolean[] = [];
    const sink = new RecordingSink();
    sink.message = (buffer) => seen.push(buffer === chunk) > 0;
    openReader().push(chunk, sink);
    expect(seen).toEqual([true, true]);
  });

  test('fragments are one message, of the type of the first', () => {
    const bytes = Buffer.concat([
      clientFrame(BINARY, 'a', OPEN),
      clientFrame(CONTINUATION, '', OPEN),
      clientFrame(CONTINUATION, 'bc', OPEN),
      clientFrame(CONTINUATION, 'd'),
      clientFrame(TEXT, '', OPEN),
      clientFrame(CONTINUATION, ''),
      clientFrame(TEXT, 'next'),
    ]);
    expect(framesEveryWay(bytes)).toEqual([
      ['message', 'abcd', true],
      ['message', '', false],
      ['message', 'next', false],
    ]);
  });

  test('ping, pong and close between fragments', () => {
    const bytes = Buffer.concat([
      clientFrame(TEXT, 'he', OPEN),
      clientFrame(PING, 'pp'),
      clientFrame(CONTINUATION, 'l', OPEN),
      clientFrame(PONG, 'qq'),
      clientFrame(CONTINUATION, 'lo'),
      clientFrame(TEXT, 'lost', OPEN),
      clientFrame(CLOSE, closePayload(1000)),
    ]);
    expect(framesEveryWay(bytes)).toEqual([
      ['write', '\x8a\x02pp'],
      ['pong', 'qq'],
      ['message', 'hello', false],
      ['write', '\x88\x02\x03\xe8'],
      ['ended', 1000, ''],
    ]);
  });
});

describe('WebSocket control frames', () => {
  test.each([0, 1, 2, 125])('a ping of %i bytes is answered with its payload', (size) => {
    const payload = 'p'.repeat(size);
    expect(framesEveryWay(clientFrame(PING, payload))).toEqual([
      ['write', `\x8a${String.fromCharCode(size)}${payload}`],
    ]);
  });

  test('many pings in one chunk get as many pongs', () => {
    expect(framesEveryWay(Buffer.concat(Array(10).fill(clientFrame(PING, 'x'))))).toHaveLength(10);
  });

  test.each([1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999])(
    'close code %i is echoed',
    (code) => {
      const events = framesEveryWay(
        Buffer.concat([clientFrame(CLOSE, closePayload(code, 'bÿe')), clientFrame(TEXT, 'x')]),
      );
      expect(events.map((event) => event[0])).toEqual(['write', 'ended']);
      expect(closeOf(String(events[0]?.[1]))).toEqual({ code, reason: '' });
      expect(events[1]).toEqual(['ended', code, 'bÿe']);
    },
  );

  test('a close without a code is answered with 1000', () => {
    expect(framesEveryWay(clientFrame(CLOSE))).toEqual([
      ['write', '\x88\x02\x03\xe8'],
      ['ended', 1005, ''],
    ]);
  });

  test('the longest reason is read', () => {
    expect(framesEveryWay(clientFrame(CLOSE, closePayload(1000, 'r'.repeat(123))))[1]).toEqual([
      'ended',
      1000,
      'r'.repeat(123),
    ]);
  });

  test.each([0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535])(
    'close code %i is refused',
    (code) => {
      expect(failure(clientFrame(CLOSE, closePayload(code)))).toEqual([[], 'GW_WEBSOCKET_CLOSE', 1002]);
    },
  );

  test('a close of one byte, and one with a reason that is no UTF-8, are refused', () => {
    expect(failure(clientFrame(CLOSE, Buffer.of(3)))).toEqual([[], 'GW_WEBSOCKET_CLOSE', 1002]);
    expect(failure(clientFrame(CLOSE, closePayload(1000, Buffer.of(0xc3))))).toEqual([[], 'GW_WEBSOCKET_UTF8', 1007]);
  });
});

describe('WebSocket violations', () => {
  test.each<[string, Buffer, string, number]>([
    ['RSV1', clientFrame(TEXT, 'x', { rsv: 4 }), 'GW_WEBSOCKET_RESERVED_BITS', 1002],
    ['RSV2', clientFrame(BINARY, 'x', { rsv: 2 }), 'GW_WEBSOCKET_RESERVED_BITS', 1002],
    ['RSV3 on a ping', clientFrame(PING, 'x', { rsv: 1 }), 'GW_WEBSOCKET_RESERVED_BITS', 1002],
    ['RSV on a close', clientFrame(CLOSE, '', { rsv: 7 }), 'GW_WEBSOCKET_RESERVED_BITS', 1002],
    ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode): [string, Buffer, string, number] => [
      `opcode ${opcode}`,
      clientFrame(opcode, 'x'),
      'GW_WEBSOCKET_OPCODE',
      1002,
    ]),
    ['no mask on a text', clientFrame(TEXT, 'x', { mask: null }), 'GW_WEBSOCKET_UNMASKED', 1002],
    ['no mask on an empty ping', clientFrame(PING, '', { mask: null }), 'GW_WEBSOCKET_UNMASKED', 1002],
    ['a ping of 126 bytes', clientFrame(PING, 'x'.repeat(126)), 'GW_WEBSOCKET_CONTROL', 1002],
    ['a close of 126 bytes', clientFrame(CLOSE, closePayload(1000, 'x'.repeat(124))), 'GW_WEBSOCKET_CONTROL', 1002],
    ['a control frame with a long length', clientFrame(PONG, 'x', { lengthBits: 16 }), 'GW_WEBSOCKET_CONTROL', 1002],
    ['a fragmented ping', clientFrame(PING, 'x', OPEN), 'GW_WEBSOCKET_CONTROL', 1002],
    ['a fragmented close', clientFrame(CLOSE, '', OPEN), 'GW_WEBSOCKET_CONTROL', 1002],
    ['a continuation of nothing', clientFrame(CONTINUATION, 'x'), 'GW_WEBSOCKET_FRAGMENT', 1002],
    ['an open continuation of nothing', clientFrame(CONTINUATION, 'x', OPEN), 'GW_WEBSOCKET_FRAGMENT', 1002],
    ['125 bytes in 16 bits', clientFrame(TEXT, 'x'.repeat(125), { lengthBits: 16 }), 'GW_WEBSOCKET_LENGTH', 1002],
    ['126 bytes in 64 bits', clientFrame(TEXT, 'x'.repeat(126), { lengthBits: 64 }), 'GW_WEBSOCKET_LENGTH', 1002],
    ['65535 in 64 bits', Buffer.from('82ff000000000000ffff', 'hex'), 'GW_WEBSOCKET_LENGTH', 1002],
    ['a length with its top bit', Buffer.from('82ff8000000000000000', 'hex'), 'GW_WEBSOCKET_LENGTH', 1002],
    ['the largest length', Buffer.from('82ff7fffffffffffffff', 'hex'), 'GW_PACKAGE_TOO_LARGE', 1009],
    ['2^32 bytes', Buffer.from('82ff0000000100000000', 'hex'), 'GW_PACKAGE_TOO_LARGE', 1009],
  ])('%s', (_, bytes, code, closeCode) => {
    const later = Buffer.concat([clientFrame(TEXT, 'ok'), bytes, clientFrame(TEXT, 'never')]);
    expect(failure(later)).toEqual([['message'], code, closeCode]);
  });

  test('a message must end before another begins', () => {
    for (const opcode of [TEXT, BINARY]) {
      const bytes = Buffer.concat([clientFrame(TEXT, 'a', OPEN), clientFrame(PING), clientFrame(opcode, 'b')]);
      expect(failure(bytes)).toEqual([['write'], 'GW_WEBSOCKET_FRAGMENT', 1002]);
    }
    const ended = Buffer.concat([
      clientFrame(TEXT, 'a', OPEN),
      clientFrame(CONTINUATION, 'b'),
      clientFrame(CONTINUATION, 'c'),
    ]);
    expect(failure(ended)).toEqual([['message'], 'GW_WEBSOCKET_FRAGMENT', 1002]);
  });

  test('after a failure nothing is held or read', () => {
    const sink = new RecordingSink();
    const reader = openReader();
    pushCopy(reader, Buffer.concat([clientFrame(TEXT, 'abc', OPEN), clientFrame(3), clientFrame(TEXT, 'x')]), sink);
    pushCopy(reader, clientFrame(TEXT, 'x'), sink);
    reader.resume(sink);
    expect(sink.events).toHaveLength(1);
    expect(reader.held).toBe(0);
  });
});

describe('WebSocket text is UTF-8', () => {
  const valid = [
    'κόσμε',
    '\u0000',
    '\u007f\u0080\u07ff\u0800\uffff',
    '\ud7ff\ue000\ufffd',
    '😀\u{10000}\u{10ffff}',
    '\ufeff',
  ];
  const invalid = [
    '80',
    'bf',
    '8081',
    'c0af',
    'c1bf',
    'c080',
    'c2',
    'c241',
    'e0',
    'e080af',
    'e09fbf',
    'e282',
    'e28241',
    'eda080',
    'edbfbf',
    'edafbf',
    'f0',
    'f08080af',
    'f08fbfbf',
    'f09f98',
    'f09f9841',
    'f4908080',
    'f48fbf',
    'f5808080',
    'f8888080af',
    'fe',
    'ff',
    'cebae1bdb9cf83cebcceb5eda080656469746564',
    'f09f9880f09f98',
    '61626380',
  ]; // prettier-ignore

  test.each(valid)('%j comes whole, and cut between any two bytes into fragments', (text) => {
    const bytes = Buffer.from(text);
    expect(framesEveryWay(clientFrame(TEXT, bytes))).toEqual([['message', bytes.toString('latin1'), false]]);
    for (let at = 0; at <= bytes.length; at++) {
      const fragments = Buffer.concat([
        clientFrame(TEXT, bytes.subarray(0, at), OPEN),
        clientFrame(PING),
        clientFrame(CONTINUATION, bytes.subarray(at)),
      ]);
      expect(framesEveryWay(fragments)).toEqual([
        ['write', '\x8a\0'],
        ['message', bytes.toString('latin1'), false],
      ]);
    }
  });

  test.each(invalid)('%s is refused whole, long, and cut into fragments', (hex) => {
    const bytes = Buffer.from(hex, 'hex');
    const refused = 'GW_WEBSOCKET_UTF8';
    expect(failure(clientFrame(TEXT, bytes)).slice(1)).toEqual([refused, 1007]);
    const long = Buffer.concat([Buffer.alloc(300, 'é'), bytes]);
    expect(failure(clientFrame(TEXT, long)).slice(1)).toEqual([refused, 1007]);
    for (let at = 0; at <= bytes.length; at++) {
      const fragments = [clientFrame(TEXT, bytes.subarray(0, at), OPEN), clientFrame(CONTINUATION, bytes.subarray(at))];
      expect(failure(Buffer.concat(fragments))).toEqual([[], refused, 1007]);
    }
    expect(framesEveryWay(clientFrame(BINARY, bytes))).toHaveLength(1);
  });

  test('a long text fails with the first byte that can not be right', () => {
    const sink = new RecordingSink();
    const reader = openReader();
    const bytes = clientFrame(TEXT, Buffer.concat([Buffer.from('ab'), Buffer.of(0xf4, 0x90), Buffer.alloc(200, 'x')]));
    const header = bytes.length - 204;
    pushCopy(reader, bytes.subarray(0, header + 3), sink);
    expect(sink.events).toEqual([]);
    pushCopy(reader, bytes.subarray(header + 3, header + 4), sink);
    expect(sink.error?.code).toBe('GW_WEBSOCKET_UTF8');
  });

  test('an ASCII fragment does not stand inside a character', () => {
    const bytes = Buffer.concat([
      clientFrame(TEXT, Buffer.of(0xc3), OPEN),
      clientFrame(CONTINUATION, 'A', OPEN),
      clientFrame(CONTINUATION, Buffer.of(0xa9)),
    ]);
    expect(failure(bytes)).toEqual([[], 'GW_WEBSOCKET_UTF8', 1007]);
  });

  test('an open fragment that is wrong fails before the message ends', () => {
    expect(failure(clientFrame(TEXT, Buffer.of(0xff), OPEN))).toEqual([[], 'GW_WEBSOCKET_UTF8', 1007]);
  });
});

describe('WebSocket limits', () => {
  test.each([
    [20, 14, 6],
    [208, 200, 8],
    [70_014, 70_000, 14],
  ])('with maxPackageSize %i a message of %i bytes (header %i) is delivered, of one more refused', (limit, size) => {
    const limits = { maxPackageSize: limit };
    const sink = new RecordingSink();
    pushCopy(openReader(limits), clientFrame(BINARY, Buffer.alloc(size)), sink);
    expect(sink.messages).toHaveLength(1);
    const refused = new RecordingSink();
    const reader = openReader(limits);
    const bytes = clientFrame(BINARY, Buffer.alloc(size + 1));
    // Without its mask: the length is known, that is enough.
    pushCopy(reader, bytes.subarray(0, bytes.length - size - 1 - 4), refused);
    expect(refused.error?.code).toBe('GW_PACKAGE_TOO_LARGE');
    expect(closeOf(refused.error?.reply?.toString('latin1')).code).toBe(1009);
    expect(reader.held).toBe(0);
  });

  test('fragments count together', () => {
    const limits = { maxPackageSize: 26 };
    const fragments = (last: number) =>
      Buffer.concat([
        clientFrame(TEXT, 'x'.repeat(10), OPEN),
        clientFrame(PING, 'p'.repeat(125)),
        clientFrame(CONTINUATION, 'y'.repeat(last)),
      ]);
    expect(framesEveryWay(fragments(10), limits).at(-1)).toEqual([
      'message',
      `${'x'.repeat(10)}${'y'.repeat(10)}`,
      false,
    ]);
    expect(failure(fragments(11), limits)).toEqual([['write'], 'GW_PACKAGE_TOO_LARGE', 1009]);
  });

  test('a message may have as many fragments as the limit says, and not one more', () => {
    const fragments = (count: number) =>
      Buffer.concat([
        clientFrame(TEXT, 'x', OPEN),
        ...Array(count - 2).fill(clientFrame(CONTINUATION, '', OPEN)),
        clientFrame(CONTINUATION, 'y'),
      ]);
    const limits = { ...WIDE, maxFragments: 5 };
    const twice = Buffer.concat([fragments(5), fragments(5)]);
    expect(framesEveryWay(twice, limits).map((event) => event[1])).toEqual(['xy', 'xy']);
    expect(failure(fragments(6), limits)).toEqual([[], 'GW_WEBSOCKET_FRAGMENTS', 1008]);
  });

  test('memory follows what has come, not what a header announces', () => {
    const reader = openReader();
    const bytes = clientFrame(BINARY, Buffer.alloc(5_000_000));
    pushCopy(reader, bytes.subarray(0, 100), new RecordingSink());
    expect(reader.held).toBe(86);
  });

  test('many fragments that each come in two pieces are not copied over and over', () => {
    const reader = openReader();
    const sink = new RecordingSink();
    const first = clientFrame(BINARY, Buffer.alloc(1000), OPEN);
    const next = clientFrame(CONTINUATION, Buffer.alloc(76), OPEN);
    pushCopy(reader, first, sink);
    const started = performance.now();
    for (let count = 0; count < 100_000; count++) {
      reader.push(Buffer.from(next.subarray(0, 40)), sink);
      reader.push(Buffer.from(next.subarray(40)), sink);
    }
    // Growing by a fragment each time would copy 380 GB.
    expect(performance.now() - started).toBeLessThan(15_000);
    expect(reader.held).toBe(1000 + 7_600_000);
  });
});

describe('WebSocket pauses', () => {
  test('a pause in the middle of a chunk holds the rest; each resume goes one on', () => {
    const bytes = Buffer.concat([
      clientFrame(TEXT, 'a'),
      clientFrame(PONG, 'p'),
      clientFrame(TEXT, 'b', OPEN),
      clientFrame(PING, 'q'),
      clientFrame(CONTINUATION, 'c'),
      clientFrame(TEXT, 'unfinished').subarray(0, 9),
    ]);
    const sink = new RecordingSink(() => false);
    const reader = openReader();
    pushCopy(reader, bytes, sink);
    expect(sink.events).toEqual([['message', 'a', false]]);
    expect(reader.held).toBe(bytes.length - 7);
    pushCopy(reader, clientFrame(TEXT, 'unfinished').subarray(9), sink);
    expect(sink.events).toHaveLength(1);
    reader.resume(sink);
    expect(sink.events.at(-1)).toEqual(['pong', 'p']);
    reader.resume(sink);
    expect(sink.events.slice(2)).toEqual([
      ['write', '\x8a\x01q'],
      ['message', 'bc', false],
    ]);
    reader.resume(sink);
    expect(sink.events.at(-1)).toEqual(['message', 'unfinished', false]);
    expect(reader.held).toBe(0);
  });

  test('a sink that closes during a message stops the reader', () => {
    const sink = new RecordingSink((event) => event[1] !== 'stop');
    const reader = openReader();
    pushCopy(reader, Buffer.concat([clientFrame(TEXT, 'stop'), clientFrame(PING), clientFrame(TEXT, 'x')]), sink);
    pushCopy(reader, clientFrame(3), sink);
    expect(sink.events).toEqual([['message', 'stop', false]]);
  });

  test('what is held does not count the message being delivered', () => {
    const reader = openReader();
    const sink = new RecordingSink();
    let held = -1;
    sink.message = () => {
      held = reader.held;
      return true;
    };
    pushCopy(reader, clientFrame(TEXT, 'a', OPEN), sink);
    pushCopy(reader, clientFrame(CONTINUATION, 'b'), sink);
    expect(held).toBe(0);
  });
});
