/** A JSON number with a point or an exponent: PHP tells `1.0` from `1`, JavaScript's numbers do not. */
export class JsonFloat {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/**
 * A JSON value with nothing lost: an integer is a number while it is safe and else a bigint, a number with a point or an
 * exponent a JsonFloat, an object a Map in order of appearance (a repeated name keeps its first place and takes the last
 * value, as in PHP).
 */
export type JsonValue = null | boolean | number | bigint | string | JsonFloat | JsonValue[] | Map<string, JsonValue>;

/** As json_decode's. */
const MAX_DEPTH = 512;
/** More digits are no number anybody means; BigInt takes time quadratic in them. */
const MAX_DIGITS = 400;

/** @returns undefined when the text is not JSON, or is nested deeper than 512 */
export function scanJson(text: string): JsonValue | undefined {
  return new Scanner(text).scan();
}

/** Where the text can't be JSON, `#value` and its parts answer undefined, which no JSON value is. */
class Scanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  scan(): JsonValue | undefined {
    const value = this.#value(1);
    if (value === undefined) return undefined;
    this.#skipBlanks();
    return this.#at === this.#text.length ? value : undefined;
  }

  #value(depth: number): JsonValue | undefined {
    this.#skipBlanks();
    const code = this.#text.charCodeAt(this.#at);
    switch (code) {
      case 0x22:
        return this.#string();
      case 0x5b:
        return depth > MAX_DEPTH ? undefined : this.#list(depth);
      case 0x7b:
        return depth > MAX_DEPTH ? undefined : this.#object(depth);
      case 0x74:
        return this.#word('true', true);
      case 0x66:
        return this.#word('false', false);
      case 0x6e:
        return this.#word('null', null);
      default:
        return code === 0x2d || isDigit(code) ? this.#number() : undefined;
    }
  }

  #list(depth: number): JsonValue[] | undefined {
    const items: JsonValue[] = [];
    this.#at++;
    if (this.#take(0x5d)) return items;
    while (true) {
      const item = this.#value(depth + 1);
      if (item === undefined) return undefined;
      items.push(item);
      if (this.#take(0x5d)) return items;
      if (!this.#take(0x2c)) return undefined;
    }
  }

  #object(depth: number): Map<string, JsonValue> | undefined {
    const entries = new Map<string, JsonValue>();
    this.#at++;
    if (this.#take(0x7d)) return entries;
    while (true) {
      this.#skipBlanks();
      if (this.#text.charCodeAt(this.#at) !== 0x22) return undefined;
      const name = this.#string();
      if (name === undefined || !this.#take(0x3a)) return undefined;
      const item = this.#value(depth + 1);
      if (item === undefined) return undefined;
      entries.set(name, item);
      if (this.#take(0x7d)) return entries;
      if (!this.#take(0x2c)) return undefined;
    }
  }

  #string(): string | undefined {
    const text = this.#text;
    const start = ++this.#at;
    let plain = true;
    for (; this.#at < text.length; this.#at++) {
      const code = text.charCodeAt(this.#at);
      if (code === 0x22) {
        const end = this.#at++;
        return plain ? text.slice(start, end) : unescaped(text, start, end);
      }
      if (code < 0x20) return undefined;
      if (code === 0x5c) {
        plain = false;
        this.#at++;
      }
    }
    return undefined;
  }

  #number(): number | bigint | JsonFloat | undefined {
    const text = this.#text;
    const start = this.#at;
    let at = start;
    if (text.charCodeAt(at) === 0x2d) at++;
    const firstDigit = at;
    while (isDigit(text.charCodeAt(at))) at++;
    const digits = at - firstDigit;
    if (digits === 0 || (digits > 1 && text.charCodeAt(firstDigit) === 0x30)) return undefined;
    let whole = true;
    if (text.charCodeAt(at) === 0x2e) {
      whole = false;
      const firstDecimal = ++at;
      while (isDigit(text.charCodeAt(at))) at++;
      if (at === firstDecimal) return undefined;
    }
    if ((text.charCodeAt(at) | 0x20) === 0x65) {
      whole = false;
      at++;
      const sign = text.charCodeAt(at);
      if (sign === 0x2b || sign === 0x2d) at++;
      const firstExponent = at;
      while (isDigit(text.charCodeAt(at))) at++;
      if (at === firstExponent) return undefined;
    }
    this.#at = at;
    const token = text.slice(start, at);
    // -0 is a float to PHP too.
    if (!whole || token === '-0' || digits > MAX_DIGITS) return new JsonFloat(token);
    if (digits < 16) return Number(token);
    const exact = Number(token);
    return Number.isSafeInteger(exact) ? exact : BigInt(token);
  }

  #word<T>(word: string, value: T): T | undefined {
    if (!this.#text.startsWith(word, this.#at)) return undefined;
    this.#at += word.length;
    return value;
  }

  #take(code: number): boolean {
    this.#skipBlanks();
    if (this.#text.charCodeAt(this.#at) !== code) return false;
    this.#at++;
    return true;
  }

  #skipBlanks(): void {
    const text = this.#text;
    while (true) {
      const code = text.charCodeAt(this.#at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.#at++;
    }
  }
}

/** A string with escapes goes to JSON.parse, which knows them all. */
function unescaped(text: string, start: number, end: number): string | undefined {
  try {
    return JSON.parse(text.slice(start - 1, end + 1)) as string;
  } catch {
    return undefined;
  }
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}
