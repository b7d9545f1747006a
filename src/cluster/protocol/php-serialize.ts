import { Buffer } from 'node:buffer';
import type { Arena } from '../../util/mod.js';
import { PhpSerializeError } from './errors.js';
import { phpFloatText } from './php-float.js';
import { integerKey, isInt64, PhpArray, PhpFloat, type PhpKey, type PhpValue } from './php-values.js';

/** Deeper is taken for a cycle. */
const MAX_DEPTH = 512;
const SCRATCH_BYTES = 4096;
/** A scratch buffer that one large value has made larger than this is not kept. */
const KEPT_SCRATCH_BYTES = 1024 * 1024;
/** Up to this length strings are tried as ASCII, byte by byte, before native code is asked. */
const LOOP_CHARS = 48;

/**
 * The PHP-serialized form of a value.
 *
 * - null, booleans; integers (a safe integer that is not -0) as `i:`, other numbers as `d:`; bigints as `i:`
 * - strings as UTF-8; Buffers and Uint8Arrays as strings of their bytes
 * - Arrays with their indexes, undefined as null; plain objects and Maps with PHP's keys (`"5"` is 5), entries of undefined
 *   left out; PhpFloat and PhpArray exactly
 *
 * @throws PhpSerializeError `GW_PHP_UNSUPPORTED` for everything else: functions, symbols, class instances, bigints beyond
 *   64 bits; `GW_PHP_LIMIT` when nested deeper than 512, which a cycle is
 */
export function serialize(value: unknown): Buffer {
  const serializer = take();
  try {
    return serializer.bytes(value);
  } finally {
    give(serializer);
  }
}

/** Appends the PHP-serialized form of a value to an arena; the rules are serialize's. */
export function serializeInto(out: Arena, value: unknown): void {
  const serializer = take();
  try {
    serializer.into(out, value);
  } finally {
    give(serializer);
  }
}

class Serializer {
  #out: Buffer = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  #at = 0;

  bytes(value: unknown): Buffer {
    this.#start(value);
    const bytes = Buffer.allocUnsafe(this.#at);
    this.#out.copy(bytes, 0, 0, this.#at);
    return bytes;
  }

  into(out: Arena, value: unknown): void {
    this.#start(value);
    out.reserve(this.#at);
    this.#out.copy(out.buffer, out.offset, 0, this.#at);
    out.offset += this.#at;
  }

  rest(): void {
    if (this.#out.length > KEPT_SCRATCH_BYTES) this.#out = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  }

  #start(value: unknown): void {
    this.#at = 0;
    this.#value(value, 0);
  }

  #value(value: unknown, depth: number): void {
    switch (typeof value) {
      case 'string':
        this.#string(value);
        return;
      case 'number':
        if (Number.isSafeInteger(value) && !Object.is(value, -0)) this.#integer(value);
        else this.#ascii(`d:${phpFloatText(value)};`);
        return;
      case 'boolean':
        this.#ascii(value ? 'b:1;' : 'b:0;');
        return;
      case 'bigint':
        if (!isInt64(value)) throw unsupported('a bigint beyond 64 bits');
        this.#ascii(`i:${value};`);
        return;
      case 'object':
        if (value === null) this.#ascii('N;');
        else this.#object(value, depth + 1);
        return;
      default:
        throw unsupported(value === undefined ? 'undefined' : `a ${typeof value}`);
    }
  }

  #object(value: object, depth: number): void {
    if (value instanceof Uint8Array) {
      this.#bytesString(value);
    } else if (value instanceof PhpFloat) {
      this.#ascii(`d:${phpFloatText(value.value)};`);
    } else if (depth > MAX_DEPTH) {
      throw new PhpSerializeError('GW_PHP_LIMIT', `value is nested deeper than ${MAX_DEPTH}, or contains itself`, {
        what: 'depth',
        limit: MAX_DEPTH,
      });
    } else if (Array.isArray(value)) {
      this.#list(value, depth);
    } else if (value instanceof PhpArray) {
      this.#phpArray(value, depth);
    } else if (value instanceof Map) {
      this.#phpArray(arrayOfMap(value), depth);
    } else if (isPlain(value)) {
      this.#plain(value as Record<string, unknown>, depth);
    } else {
      throw unsupported(`an instance of ${value.constructor?.name ?? 'a class'}`);
    }
  }

  #list(list: readonly unknown[], depth: number): void {
    const length = list.length;
    this.#open(length);
    for (let index = 0; index < length; index++) {
      this.#integer(index);
      this.#value(list[index] ?? null, depth);
    }
    this.#byte(0x7d);
  }

  /** Counts on every entry having a value; starts again, with those that have, when one has not. */
  #plain(object: Record<string, unknown>, depth: number): void {
    const start = this.#at;
    const keys = Object.keys(object);
    this.#open(keys.length);
    for (const key of keys) {
      const value = object[key];
      if (value === undefined) {
        this.#at = start;
        this.#plain(withoutUndefined(object), depth);
        return;
      }
      this.#textKey(key);
      this.#value(value, depth);
    }
    this.#byte(0x7d);
  }

  #phpArray(array: PhpArray, depth: number): void {
    this.#open(array.size);
    for (const [key, value] of array) {
      this.#value(key, depth);
      this.#value(value, depth);
    }
    this.#byte(0x7d);
  }

  #textKey(key: string): void {
    const integer = integerKey(key);
    if (integer === undefined) this.#string(key);
    else this.#ascii(`i:${integer};`);
  }

  #open(count: number): void {
    this.#reserve(32);
    this.#out[this.#at++] = 0x61;
    this.#out[this.#at++] = 0x3a;
    this.#digits(count);
    this.#out[this.#at++] = 0x3a;
    this.#out[this.#at++] = 0x7b;
  }

  #integer(value: number): void {
    if (value < 0 || value > 0x7fffffff) {
      this.#ascii(`i:${value};`);
      return;
    }
    this.#reserve(32);
    this.#out[this.#at++] = 0x69;
    this.#out[this.#at++] = 0x3a;
    this.#digits(value);
    this.#out[this.#at++] = 0x3b;
  }

  #string(text: string): void {
    const length = text.length;
    if (length <= LOOP_CHARS && this.#asciiString(text)) return;
    const bytes = Buffer.byteLength(text);
    this.#reserve(bytes + 32);
    this.#openString(bytes);
    this.#at += this.#out.write(text, this.#at);
    this.#closeString();
  }

  /** @returns false, with nothing written, when the text is not ASCII */
  #asciiString(text: string): boolean {
    const start = this.#at;
    this.#reserve(text.length + 32);
    this.#openString(text.length);
    const out = this.#out;
    let at = this.#at;
    for (let index = 0; index < text.length; index++) {
      const code = text.charCodeAt(index);
      if (code > 0x7f) {
        this.#at = start;
        return false;
      }
      out[at++] = code;
    }
    this.#at = at;
    this.#closeString();
    return true;
  }

  #bytesString(bytes: Uint8Array): void {
    this.#reserve(bytes.length + 32);
    this.#openString(bytes.length);
    this.#out.set(bytes, this.#at);
    this.#at += bytes.length;
    this.#closeString();
  }

  #openString(length: number): void {
    this.#out[this.#at++] = 0x73;
    this.#out[this.#at++] = 0x3a;
    this.#digits(length);
    this.#out[this.#at++] = 0x3a;
    this.#out[this.#at++] = 0x22;
  }

  #closeString(): void {
    this.#out[this.#at++] = 0x22;
    this.#out[this.#at++] = 0x3b;
  }

  /** @param value from 0 to 2^31 − 1, for which room is reserved */
  #digits(value: number): void {
    let size = 1;
    for (let limit = 10; value >= limit; limit *= 10) size++;
    let left = value;
    for (let at = this.#at + size - 1; at >= this.#at; at--) {
      const tenth = (left / 10) | 0;
      this.#out[at] = 0x30 + left - tenth * 10;
      left = tenth;
    }
    this.#at += size;
  }

  #ascii(text: string): void {
    this.#reserve(text.length);
    for (let index = 0; index < text.length; index++) this.#out[this.#at++] = text.charCodeAt(index);
  }

  #byte(code: number): void {
    this.#reserve(1);
    this.#out[this.#at++] = code;
  }

  #reserve(bytes: number): void {
    const needed = this.#at + bytes;
    if (needed <= this.#out.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#out.length * 2));
    this.#out.copy(larger, 0, 0, this.#at);
    this.#out = larger;
  }
}

// A getter or an iterator of the user's may call serialize while a value is being written: that call gets its own.
let idle: Serializer | null = new Serializer();

function take(): Serializer {
  const serializer = idle ?? new Serializer();
  idle = null;
  return serializer;
}

function give(serializer: Serializer): void {
  serializer.rest();
  idle = serializer;
}

/** Objects of another realm are plain too: their prototype is one without a prototype. */
export function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype || Object.getPrototypeOf(prototype) === null;
}

function withoutUndefined(object: Record<string, unknown>): Record<string, unknown> {
  const kept: Record<string, unknown> = Object.create(null);
  for (const [key, value] of Object.entries(object)) {
    if (value !== undefined) kept[key] = value;
  }
  return kept;
}

/** Two keys of a Map may be one in PHP: then the later value stands at the earlier place. */
function arrayOfMap(map: ReadonlyMap<unknown, unknown>): PhpArray {
  const array = new PhpArray();
  for (const [key, value] of map) {
    if (value === undefined) continue;
    if (!isKey(key)) throw unsupported(`a Map key of type ${typeof key}`);
    array.set(key, value as PhpValue);
  }
  return array;
}

function isKey(key: unknown): key is PhpKey {
  return typeof key === 'string' || typeof key === 'number' || typeof key === 'bigint' || Buffer.isBuffer(key);
}

function unsupported(what: string): PhpSerializeError {
  return new PhpSerializeError('GW_PHP_UNSUPPORTED', `${what} has no PHP form`, { what });
}
