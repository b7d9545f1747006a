import type { Buffer } from 'node:buffer';
import { unserialize } from '../protocol/mod.js';

/** The request that opened a WebSocket. Texts that are not UTF-8 are read as Latin-1. */
export interface WebSocketRequest {
  /** Path and query, as sent. */
  readonly uri: string;
  /** The query, parsed as PHP does: `a[]=1&a[]=2` is a list, the last of equal names wins. */
  readonly query: Readonly<Record<string, unknown>>;
  /** Lower-case name → value; repeated headers joined with a comma. */
  readonly headers: Readonly<Record<string, string>>;
  /** Name → value, as sent (not decoded). */
  readonly cookies: Readonly<Record<string, string>>;
  readonly remoteAddress: string;
  readonly remotePort: number;
}

/** Makes the request from what a gateway sends: PHP's arrays `get`, `server` and `cookie`. */
export function webSocketRequestOf(body: Buffer): WebSocketRequest {
  const { get, server, cookie } = record(unserialize(body));
  const facts = record(server);
  const headers: Record<string, string> = Object.create(null);
  for (const [name, value] of Object.entries(facts)) {
    if (name.startsWith('HTTP_')) headers[name.slice(5).toLowerCase().replaceAll('_', '-')] = textOf(value);
  }
  const cookies: Record<string, string> = Object.create(null);
  for (const [name, value] of Object.entries(record(cookie))) cookies[name] = textOf(value);
  return {
    uri: textOf(facts.REQUEST_URI),
    query: record(get),
    headers,
    cookies,
    remoteAddress: textOf(facts.REMOTE_ADDR),
    remotePort: Number(facts.REMOTE_PORT ?? 0),
  };
}

/** Without a prototype: the names are the peer's, and `constructor` is one that was not sent. */
function record(value: unknown): Record<string, unknown> {
  return Object.assign(Object.create(null), typeof value === 'object' ? value : null);
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  if (value instanceof Uint8Array) return (value as Buffer).toString('latin1');
  return value === null || value === undefined ? '' : String(value);
}
