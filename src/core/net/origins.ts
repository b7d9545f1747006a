import type { Check } from '../../util/mod.js';
import type { HandshakeRequest } from '../protocols/mod.js';

/** Says of an `Origin` header whether it may come in; undefined: there was none. */
export type OriginCheck = (origin: string | undefined, request: HandshakeRequest) => boolean;

/**
 * Pages whose browsers may open a WebSocket: origins (`https://example.org`, `https://*.example.org` for its direct
 * subdomains), an expression that matches the whole origin, or a function.
 */
export type Origins = readonly string[] | RegExp | OriginCheck;

/** Scheme, a star for one label, host, port. */
const ENTRY = /^([a-z][a-z0-9+.-]*:\/\/)(\*\.)?([^/*\s]+)$/i;

/**
 * A list or an expression lets in requests without an `Origin`: browsers always send one, and who is no browser writes what
 * it likes.
 */
export function originCheck(origins: Origins): OriginCheck {
  if (typeof origins === 'function') return origins;
  if (origins instanceof RegExp) {
    // An expression that is right for a part only would let in https://example.org.evil.net.
    const whole = new RegExp(`^(?:${origins.source})$`, origins.flags.replace(/[gy]/g, ''));
    return (origin) => origin === undefined || whole.test(origin);
  }
  const known = new Set(origins.map((origin) => origin.toLowerCase()));
  return (origin) =>
    origin === undefined || known.has(origin) || known.has(origin.replace(/^([^/]+\/\/)[^.]+\./, '$1*.'));
}

export const originsCheck: Check = (value) =>
  typeof value === 'function' || value instanceof RegExp || (Array.isArray(value) && value.every(isOrigin))
    ? undefined
    : "a list of origins such as 'https://example.org' or 'https://*.example.org', a RegExp or a function";

/** As browsers write it: no path, no port that is the scheme's own. `null` is what they send for a sandboxed page. */
function isOrigin(entry: unknown): boolean {
  if (entry === 'null') return true;
  const [, scheme, , host] = typeof entry === 'string' ? (ENTRY.exec(entry) ?? []) : [];
  if (scheme === undefined || host === undefined) return false;
  const plain = `${scheme}${host}`.toLowerCase();
  if (!URL.canParse(plain)) return false;
  const { origin } = new URL(plain);
  return origin === plain || origin === 'null';
}
