import { Buffer } from 'node:buffer';
import { isPlain, serialize } from './php-serialize.js';
import { unserialize } from './php-unserialize.js';
import { PhpArray, PhpFloat, type PhpValue } from './php-values.js';

const EXACT = { exact: true } as const;

/**
 * The PHP-serialized form of a plain value that was made of a PHP text and then changed: what is as it was is written as
 * that text has it, though JavaScript can't tell.
 *
 * - Keys that are still there keep their order and their bytes, also integers between texts; new ones follow.
 * - A number stands as a float where the text has a float, be it the same number or another: `3` for `3.0` is `d:3;`. PHP
 *   code that finds an integer in place of a price it left as a float would be right to complain. Everywhere else serialize's
 *   rule holds: whole numbers become integers.
 * - Lists are written in the order of their indexes, each item like the item at the same index.
 * - What takes the place of another type, Maps, and what has no counterpart is written as serialize does.
 * - Texts are written as PHP 8 does with its default precision; `S:` and other forms that only older versions write are not kept.
 *
 * @param original a serialized value; when it is not an array, this is serialize
 * @throws PhpSerializeError as serialize and unserialize do
 */
export function serializeLike(value: unknown, original: Buffer): Buffer {
  return serialize(like(value, unserialize(original, 0, original.length, EXACT)));
}

/** Goes no deeper than the original does, so a value that contains itself is left for serialize to report. */
function like(value: unknown, original: PhpValue | undefined): unknown {
  if (typeof value === 'number') return isFloat(original) ? new PhpFloat(value) : value;
  if (typeof value !== 'object' || value === null || !(original instanceof PhpArray)) return value;
  if (Array.isArray(value)) return value.map((item, index) => like(item, original.get(index)));
  if (value instanceof PhpArray || !isPlain(value)) return value;
  return arrayLike(value as Record<string, unknown>, original);
}

function arrayLike(object: Record<string, unknown>, original: PhpArray): PhpArray {
  const hidden = hiddenKeys(original);
  const array = new PhpArray();
  const done = new Set<string>();
  for (const [key, old] of original) {
    const name = nameOf(key);
    if (!Object.hasOwn(object, name) || object[name] === undefined) continue;
    done.add(name);
    // The value of the last of them is what the name showed; the others were never seen, so nobody has changed them.
    array.set(key, hidden !== null && hidden.get(name) !== key ? old : (like(object[name], old) as PhpValue));
  }
  for (const name of Object.keys(object)) {
    const value = object[name];
    if (value !== undefined && !done.has(name)) array.set(name, value as PhpValue);
  }
  return array;
}

/** Name → the last key that has it, when there are keys that are not UTF-8 and may share a name; else null. */
function hiddenKeys(original: PhpArray): Map<string, unknown> | null {
  let names: Map<string, unknown> | null = null;
  for (const [key] of original) {
    if (!Buffer.isBuffer(key)) continue;
    names = new Map();
    break;
  }
  if (names !== null) for (const [key] of original) names.set(nameOf(key), key);
  return names;
}

/** What unserialize calls the key when it is not exact. */
function nameOf(key: unknown): string {
  return Buffer.isBuffer(key) ? key.toString('utf8') : String(key);
}

/** A float that unserialize gives as a number is one that no integer can be taken for. */
function isFloat(original: PhpValue | undefined): boolean {
  return original instanceof PhpFloat || (typeof original === 'number' && !Number.isSafeInteger(original));
}
