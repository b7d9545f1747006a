/**
 * The cases 1 to 5, 7 and 10 of the Autobahn testsuite by their numbers, written from RFC 6455 and from what the cases are
 * known to look at. Where they leave a choice, the table has all answers that RFC 6455 allows.
 */
import { Buffer } from 'node:buffer';
import { describe, expect, test } from 'vitest';
import { clientFrame } from '../../support/client-frames.js';
import { conversation, echoServer, untilGoodbye } from './support/echo.js';
import {
  binary,
  close,
  continuation,
  fragments,
  NO_STATUS,
  OCTETS,
  type Pace,
  ping,
  pong,
  text,
  type WireEvent,
} from './support/raw-client.js';

type Row = readonly [id: string, what: string, frames: readonly Buffer[], pace: Pace, ...allowed: WireEvent[][]];

const server = echoServer();
const OPEN = { fin: false };
const DONE: WireEvent = ['close', 1000];
const VIOLATION: WireEvent = ['close', 1002];
const HELLO = 'Hello, world!';
const SIZES: readonly (readonly [size: number, pace: Pace])[] = [
  [0, 'whole'],
  [125, 'whole'],
  [126, 'whole'],
  [127, 'whole'],
  [128, 'whole'],
  [65535, 'whole'],
  [65536, 'whole'],
  [65536, 997],
];

const stars = (size: number) => '*'.repeat(size);
const noise = (size: number) => Buffer.alloc(size, 0xfe);

const messages: Row[] = SIZES.flatMap(([size, pace], index) => [
  [`1.1.${index + 1}`, `text of ${size} bytes`, [text(stars(size))], pace, [['text', stars(size)], DONE]],
  [
    `1.2.${index + 1}`,
    `binary of ${size} bytes`,
    [binary(noise(size))],
    pace,
    [['binary', noise(size).toString('latin1')], DONE],
  ],
]);

const tenPings = Array.from({ length: 10 }, (_, index) => ping(`payload-${index}`));
const tenPongs: WireEvent[] = Array.from({ length: 10 }, (_, index) => ['pong', `payload-${index}`]);
const BYTES = Buffer.of(0x00, 0xff, 0xfe, 0xfd, 0xfc, 0xfb, 0x00, 0xff);

const pings: Row[] = [
  ['2.1', 'a ping without payload', [ping()], 'whole', [['pong', ''], DONE]],
  ['2.2', 'a ping with text', [ping(HELLO)], 'whole', [['pong', HELLO], DONE]],
  ['2.3', 'a ping with bytes', [ping(BYTES)], 'whole', [['pong', BYTES.toString('latin1')], DONE]],
  ['2.4', 'a ping of 125 bytes', [ping(noise(125))], 'whole', [['pong', '\xfe'.repeat(125)], DONE]],
  ['2.5', 'a ping of 126 bytes', [ping(noise(126))], 'whole', [VIOLATION]],
  ['2.6', 'a ping of 125 bytes by octets', [ping(noise(125))], OCTETS, [['pong', '\xfe'.repeat(125)], DONE]],
  ['2.7', 'a pong nobody asked for', [pong()], 'whole', [DONE]],
  ['2.8', 'the same with payload', [pong('unsolicited')], 'whole', [DONE]],
  ['2.9', 'the same, then a ping', [pong('unsolicited'), ping('ping')], 'whole', [['pong', 'ping'], DONE]],
  ['2.10', 'ten pings', tenPings, 'whole', [...tenPongs, DONE]],
  ['2.11', 'ten pings by octets', tenPings, OCTETS, [...tenPongs, DONE]],
];

/** What came before the violation may have been answered, and what comes behind must not be. */
const afterHello: WireEvent[][] = [[['text', HELLO], VIOLATION], [VIOLATION]];
const reservedBehindHello = (rsv: number) => [text(HELLO), text(HELLO, { rsv }), ping()];

const reserved: Row[] = [
  ['3.1', 'RSV 1', [text(HELLO, { rsv: 1 })], 'whole', [VIOLATION]],
  ['3.2', 'RSV 2, between a text and a ping', reservedBehindHello(2), 'whole', ...afterHello],
  ['3.3', 'RSV 3, by frames', reservedBehindHello(3), 'frames', ...afterHello],
  ['3.4', 'RSV 4, by octets', reservedBehindHello(4), OCTETS, ...afterHello],
  ['3.5', 'RSV 5 on bytes', [binary(noise(8), { rsv: 5 })], 'whole', [VIOLATION]],
  ['3.6', 'RSV 6 on a ping', [ping(HELLO, { rsv: 6 })], 'whole', [VIOLATION]],
  ['3.7', 'RSV 7 on a close', [close(1000, '', { rsv: 7 })], 'whole', [VIOLATION]],
];

const behindHello = (opcode: number, payload: string) => [text(HELLO), clientFrame(opcode, payload), ping()];
const opcodes: Row[] = [3, 11].flatMap((from, kind): Row[] => {
  const section = `4.${kind + 1}`;
  return [
    [`${section}.1`, `opcode ${from}`, [clientFrame(from)], 'whole', [VIOLATION]],
    [`${section}.2`, `opcode ${from + 1}`, [clientFrame(from + 1, 'payload')], 'whole', [VIOLATION]],
    [`${section}.3`, `opcode ${from + 2}, behind a text`, behindHello(from + 2, ''), 'whole', ...afterHello],
    [`${section}.4`, `opcode ${from + 3}, by frames`, behindHello(from + 3, 'payload'), 'frames', ...afterHello],
    [`${section}.5`, `opcode ${from + 4}, by octets`, behindHello(from + 4, 'payload'), OCTETS, ...afterHello],
  ];
});

const TWO = [text('fragment1', OPEN), continuation('fragment2')];
const PINGED = [text('fragment1', OPEN), ping('ping'), continuation('fragment2')];
const JOINED: WireEvent = ['text', 'fragment1fragment2'];
const FIVE = [
  text('fragment1', OPEN),
  continuation('fragment2', OPEN),
  ping('pongme 1!'),
  continuation('fragment3', OPEN),
  continuation('fragment4', OPEN),
  ping('pongme 2!'),
  continuation('fragment5'),
];
const ALL_FIVE: WireEvent[] = [
  ['pong', 'pongme 1!'],
  ['pong', 'pongme 2!'],
  ['text', 'fragment1fragment2fragment3fragment4fragment5'],
  DONE,
];
const continuationFirst = (fin: boolean) => [continuation('non-continuation payload', { fin }), text(HELLO)];
const twice = (fin: boolean) =>
  [1, 2].flatMap((round) => [
    continuation(`fragment${round}`, { fin }),
    text('fragment', OPEN),
    continuation('fragment'),
  ]);

const fragmented: Row[] = [
  ['5.1', 'a ping in fragments', [ping('a', OPEN), continuation('b')], 'whole', [VIOLATION]],
  ['5.2', 'a pong in fragments', [pong('a', OPEN), continuation('b')], 'whole', [VIOLATION]],
  ['5.3', 'a text in two', TWO, 'whole', [JOINED, DONE]],
  ['5.4', 'a text in two, by frames', TWO, 'frames', [JOINED, DONE]],
  ['5.5', 'a text in two, by octets', TWO, OCTETS, [JOINED, DONE]],
  ['5.6', 'a ping between', PINGED, 'whole', [['pong', 'ping'], JOINED, DONE]],
  ['5.7', 'a ping between, by frames', PINGED, 'frames', [['pong', 'ping'], JOINED, DONE]],
  ['5.8', 'a ping between, by octets', PINGED, OCTETS, [['pong', 'ping'], JOINED, DONE]],
  ['5.9', 'a last continuation of nothing', continuationFirst(true), 'whole', [VIOLATION]],
  ['5.10', 'the same by frames', continuationFirst(true), 'frames', [VIOLATION]],
  ['5.11', 'the same by octets', continuationFirst(true), OCTETS, [VIOLATION]],
  ['5.12', 'a continuation of nothing', continuationFirst(false), 'whole', [VIOLATION]],
  ['5.13', 'the same by frames', continuationFirst(false), 'frames', [VIOLATION]],
  ['5.14', 'the same by octets', continuationFirst(false), OCTETS, [VIOLATION]],
  [
    '5.15',
    'a continuation of nothing behind a text in two',
    [...TWO, continuation('fragment3', OPEN), text('fragment4')],
    'whole',
    [JOINED, VIOLATION],
    [VIOLATION],
  ],
  ['5.16', 'continuations of nothing before texts in two', twice(false), 'whole', [VIOLATION]],
  ['5.17', 'the same, each a last one', twice(true), 'whole', [VIOLATION]],
  ['5.18', 'a text within a text', [text('fragment1', OPEN), text('fragment2')], 'whole', [VIOLATION]],
  ['5.19', 'a text in five, pings between', FIVE, 'whole', ALL_FIVE],
  ['5.20', 'the same by frames', FIVE, 'frames', ALL_FIVE],
];

const AUTO = Buffer.from(stars(65536));
const automatic: Row[] = [
  [
    '10.1.1',
    'a text of 65536 bytes in fragments of 1300',
    fragments(1, AUTO, 1300),
    'whole',
    [['text', stars(65536)], DONE],
  ],
];

describe.each([
  ['1 messages', messages],
  ['2 pings and pongs', pings],
  ['3 reserved bits', reserved],
  ['4 opcodes', opcodes],
  ['5 fragments', fragmented],
  ['10 automatic fragments', automatic],
])('%s', (_, rows) => {
  for (const [id, what, frames, pace, ...allowed] of rows) {
    test(`${id} ${what}`, async () => {
      expect(allowed).toContainEqual(await untilGoodbye(server, frames, pace));
    });
  }
});

const LARGE = stars(256 * 1024);
const REASON = 'x'.repeat(123);
const goodbyes: Row[] = [
  ['7.1.1', 'a text, then a close', [text(HELLO), close(1000)], 'whole', [['text', HELLO], DONE]],
  ['7.1.2', 'two closes', [close(1000), close(1000)], 'whole', [DONE]],
  ['7.1.3', 'a ping behind the close', [close(1000), ping()], 'whole', [DONE]],
  ['7.1.4', 'a text behind the close', [close(1000), text(HELLO)], 'whole', [DONE]],
  ['7.1.5', 'a close within a text', [text('a', OPEN), close(1000), continuation('b')], 'whole', [DONE]],
  [
    '7.1.6',
    'a large text, a close, a ping',
    [text(LARGE), close(1000), ping()],
    'whole',
    [['text', LARGE], DONE],
    [DONE],
  ],
  ['7.3.1', 'a close without payload', [close()], 'whole', [DONE], [['close', NO_STATUS]]],
  ['7.3.2', 'a close of one byte', [clientFrame(8, 'a')], 'whole', [VIOLATION]],
  ['7.3.3', 'a close with a code', [close(1000)], 'whole', [DONE]],
  ['7.3.4', 'a close with a reason', [close(1000, 'Hello World!')], 'whole', [DONE]],
  ['7.3.5', 'a close with the longest reason', [close(1000, REASON)], 'whole', [DONE]],
  ['7.3.6', 'a close with a reason that is too long', [close(1000, `${REASON}x`)], 'whole', [VIOLATION]],
  [
    '7.5.1',
    'a close with a reason that is no UTF-8',
    [close(1000, Buffer.from('cebae1bdb9cf83cebcceb5eda080656469746564', 'hex'))],
    'whole',
    [['close', 1007]],
    [VIOLATION],
  ],
  ...[1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999].map(
    (code, index): Row => [`7.7.${index + 1}`, `code ${code}`, [close(code)], 'whole', [['close', code]], [DONE]],
  ),
  ...[0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999].map(
    (code, index): Row => [
      `7.9.${index + 1}`,
      `code ${code}, which must not be sent`,
      [close(code)],
      'whole',
      [VIOLATION],
    ],
  ),
  // RFC 6455 section 7.4.2 has no range for them.
  ...[5000, 65535].map(
    (code, index): Row => [
      `7.13.${index + 1}`,
      `code ${code}, of no range`,
      [close(code)],
      'whole',
      [VIOLATION],
      [['close', code]],
      [DONE],
    ],
  ),
];

describe('7 closing', () => {
  for (const [id, what, frames, pace, ...allowed] of goodbyes) {
    test(`${id} ${what}`, async () => {
      expect(allowed).toContainEqual(await conversation(server, frames, pace));
    });
  }
});
