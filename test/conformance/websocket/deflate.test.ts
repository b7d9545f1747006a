/**
 * The cases 12 and 13 of the Autobahn testsuite by their numbers, with data of our own and fewer messages: compressed messages
 * of many sizes, whole and in fragments, with what clients may offer. The server compresses from the first byte on.
 */
import { Buffer } from 'node:buffer';
import { constants, deflateRawSync, inflateRawSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { clientFrame } from '../../support/client-frames.js';
import { seededRandom } from '../../support/recording-sink.js';
import { echoServer } from './support/echo.js';
import { binary, close, continuation, fragments, RawClient, text, type WireEvent } from './support/raw-client.js';

const server = echoServer({ perMessageDeflate: { threshold: 0 } });
const MESSAGES = 5;
const LARGEST = 131_072;
const RSV1 = { rsv: 4 };
const { Z_SYNC_FLUSH } = constants;

/** Bytes of a message, and of its fragments; 0: one frame. */
const SIZES: readonly (readonly [size: number, fragment: number])[] = [
  [16, 0],
  [64, 0],
  [256, 0],
  [1024, 0],
  [4096, 0],
  [8192, 0],
  [16_384, 0],
  [32_768, 0],
  [65_536, 0],
  [131_072, 0],
  [8192, 256],
  [16_384, 256],
  [32_768, 256],
  [65_536, 256],
  [131_072, 256],
  [131_072, 1024],
  [131_072, 4096],
  [131_072, 32_768],
];

interface Data {
  readonly what: string;
  readonly opcode: 1 | 2;
  /** Larger than the largest message by as much as there are messages: each is another piece. */
  readonly bytes: Buffer;
}

const random = seededRandom(12);
const WORDS =
  'Habe nun ach Philosophie Juristerei und Medizin durchaus studiert mit heißem Bemühn à la carte 中文 🙂'.split(' ');

function filled(piece: (index: number) => string | Buffer): Buffer {
  const pieces: Buffer[] = [];
  for (let index = 0, length = 0; length < LARGEST + 1000; index++) {
    const one = Buffer.from(piece(index) as string);
    pieces.push(one);
    length += one.length;
  }
  return Buffer.concat(pieces);
}

const DATA: readonly Data[] = [
  {
    what: 'JSON',
    opcode: 1,
    bytes: filled((id) => JSON.stringify({ id, name: `user ${random(1000)}`, scores: [random(9), random(99)] })),
  },
  {
    what: 'a picture',
    opcode: 2,
    bytes: filled((row) => Buffer.alloc(512, Buffer.of(row, row >> 1, random(4), 0xff))),
  },
  { what: 'prose', opcode: 1, bytes: filled(() => `${WORDS[random(WORDS.length)]} `) },
  { what: 'zeros', opcode: 2, bytes: filled(() => Buffer.alloc(4096)) },
  { what: 'noise', opcode: 2, bytes: filled(() => Buffer.from(Array.from({ length: 997 }, () => random(256)))) },
];

const ANSWER = 'permessage-deflate; server_no_context_takeover; client_no_context_takeover';

/** What is sent as a message: cut between two characters, where it is text. */
function messageOf({ opcode, bytes }: Data, size: number, index: number): Buffer {
  const isInside = (at: number) => opcode === 1 && ((bytes[at] ?? 0) & 0xc0) === 0x80;
  let start = index * 7;
  while (isInside(start)) start++;
  let end = start + size;
  while (isInside(end)) end--;
  return bytes.subarray(start, end);
}

/** RFC 7692 section 7.2.1, with a flush or with a final block. */
function deflated(bytes: Buffer, index: number): Buffer {
  if (index % 3 === 2) return Buffer.concat([deflateRawSync(bytes), Buffer.of(0)]);
  return deflateRawSync(bytes, { finishFlush: Z_SYNC_FLUSH }).subarray(0, -4);
}

/** The bytes of a message of the server, which stands alone and looks no further back than was agreed. */
function bytesOf([kind, payload]: WireEvent, windowBits: number): Buffer {
  if (kind === 'text') return Buffer.from(String(payload));
  const bytes = Buffer.from(String(payload), 'latin1');
  if (kind === 'binary') return bytes;
  // zlib looks back into what it has just put out, whatever the window is: with small chunks there is little of that.
  const chunkSize = windowBits < 15 ? 64 : 65_536;
  return inflateRawSync(bytes, { finishFlush: Z_SYNC_FLUSH, windowBits, chunkSize });
}

async function echoes(data: Data, size: number, fragment: number, offer: string, answer: string, windowBits: number) {
  await using client = await RawClient.open(server.port, offer);
  expect(client.answer).toContain(`\r\nSec-WebSocket-Extensions: ${answer}\r\n`);
  for (let index = 0; index < MESSAGES; index++) {
    const message = messageOf(data, size, index);
    const payload = deflated(message, index);
    await client.write(
      fragment === 0 ? [clientFrame(data.opcode, payload, RSV1)] : fragments(data.opcode, payload, fragment, RSV1),
    );
    await client.until(`echo ${index}`, () => client.events.length > index);
    const echo = client.events[index] as WireEvent;
    expect(echo[0]).toMatch(data.opcode === 1 ? /text$/ : /binary$/);
    if (data.what !== 'noise' && size >= 4096) expect(echo[0]).toMatch(/^compressed/);
    expect(bytesOf(echo, windowBits).equals(message)).toBe(true);
  }
  await client.write([close(1000)]);
  expect((await client.untilEnded()).slice(MESSAGES)).toEqual([['close', 1000]]);
}

const rows = (section: string) =>
  SIZES.map(([size, fragment], index) => [`${section}.${index + 1}`, size, fragment] as const);

describe.each(DATA.map((data, index) => [`12.${index + 1}`, data.what, data] as const))('%s %s', (section, _, data) => {
  test.each(rows(section))('%s messages of %i bytes, in fragments of %i', async (_id, size, fragment) => {
    await echoes(data, size, fragment, 'permessage-deflate; client_max_window_bits', ANSWER, 15);
  });
});

const bits = (windowBits: number) => `${ANSWER}; server_max_window_bits=${windowBits}`;
const OFFERS: readonly (readonly [section: string, offer: string, answer: string, windowBits: number])[] = [
  ['13.1', 'permessage-deflate', ANSWER, 15],
  ['13.2', 'permessage-deflate; server_no_context_takeover', ANSWER, 15],
  ['13.3', 'permessage-deflate; server_max_window_bits=9', bits(9), 9],
  ['13.4', 'permessage-deflate; server_max_window_bits=15', bits(15), 15],
  ['13.5', 'permessage-deflate; server_no_context_takeover; server_max_window_bits=9', bits(9), 9],
  ['13.6', 'permessage-deflate; server_no_context_takeover; server_max_window_bits=15', bits(15), 15],
  [
    '13.7',
    'permessage-deflate; server_no_context_takeover; server_max_window_bits=9, ' +
      'permessage-deflate; server_no_context_takeover, permessage-deflate',
    bits(9),
    9,
  ],
];

describe.each(OFFERS)('%s %s', (section, offer, answer, windowBits) => {
  test.each(rows(section))('%s messages of %i bytes, in fragments of %i', async (_id, size, fragment) => {
    await echoes(DATA[0] as Data, size, fragment, offer, answer, windowBits);
  });
});

describe('beside the cases', () => {
  const HELLO = Buffer.from('f248cdc9c90700', 'hex');
  const rest = HELLO.subarray(3);

  test.each([
    ['RSV1 where nothing was agreed on', undefined, [text(HELLO, RSV1)], 1002],
    [
      'RSV1 on a continuation',
      ANSWER,
      [text(HELLO.subarray(0, 3), { ...RSV1, fin: false }), continuation(rest, RSV1)],
      1002,
    ],
    ['RSV1 on a ping', ANSWER, [clientFrame(9, HELLO, RSV1)], 1002],
    ['RSV2 on a message', ANSWER, [text('x', { rsv: 2 })], 1002],
    ['what is no deflate', ANSWER, [binary('Hello', RSV1)], 1007],
    ['a text that inflates to no UTF-8', ANSWER, [text(deflated(Buffer.of(0xff), 0), RSV1)], 1007],
    ['a message that inflates beyond the limit', ANSWER, [binary(deflated(Buffer.alloc(10_485_761), 0), RSV1)], 1009],
  ])('%s is refused', async (_, offer, frames, code) => {
    await using client = await RawClient.open(server.port, offer);
    await client.write(frames);
    expect(await client.untilEnded()).toEqual([['close', code]]);
  });
});
