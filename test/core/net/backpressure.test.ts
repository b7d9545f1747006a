import { Buffer } from 'node:buffer';
import { afterEach, expect, test } from 'vitest';
import { shareFrame, type TcpConnection } from '../../../src/core/net/mod.js';
import { tcpCodec, textCodec } from '../../../src/core/protocols/mod.js';
import { eventually } from '../../support/eventually.js';
import { dial, hangUpPeers, type TcpPeer } from '../../support/tcp-peer.js';
import { closeListeners, listening, type TestListener, type TestListenerOptions } from '../../support/test-listener.js';

afterEach(async () => {
  hangUpPeers();
  await closeListeners();
});

interface Pair {
  readonly listener: TestListener;
  readonly peer: TcpPeer;
  readonly connection: TcpConnection;
}

/** A peer that does not read yet. */
async function stalled(options?: TestListenerOptions): Promise<Pair> {
  const listener = await listening({ codec: tcpCodec, ...options });
  const peer = await dial(listener.port);
  peer.socket.pause();
  return { listener, peer, connection: await listener.accepted() };
}

/** Fills the kernel's buffers until exactly `bytes` wait here. */
async function fillUpTo(connection: TcpConnection, bytes: number): Promise<void> {
  const { limits } = connection;
  connection.limits = { ...limits, maxSendBufferSize: Number.MAX_SAFE_INTEGER };
  const block = Buffer.alloc(256 * 1024, 'f');
  // The kernel takes in pieces for a while: full is full when nothing went for some time.
  for (let quiet = 0; quiet < 5; ) {
    const before = connection.sendQueueSize;
    if (before === 0) connection.send(block);
    await new Promise((resolve) => setTimeout(resolve, 10));
    quiet = before > 0 && connection.sendQueueSize === before ? quiet + 1 : 0;
  }
  const missing = bytes - connection.sendQueueSize;
  if (missing < 0) throw new Error(`${connection.sendQueueSize} bytes wait already`);
  connection.send(Buffer.alloc(missing, 'f'));
  await new Promise((resolve) => setImmediate(resolve));
  connection.limits = limits;
}

test('a slow reader: messages are taken whole while less than the limit waits, then dropped, until it has read', async () => {
  const { listener, peer, connection } = await stalled();
  const { owner } = listener;
  const block = Buffer.alloc(1_500_000, 'x');
  const results: boolean[] = [];
  // The kernel takes the first ones: how many is its own affair.
  while (results.at(-1) !== false && results.length < 50) {
    results.push(connection.send(block));
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(connection.send(block)).toBe(false);
  const taken = results.filter(Boolean).length;
  expect(taken).toBeLessThan(50);
  expect(owner.count('full')).toBe(1);
  expect(owner.errors.map(({ code }) => code)).toEqual([
    'GW_CONNECTION_SEND_BUFFER_FULL',
    'GW_CONNECTION_SEND_BUFFER_FULL',
  ]);
  expect(owner.errors[0]?.fields).toMatchObject({ limit: 1_048_576, queued: connection.sendQueueSize });
  expect(owner.counters.sendFail).toBe(2);
  peer.socket.resume();
  await eventually('all bytes', () => peer.size === taken * block.length);
  await eventually('drain', () => owner.count('drain') === 1);
  expect(connection.sendQueueSize).toBe(0);
  expect(connection.send('more')).toBe(true);
  await peer.received('more');
  expect(owner.count('full')).toBe(1);
  expect(owner.count('fail')).toBe(2);
});

test.each([1000, 1_048_576])(
  'with a limit of %i, one byte below takes another message and the limit itself drops it',
  async (limit) => {
    const { listener, peer, connection } = await stalled({ limits: { maxSendBufferSize: limit } });
    const { owner } = listener;
    // More than a thousand bytes may wait once the kernel is full, so a small limit is put on top of what does.
    await fillUpTo(connection, 1_000_000);
    const base = limit === 1000 ? 1_000_000 : 0;
    connection.limits = { ...connection.limits, maxSendBufferSize: base + limit };
    connection.send(Buffer.alloc(base + limit - 1 - 1_000_000, 'g'));
    expect(connection.sendQueueSize).toBe(base + limit - 1);
    expect(owner.count('full')).toBe(0);
    expect(connection.send('hh')).toBe(true);
    expect(owner.count('full')).toBe(1);
    expect(connection.sendQueueSize).toBe(base + limit + 1);
    expect(connection.send('i')).toBe(false);
    expect(owner.counters.sendFail).toBe(1);
    peer.socket.resume();
    await eventually('drain', () => owner.count('drain') > 0);
    await eventually('the last bytes', () => peer.text.endsWith('gghh'));
  },
);

test("drain follows full with a limit far below the socket's own mark, each time", async () => {
  const { listener, peer, connection } = await stalled({ limits: { maxSendBufferSize: 1000 } });
  const { owner } = listener;
  for (let round = 1; round <= 3; round++) {
    peer.socket.pause();
    while (connection.send(Buffer.alloc(100_000))) await new Promise((resolve) => setImmediate(resolve));
    expect(owner.count('full')).toBe(round);
    peer.socket.resume();
    await eventually('drain', () => owner.count('drain') === round);
    expect(connection.sendQueueSize).toBe(0);
  }
});

test("what only waits for the end of the turn is not the peer's fault: no message is dropped", async () => {
  const listener = await listening({ codec: tcpCodec, limits: { maxSendBufferSize: 1000 } });
  const peer = await dial(listener.port);
  const connection = await listener.accepted();
  for (let count = 0; count < 100; count++) expect(connection.send('x'.repeat(300))).toBe(true);
  await eventually('all', () => peer.size === 30_000);
  expect(listener.owner.events).toEqual([]);
});

test('a handler that sends when the queue has drained goes on for ever and loses nothing', async () => {
  const { listener, peer, connection } = await stalled({ limits: { maxSendBufferSize: 50_000 } });
  let sent = 0;
  const fill = (one: TcpConnection) => {
    while (sent < 20_000_000 && one.send(Buffer.alloc(40_000, String.fromCharCode(97 + ((sent / 40_000) % 26))))) {
      sent += 40_000;
    }
  };
  listener.owner.whenDrain = fill;
  fill(connection);
  expect(sent).toBeLessThan(20_000_000);
  peer.socket.resume();
  await eventually('all of it', () => peer.size === 20_000_000);
  const { bytes } = peer;
  for (let at = 0; at < bytes.length; at += 40_000) {
    if (bytes[at] !== 97 + ((at / 40_000) % 26)) throw new Error(`wrong byte at ${at}`);
  }
});

test('what a full queue wrote before the end of the turn is not overwritten in the next ones', async () => {
  const { listener, peer, connection } = await stalled({ limits: { maxSendBufferSize: 1000 } });
  const fast = await dial(listener.port);
  const toFast = await listener.accepted(1);
  let blocks = 0;
  while (connection.send(Buffer.alloc(100_000, 'a'))) blocks++;
  // Else the others would need a new slab in this very turn.
  await new Promise((resolve) => setImmediate(resolve));
  for (let turn = 1; turn <= 20; turn++) {
    toFast.send(Buffer.alloc(200_000, 'b'));
    await eventually('all at the fast one', () => fast.size === turn * 200_000);
  }
  peer.socket.resume();
  await eventually('all at the slow one', () => peer.size === blocks * 100_000);
  expect(peer.bytes.every((byte) => byte === 97)).toBe(true);
});

test('a handler of drops that sends does not call itself for ever', async () => {
  const { listener, connection } = await stalled({ limits: { maxSendBufferSize: 1000 } });
  listener.owner.whenFail = (one) => void one.send('sorry');
  while (connection.send(Buffer.alloc(1_000_000))) await new Promise((resolve) => setImmediate(resolve));
  expect(listener.owner.count('fail')).toBe(1);
  expect(listener.owner.counters.sendFail).toBe(2);
});

test('a shared frame is dropped for the slow one only', async () => {
  const { listener, connection } = await stalled({ codec: textCodec, limits: { maxSendBufferSize: 1000 } });
  const fast = await dial(listener.port);
  const toFast = await listener.accepted(1);
  while (connection.send('x'.repeat(1_000_000))) await new Promise((resolve) => setImmediate(resolve));
  const frame = shareFrame(textCodec, 'news', false);
  expect(connection.sendShared(frame)).toBe(false);
  expect(toFast.sendShared(frame)).toBe(true);
  await fast.received('news\n');
});

test('a peer that leaves with a full queue is told as closed, not as drained', async () => {
  const { listener, peer, connection } = await stalled({ limits: { maxSendBufferSize: 1000 } });
  while (connection.send(Buffer.alloc(1_000_000))) await new Promise((resolve) => setImmediate(resolve));
  peer.socket.resetAndDestroy();
  await eventually('the end', () => listener.owner.count('close') === 1);
  expect(listener.owner.count('drain')).toBe(0);
});

// ---- pausing ----

async function texting(options?: TestListenerOptions): Promise<Pair> {
  const listener = await listening(options);
  const peer = await dial(listener.port);
  return { listener, peer, connection: await listener.accepted() };
}

test('a pause inside a message holds those behind it, and resuming delivers them without new input', async () => {
  const { listener, peer, connection } = await texting();
  const { owner } = listener;
  owner.whenMessage = (one, text) => {
    if (text === 'a' || text === 'c') one.pauseRecv();
  };
  peer.write('a\nb\nc\nd\nunfin');
  await eventually('the first', () => owner.messages.length > 0);
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(owner.messages).toEqual(['a']);
  expect(connection.paused).toBe(true);
  expect(connection.recvQueueSize).toBe(11);
  connection.resumeRecv();
  expect(owner.messages).toEqual(['a', 'b', 'c']);
  expect(connection.paused).toBe(true);
  connection.resumeRecv();
  expect(owner.messages).toEqual(['a', 'b', 'c', 'd']);
  peer.write('ished\n');
  await eventually('the rest', () => owner.messages.at(-1) === 'unfinished');
  expect(owner.counters.requests).toBe(5);
});

test.each([
  ['text', textCodec],
  ['tcp', tcpCodec],
])('a pause inside the last message that was read does not stop the connection for good (%s)', async (_name, codec) => {
  const { listener, peer, connection } = await texting({ codec });
  const { owner } = listener;
  owner.whenMessage = (one, text) => {
    if (text.trim() === 'a') one.pauseRecv();
  };
  peer.write('a\n');
  await eventually('the first', () => owner.messages.length === 1);
  connection.resumeRecv();
  peer.write('b\n');
  await eventually('the second', () => owner.messages.length === 2, 2000);
  expect(owner.messages.map((text) => text.trim())).toEqual(['a', 'b']);
});

test('a pause from outside stops reading, and what came meanwhile is delivered afterwards', async () => {
  const { listener, peer, connection } = await texting();
  connection.pauseRecv();
  peer.write('a\n');
  await new Promise((resolve) => setTimeout(resolve, 30));
  expect(listener.owner.messages).toEqual([]);
  connection.resumeRecv();
  await eventually('the message', () => listener.owner.messages.length === 1);
});

test('pausing and resuming inside one message changes nothing', async () => {
  const { listener, peer } = await texting();
  listener.owner.whenMessage = (one) => {
    one.pauseRecv();
    one.resumeRecv();
  };
  peer.write('a\nb\nc\n');
  await eventually('all', () => listener.owner.messages.length === 3);
  expect(listener.owner.messages).toEqual(['a', 'b', 'c']);
});

test('resuming another connection inside a message mixes nothing up', async () => {
  const listener = await listening();
  const { owner } = listener;
  const [p, q] = [await dial(listener.port), await dial(listener.port)];
  await listener.accepted(1);
  const first = listener.connections.find(({ remotePort }) => remotePort === p.socket.localPort) as TcpConnection;
  owner.whenMessage = (one, text) => {
    one.send(`got ${text}`);
    if (text === 'p1') one.pauseRecv();
    if (text === 'q1') first.resumeRecv();
  };
  p.write('p1\np2\np3\n');
  await p.received('got p1\n');
  q.write('q1\nq2\n');
  await q.received('got q2\n');
  await p.received('got p3\n');
  expect(p.text).toBe('got p1\ngot p2\ngot p3\n');
  expect(q.text).toBe('got q1\ngot q2\n');
  expect(owner.messages).toEqual(['p1', 'q1', 'p2', 'p3', 'q2']);
});

test('a peer that hangs up while it is paused is heard to the end', async () => {
  const { listener, peer, connection } = await texting();
  listener.owner.whenMessage = (one, text) => {
    if (text === 'a') one.pauseRecv();
  };
  peer.socket.end('a\nb\n');
  await eventually('the first', () => listener.owner.messages.length === 1);
  await new Promise((resolve) => setTimeout(resolve, 30));
  expect(listener.owner.events).toEqual(['message a']);
  connection.resumeRecv();
  await eventually('the end', () => listener.owner.count('close') === 1);
  expect(listener.owner.events).toEqual(['message a', 'message b', 'close']);
});
