import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';

// The compiled file is dist/web.js, so this is the same folder for it and for its source.
const PUBLIC_FOLDER = new URL('../public/', import.meta.url);

const HTML = 'text/html; charset=utf-8';
const CSS = 'text/css; charset=utf-8';
const SCRIPT = 'text/javascript; charset=utf-8';
const JSON_TYPE = 'application/json; charset=utf-8';
const TEXT = 'text/plain; charset=utf-8';

// Everything there is to fetch. A request is looked up here and nowhere else: its path never becomes a file name.
const FILES = [
  { path: '/', file: 'index.html', type: HTML },
  { path: '/style.css', file: 'style.css', type: CSS },
  { path: '/icon.svg', file: 'icon.svg', type: 'image/svg+xml' },
  { path: '/chat.js', file: 'chat.js', type: SCRIPT },
  { path: '/lines.js', file: 'lines.js', type: SCRIPT },
  { path: '/roster.js', file: 'roster.js', type: SCRIPT },
  { path: '/names.js', file: 'names.js', type: SCRIPT },
  { path: '/backoff.js', file: 'backoff.js', type: SCRIPT },
] as const;

const HEADERS = {
  'Cache-Control': 'no-cache',
  // `connect-src` cannot name the chat server: its port is configured and its host is whatever the page was reached by.
  'Content-Security-Policy': [
    "default-src 'self'",
    "connect-src 'self' ws: wss:",
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
} as const;

export interface WebOptions {
  /** Where to listen; 0 takes a free port. */
  readonly port: number;
  readonly host: string;
  /** The port of the chat's WebSocket gateway, which the page asks for. It is on the host the page was loaded from. */
  readonly webSocketPort: number;
}

interface Resource {
  readonly body: Buffer;
  readonly type: string;
  readonly etag: string;
}

/**
 * Serves the chat page: the files of `public/`, read once, and `/config.json` and `/healthz`. Resolves when it listens;
 * rejects with node's error when a file is missing or the port is taken.
 */
export async function startWeb({ port, host, webSocketPort }: WebOptions): Promise<Server> {
  const resources = new Map<string, Resource>();
  for (const { path, file, type } of FILES) {
    resources.set(path, resourceOf(await readFile(new URL(file, PUBLIC_FOLDER)), type));
  }
  resources.set('/config.json', resourceOf(Buffer.from(JSON.stringify({ webSocketPort })), JSON_TYPE));
  resources.set('/healthz', resourceOf(Buffer.from('ok\n'), TEXT));

  const server = createServer((request, response) => answer(resources, request, response));
  // Nobody has a body to send here, so a request that takes longer is not one.
  server.headersTimeout = 10_000;
  server.requestTimeout = 10_000;
  // Exclusive: or the processes of one service would share the port, and a gateway that was given the same one its clients.
  server.listen({ port, host, exclusive: true });
  await once(server, 'listening');
  return server;
}

function resourceOf(body: Buffer, type: string): Resource {
  return { body, type, etag: `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"` };
}

function answer(resources: ReadonlyMap<string, Resource>, request: IncomingMessage, response: ServerResponse): void {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.writeHead(405, { ...HEADERS, Allow: 'GET, HEAD', Connection: 'close', 'Content-Type': TEXT });
    response.end('Method not allowed\n');
    return;
  }
  const path = (request.url ?? '/').split('?', 1)[0] as string;
  const resource = resources.get(path);
  if (resource === undefined) {
    const body = Buffer.from('Not found\n');
    response.writeHead(404, { ...HEADERS, 'Content-Type': TEXT, 'Content-Length': body.length });
    response.end(request.method === 'HEAD' ? undefined : body);
    return;
  }
  const { body, type, etag } = resource;
  if (request.headers['if-none-match'] === etag) {
    response.writeHead(304, { ...HEADERS, ETag: etag });
    response.end();
    return;
  }
  response.writeHead(200, { ...HEADERS, ETag: etag, 'Content-Type': type, 'Content-Length': body.length });
  response.end(request.method === 'HEAD' ? undefined : body);
}
