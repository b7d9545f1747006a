import { Buffer } from 'node:buffer';
import { hash } from 'node:crypto';
import type { HandshakeRequest } from '../codec.js';
import { ProtocolError } from '../errors.js';

/** RFC 6455 section 1.3. */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const METHOD = Buffer.from('GET ');
export const END_OF_HEAD = '\r\n\r\n';

const REQUEST_LINE = /^GET ([\x21-\x7e\x80-\xff]+) (HTTP\/1\.1)$/;
/** RFC 9110 section 5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** Also keeps out what Latin-1 can't say: cut to a byte, U+010A would become a line feed. */
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
/** 16 bytes in base64. */
const KEY = /^[+/0-9A-Za-z]{22}==$/;

/** Answered by the handshake itself; extensions need a reader that has agreed to them. */
const RESERVED: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'sec-websocket-accept',
  'sec-websocket-extensions',
  'transfer-encoding',
  'upgrade',
]);

/** RFC 9110 section 15, RFC 6585. */
const REASON: Readonly<Record<number, string>> = {
  302: 'Found',
  307: 'Temporary Redirect',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  409: 'Conflict',
  410: 'Gone',
  426: 'Upgrade Required',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
};

/** How a handshake that is right is refused all the same. */
export interface HandshakeRefusal {
  /** HTTP status, 300 to 599. */
  readonly status: number;
  /** Header lines of the answer, such as `WWW-Authenticate`; those of the handshake itself are not allowed. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The body, plain text; default: none. */
  readonly reason?: string;
}

/** False as soon as the bytes can't become a GET request: a TLS hello or a POST is not waited for. */
export function mayBeGet(buffer: Buffer, start: number, end: number): boolean {
  const length = Math.min(METHOD.length, end - start);
  for (let index = 0; index < length; index++) if (buffer[start + index] !== METHOD[index]) return false;
  return true;
}

/** Parses a complete request: request line, headers and the empty line. Looks at syntax only. */
export function parseRequest(buffer: Buffer, start: number, end: number): HandshakeRequest | ProtocolError {
  const lines = buffer.toString('latin1', start, end - END_OF_HEAD.length).split('\r\n');
  const [, uri, protocol] = REQUEST_LINE.exec(lines[0]) ?? [];
  if (uri === undefined || protocol === undefined) return malformed('not a GET request of HTTP/1.1');
  const headers: Record<string, string> = Object.create(null);
  for (let index = 1; index < lines.length; index++) {
    if (!addHeader(headers, lines[index])) return malformed('a header line is malformed');
  }
  return { method: 'GET', uri, protocol, headers };
}

/** Whether a request asks for a WebSocket, in the order of the original, which leaves Upgrade and Connection out. */
export function checkRequest(request: HandshakeRequest): ProtocolError | null {
  const { headers } = request;
  const version = headers['sec-websocket-version'];
  if (version === undefined) return refused('GW_HANDSHAKE_VERSION', 400, 'Sec-WebSocket-Version is missing');
  if (version !== '13') return refused('GW_HANDSHAKE_VERSION', 426, 'only version 13 is known');
  if (!hasToken(headers.upgrade, 'websocket')) {
    return refused('GW_HANDSHAKE_UPGRADE', 400, "the Upgrade header does not say 'websocket'");
  }
  if (!hasToken(headers.connection, 'upgrade')) {
    return refused('GW_HANDSHAKE_UPGRADE', 400, "the Connection header does not say 'Upgrade'");
  }
  if (KEY.test(headers['sec-websocket-key'] ?? '')) return null;
  return refused('GW_HANDSHAKE_KEY', 400, 'Sec-WebSocket-Key must be 16 bytes in base64');
}

/**
 * The answer to a request that has been checked.
 *
 * @param extensions those that are agreed on, as a header value; null: none
 * @throws ProtocolError `GW_HANDSHAKE_RESPONSE` for a header that must not be sent
 */
export function acceptReply(
  request: HandshakeRequest,
  extensions: string | null,
  extra: Readonly<Record<string, string>>,
): Buffer {
  const accept = acceptOf(request.headers['sec-websocket-key'] ?? '');
  let head =
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
    `Sec-WebSocket-Accept: ${accept}\r\n`;
  if (extensions !== null) head += `Sec-WebSocket-Extensions: ${extensions}\r\n`;
  return Buffer.from(`${head}${headerLines(extra)}\r\n`, 'latin1');
}

/**
 * The answer that refuses a request; the connection is to be closed behind it.
 *
 * @throws ProtocolError `GW_HANDSHAKE_RESPONSE` for a header that must not be sent
 */
export function handshakeRefusal({ status, headers = {}, reason = '' }: HandshakeRefusal): Buffer {
  const body = Buffer.from(reason);
  const type = body.length === 0 ? '' : 'Content-Type: text/plain; charset=utf-8\r\n';
  const head =
    `HTTP/1.1 ${status} ${REASON[status] ?? 'Refused'}\r\nConnection: close\r\n` +
    `Content-Length: ${body.length}\r\n${type}${headerLines(headers)}\r\n`;
  return Buffer.concat([Buffer.from(head, 'latin1'), body]);
}

function headerLines(headers: Readonly<Record<string, string>>): string {
  let lines = '';
  for (const [name, value] of Object.entries(headers)) {
    if (!TOKEN.test(name) || RESERVED.has(name.toLowerCase())) throw impossibleHeader(name, 'name');
    if (typeof value !== 'string' || !FIELD_VALUE.test(value)) throw impossibleHeader(name, 'value');
    lines += `${name}: ${value}\r\n`;
  }
  return lines;
}

/** RFC 6455 section 4.2.2. */
export function acceptOf(key: string): string {
  return hash('sha1', key + GUID, 'base64');
}

export function malformed(text: string): ProtocolError {
  return refused('GW_HANDSHAKE_MALFORMED', 400, text);
}

export function requestTooLarge(limit: number): ProtocolError {
  return refused('GW_HANDSHAKE_TOO_LARGE', 431, `the request is larger than ${limit} bytes`, { limit });
}

function impossibleHeader(name: string, part: 'name' | 'value'): ProtocolError {
  const text = `the ${part} of response header ${JSON.stringify(name)} is not allowed`;
  // What went wrong is the server's business: the peer learns no more than that.
  const reply = httpReply(500, 'the server failed to answer the handshake');
  return new ProtocolError('GW_HANDSHAKE_RESPONSE', `WebSocket handshake: ${text}`, { header: name }, reply);
}

function refused(
  code: string,
  status: 400 | 426 | 431,
  text: string,
  fields: Readonly<Record<string, unknown>> = {},
): ProtocolError {
  return new ProtocolError(code, `WebSocket handshake: ${text}`, { status, ...fields }, httpReply(status, text));
}

function httpReply(status: 400 | 426 | 431 | 500, text: string): Buffer {
  const body = `WebSocket handshake: ${text}\n`;
  // 426 must name what to upgrade to (RFC 9110 section 15.5.22), a version that failed the one that would not.
  const upgrade = status === 426 ? 'Upgrade: websocket\r\n' : '';
  return Buffer.from(
    `HTTP/1.1 ${status} ${REASON[status]}\r\nConnection: close\r\n${upgrade}Sec-WebSocket-Version: 13\r\n` +
      `Content-Type: text/plain\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    'latin1',
  );
}

/** False when the line is malformed. */
function addHeader(headers: Record<string, string>, line: string): boolean {
  const colon = line.indexOf(':');
  const name = line.slice(0, Math.max(0, colon)).toLowerCase();
  const value = withoutBlanks(line, colon + 1);
  // A folded line, or blanks before the colon, give no token: both have been used to smuggle headers.
  if (!TOKEN.test(name) || !FIELD_VALUE.test(value)) return false;
  const before = headers[name];
  headers[name] = before === undefined ? value : `${before}${name === 'cookie' ? '; ' : ','}${value}`;
  return true;
}

/** line[start…] without spaces and tabs around it. A regular expression would take quadratic time on many blanks. */
function withoutBlanks(line: string, start: number): string {
  let from = start;
  let to = line.length;
  while (from < to && isBlank(line.charCodeAt(from))) from++;
  while (to > from && isBlank(line.charCodeAt(to - 1))) to--;
  return line.slice(from, to);
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

function hasToken(value: string | undefined, token: string): boolean {
  return value?.split(',').some((part) => part.trim().toLowerCase() === token) ?? false;
}
