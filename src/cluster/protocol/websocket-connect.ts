import type { Buffer } from 'node:buffer';
import { serialize } from './php-serialize.js';
import { PhpArray } from './php-values.js';
import { bytesOf, parseQueryString } from './query-string.js';

/** A WebSocket handshake and whose it was. All texts have one character per byte (latin1), as they came. */
export interface WebsocketConnectInput {
  readonly method: string;
  /** As sent: path and query. */
  readonly uri: string;
  /** `HTTP/1.1` */
  readonly protocol: string;
  /**
   * Lower-case name → value, repeated headers joined with a comma, in order of appearance. Entries keep their order
   * whatever the names; an object moves names that are integers to the front.
   */
  readonly headers: Readonly<Record<string, string>> | Iterable<readonly [string, string]>;
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** The port the client came in by. */
  readonly serverPort: number;
}

/** The body of ON_WEBSOCKET_CONNECT: `get`, `server` and `cookie`, PHP-serialized. */
export function websocketConnectBody(request: WebsocketConnectInput): Buffer {
  const query = queryOf(request.uri);
  const headers = entriesOf(request.headers);
  const server = new PhpArray();
  server.set('QUERY_STRING', bytesOf(query));
  server.set('REQUEST_METHOD', bytesOf(request.method));
  server.set('REQUEST_URI', bytesOf(request.uri));
  server.set('SERVER_PROTOCOL', bytesOf(request.protocol));
  server.set('SERVER_NAME', null);
  server.set('CONTENT_TYPE', null);
  server.set('REMOTE_ADDR', request.remoteAddress);
  server.set('REMOTE_PORT', request.remotePort);
  server.set('SERVER_PORT', request.serverPort);
  let cookie = '';
  for (const [name, value] of headers) {
    if (name === 'host') server.set('SERVER_NAME', bytesOf(value));
    else if (name === 'content-type') server.set('CONTENT_TYPE', bytesOf(value));
    else if (name === 'cookie') cookie = value;
    server.set(serverNameOf(name), bytesOf(value));
  }
  const body = new PhpArray();
  body.set('get', parseQueryString(query));
  body.set('server', server);
  body.set('cookie', parseCookies(cookie));
  return serialize(body);
}

/** What PHP's parse_url calls the query; control characters become underscores there. */
function queryOf(uri: string): string {
  const hash = uri.indexOf('#');
  const rest = hash < 0 ? uri : uri.slice(0, hash);
  const mark = rest.indexOf('?');
  return mark < 0 ? '' : rest.slice(mark + 1).replace(/\p{Cc}/gu, maskControl);
}

/** Cc holds 0x80 to 0x9f too, which are parts of UTF-8 here. */
function maskControl(character: string): string {
  return character < '\x80' ? '_' : character;
}

/** Split at semicolons; names trimmed, values as they are; parts without `=` are skipped. Nothing is URL-decoded. */
function parseCookies(header: string): PhpArray {
  const cookies = new PhpArray();
  for (const part of header.split(';')) {
    const equals = part.indexOf('=');
    if (equals >= 0) cookies.set(bytesOf(trim(part.slice(0, equals))), bytesOf(part.slice(equals + 1)));
  }
  return cookies;
}

/** PHP's trim: blank, tab, LF, CR, NUL, VT. */
function trim(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && ' \t\n\r\0\x0b'.includes(text[start]!)) start++;
  while (end > start && ' \t\n\r\0\x0b'.includes(text[end - 1]!)) end--;
  return text.slice(start, end);
}

/** Browsers send the same dozen or two; of names that somebody makes up no more are kept than this. */
const MAX_NAMES = 200;
/** Making one takes a microsecond, which a request would pay for each of its headers. */
const serverNames = new Map<string, string | Buffer>();

/** `HTTP_USER_AGENT` for `user-agent`. */
function serverNameOf(name: string): string | Buffer {
  let made = serverNames.get(name);
  if (made === undefined) {
    made = bytesOf(`HTTP_${upperCase(name)}`);
    if (serverNames.size < MAX_NAMES) serverNames.set(name, made);
  }
  return made;
}

/** ASCII letters only, as PHP does: other bytes are not characters. */
function upperCase(name: string): string {
  return name.replace(/[a-z-]/g, (letter) => (letter === '-' ? '_' : letter.toUpperCase()));
}

function entriesOf(headers: WebsocketConnectInput['headers']): Iterable<readonly [string, string]> {
  return Symbol.iterator in headers
    ? (headers as Iterable<readonly [string, string]>)
    : Object.entries(headers as Readonly<Record<string, string>>);
}
