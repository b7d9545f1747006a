import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { type IncomingHttpHeaders, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startWeb } from '../src/web.js';

const PUBLIC_FOLDER = new URL('../public/', import.meta.url);

let server: Server;
let port: number;

beforeAll(async () => {
  server = await startWeb({ port: 0, host: '127.0.0.1', webSocketPort: 8283 });
  port = (server.address() as AddressInfo).port;
});

afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

interface Answer {
  readonly status: number | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

// Not fetch: it tidies paths up before it sends them.
async function ask(path: string, method = 'GET', headers: Record<string, string> = {}): Promise<Answer> {
  const asked = request({ host: '127.0.0.1', port, path, method, headers, agent: false }).end();
  const [response] = await once(asked, 'response');
  return { status: response.statusCode, headers: response.headers, body: await text(response) };
}

test('serves every file of the public folder, and only what a browser has a use for', async () => {
  const files = (await readdir(PUBLIC_FOLDER)).filter((file) => !file.endsWith('.d.ts'));
  expect(files.length).toBeGreaterThan(5);
  for (const file of files) {
    const { status, body } = await ask(file === 'index.html' ? '/' : `/${file}`);
    expect(status, file).toBe(200);
    expect(body, file).toBe(await readFile(new URL(file, PUBLIC_FOLDER), 'utf8'));
  }
  expect((await ask('/lines.d.ts')).status).toBe(404);
});

test.each([
  ['/', 'text/html; charset=utf-8'],
  ['/?ws=ws://localhost:1', 'text/html; charset=utf-8'],
  ['/style.css', 'text/css; charset=utf-8'],
  ['/chat.js', 'text/javascript; charset=utf-8'],
  ['/icon.svg', 'image/svg+xml'],
  ['/config.json', 'application/json; charset=utf-8'],
  ['/healthz', 'text/plain; charset=utf-8'],
  ['/nothing', 'text/plain; charset=utf-8'],
])('sends %s as %s, with the headers that protect the page', async (path, type) => {
  const { headers } = await ask(path);
  expect(headers['content-type']).toBe(type);
  expect(headers['cache-control']).toBe('no-cache');
  expect(headers['x-content-type-options']).toBe('nosniff');
  expect(headers['content-security-policy']).toContain("default-src 'self'; connect-src 'self' ws: wss:");
  expect(headers['content-security-policy']).not.toContain('unsafe');
});

test('tells the page where the chat is, and anybody that it lives', async () => {
  expect(JSON.parse((await ask('/config.json')).body)).toEqual({ webSocketPort: 8283 });
  expect((await ask('/healthz')).body).toBe('ok\n');
});

test('answers HEAD with the headers of GET and no body', async () => {
  for (const path of ['/', '/chat.js', '/config.json', '/nothing']) {
    const get = await ask(path);
    const head = await ask(path, 'HEAD');
    expect(head.status).toBe(get.status);
    expect(head.body).toBe('');
    expect(head.headers['content-length']).toBe(String(Buffer.byteLength(get.body)));
    expect(head.headers['content-type']).toBe(get.headers['content-type']);
  }
});

test('says that nothing changed to who has the file already', async () => {
  const { etag } = (await ask('/chat.js')).headers;
  const again = await ask('/chat.js', 'GET', { 'If-None-Match': etag as string });
  expect(again.status).toBe(304);
  expect(again.body).toBe('');
  expect((await ask('/chat.js', 'GET', { 'If-None-Match': '"other"' })).status).toBe(200);
});

test.each([
  '/index.html/',
  '/public/chat.js',
  '/../package.json',
  '/..%2fpackage.json',
  '/%2e%2e/package.json',
  '/.\\..\\package.json',
  '//chat.js',
  '/chat.js%00',
  '/constructor',
  '/__proto__',
  'http://elsewhere/chat.js',
])('has nothing at %s', async (path) => {
  const { status, body } = await ask(path);
  expect(status).toBe(404);
  expect(body).toBe('Not found\n');
});

test.each(['POST', 'PUT', 'DELETE', 'OPTIONS'])('refuses %s', async (method) => {
  const { status, headers, body } = await ask('/', method);
  expect(status).toBe(405);
  expect(headers.allow).toBe('GET, HEAD');
  expect(body).toBe('Method not allowed\n');
});

test('fails to start on a port that is taken', async () => {
  await expect(startWeb({ port, host: '127.0.0.1', webSocketPort: 1 })).rejects.toMatchObject({ code: 'EADDRINUSE' });
});
