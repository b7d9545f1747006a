import { Buffer } from 'node:buffer';
import { afterEach, expect, test } from 'vitest';
import WebSocket from 'ws';
import { websocketCodec } from '../../../src/core/protocols/mod.js';
import { deadlines } from '../../../src/core/timers/mod.js';
import { clientFrame, request } from '../../support/client-frames.js';
import { eventually } from '../../support/eventually.js';
import { dial, hangUpPeers } from '../../support/tcp-peer.js';
import { closeListeners, listening, type TestListener, type TestListenerOptions } from '../../support/test-listener.js';

const clients = new Set<WebSocket>();

afterEach(async () => {
  for (const client of clients) client.terminate();
  clients.clear();
  hangUpPeers();
  await closeListeners();
});

interface Client {
  readonly socket: WebSocket;
  readonly messages: (string | Buffer)[];
  readonly closes: [number, string][];
}

const serve = (options: TestListenerOptions = {}) => listening({ codec: websocketCodec, ...options });

function client({ port }: TestListener): Client {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`, { perMessageDeflate: false });
  const messages: (string | Buffer)[] = [];
  const closes: [number, string][] = [];
  socket.on('message', (data: Buffer, binary) => messages.push(binary ? data : data.toString()));
  socket.on('close', (code, reason) => closes.push([code, reason.toString()]));
  socket.on('error', () => {});
  clients.add(socket);
  return { socket, messages, closes };
}

async function opened(listener: TestListener): Promise<Client> {
  const made = client(listener);
  await eventually('open', () => made.socket.readyState === WebSocket.OPEN);
  return made;
}

test('text arrives as text and bytes as bytes, both ways', async () => {
  const listener = await serve();
  listener.owner.whenMessage = (connection, text) => {
    connection.send(text);
    connection.send(Buffer.from(text));
  };
  const { socket, messages } = await opened(listener);
  socket.send('grüße');
  await eventually('two answers', () => messages.length === 2);
  expect(messages).toEqual(['grüße', Buffer.from('grüße')]);
  expect(listener.owner.events).toEqual(['handshake', 'open', 'message grüße']);
});

test('what is sent before the handshake arrives behind its answer, in order', async () => {
  const listener = await serve({
    whenAccepted: (connection) => {
      expect(connection.send('one')).toBe(true);
      expect(connection.ping()).toBe(false);
    },
  });
  listener.owner.whenHandshake = (connection) => connection.send('two');
  listener.owner.whenOpen = (connection) => void connection.send('three');
  const peer = await dial(listener.port);
  const connection = await listener.accepted();
  expect(connection.sendQueueSize).toBe(5);
  peer.write(request());
  await peer.received('three');
  expect(peer.text.slice(0, 13)).toBe('HTTP/1.1 101 ');
  expect(peer.text.slice(peer.text.indexOf('\r\n\r\n'))).toBe('\r\n\r\n\x81\x03one\x81\x03two\x81\x05three');
  expect(deadlines.size).toBe(0);
});

test('the answer to the handshake is written although as much waits as the limit allows', async () => {
  const listener = await serve({
    limits: { maxSendBufferSize: 1000 },
    whenAccepted: (connection) => void connection.send('x'.repeat(2000)),
  });
  const { messages } = await opened(listener);
  await eventually('the message', () => messages.length === 1);
  expect(messages[0]).toBe('x'.repeat(2000));
  await eventually('drain', () => listener.owner.count('drain') === 1);
  expect(listener.owner.count('full')).toBe(1);
});

test('frames glued to the handshake request are messages', async () => {
  const listener = await serve();
  const peer = await dial(listener.port);
  peer.write(Buffer.concat([request(), clientFrame(1, 'one'), clientFrame(1, 'two')]));
  await eventually('both', () => listener.owner.messages.length === 2);
  expect(listener.owner.events).toEqual(['handshake', 'open', 'message one', 'message two']);
});

test('a ping between fragments is answered with its payload, and the message is whole', async () => {
  const listener = await serve();
  const peer = await dial(listener.port);
  peer.write(
    Buffer.concat([
      request(),
      clientFrame(1, 'Hel', { fin: false }),
      clientFrame(9, 'are you there'),
      clientFrame(0, 'lo'),
    ]),
  );
  await eventually('the message', () => listener.owner.messages.length === 1);
  expect(listener.owner.messages).toEqual(['Hello']);
  await peer.received('\x8a\x0dare you there');
});

test('our ping is answered by a client', async () => {
  const listener = await serve();
  const { socket } = await opened(listener);
  let pings = 0;
  socket.on('ping', () => pings++);
  const connection = await listener.accepted();
  expect(connection.ping()).toBe(true);
  await eventually('the ping', () => pings === 1);
});

test('a handshake that is not finished in time ends the connection', async () => {
  const listener = await serve({ limits: { handshakeTimeout: 0.2 } });
  const { owner } = listener;
  const peer = await dial(listener.port);
  peer.write(request().subarray(0, 20));
  await eventually('the end', () => owner.count('close') === 1);
  expect(owner.events).toEqual(['fail GW_CONNECTION_HANDSHAKE_TIMEOUT', 'close']);
  expect(owner.counters).toMatchObject({ protocolErrors: 1, connections: 0 });
  expect(owner.errors[0]?.fields).toEqual({ seconds: 0.2 });
});

test('a handshake in time is not cut off later', async () => {
  const listener = await serve({ limits: { handshakeTimeout: 0.3 } });
  const { socket } = await opened(listener);
  await new Promise((resolve) => setTimeout(resolve, 700));
  expect(socket.readyState).toBe(WebSocket.OPEN);
});

test('an owner that refuses the handshake gives no 101', async () => {
  const listener = await serve();
  listener.owner.whenHandshake = (connection) => {
    connection.close();
    return false;
  };
  const { socket } = client(listener);
  await eventually('the end', () => socket.readyState === WebSocket.CLOSED);
  await eventually('the end', () => listener.owner.count('close') === 1);
  expect(listener.owner.events).toEqual(['handshake', 'close']);
});

test('what is no handshake is answered with an HTTP error and hung up on', async () => {
  const listener = await serve();
  const peer = await dial(listener.port);
  peer.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await eventually('a FIN', () => peer.ended);
  expect(peer.text).toMatch(/^HTTP\/1\.1 4\d\d /);
  peer.socket.end();
  await eventually('the end', () => listener.owner.count('close') === 1);
  expect(listener.owner.counters.protocolErrors).toBe(1);
});

test.each([
  ['nothing', [undefined], 1000, ''],
  ['1001 and a reason', [undefined, 1001, 'restart'], 1001, 'restart'],
  ['a last message', ['bye', 4000, 'x'], 4000, 'x'],
] as const)('closing with %s is what the client sees', async (_name, args, code, reason) => {
  const listener = await serve();
  const { closes, messages } = await opened(listener);
  const connection = await listener.accepted();
  connection.close(...args);
  await eventually('the close', () => closes.length === 1);
  expect(closes).toEqual([[code, reason]]);
  expect(messages).toEqual(args[0] === undefined ? [] : ['bye']);
  await eventually('the end', () => listener.owner.count('close') === 1);
  expect(listener.owner.counters).toMatchObject({ protocolErrors: 0, connections: 0 });
});

test('a client that says goodbye gets its code back', async () => {
  const listener = await serve();
  const { socket, closes } = await opened(listener);
  socket.close(3001, 'done');
  await eventually('the close', () => closes.length === 1);
  expect(closes[0]?.[0]).toBe(3001);
  await eventually('the end', () => listener.owner.count('close') === 1);
  expect(listener.owner.counters.protocolErrors).toBe(0);
});

test('a client that says goodbye while its queue is full is answered', async () => {
  const listener = await serve({ limits: { maxSendBufferSize: 1000 } });
  const peer = await dial(listener.port);
  peer.write(request());
  await peer.received('\r\n\r\n');
  const connection = await listener.accepted();
  peer.socket.pause();
  while (connection.send('x'.repeat(1_000_000))) await new Promise((resolve) => setImmediate(resolve));
  peer.write(clientFrame(8, Buffer.of(0x03, 0xe8)));
  await eventually('closing', () => connection.status === 'closing');
  peer.socket.resume();
  await eventually('a FIN', () => peer.ended);
  expect(peer.bytes.subarray(-4)).toEqual(Buffer.of(0x88, 2, 0x03, 0xe8));
});

test('pings of a client that does not read its pongs do not make the queue grow', async () => {
  const listener = await serve({ limits: { maxSendBufferSize: 10_000 } });
  const peer = await dial(listener.port);
  peer.write(request());
  await peer.received('\r\n\r\n');
  const connection = await listener.accepted();
  peer.socket.pause();
  while (connection.send('x'.repeat(1_000_000))) await new Promise((resolve) => setImmediate(resolve));
  const queued = connection.sendQueueSize;
  for (let count = 0; count < 1000; count++) peer.write(clientFrame(9, 'x'.repeat(100)));
  peer.write(clientFrame(1, 'behind'));
  await eventually('the message', () => listener.owner.messages.length === 1);
  expect(connection.sendQueueSize).toBeLessThanOrEqual(queued);
});

test('a close code that must not be sent throws, and the connection is closed all the same', async () => {
  const listener = await serve();
  const { closes, messages } = await opened(listener);
  const connection = await listener.accepted();
  expect(() => connection.close('bye', 1005)).toThrow(expect.objectContaining({ code: 'GW_WEBSOCKET_CLOSE_CODE' }));
  await eventually('the close', () => closes.length === 1);
  expect(closes).toEqual([[1000, '']]);
  expect(messages).toEqual(['bye']);
});

test('nothing follows a close frame', async () => {
  const listener = await serve();
  const peer = await dial(listener.port);
  peer.write(request());
  await peer.received('\r\n\r\n');
  const connection = await listener.accepted();
  connection.close('bye');
  connection.send('late');
  peer.write(Buffer.concat([clientFrame(9, 'x'), clientFrame(8, Buffer.of(0x03, 0xe8))]));
  await eventually('a FIN', () => peer.ended);
  expect(peer.text.endsWith('\x81\x03bye\x88\x02\x03\xe8')).toBe(true);
});

test.each([
  ['text that is not UTF-8', clientFrame(1, Buffer.of(0xff, 0xfe)), 1007, 'GW_WEBSOCKET_UTF8'],
  ['a message over the limit', clientFrame(2, Buffer.alloc(200)), 1009, 'GW_PACKAGE_TOO_LARGE'],
  ['an unmasked frame', clientFrame(1, 'x', { mask: null }), 1002, 'GW_WEBSOCKET_UNMASKED'],
])('%s ends the connection with its code', async (_name, bytes, code, error) => {
  const listener = await serve({ limits: { maxPackageSize: 206 - 1 } });
  const { socket, closes } = await opened(listener);
  (socket as unknown as { _socket: import('node:net').Socket })._socket.write(bytes);
  await eventually('the close', () => closes.length === 1);
  expect(closes[0]?.[0]).toBe(code);
  await eventually('the end', () => listener.owner.count('close') === 1);
  expect(listener.owner.errors.map((one) => one.code)).toEqual([error]);
  expect(listener.owner.counters.protocolErrors).toBe(1);
});

test('a message of maxPackageSize is taken and one byte more is not', async () => {
  // A header of 8 bytes: 2, an extended length of 2, a mask of 4.
  const listener = await serve({ limits: { maxPackageSize: 208 } });
  const { socket, closes } = await opened(listener);
  socket.send('x'.repeat(200));
  await eventually('the message', () => listener.owner.messages.length === 1);
  socket.send('x'.repeat(201));
  await eventually('the close', () => closes.length === 1);
  expect(closes[0]?.[0]).toBe(1009);
});
