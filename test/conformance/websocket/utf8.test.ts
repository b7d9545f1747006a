/**
 * The cases 6 of the Autobahn testsuite by their numbers, written from RFC 6455 and from Markus Kuhn's list of sequences that
 * decoders get wrong. Each of the single sequences goes out in three ways: in one frame, in one frame that is written octet
 * by octet, and in fragments of one octet each.
 */
import { Buffer } from 'node:buffer';
import { describe, expect, test } from 'vitest';
import { echoServer, untilGoodbye } from './support/echo.js';
import { continuation, fragments, OCTETS, RawClient, text, type WireEvent } from './support/raw-client.js';

const server = echoServer();
const OPEN = { fin: false };
const DONE: WireEvent = ['close', 1000];
const NOT_UTF8: WireEvent = ['close', 1007];

/** Its second letter takes three octets, the others two. */
const KOSME = Buffer.from('cebae1bdb9cf83cebcceb5', 'hex');
const GREETING = Buffer.from('Hello-µ@ßöäüàá-UTF-8!!');
const SURROGATE = Buffer.concat([KOSME, Buffer.from('eda080', 'hex'), Buffer.from('edited')]);
/** U+110000, which is none, and where its last octets begin. */
const BEYOND = Buffer.from('f4908080', 'hex');

describe('6.1 empty fragments', () => {
  test.each([
    ['6.1.1', [text('')], ''],
    ['6.1.2', [text('', OPEN), continuation('', OPEN), continuation('')], ''],
    ['6.1.3', [text('', OPEN), continuation('middle', OPEN), continuation('')], 'middle'],
  ])('%s', async (_, frames, message) => {
    expect(await untilGoodbye(server, frames)).toEqual([['text', message], DONE]);
  });
});

describe('6.2 valid text', () => {
  test.each([
    ['6.2.1', [text(GREETING)], GREETING],
    ['6.2.2', [text(GREETING.subarray(0, 12), OPEN), continuation(GREETING.subarray(12))], GREETING],
    ['6.2.3', fragments(1, GREETING, 1), GREETING],
    ['6.2.4', fragments(1, KOSME, 1), KOSME],
  ])('%s', async (_, frames, message) => {
    expect(await untilGoodbye(server, frames)).toEqual([['text', message.toString()], DONE]);
  });
});

describe('6.3 a surrogate in the middle', () => {
  test.each([
    ['6.3.1', [text(SURROGATE)]],
    ['6.3.2', fragments(1, SURROGATE, 1)],
  ])('%s', async (_, frames) => {
    expect(await untilGoodbye(server, frames)).toEqual([NOT_UTF8]);
  });
});

describe('6.4 a text fails with the first octet that can not be right, before the rest has come', () => {
  const rest = Buffer.from('edited');
  const whole = text(Buffer.concat([KOSME, BEYOND, rest]));
  // Of the frame that begins with a header of 6 bytes.
  const upTo = (payloadBytes: number) => whole.subarray(0, 6 + payloadBytes);
  test.each([
    ['6.4.1', [text(KOSME, OPEN)], [continuation(BEYOND, OPEN)]],
    ['6.4.2', [text(Buffer.concat([KOSME, BEYOND.subarray(0, 1)]), OPEN)], [continuation(BEYOND.subarray(1, 2), OPEN)]],
    ['6.4.3', [upTo(KOSME.length)], [upTo(KOSME.length + 4).subarray(6 + KOSME.length)]],
    ['6.4.4', [upTo(KOSME.length + 1)], [upTo(KOSME.length + 2).subarray(6 + KOSME.length + 1)]],
  ])('%s', async (_, valid, invalid) => {
    await using client = await RawClient.open(server.port);
    await client.write(valid, 'frames');
    expect(client.events).toEqual([]);
    await client.write(invalid, 'frames');
    expect(await client.untilEnded()).toEqual([NOT_UTF8]);
  });
});

const hex = (...sequences: string[]) => sequences.map((sequence) => Buffer.from(sequence, 'hex'));
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);
/** Each octet with a blank behind it. */
const lonely = (from: number, to: number) => Buffer.from(range(from, to).flatMap((octet) => [octet, 0x20]));
const UNFINISHED = 'c0 e080 f08080 f8808080 fc80808080 df efbf f7bfbf fbbfbfbf fdbfbfbfbf'.split(' ');

/** Section, what it is about, its sequences in order, and the places of those that are UTF-8. */
const SECTIONS: readonly (readonly [string, string, readonly Buffer[], 'all' | 'none' | readonly number[]])[] = [
  [
    '6.5',
    'characters of each length',
    ['hello$world', 'hello¢world', 'hello€world', 'hello𤭢world', KOSME.toString()].map((one) => Buffer.from(one)),
    'all',
  ],
  ['6.6', 'prefixes', range(1, KOSME.length).map((length) => KOSME.subarray(0, length)), [2, 5, 7, 9, 11]],
  ['6.7', 'the first character of each length', hex('00', 'c280', 'e0a080', 'f0908080'), 'all'],
  ['6.8', 'the first of five and six octets', hex('f888808080', 'fc8480808080'), 'none'],
  ['6.9', 'the last character of each length', hex('7f', 'dfbf', 'efbfbf', 'f48fbfbf'), 'all'],
  ['6.10', 'the last of four to six octets', hex('f7bfbfbf', 'fbbfbfbfbf', 'fdbfbfbfbfbf'), 'none'],
  ['6.11', 'other boundaries', hex('ed9fbf', 'ee8080', 'efbfbd', 'f48fbfbf', 'f4908080'), [1, 2, 3, 4]],
  [
    '6.12',
    'continuations of nothing',
    [...hex('80', 'bf', '80bf', '80bf80', '80bf80bf', '80bf80bf80', '80bf80bf80bf'), Buffer.from(range(0x80, 0xbf))],
    'none',
  ],
  [
    '6.13',
    'first octets alone',
    [lonely(0xc0, 0xdf), lonely(0xe0, 0xef), lonely(0xf0, 0xf7), lonely(0xf8, 0xfb), lonely(0xfc, 0xfd)],
    'none',
  ],
  ['6.14', 'the last octet missing', hex(...UNFINISHED), 'none'],
  ['6.15', 'all of these in a row', hex(UNFINISHED.join('')), 'none'],
  ['6.16', 'impossible octets', hex('fe', 'ff', 'fefeffff'), 'none'],
  ['6.17', 'a slash, too long', hex('c0af', 'e080af', 'f08080af', 'f8808080af', 'fc80808080af'), 'none'],
  ['6.18', 'the most that is too long', hex('c1bf', 'e09fbf', 'f08fbfbf', 'f887bfbfbf', 'fc83bfbfbfbf'), 'none'],
  ['6.19', 'NUL, too long', hex('c080', 'e08080', 'f0808080', 'f880808080', 'fc8080808080'), 'none'],
  ['6.20', 'surrogates', hex('eda080', 'edadbf', 'edae80', 'edafbf', 'edb080', 'edbe80', 'edbfbf'), 'none'],
  [
    '6.21',
    'pairs of surrogates',
    ['eda080', 'edadbf', 'edae80', 'edafbf'].flatMap((high) => hex(`${high}edb080`, `${high}edbfbf`)),
    'none',
  ],
  [
    '6.22',
    'code points that are no characters',
    range(0, 16).flatMap((plane) =>
      [0xfffe, 0xffff].map((low) => Buffer.from(String.fromCodePoint(plane * 0x10000 + low))),
    ),
    'all',
  ],
  ['6.23', 'specials', range(0xfff9, 0xffff).map((codePoint) => Buffer.from(String.fromCodePoint(codePoint))), 'all'],
];

describe.each(SECTIONS)('%s %s', (section, _, sequences, valid) => {
  const isValid = (place: number) => valid === 'all' || (valid !== 'none' && valid.includes(place));
  const rows = sequences.map((bytes, index) => {
    const place = index + 1;
    return [`${section}.${place}`, bytes, isValid(place) ? [['text', bytes.toString()], DONE] : [NOT_UTF8]] as const;
  });

  test.each(rows)('%s', async (_id, bytes, expected) => {
    expect(await untilGoodbye(server, [text(bytes)])).toEqual(expected);
    expect(await untilGoodbye(server, [text(bytes)], OCTETS)).toEqual(expected);
    expect(await untilGoodbye(server, fragments(1, bytes, 1), 'frames')).toEqual(expected);
  });
});
