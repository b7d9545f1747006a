import { Buffer } from 'node:buffer';
import type { Random } from './target.js';

/** Inputs do not grow beyond this, so that a case takes its time only where a parser wastes it. Bytes. */
const LONGEST = 16_384;
const MOST_CHANGES = 5;

/** What numbers are at the edges of what fields and limits hold. */
const EDGES = [
  0,
  1,
  0x7f,
  0x80,
  0xff,
  0x7fff,
  0x8000,
  0xffff,
  0x7fff_ffff,
  0x8000_0000,
  0xffff_fffe,
  0xffff_ffff,
  2 ** 53 - 1,
  2 ** 53,
  2 ** 63,
  2 ** 64 - 1,
];

/** What parsers of texts look for; one of them in the wrong place does more than a byte. */
const WORDS = [
  '\r\n',
  '\r\n\r\n',
  '\n',
  '{',
  '}',
  '[',
  ']',
  '"',
  '\\',
  '\\u0000',
  '\\ud800',
  ':',
  ';',
  ',',
  '-',
  '.',
  'e9999',
  'null',
  'true',
  '__proto__',
  'constructor',
  'hasOwnProperty',
  'a:1:{i:0;',
  'O:8:"stdClass":0:{}',
  'R:1;',
  'r:1;',
  'S:3:"\\41\\00b";',
  'd:INF;',
  'N;',
  '\0',
  '\xff',
  '\xef\xbf\xbd',
  '\xf0\x9f\x98\x80',
  '\xed\xa0\x80',
];

/** What nested values begin with. */
const NESTING = ['[', '{"a":', 'a:1:{i:0;', '[[', '(', '"\\'];

type Mutator = (bytes: Buffer, random: Random, seeds: readonly Buffer[]) => Buffer;

const MUTATORS: readonly Mutator[] = [
  flipBit,
  setByte,
  remove,
  repeat,
  swap,
  splice,
  insertWord,
  insertRandom,
  edgeInField,
  edgeInDigits,
  truncate,
  nest,
];

/** An input of the seeds: one as it is, changed in some places, or nothing but random bytes. */
export function mutated(seeds: readonly Buffer[], random: Random): Buffer {
  const kind = random(32);
  if (kind === 0 || seeds.length === 0) return randomBytes(random(random(8) === 0 ? 4096 : 64), random);
  let bytes: Buffer = Buffer.from(seeds[random(seeds.length)] as Buffer);
  if (kind === 1) return bytes;
  for (let changes = 1 + random(MOST_CHANGES); changes > 0; changes--) {
    bytes = (MUTATORS[random(MUTATORS.length)] as Mutator)(bytes, random, seeds);
  }
  return Buffer.from(bytes.subarray(0, LONGEST));
}

function flipBit(bytes: Buffer, random: Random): Buffer {
  if (bytes.length > 0) bytes[random(bytes.length)]! ^= 1 << random(8);
  return bytes;
}

function setByte(bytes: Buffer, random: Random): Buffer {
  if (bytes.length > 0) bytes[random(bytes.length)] = random(256);
  return bytes;
}

function remove(bytes: Buffer, random: Random): Buffer {
  const at = random(bytes.length + 1);
  return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + random(random(4) === 0 ? 64 : 8))]);
}

/** A part once more, or very often. */
function repeat(bytes: Buffer, random: Random): Buffer {
  const at = random(bytes.length + 1);
  const part = bytes.subarray(at, at + 1 + random(random(3) === 0 ? 256 : 16));
  const times = Math.min(random(8) === 0 ? 1 + random(2000) : 1 + random(3), LONGEST / Math.max(1, part.length));
  return Buffer.concat([bytes.subarray(0, at), ...Array<Buffer>(Math.floor(times)).fill(part), bytes.subarray(at)]);
}

function swap(bytes: Buffer, random: Random): Buffer {
  const [first = 0, second = 0, third = 0] = [0, 0, 0].map(() => random(bytes.length + 1)).sort((a, b) => a - b);
  const parts = [bytes.subarray(0, first), bytes.subarray(second, third), bytes.subarray(first, second)];
  return Buffer.concat([...parts, bytes.subarray(third)]);
}

function splice(bytes: Buffer, random: Random, seeds: readonly Buffer[]): Buffer {
  const other = seeds[random(seeds.length)] as Buffer;
  return Buffer.concat([bytes.subarray(0, random(bytes.length + 1)), other.subarray(random(other.length + 1))]);
}

function insertWord(bytes: Buffer, random: Random): Buffer {
  const at = random(bytes.length + 1);
  const word = Buffer.from(WORDS[random(WORDS.length)] as string, 'latin1');
  return Buffer.concat([bytes.subarray(0, at), word, bytes.subarray(at + random(2) * word.length)]);
}

function insertRandom(bytes: Buffer, random: Random): Buffer {
  const at = random(bytes.length + 1);
  return Buffer.concat([bytes.subarray(0, at), randomBytes(1 + random(16), random), bytes.subarray(at)]);
}

/** A number at an edge where a field may be, most of all at the beginning; sometimes the length that would be right, or near it. */
function edgeInField(bytes: Buffer, random: Random): Buffer {
  const size = [1, 2, 4, 8][random(4)] as number;
  if (bytes.length < size) return bytes;
  const at = random(Math.min(bytes.length - size + 1, random(2) === 0 ? 32 : bytes.length));
  const near = random(3) - 1;
  const number = random(4) === 0 ? bytes.length - at + near : (EDGES[random(EDGES.length)] as number) + near;
  const field = Buffer.alloc(8);
  field.writeBigUInt64BE(BigInt.asUintN(64, BigInt(number)));
  field.copy(bytes, at, 8 - size);
  return bytes;
}

/** A number at an edge in the place of digits. */
function edgeInDigits(bytes: Buffer, random: Random): Buffer {
  const text = bytes.toString('latin1');
  const places = [...text.matchAll(/\d+/g)];
  const place = places[random(Math.max(1, places.length))];
  if (place === undefined) return bytes;
  const edge = BigInt(EDGES[random(EDGES.length)] as number) + BigInt(random(3) - 1);
  const digits = random(16) === 0 ? '9'.repeat(1 + random(5000)) : String(edge);
  return Buffer.from(text.slice(0, place.index) + digits + text.slice(place.index + place[0].length), 'latin1');
}

function truncate(bytes: Buffer, random: Random): Buffer {
  return bytes.subarray(0, random(bytes.length + 1));
}

/** Deep nesting, closed or left open. */
function nest(bytes: Buffer, random: Random): Buffer {
  const open = NESTING[random(NESTING.length)] as string;
  const depth = [10, 511, 513, 5000][random(4)] as number;
  const close = random(2) === 0 ? '' : (open.startsWith('[') ? ']' : '}').repeat(depth * (open === '[[' ? 2 : 1));
  const at = random(bytes.length + 1);
  const [before, inside, behind] = [
    bytes.subarray(0, at),
    random(2) === 0 ? bytes.subarray(at) : '',
    bytes.subarray(at),
  ];
  return Buffer.concat([before, Buffer.from(open.repeat(depth)), Buffer.from(inside), Buffer.from(close), behind]);
}

function randomBytes(length: number, random: Random): Buffer {
  return Buffer.from(Array.from({ length }, () => random(256)));
}
