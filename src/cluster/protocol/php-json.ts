import { PhpSerializeError } from './errors.js';
import { JsonFloat } from './json-scanner.js';
import { phpFloatText } from './php-float.js';

const MAX_DEPTH = 512;
/** A character that stands for itself in no JSON text of PHP's. */
const SPECIAL = /["\\/]|[^\x20-\x7f]/;
const SPECIALS = /["\\/]|[^\x20-\x7f]/g;
/** Half a surrogate pair. */
const LONE = /\p{Surrogate}/gu;
const SHORT: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '/': '\\/',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
};

/**
 * JSON as PHP's json_encode writes it: `\/`, `\uXXXX` for everything beyond ASCII, `1.0e+25`.
 *
 * Arrays become lists; Maps and plain objects become objects, entries of undefined left out. Integers a number can't
 * hold are given as bigint. Half a surrogate pair, which PHP could not read, becomes U+FFFD.
 *
 * @throws PhpSerializeError `GW_PHP_UNSUPPORTED` (function, symbol, NaN, infinity), `GW_PHP_LIMIT` (deeper than 512)
 */
export function phpJson(value: unknown): string {
  return write(value, 0);
}

function write(value: unknown, depth: number): string {
  switch (typeof value) {
    case 'string':
      return quote(value);
    case 'number':
      return numberText(value);
    case 'bigint':
      return String(value);
    case 'boolean':
      return value ? 'true' : 'false';
    case 'undefined':
      return 'null';
    case 'object':
      return value === null ? 'null' : writeObject(value, depth + 1);
    default:
      throw new PhpSerializeError('GW_PHP_UNSUPPORTED', `a ${typeof value} has no JSON form`, { type: typeof value });
  }
}

function writeObject(value: object, depth: number): string {
  if (depth > MAX_DEPTH) {
    throw new PhpSerializeError('GW_PHP_LIMIT', `value is nested deeper than ${MAX_DEPTH}`, { limit: MAX_DEPTH });
  }
  if (value instanceof JsonFloat) return value.text;
  if (Array.isArray(value)) {
    let items = '';
    for (let index = 0; index < value.length; index++) items += (index === 0 ? '' : ',') + write(value[index], depth);
    return `[${items}]`;
  }
  let entries = '';
  for (const [key, item] of value instanceof Map ? value : Object.entries(value)) {
    if (item === undefined) continue;
    entries += `${entries === '' ? '' : ','}${quote(String(key))}:${write(item, depth)}`;
  }
  return `{${entries}}`;
}

function numberText(value: number): string {
  if (!Number.isFinite(value)) {
    throw new PhpSerializeError('GW_PHP_UNSUPPORTED', `${value} has no JSON form`, { type: 'number' });
  }
  return phpFloatText(value, 'e');
}

function quote(text: string): string {
  return SPECIAL.test(text) ? `"${text.replace(LONE, '\ufffd').replace(SPECIALS, escapeCharacter)}"` : `"${text}"`;
}

function escapeCharacter(character: string): string {
  return SHORT[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
