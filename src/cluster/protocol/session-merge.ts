import type { Buffer } from 'node:buffer';
import { messageOf } from '../../util/mod.js';
import { PhpSerializeError } from './errors.js';
import { serialize } from './php-serialize.js';
import { unserialize } from './php-unserialize.js';
import { PhpArray } from './php-values.js';

/** Strings are only carried from one text to the other: as bytes they need no look. */
const EXACT = { exact: true, bytes: true } as const;

/**
 * The session text after an UPDATE_SESSION.
 *
 * An empty stored text is replaced by the update, byte for byte. Otherwise the update is laid over the stored array: where
 * both hold an array they are merged by the same rule (lists by index), else the new value takes the old one's place; new
 * keys are appended.
 *
 * @throws PhpSerializeError `GW_PHP_SESSION`: one of the texts is not a serialized array (field `text`: `stored`, `update`).
 *   The original's process dies of that; here the caller leaves the session as it is.
 */
export function mergeSession(stored: Buffer, update: Buffer): Buffer {
  if (stored.length === 0) return update;
  const array = arrayOf(stored, 'stored');
  mergeInto(array, arrayOf(update, 'update'));
  return serialize(array);
}

function mergeInto(target: PhpArray, update: PhpArray): void {
  for (const [key, value] of update) {
    const old = value instanceof PhpArray ? target.get(key) : undefined;
    if (value instanceof PhpArray && old instanceof PhpArray) mergeInto(old, value);
    else target.set(key, value);
  }
}

function arrayOf(bytes: Buffer, text: 'stored' | 'update'): PhpArray {
  let value: unknown;
  try {
    value = unserialize(bytes, 0, bytes.length, EXACT);
  } catch (thrown) {
    const message = `the ${text} session can't be read: ${messageOf(thrown)}`;
    throw new PhpSerializeError('GW_PHP_SESSION', message, { text }, thrown);
  }
  if (value instanceof PhpArray) return value;
  throw new PhpSerializeError('GW_PHP_SESSION', `the ${text} session is not an array`, { text });
}
