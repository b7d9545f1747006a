import { Buffer, isUtf8 } from 'node:buffer';
import { readFileSync } from 'node:fs';
import { PhpArray, PhpFloat, type PhpKey, type PhpValue } from '../../../src/cluster/protocol/mod.js';
import { Arena } from '../../../src/util/mod.js';

/** A value as the vectors describe it. */
export type Typed =
  | { t: 'null' }
  | { t: 'bool'; v: boolean }
  | { t: 'int'; v: string }
  | { t: 'float'; v: string; bits: string }
  | { t: 'string'; v?: string; hex?: string }
  | { t: 'array'; list: boolean; v: [Typed, Typed][] };

export interface Bytes {
  hex: string;
  text?: string;
}

/** All samples of a recording, as many as it says it has. */
export function vectors<T>(name: string): T[] {
  const file = new URL(`../../vectors/${name}.json`, import.meta.url);
  const { meta, vectors } = JSON.parse(readFileSync(file, 'utf8'));
  if (vectors.length !== meta.count) throw new Error(`${name}.json has ${vectors.length} of ${meta.count} vectors`);
  return vectors;
}

export function hex(text: string): Buffer {
  return Buffer.from(text, 'hex');
}

/** What `write` puts into an arena, as hex. */
export function written(write: (out: Arena) => void): string {
  const out = new Arena();
  write(out);
  return out.buffer.toString('hex', 0, out.offset);
}

/** The exact value: what `unserialize` gives with `exact`. */
export function exactValue(typed: Typed): PhpValue {
  switch (typed.t) {
    case 'null':
      return null;
    case 'bool':
      return typed.v;
    case 'int':
      return narrowed(typed.v);
    case 'float': {
      const value = hex(typed.bits).readDoubleBE();
      return Number.isSafeInteger(value) ? new PhpFloat(value) : value;
    }
    case 'string':
      return textOrBytes(typed);
    case 'array': {
      const array = new PhpArray();
      for (const [key, value] of typed.v) array.set(exactValue(key) as PhpKey, exactValue(value));
      return array;
    }
  }
}

/** The value in JavaScript's terms: what `unserialize` gives without options. */
export function plainValue(typed: Typed): unknown {
  if (typed.t === 'float') return hex(typed.bits).readDoubleBE();
  if (typed.t !== 'array') return exactValue(typed);
  if (typed.v.every(([key], index) => key.t === 'int' && key.v === String(index))) {
    return typed.v.map(([, value]) => plainValue(value));
  }
  const object: Record<string, unknown> = {};
  for (const [key, value] of typed.v) {
    const name = exactValue(key);
    Object.defineProperty(object, Buffer.isBuffer(name) ? name.toString() : String(name), {
      value: plainValue(value),
      enumerable: true,
      configurable: true,
      writable: true,
    });
  }
  return object;
}

/** A value with everything that `toEqual` would not look at laid open. */
export function dump(value: unknown): unknown {
  if (value instanceof PhpFloat) return { float: Object.is(value.value, -0) ? '-0' : value.value };
  if (value instanceof PhpArray) return { entries: [...value].map(([key, item]) => [dump(key), dump(item)]) };
  if (Buffer.isBuffer(value)) return { hex: value.toString('hex') };
  return typeof value === 'bigint' ? { int: String(value) } : value;
}

/** A sequence that looks random and is the same every time (mulberry32). */
export function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** The bytes with one to four changes: bytes replaced, flipped, cut out, doubled, the end cut off. */
export function mutated(bytes: Buffer, random: (below: number) => number): Buffer {
  let result = Buffer.from(bytes);
  for (let changes = 1 + random(4); changes > 0 && result.length > 0; changes--) {
    const at = random(result.length);
    const length = 1 + random(8);
    switch (random(6)) {
      case 0:
        result[at] = random(256);
        break;
      case 1:
        result[at]! ^= 1 << random(8);
        break;
      case 2:
        result = Buffer.concat([result.subarray(0, at), result.subarray(at + length)]);
        break;
      case 3:
        result = Buffer.concat([result.subarray(0, at), result.subarray(at, at + length), result.subarray(at)]);
        break;
      case 4:
        result = result.subarray(0, at);
        break;
      default:
        result[at] = '0123456789:;{}"aisdNbOCERr-+.'.charCodeAt(random(29));
    }
  }
  return result;
}

function narrowed(digits: string): number | bigint {
  return Number.isSafeInteger(Number(digits)) ? Number(digits) : BigInt(digits);
}

function textOrBytes(typed: { v?: string; hex?: string }): string | Buffer {
  if (typed.v !== undefined) return typed.v;
  const bytes = hex(typed.hex ?? '');
  return isUtf8(bytes) ? bytes.toString() : bytes;
}
