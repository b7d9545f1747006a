import { Buffer } from 'node:buffer';
import { PhpArray } from './php-values.js';

/** PHP's max_input_vars: what comes after is dropped. */
const MAX_VARIABLES = 1000;
/** PHP's max_input_nesting_level: a variable with more brackets is dropped. */
const MAX_NESTING = 64;
const NOT_ASCII = /[^\0-\x7f]/;

/**
 * A query string as PHP parses it: brackets make arrays, dots and blanks in names become underscores, the last of equal
 * names wins, `+` is a blank, a `%` that no two hex digits follow stands for itself.
 *
 * @param query one character per byte (latin1)
 */
export function parseQueryString(query: string): PhpArray {
  const variables = new PhpArray();
  let count = 0;
  let start = 0;
  while (start <= query.length) {
    const found = query.indexOf('&', start);
    const end = found < 0 ? query.length : found;
    if (end > start) {
      if (++count > MAX_VARIABLES) break;
      const part = query.slice(start, end);
      const equals = part.indexOf('=');
      const name = decodeQuery(equals < 0 ? part : part.slice(0, equals));
      register(variables, name, equals < 0 ? '' : decodeQuery(part.slice(equals + 1)));
    }
    start = end + 1;
  }
  return variables;
}

/** Bytes as a value that `serialize` writes as them: a string where it is ASCII, else a Buffer. */
export function bytesOf(text: string): string | Buffer {
  return NOT_ASCII.test(text) ? Buffer.from(text, 'latin1') : text;
}

/** Sets one variable by PHP's rules for names (php_register_variable_ex). */
function register(variables: PhpArray, fullName: string, value: string): void {
  // To PHP a name is a C string: it ends at a NUL. Blanks in front are dropped.
  const nul = fullName.indexOf('\0');
  const name = (nul < 0 ? fullName : fullName.slice(0, nul)).replace(/^ +/, '');
  const bracket = name.indexOf('[');
  const base = (bracket < 0 ? name : name.slice(0, bracket)).replace(/[ .]/g, '_');
  if (base === '') return;
  const path = bracket < 0 ? [] : bracketPath(name, bracket);
  if (path === undefined) return;
  // A bracket that is opened and never closed is part of the name.
  if (path.length === 0 && bracket >= 0) {
    variables.set(bytesOf(`${base}_${name.slice(bracket + 1).replace(/[ .[]/g, '_')}`), bytesOf(value));
    return;
  }
  let array = variables;
  let key: string | null = base;
  for (const next of path) {
    const inner = enter(array, key);
    if (inner === undefined) return;
    array = inner;
    key = next;
  }
  if (key === null) array.append(bytesOf(value));
  else array.set(bytesOf(key), bytesOf(value));
}

/** The keys in brackets, null for `[]`; what stands behind a `]` and is no `[` ends them. Undefined: too many. */
function bracketPath(name: string, from: number): (string | null)[] | undefined {
  const path: (string | null)[] = [];
  let at = from;
  while (name[at] === '[') {
    if (path.length === MAX_NESTING) return undefined;
    const start = at + 1;
    const first = isSpace(name.charCodeAt(start)) ? start + 1 : start;
    const close = name.indexOf(']', first);
    if (close < 0) return path;
    path.push(close === first ? null : name.slice(start, close));
    at = close + 1;
  }
  return path;
}

/** The array under a key, made where there is none. Undefined when no key is free. */
function enter(array: PhpArray, key: string | null): PhpArray | undefined {
  const present = key === null ? undefined : array.get(bytesOf(key));
  if (present instanceof PhpArray) return present;
  const inner = new PhpArray();
  if (key !== null) array.set(bytesOf(key), inner);
  else if (!array.append(inner)) return undefined;
  return inner;
}

function decodeQuery(text: string): string {
  if (!text.includes('%') && !text.includes('+')) return text;
  return text
    .replaceAll('+', ' ')
    .replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

function isSpace(code: number): boolean {
  return code === 0x20 || (code >= 0x09 && code <= 0x0d);
}
