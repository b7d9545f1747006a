/** One extension that a client offers: RFC 6455 section 9.1. */
export interface ExtensionOffer {
  readonly name: string;
  /** Name and value, in order; null for a parameter without a value. */
  readonly parameters: readonly (readonly [name: string, value: string | null])[];
}

const TOKEN_CHARS = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
/** A name, with a value or without, and what ends it. Each part takes characters that the next can't: time is linear. */
const PART = new RegExp(
  `[\\t ]*(${TOKEN_CHARS})[\\t ]*(?:=[\\t ]*(?:(${TOKEN_CHARS})|"((?:[^"\\\\]|\\\\.)*)")[\\t ]*)?(;|,|$)`,
  'y',
);
const TOKEN = new RegExp(`^${TOKEN_CHARS}$`);
/** RFC 9110 section 5.6.1: elements of a list may be empty. */
const EMPTY_ELEMENTS = /[\t ,]*/y;

/** The offers of a `Sec-WebSocket-Extensions` header in the client's order of preference; null: it is malformed. */
export function parseExtensions(header: string): ExtensionOffer[] | null {
  const offers: ExtensionOffer[] = [];
  let at = skip(header, 0);
  while (at < header.length) {
    let name: string | null = null;
    const parameters: [string, string | null][] = [];
    let end: string | undefined;
    do {
      PART.lastIndex = at;
      const part = PART.exec(header);
      if (part === null) return null;
      const [, word, token, quoted] = part;
      const value = token ?? quoted?.replace(/\\(.)/g, '$1') ?? null;
      if (value !== null && (name === null || !TOKEN.test(value))) return null;
      if (name === null) name = word as string;
      else parameters.push([word as string, value]);
      end = part[4];
      at = PART.lastIndex;
    } while (end === ';');
    offers.push({ name, parameters });
    at = skip(header, at);
  }
  return offers;
}

function skip(header: string, at: number): number {
  EMPTY_ELEMENTS.lastIndex = at;
  EMPTY_ELEMENTS.exec(header);
  return EMPTY_ELEMENTS.lastIndex;
}
