import { Buffer, isUtf8 } from 'node:buffer';
import { PhpSerializeError } from './errors.js';
import { clampInt, integerKey, narrow, PhpArray, PhpFloat, type PhpKey, type PhpValue } from './php-values.js';

/** How `unserialize` reads. */
export interface UnserializeOptions {
  /** Arrays become PhpArray, and whole floats PhpFloat, so that writing them again gives equal bytes. Default false. */
  readonly exact?: boolean;
  /** Strings that are values always become Buffers. Default false: only those that are not UTF-8. */
  readonly bytes?: boolean;
  /** Deepest nesting of arrays; default 512. At most 1024, however large it is given. */
  readonly maxDepth?: number;
  /** Most entries in all arrays together; default 2,000,000. */
  readonly maxElements?: number;
  /** Longest input, in bytes; default 104,857,600. */
  readonly maxBytes?: number;
}

const MAX_DEPTH = 512;
/** Reading recurses. The default stack of Node.js bears some 3000 levels; PHP's own limit is 4096. */
const HARD_MAX_DEPTH = 1024;
const MAX_ELEMENTS = 2_000_000;
const MAX_BYTES = 104_857_600;
const NO_OPTIONS: UnserializeOptions = {};
const EMPTY = Buffer.alloc(0);
/** The shortest entry of an array is `i:0;N;`. A count that the bytes left can't hold is refused before it is believed. */
const ENTRY_BYTES = 6;
/** Up to this length a loop beats the call into native code, and V8 still makes one flat string of it. */
const LOOP_BYTES = 12;
/** Digits that can't pass what a number holds exactly. */
const SAFE_DIGITS = 15;

/**
 * Reads one PHP-serialized value from bytes[start…end); what follows the value is ignored, as PHP does.
 *
 * - null, boolean, float: themselves; an integer is a number while it is safe, else a bigint
 * - a string is a string when it is UTF-8, else a Buffer (a copy)
 * - an array with the keys 0 … n−1 in order, so the empty one too, is an Array; every other a plain object. JavaScript
 *   moves integer-like keys of objects to the front; keys that are not UTF-8 get U+FFFD. `exact` keeps all of it.
 *
 * Objects and references are refused, whatever class they name.
 *
 * @throws PhpSerializeError `GW_PHP_MALFORMED`, `GW_PHP_REFUSED`, `GW_PHP_LIMIT`
 */
export function unserialize(
  bytes: Buffer,
  start: number,
  end: number,
  options: UnserializeOptions & { readonly exact: true },
): PhpValue;
export function unserialize(bytes: Buffer, start?: number, end?: number, options?: UnserializeOptions): unknown;
export function unserialize(
  bytes: Buffer,
  start = 0,
  end: number = bytes.length,
  options: UnserializeOptions = NO_OPTIONS,
): unknown {
  return reader.read(bytes, start, end, options);
}

/** One for all: reading calls no foreign code, so it can't be entered twice. */
class Unserializer {
  #bytes: Buffer = EMPTY;
  #start = 0;
  #at = 0;
  #end = 0;
  #exact = false;
  #asBytes = false;
  #maxDepth = 0;
  #maxElements = 0;
  #elements = 0;

  read(bytes: Buffer, start: number, end: number, options: UnserializeOptions): unknown {
    const maxBytes = options.maxBytes ?? MAX_BYTES;
    if (end - start > maxBytes) throw limitError('bytes', maxBytes);
    this.#bytes = bytes;
    this.#start = start;
    this.#at = start;
    this.#end = Math.min(end, bytes.length);
    this.#exact = options.exact ?? false;
    this.#asBytes = options.bytes ?? false;
    this.#maxDepth = Math.min(options.maxDepth ?? MAX_DEPTH, HARD_MAX_DEPTH);
    this.#maxElements = options.maxElements ?? MAX_ELEMENTS;
    this.#elements = 0;
    try {
      return this.#value(0);
    } finally {
      this.#bytes = EMPTY;
    }
  }

  #value(depth: number): unknown {
    const at = this.#at;
    switch (at < this.#end ? this.#bytes[at] : 0) {
      case 0x73: // s
        this.#expect(at + 1, 0x3a);
        return this.#string();
      case 0x69: // i
        this.#expect(at + 1, 0x3a);
        return this.#integer();
      case 0x61: // a
        this.#expect(at + 1, 0x3a);
        return this.#array(depth + 1);
      case 0x4e: // N
        this.#expect(at + 1, 0x3b);
        return null;
      case 0x62: // b
        this.#expect(at + 1, 0x3a);
        return this.#boolean();
      case 0x64: // d
        this.#expect(at + 1, 0x3a);
        return this.#float();
      case 0x53: // S
        this.#expect(at + 1, 0x3a);
        return this.#text(this.#escaped());
      case 0x4f: // O
      case 0x6f: // o
      case 0x43: // C
      case 0x45: // E
      case 0x52: // R
      case 0x72: // r
        throw this.#refused();
      default:
        throw this.#malformed();
    }
  }

  #boolean(): boolean {
    const code = this.#bytes[this.#at];
    if (this.#at >= this.#end || (code !== 0x30 && code !== 0x31)) throw this.#malformed();
    this.#expect(this.#at + 1, 0x3b);
    return code === 0x31;
  }

  #integer(): number | bigint {
    const bytes = this.#bytes;
    const end = this.#end;
    const start = this.#at;
    let at = start;
    const sign = at < end ? bytes[at] : 0;
    if (sign === 0x2d || sign === 0x2b) at++;
    const firstDigit = at;
    let value = 0;
    let code = 0;
    for (; at < end; at++) {
      code = bytes[at]!;
      if (code < 0x30 || code > 0x39) break;
      value = value * 10 + code - 0x30;
    }
    if (at === firstDigit) throw this.#malformed();
    const digits = at - firstDigit;
    this.#expect(at, 0x3b);
    // Adding 0 makes 0 of -0.
    if (digits <= SAFE_DIGITS) return (sign === 0x2d ? -value : value) + 0;
    return longInteger(bytes, firstDigit, at, sign === 0x2d);
  }

  #float(): number | PhpFloat {
    const start = this.#at;
    const end = this.#floatEnd();
    const text = this.#bytes.toString('latin1', start, end);
    this.#expect(end, 0x3b);
    let value: number;
    if (text === 'INF') value = Number.POSITIVE_INFINITY;
    else if (text === '-INF') value = Number.NEGATIVE_INFINITY;
    else value = text === 'NAN' ? Number.NaN : Number(text);
    return this.#exact && Number.isSafeInteger(value) ? new PhpFloat(value) : value;
  }

  /** Where the text of a float ends: `[+-]digits`, a point before, in or behind them, an exponent; or INF, -INF, NAN. */
  #floatEnd(): number {
    const bytes = this.#bytes;
    let at = this.#at;
    const negative = bytes[at] === 0x2d;
    if (negative || bytes[at] === 0x2b) at++;
    if (bytes[at] === 0x49 && (negative || at === this.#at)) return this.#word(at, 'INF');
    if (bytes[at] === 0x4e && at === this.#at) return this.#word(at, 'NAN');
    let next = this.#digitsEnd(at);
    let digits = next - at;
    if (bytes[next] === 0x2e) {
      at = next + 1;
      next = this.#digitsEnd(at);
      digits += next - at;
    }
    if (digits === 0) throw this.#malformed();
    if (bytes[next] === 0x65 || bytes[next] === 0x45) {
      at = next + 1;
      if (bytes[at] === 0x2d || bytes[at] === 0x2b) at++;
      next = this.#digitsEnd(at);
      if (next === at) throw this.#malformed();
    }
    return next;
  }

  #digitsEnd(from: number): number {
    let at = from;
    while (at < this.#end && this.#bytes[at]! >= 0x30 && this.#bytes[at]! <= 0x39) at++;
    return at;
  }

  #word(at: number, word: string): number {
    if (this.#bytes.toString('latin1', at, Math.min(at + 3, this.#end)) !== word) throw this.#malformed();
    return at + 3;
  }

  #string(): string | Buffer {
    const length = this.#count(0x3a);
    this.#expect(this.#at, 0x22);
    const start = this.#at;
    const end = start + length;
    if (end > this.#end) throw this.#malformed();
    this.#expect(end, 0x22);
    this.#expect(end + 1, 0x3b);
    if (this.#asBytes) return Buffer.from(this.#bytes.subarray(start, end));
    return textOrBytes(this.#bytes, start, end);
  }

  #text(bytes: Buffer): string | Buffer {
    return this.#asBytes ? bytes : textOrBytes(bytes, 0, bytes.length);
  }

  /** `S:3:"\41b\00";`: PHP 6's form, of which PHP still reads two hex digits behind a backslash as a byte. */
  #escaped(): Buffer {
    const length = this.#count(0x3a);
    this.#expect(this.#at, 0x22);
    if (length > this.#end - this.#at) throw this.#malformed();
    const decoded = Buffer.allocUnsafe(length);
    let at = this.#at;
    for (let index = 0; index < length; index++) {
      if (at >= this.#end) throw this.#malformed();
      let code = this.#bytes[at++]!;
      if (code === 0x5c) {
        const high = at < this.#end ? hexDigit(this.#bytes[at]!) : -1;
        const low = at + 1 < this.#end ? hexDigit(this.#bytes[at + 1]!) : -1;
        if (high < 0 || low < 0) throw this.#malformed();
        code = high * 16 + low;
        at += 2;
      }
      decoded[index] = code;
    }
    this.#expect(at, 0x22);
    this.#expect(at + 1, 0x3b);
    return decoded;
  }

  #array(depth: number): unknown {
    const count = this.#count(0x3a);
    this.#expect(this.#at, 0x7b);
    if (depth > this.#maxDepth) throw limitError('depth', this.#maxDepth);
    if (count * ENTRY_BYTES > this.#end - this.#at) throw this.#malformed();
    this.#elements += count;
    if (this.#elements > this.#maxElements) throw limitError('elements', this.#maxElements);
    const array = this.#exact ? this.#exactEntries(count, depth) : this.#entries(count, depth);
    this.#expect(this.#at, 0x7d);
    return array;
  }

  #entries(count: number, depth: number): unknown {
    const list: unknown[] = [];
    for (let index = 0; index < count; index++) {
      const key = this.#key();
      if (typeof key !== 'number' || key < 0 || key > list.length)
        return this.#objectEntries(list, key, count - index, depth);
      const value = this.#value(depth);
      if (key === list.length) list.push(value);
      else list[key] = value;
    }
    return list;
  }

  /** What began as a list turns out to be a map: goes on with `left` entries, the first of which has `firstKey`. */
  #objectEntries(list: unknown[], firstKey: PhpKey, left: number, depth: number): Record<string, unknown> {
    const object: Record<string, unknown> = {};
    for (let index = 0; index < list.length; index++) object[index] = list[index];
    let key = firstKey;
    for (let index = 0; index < left; index++) {
      if (index > 0) key = this.#key();
      const value = this.#value(depth);
      if (key === '__proto__') defineProto(object, value);
      else object[typeof key === 'object' ? key.toString('utf8') : String(key)] = value;
    }
    return object;
  }

  #exactEntries(count: number, depth: number): PhpArray {
    const array = new PhpArray();
    for (let index = 0; index < count; index++) {
      const key = this.#key();
      array.set(key, this.#value(depth) as PhpValue);
    }
    return array;
  }

  #key(): PhpKey {
    const at = this.#at;
    const code = at < this.#end ? this.#bytes[at] : 0;
    if (code === 0x69) {
      this.#expect(at + 1, 0x3a);
      return this.#integer();
    }
    if (code === 0x73) {
      this.#expect(at + 1, 0x3a);
      const length = this.#count(0x3a);
      this.#expect(this.#at, 0x22);
      const start = this.#at;
      const end = start + length;
      if (end > this.#end) throw this.#malformed();
      this.#expect(end, 0x22);
      this.#expect(end + 1, 0x3b);
      const text = textOrBytes(this.#bytes, start, end);
      return typeof text === 'string' ? (integerKey(text) ?? text) : text;
    }
    if (code === 0x53) {
      this.#expect(at + 1, 0x3a);
      const bytes = this.#escaped();
      const text = textOrBytes(bytes, 0, bytes.length);
      return typeof text === 'string' ? (integerKey(text) ?? text) : text;
    }
    throw this.#malformed();
  }

  /** A length or count: digits without a sign, then `terminator`. */
  #count(terminator: number): number {
    const bytes = this.#bytes;
    const start = this.#at;
    let at = start;
    let value = 0;
    for (; at < this.#end; at++) {
      const code = bytes[at]!;
      if (code < 0x30 || code > 0x39) break;
      value = value * 10 + code - 0x30;
    }
    if (at === start) throw this.#malformed();
    this.#expect(at, terminator);
    // No input is that long; and the sum with a position must stay exact.
    if (value > Number.MAX_SAFE_INTEGER / ENTRY_BYTES / 2) throw this.#malformed();
    return value;
  }

  /** Moves behind the byte at `at`, which must be `code`. */
  #expect(at: number, code: number): void {
    if (at >= this.#end || this.#bytes[at] !== code) {
      this.#at = Math.min(at, this.#end);
      throw this.#malformed();
    }
    this.#at = at + 1;
  }

  #malformed(): PhpSerializeError {
    const offset = this.#at - this.#start;
    const length = this.#end - this.#start;
    return new PhpSerializeError('GW_PHP_MALFORMED', `not a serialized value: error at ${offset} of ${length} bytes`, {
      offset,
      length,
    });
  }

  #refused(): PhpSerializeError {
    const offset = this.#at - this.#start;
    const type = String.fromCharCode(this.#bytes[this.#at]!);
    const what = type === 'R' || type === 'r' ? 'reference' : 'object';
    return new PhpSerializeError('GW_PHP_REFUSED', `a serialized ${what} ('${type}:') is not accepted`, {
      offset,
      type,
    });
  }
}

const reader = new Unserializer();

/** Sixteen digits and more: leading zeros mean nothing, and what 64 bits can't hold is cut to what they can. */
function longInteger(bytes: Buffer, from: number, to: number, negative: boolean): number | bigint {
  let start = from;
  while (start < to - 1 && bytes[start] === 0x30) start++;
  // Twenty digits are beyond 64 bits whatever they are; there may be millions.
  const digits = BigInt(bytes.toString('latin1', start, Math.min(to, start + 20)));
  return narrow(clampInt(negative ? -digits : digits));
}

function textOrBytes(bytes: Buffer, start: number, end: number): string | Buffer {
  if (end - start <= LOOP_BYTES) {
    let text = '';
    let at = start;
    for (; at < end; at++) {
      const code = bytes[at]!;
      if (code > 0x7f) break;
      text += String.fromCharCode(code);
    }
    if (at === end) return text;
  }
  const text = bytes.toString('utf8', start, end);
  // Where the replacement character turns up, either it was sent or the bytes are no UTF-8.
  if (!text.includes('\ufffd')) return text;
  const slice = bytes.subarray(start, end);
  return isUtf8(slice) ? text : Buffer.from(slice);
}

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/** Assigning to `__proto__` would change the prototype. */
function defineProto(object: Record<string, unknown>, value: unknown): void {
  Object.defineProperty(object, '__proto__', { value, writable: true, enumerable: true, configurable: true });
}

function limitError(what: 'bytes' | 'depth' | 'elements', limit: number): PhpSerializeError {
  return new PhpSerializeError('GW_PHP_LIMIT', `serialized value exceeds the limit of ${limit} ${what}`, {
    what,
    limit,
  });
}
