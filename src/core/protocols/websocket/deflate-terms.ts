import { MIN_WINDOW_BITS } from './deflate-options.js';
import type { ExtensionOffer } from './extensions.js';

/**
 * What is agreed on with one client. Neither side keeps its window from one message to the next (context takeover):
 *
 * - A server that did would have to compress a broadcast for each receiver, because each would have got other messages
 *   before, and keep 256 KB for each connection.
 * - A client that did would have the server keep a window of 32 KB for each connection. That a server may ask a client not
 *   to, whatever it offers, is RFC 7692 section 7.1.1.2.
 */
export interface DeflateTerms {
  /** Of what is sent to the client, 9 to 15. What it sends may have any window. */
  readonly windowBits: number;
  /** Value of the header `Sec-WebSocket-Extensions` that says so. */
  readonly answer: string;
}

const ANSWER = 'permessage-deflate; server_no_context_takeover; client_no_context_takeover';
/** RFC 7692 section 7.1.2: no leading zeros. */
const WINDOW_BITS = /^(?:[89]|1[0-5])$/;

/**
 * Agrees to the first offer that can be taken; null: to none. Not taken are those with parameters that are unknown, twice
 * there or have a value that is not allowed (RFC 7692 section 7), and those that ask for a window of 2 ^ 8, which zlib can't.
 *
 * @param mostWindowBits of what is sent
 */
export function agree(offers: readonly ExtensionOffer[], mostWindowBits: number): DeflateTerms | null {
  for (const offer of offers) {
    const terms = offer.name === 'permessage-deflate' ? termsOf(offer, mostWindowBits) : null;
    if (terms !== null) return terms;
  }
  return null;
}

function termsOf({ parameters }: ExtensionOffer, mostWindowBits: number): DeflateTerms | null {
  const given = new Map(parameters);
  if (given.size < parameters.length) return null;
  for (const [name, value] of given) if (!isAllowed(name, value)) return null;
  const asked = given.get('server_max_window_bits');
  if (asked === undefined && mostWindowBits === 15) return { windowBits: mostWindowBits, answer: ANSWER };
  const windowBits = Math.min(mostWindowBits, Number(asked ?? mostWindowBits));
  if (windowBits < MIN_WINDOW_BITS) return null;
  return { windowBits, answer: `${ANSWER}; server_max_window_bits=${windowBits}` };
}

function isAllowed(name: string, value: string | null): boolean {
  switch (name) {
    case 'server_no_context_takeover':
    case 'client_no_context_takeover':
      return value === null;
    case 'server_max_window_bits':
      return value !== null && WINDOW_BITS.test(value);
    case 'client_max_window_bits':
      return value === null || WINDOW_BITS.test(value);
    default:
      return false;
  }
}
