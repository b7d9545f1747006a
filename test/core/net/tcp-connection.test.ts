import { Buffer } from 'node:buffer';
import { afterEach, expect, test } from 'vitest';
import { shareFrame, shareRaw, type TcpConnection, turnWriter, type Wire } from '../../../src/core/net/mod.js';
import { customCodec, frameCodec, tcpCodec } from '../../../src/core/protocols/mod.js';
import { deadlines } from '../../../src/core/timers/mod.js';
import { eventually } from '../../support/eventually.js';
import { seededRandom } from '../../support/recording-sink.js';
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
  readonly wire: Wire;
}

async function connected(options?: TestListenerOptions): Promise<Pair> {
  const listener = await listening(options);
  const peer = await dial(listener.port);
  const connection = await listener.accepted();
  return { listener, peer, connection, wire: listener.wires[0] as Wire };
}

/** What is written to the wire from now on. */
function writesOf(wire: Wire): Buffer[] {
  const writes: Buffer[] = [];
  const write = wire.write.bind(wire);
  wire.write = (bytes: Buffer) => {
    writes.push(bytes);
    write(bytes);
  };
  return writes;
}

/** Two turns of the loop. */
async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  await new Promise((resolve) => setImmediate(resolve));
}

test('what is sent during a turn leaves in one write, in order', async () => {
  const { peer, connection, wire } = await connected();
  const writes = writesOf(wire);
  for (const text of ['one', 'two']) connection.send(text);
  await Promise.resolve();
  connection.send(Buffer.from('three'));
  connection.send('raw', { raw: true });
  connection.send(4);
  expect(connection.sendQueueSize).toBe(19);
  expect(writes).toEqual([]);
  await peer.received('one\ntwo\nthree\nraw4\n');
  expect(writes).toHaveLength(1);
  expect(connection.sendQueueSize).toBe(0);
});

test('a reply to each of many messages of one read leaves in one write', async () => {
  const { listener, peer, wire } = await connected();
  listener.owner.whenMessage = (connection, text) => connection.send(text.toUpperCase());
  const writes = writesOf(wire);
  peer.write('a\nb\nc\n');
  await peer.received('A\nB\nC\n');
  expect(writes).toHaveLength(1);
});

test('a broadcast is one write per socket, and the same bytes for all', async () => {
  const listener = await listening();
  const peers = await Promise.all(Array.from({ length: 20 }, () => dial(listener.port)));
  await listener.accepted(19);
  const writes = listener.wires.map(writesOf);
  for (const text of ['x', 'y']) {
    const frame = shareFrame(listener.connections[0]?.codec ?? tcpCodec, text, false);
    for (const connection of listener.connections) expect(connection.sendShared(frame)).toBe(true);
  }
  listener.connections[7]?.send('own');
  const raw = shareRaw('raw');
  for (const connection of listener.connections) connection.sendShared(raw);
  await Promise.all(peers.map((peer) => peer.received('raw')));
  expect(new Set(peers.map((peer) => peer.text))).toEqual(new Set(['x\ny\nraw', 'x\ny\nown\nraw']));
  for (const list of writes) expect(list).toHaveLength(1);
  expect(new Set(writes.map(([bytes]) => bytes)).size).toBe(2);
});

test('a broadcast to very many lets others go on, and what one of them is sent of its own comes at once, in order', async () => {
  const listener = await listening();
  const count = 300;
  const peers = await Promise.all(Array.from({ length: count }, () => dial(listener.port)));
  await listener.accepted(count - 1);
  const order: number[] = [];
  listener.wires.forEach((wire, index) => {
    const write = wire.write.bind(wire);
    wire.write = (bytes: Buffer) => {
      order.push(index);
      // So slow that a slice is a few of them.
      const until = performance.now() + 0.2;
      while (performance.now() < until);
      write(bytes);
    };
  });
  const frame = shareFrame(listener.connections[0]?.codec ?? tcpCodec, 'all', false);
  for (const connection of listener.connections) connection.sendShared(frame);
  await turn();
  expect(order.length).toBeLessThan(count);
  const last = listener.connections[count - 1] as TcpConnection;
  last.send('own');
  await eventually('all written', () => order.length === count);
  expect(order.indexOf(count - 1)).toBeLessThan(count - 1);
  await Promise.all(peers.map((peer) => peer.received('all\n')));
  const texts = new Map(peers.map((peer) => [peer.socket.localPort, peer]));
  await texts.get(last.remotePort)?.received('all\nown\n');
  expect(peers.filter(({ text }) => text === 'all\n')).toHaveLength(count - 1);
});

test('empty messages are taken and write nothing', async () => {
  const { peer, connection } = await connected({ codec: tcpCodec });
  expect(connection.send('')).toBe(true);
  expect(connection.sendShared(shareRaw(''))).toBe(true);
  connection.send('after');
  await peer.received('after');
  expect(peer.text).toBe('after');
});

test('what a slow reader has waiting is never overwritten, however many turns and broadcasts come in between', async () => {
  const listener = await listening({ limits: { maxSendBufferSize: 64 * 1024 * 1024 } });
  const slow = await dial(listener.port);
  const fast = await dial(listener.port);
  await listener.accepted(1);
  slow.socket.pause();
  const toSlow = listener.connections.find(({ remotePort }) => remotePort === slow.socket.localPort) as TcpConnection;
  const toFast = listener.connections.find((connection) => connection !== toSlow) as TcpConnection;
  const random = seededRandom(7);
  let sentSlow = '';
  let sentFast = '';
  for (let step = 0; step < 400; step++) {
    for (let count = random(3); count >= 0; count--) {
      const text = String.fromCharCode(65 + random(26)).repeat(1 + random(30_000));
      const kind = random(3);
      if (kind === 0) {
        toSlow.send(text);
        sentSlow += `${text}\n`;
      } else if (kind === 1) {
        toFast.send(text);
        sentFast += `${text}\n`;
      } else {
        const frame = shareFrame(toSlow.codec, text, false);
        toSlow.sendShared(frame);
        toFast.sendShared(frame);
        sentSlow += `${text}\n`;
        sentFast += `${text}\n`;
      }
    }
    await turn();
  }
  expect(toSlow.sendQueueSize).toBeGreaterThan(1_000_000);
  await eventually('all at the fast reader', () => fast.size === sentFast.length);
  slow.socket.resume();
  await eventually('all at the slow reader', () => slow.size === sentSlow.length);
  expect(slow.text === sentSlow).toBe(true);
  expect(fast.text === sentFast).toBe(true);
});

test('a slow reader keeps as much memory as it has bytes waiting, not a slab for each turn', async () => {
  const { peer, connection, wire } = await connected({ limits: { maxSendBufferSize: 64 * 1024 * 1024 } });
  peer.socket.pause();
  connection.send('x'.repeat(8 * 1024 * 1024));
  await turn();
  expect(connection.sendQueueSize).toBeGreaterThan(0);
  const writes = writesOf(wire);
  const slab = turnWriter.arena.buffer;
  for (let step = 0; step < 200; step++) {
    connection.send('y'.repeat(100));
    await turn();
  }
  expect(writes.length).toBeGreaterThan(100);
  const held = new Set(writes.map((bytes) => bytes.buffer));
  expect([...held].reduce((sum, memory) => sum + memory.byteLength, 0)).toBeLessThan(200_000);
  expect(turnWriter.arena.buffer === slab).toBe(true);
});

test('addresses and counters are those of the connection, after it is gone too', async () => {
  const { listener, peer, connection } = await connected();
  const { counters } = listener.owner;
  expect(counters.connections).toBe(1);
  peer.write('a\nb\n');
  connection.send('hello');
  await peer.received('hello\n');
  await eventually('messages', () => counters.requests === 2);
  expect(connection.bytesRead).toBe(4);
  expect(connection.bytesWritten).toBe(6);
  let inside = '';
  listener.owner.whenClose = ({ remoteAddress, remotePort }) => {
    inside = `${remoteAddress}:${remotePort}`;
  };
  const port = peer.socket.localPort;
  peer.socket.resetAndDestroy();
  await eventually('the end', () => counters.connections === 0);
  expect(inside).toBe(`127.0.0.1:${port}`);
  expect(connection.isIpV6).toBe(false);
  expect(connection.status).toBe('closed');
});

test('ids are unique and go up', async () => {
  const listener = await listening();
  await dial(listener.port);
  await dial(listener.port);
  await listener.accepted(1);
  const [first, second] = listener.connections;
  expect(second?.id).toBe((first?.id ?? 0) + 1);
});

// ---- closing ----

test('close sends what waits and a last message, hangs up, and tells of the end once, after it has returned', async () => {
  const { listener, peer, connection } = await connected();
  connection.send('one');
  connection.close('bye');
  expect(listener.owner.events).toEqual([]);
  expect(connection.status).toBe('closing');
  expect(connection.send('late')).toBe(false);
  connection.close('again');
  connection.pauseRecv();
  await eventually('a FIN', () => peer.ended);
  expect(peer.text).toBe('one\nbye\n');
  peer.socket.end();
  await eventually('the end', () => listener.owner.count('close') > 0);
  connection.destroy();
  connection.close();
  await turn();
  expect(listener.owner.events).toEqual(['close']);
  expect(listener.owner.closeError).toBeNull();
  expect(listener.owner.counters.sendFail).toBe(1);
});

test('a last message arrives although the peer has sent what was never read', async () => {
  const { listener, peer, connection } = await connected({ codec: tcpCodec });
  connection.pauseRecv();
  peer.write(Buffer.alloc(4 * 1024 * 1024));
  await new Promise((resolve) => setTimeout(resolve, 50));
  // It reads only when all is over: a reset would have thrown away by then what it was sent.
  peer.socket.pause();
  connection.close('last words');
  await eventually('the end', () => listener.owner.count('close') === 1);
  peer.socket.resume();
  await peer.received('last words');
  await eventually('a FIN', () => peer.ended);
  expect(peer.error).toBeNull();
  expect(listener.owner.messages).toEqual([]);
});

test('a last message is sent although the queue is full', async () => {
  const { listener, peer, connection } = await connected({ limits: { maxSendBufferSize: 1000 } });
  peer.socket.pause();
  connection.send('x'.repeat(8 * 1024 * 1024));
  expect(connection.send('dropped')).toBe(false);
  connection.close('last words');
  peer.socket.resume();
  await eventually('a FIN', () => peer.ended);
  expect(peer.text.endsWith('x\nlast words\n')).toBe(true);
  expect(peer.text).not.toContain('dropped');
  expect(listener.owner.count('drain')).toBe(0);
});

test('a handler of the full queue that closes during close says goodbye once', async () => {
  const { listener, peer, connection } = await connected({ limits: { maxSendBufferSize: 1000 } });
  listener.owner.whenFull = (full) => full.close('from the handler');
  peer.socket.pause();
  connection.close('x'.repeat(8 * 1024 * 1024));
  expect(connection.status).toBe('closing');
  peer.socket.resume();
  await eventually('a FIN', () => peer.ended);
  expect(peer.text.endsWith('x\n')).toBe(true);
});

test('a peer that does not read what is left is cut off after closeTimeout', async () => {
  const { listener, peer, connection } = await connected({ limits: { closeTimeout: 0.2 } });
  peer.socket.pause();
  connection.close('x'.repeat(16 * 1024 * 1024));
  const begun = performance.now();
  await eventually('the end', () => listener.owner.count('close') === 1, 2000);
  expect(performance.now() - begun).toBeGreaterThan(190);
  expect(deadlines.size).toBe(0);
});

test('a peer that reads all and does not hang up is cut off a second later', async () => {
  const { listener, peer, connection } = await connected();
  connection.close('bye');
  await eventually('a FIN', () => peer.ended);
  const begun = performance.now();
  await eventually('the end', () => listener.owner.count('close') === 1, 3000);
  expect(performance.now() - begun).toBeGreaterThan(900);
});

test('a peer that sends on after it was hung up on is not heard', async () => {
  const { listener, peer, connection } = await connected();
  connection.close('bye');
  await eventually('a FIN', () => peer.ended);
  peer.write('too late\n');
  await turn();
  peer.socket.end();
  await eventually('the end', () => listener.owner.count('close') === 1);
  expect(listener.owner.events).toEqual(['close']);
});

test('a peer that hangs up its side behind a line still gets the reply', async () => {
  const { listener, peer } = await connected();
  // Larger than the kernel takes at once: most of it is still here when the peer's FIN comes.
  const reply = 'x'.repeat(8_000_000);
  listener.owner.whenMessage = (connection) => connection.send(reply);
  peer.socket.end('question\nunfinished');
  await eventually('a FIN', () => peer.ended);
  expect(peer.text === `${reply}\n`).toBe(true);
  await eventually('the end', () => listener.owner.count('close') === 1);
  expect(listener.owner.messages).toEqual(['question']);
});

test('destroy ends at once and once, and the messages behind are not delivered', async () => {
  const { listener, peer, connection } = await connected();
  listener.owner.whenMessage = (one) => {
    one.send('lost');
    one.destroy();
    expect(one.send('late')).toBe(false);
    expect(listener.owner.count('close')).toBe(0);
  };
  peer.write('a\nb\nc\n');
  await eventually('the end', () => listener.owner.count('close') > 0);
  connection.destroy();
  connection.resumeRecv();
  await turn();
  expect(listener.owner.events).toEqual(['message a', 'close']);
  await eventually('the end at the peer', () => peer.ended || peer.closed);
  expect(peer.text).toBe('');
});

test('closing inside a message leaves those behind it undelivered', async () => {
  const { listener, peer } = await connected();
  listener.owner.whenMessage = (connection) => connection.close('bye');
  peer.write('a\nb\n');
  await peer.received('bye\n');
  peer.socket.end();
  await eventually('the end', () => listener.owner.count('close') === 1);
  expect(listener.owner.events).toEqual(['message a', 'close']);
});

test('sending and closing inside the end do nothing', async () => {
  const { listener, peer } = await connected();
  listener.owner.whenClose = (connection) => {
    expect(connection.send('x')).toBe(false);
    expect(connection.ping()).toBe(false);
    connection.close('x');
    connection.destroy();
    connection.pauseRecv();
    connection.resumeRecv();
  };
  peer.socket.destroy();
  await eventually('the end', () => listener.owner.count('close') > 0);
  await turn();
  expect(listener.owner.events).toEqual(['close']);
});

test('a reset is told as the error of the end', async () => {
  const { listener, peer } = await connected();
  peer.socket.resetAndDestroy();
  await eventually('the end', () => listener.owner.count('close') === 1);
  expect(listener.owner.closeError).toMatchObject({ code: 'ECONNRESET' });
});

// ---- what can't be sent ----

test('a value that cannot be framed is thrown at the caller and leaves what else is sent whole', async () => {
  const { peer, connection } = await connected();
  connection.send('before');
  for (const value of [null, undefined, {}, () => 1]) {
    expect(() => connection.send(value)).toThrow(expect.objectContaining({ code: 'GW_VALUE_UNSENDABLE' }));
    expect(() => connection.send(value, { raw: true })).toThrow(
      expect.objectContaining({ code: 'GW_VALUE_UNSENDABLE' }),
    );
  }
  connection.send('after');
  await peer.received('before\nafter\n');
  expect(peer.text).toBe('before\nafter\n');
  expect(connection.status).toBe('established');
});

test('an encode of a user that throws leaves the arena and the connection as they were', async () => {
  const codec = customCodec({
    input: (buffer) => buffer.length,
    decode: String,
    encode: (data) => {
      if (data === 'bad') throw new Error('no');
      return String(data);
    },
  });
  const { peer, connection } = await connected({ codec });
  connection.send('a');
  const { offset } = turnWriter.arena;
  expect(() => connection.send('bad')).toThrow(expect.objectContaining({ code: 'GW_PROTOCOL_ENCODE' }));
  expect(turnWriter.arena.offset).toBe(offset);
  connection.send('b');
  await peer.received('ab');
});

test('close with a last message that cannot be framed throws, and closes all the same', async () => {
  const { listener, peer, connection } = await connected();
  connection.send('before');
  expect(() => connection.close({})).toThrow(expect.objectContaining({ code: 'GW_VALUE_UNSENDABLE' }));
  await eventually('a FIN', () => peer.ended);
  expect(peer.text).toBe('before\n');
  peer.socket.end();
  await eventually('the end', () => listener.owner.count('close') === 1);
});

// ---- limits ----

test.each([
  ['text', undefined, (size: number) => `${'x'.repeat(size - 1)}\n`],
  [
    'frame',
    frameCodec,
    (size: number) => {
      const bytes = Buffer.alloc(size, 'x');
      bytes.writeUInt32BE(size);
      return bytes;
    },
  ],
])('a %s package of maxPackageSize is taken and one byte more ends the connection', async (_name, codec, make) => {
  const { listener, peer } = await connected({ codec, limits: { maxPackageSize: 100 } });
  peer.write(make(100));
  await eventually('the message', () => listener.owner.messages.length === 1);
  expect(listener.owner.counters.protocolErrors).toBe(0);
  peer.write(make(101));
  await eventually('a FIN', () => peer.ended);
  peer.socket.end();
  await eventually('the end', () => listener.owner.count('close') === 1);
  expect(listener.owner.events.slice(1)).toEqual(['fail GW_PACKAGE_TOO_LARGE', 'close']);
  expect(listener.owner.counters).toMatchObject({ protocolErrors: 1, requests: 1, connections: 0 });
});

test('many connections opened and closed leave nothing behind', async () => {
  const listener = await listening();
  const { counters } = listener.owner;
  for (let round = 0; round < 4; round++) {
    const peers = await Promise.all(Array.from({ length: 500 }, () => dial(listener.port)));
    await eventually('all connections', () => counters.connections === 500);
    for (const [index, peer] of peers.entries()) {
      if (index % 3 === 0) peer.socket.end();
      else if (index % 3 === 1) peer.socket.destroy();
      else peer.socket.resetAndDestroy();
    }
    await eventually('all gone', () => counters.connections === 0);
    hangUpPeers();
  }
  expect(listener.owner.count('close')).toBe(2000);
  expect(deadlines.size).toBe(0);
});

test('a handler of a held message may pause and go on', async () => {
  const { listener, peer, connection } = await connected();
  let times = 0;
  listener.owner.whenMessage = () => {
    times++;
    if (times <= 2) connection.pauseRecv();
    if (times === 2) connection.resumeRecv();
  };
  peer.write('1\n2\n3\n');
  await eventually('the first', () => times === 1);
  connection.resumeRecv();
  await eventually('all', () => times === 3);
  peer.write('4\n');
  await eventually('what comes later', () => times === 4);
  expect(connection.status).toBe('established');
});

test('a handler of a held message may pause and close with last words', async () => {
  const { listener, peer, connection } = await connected();
  let times = 0;
  listener.owner.whenMessage = () => {
    times++;
    connection.pauseRecv();
    if (times === 2) connection.close('bye');
  };
  peer.write('1\n2\n3\n');
  await eventually('the first', () => times === 1);
  connection.resumeRecv();
  await peer.received('bye\n');
  expect(times).toBe(2);
});

test('a value that a protocol has decoded stays what it was, whatever is read later', async () => {
  const codec = customCodec({
    input: (bytes) => (bytes.length < 8 ? 0 : 8),
    decode: (bytes) => bytes,
    encode: (bytes: Buffer) => bytes,
  });
  const listener = await listening({ codec });
  const kept: Buffer[] = [];
  listener.owner.onValue = (_connection, value) => void kept.push(value as Buffer);
  for (const text of ['secret-A', 'public-B']) {
    const peer = await dial(listener.port);
    const before = kept.length;
    peer.write(text);
    await eventually('the value', () => kept.length > before);
  }
  expect(kept.map(String)).toEqual(['secret-A', 'public-B']);
});
