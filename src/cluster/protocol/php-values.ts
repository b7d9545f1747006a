import { Buffer, isUtf8 } from 'node:buffer';
import { PhpSerializeError } from './errors.js';

/** A key of a PHP array: integers and texts are different keys, but a text that reads as an integer is that integer. */
export type PhpKey = number | bigint | string | Buffer;

/** A value as `unserialize` gives it with `exact`. */
export type PhpValue = null | boolean | number | bigint | string | Buffer | PhpFloat | PhpArray;

const INT_MAX = 9_223_372_036_854_775_807n;
const INT_MIN = -9_223_372_036_854_775_808n;
/** No text decoded from UTF-8 holds half a surrogate pair, so no text key is taken for a key of other bytes. */
const BYTES_MARK = '\udc80';

/** A float that a number can't tell from an integer: 3.0, or -0.0. */
export class PhpFloat {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }
}

/**
 * A PHP array with nothing lost: entries in order, integer and text keys apart, keys of any bytes.
 *
 * Keys are found as PHP finds them: `get('5')` and `get(5)` are the same entry. Setting a key that exists keeps its place.
 */
export class PhpArray {
  readonly #entries = new Map<string, [PhpKey, PhpValue]>();
  #next: number | bigint = 0;

  get size(): number {
    return this.#entries.size;
  }

  has(key: PhpKey): boolean {
    return this.#entries.has(identity(key));
  }

  get(key: PhpKey): PhpValue | undefined {
    return this.#entries.get(identity(key))?.[1];
  }

  /** @throws PhpSerializeError `GW_PHP_UNSUPPORTED`: a key that is no integer, or beyond 64 bits */
  set(key: PhpKey, value: PhpValue): void {
    const normal = normalKey(key);
    const id = identity(normal);
    const entry = this.#entries.get(id);
    if (entry !== undefined) {
      entry[1] = value;
      return;
    }
    this.#entries.set(id, [normal, value]);
    if ((typeof normal === 'number' || typeof normal === 'bigint') && normal >= this.#next) {
      this.#next = narrow(BigInt(normal) + 1n);
    }
  }

  /** Adds under the next free integer, like `$array[] = …`. @returns false when there is none */
  append(value: PhpValue): boolean {
    if (this.#next > INT_MAX) return false;
    this.set(this.#next, value);
    return true;
  }

  [Symbol.iterator](): Iterator<readonly [PhpKey, PhpValue]> {
    return this.#entries.values();
  }
}

/**
 * The integer that PHP makes of a text key: canonical decimal within 64 bits (no plus, no leading zero, not `-0`).
 *
 * @returns undefined when the text stays a text
 */
export function integerKey(text: string): number | bigint | undefined {
  const length = text.length;
  if (length === 0 || length > 20) return undefined;
  const negative = text.charCodeAt(0) === 0x2d;
  const first = negative ? 1 : 0;
  if (length === first) return undefined;
  if (text.charCodeAt(first) === 0x30) return length === 1 ? 0 : undefined;
  for (let index = first; index < length; index++) {
    const code = text.charCodeAt(index);
    if (code < 0x30 || code > 0x39) return undefined;
  }
  if (length - first < 16) return Number(text);
  const value = BigInt(text);
  return value > INT_MAX || value < INT_MIN ? undefined : narrow(value);
}

/** A number where one can hold it exactly, else the bigint. */
export function narrow(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** An integer cut to what PHP can hold. */
export function clampInt(value: bigint): bigint {
  if (value > INT_MAX) return INT_MAX;
  return value < INT_MIN ? INT_MIN : value;
}

export function isInt64(value: bigint): boolean {
  return value <= INT_MAX && value >= INT_MIN;
}

function normalKey(key: PhpKey): PhpKey {
  switch (typeof key) {
    case 'string':
      return integerKey(key) ?? key;
    case 'number':
      // -0 becomes 0.
      if (Number.isSafeInteger(key)) return key + 0;
      break;
    case 'bigint':
      if (isInt64(key)) return narrow(key);
      break;
    default:
      return isUtf8(key) ? normalKey(key.toString('utf8')) : key;
  }
  throw new PhpSerializeError('GW_PHP_UNSUPPORTED', `${key} can't be a key of a PHP array`, { key: String(key) });
}

/** Integers as their digits: a text that looks like them is the same key. */
function identity(key: PhpKey): string {
  if (typeof key === 'string') return key;
  if (!Buffer.isBuffer(key)) return String(key);
  return isUtf8(key) ? key.toString('utf8') : BYTES_MARK + key.toString('latin1');
}
