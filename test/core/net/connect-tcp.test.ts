import { Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { CONNECTION_LIMITS, connectTcp, SocketWire, TcpConnection } from '../../../src/core/net/mod.js';
import { textCodec } from '../../../src/core/protocols/mod.js';
import { deadlines } from '../../../src/core/timers/mod.js';
import { eventually } from '../../support/eventually.js';
import { freePort } from '../../support/free-port.js';
import { hangUpPeers } from '../../support/tcp-peer.js';
import { closeListeners, listening, TestOwner } from '../../support/test-listener.js';

afterEach(async () => {
  hangUpPeers();
  await closeListeners();
});

test('sends before the connection is made are delivered when it is, in order', async () => {
  const listener = await listening();
  listener.owner.whenMessage = (connection, text) => connection.send(`re: ${text}`);
  const owner = new TestOwner();
  owner.whenOpen = (opened) => void opened.send('at open');
  const connection = connectTcp('127.0.0.1', listener.port, textCodec, owner, CONNECTION_LIMITS);
  expect(connection.status).toBe('connecting');
  expect(connection.send('early')).toBe(true);
  expect(connection.sendQueueSize).toBe(6);
  await eventually('replies', () => owner.messages.length === 2);
  expect(owner.events).toEqual(['open', 'message re: early', 'message re: at open']);
  expect(connection.remotePort).toBe(listener.port);
  expect(deadlines.size).toBe(0);
  connection.close();
  await eventually('the end', () => owner.count('close') === 1);
  expect(owner.counters.connections).toBe(0);
});

test('a refused connection ends with the error of the system, and is never open', async () => {
  const owner = new TestOwner();
  const connection = connectTcp('127.0.0.1', await freePort(), textCodec, owner, CONNECTION_LIMITS);
  connection.send('lost');
  await eventually('the end', () => owner.count('close') > 0);
  expect(owner.events).toEqual(['close']);
  expect(owner.closeError).toMatchObject({ code: 'ECONNREFUSED' });
  expect(connection.status).toBe('closed');
  expect(deadlines.size).toBe(0);
});

test('a connection that is not made in time ends with a typed error', async () => {
  const owner = new TestOwner();
  // A socket nobody connects stands for a host that does not answer.
  const connection = new TcpConnection(
    new SocketWire(new Socket(), { connecting: true }),
    textCodec,
    owner,
    { ...CONNECTION_LIMITS, handshakeTimeout: 0.1 },
    true,
  );
  await eventually('the end', () => owner.count('close') === 1);
  expect(owner.events).toEqual(['close']);
  expect(owner.closeError).toMatchObject({ code: 'GW_CONNECTION_CONNECT_TIMEOUT', fields: { seconds: 0.1 } });
  expect(connection.status).toBe('closed');
});

test('closing while connecting gives up, and tells of the end afterwards', async () => {
  const listener = await listening();
  const owner = new TestOwner();
  const connection = connectTcp('127.0.0.1', listener.port, textCodec, owner, CONNECTION_LIMITS);
  connection.close('ignored');
  expect(owner.events).toEqual([]);
  await eventually('the end', () => owner.count('close') === 1);
  expect(owner.events).toEqual(['close']);
});

test('what is sent before the connection is made has the same limit, and drains', async () => {
  const listener = await listening();
  const owner = new TestOwner();
  const limits = { ...CONNECTION_LIMITS, maxSendBufferSize: 1000 };
  const connection = connectTcp('127.0.0.1', listener.port, textCodec, owner, limits);
  expect(connection.send('x'.repeat(998))).toBe(true);
  expect(owner.count('full')).toBe(0);
  expect(connection.send('')).toBe(true);
  expect(connection.sendQueueSize).toBe(1000);
  expect(owner.count('full')).toBe(1);
  expect(connection.send('z')).toBe(false);
  await eventually('drain', () => owner.count('drain') === 1);
  await eventually('both', () => listener.owner.messages.length === 2);
  connection.destroy();
});

test('one that was paused before it was connected is told nothing until it is resumed', async () => {
  const listener = await listening();
  const owner = new TestOwner();
  const connection = connectTcp('127.0.0.1', listener.port, textCodec, owner, CONNECTION_LIMITS);
  connection.pauseRecv();
  owner.whenOpen = (opened) => opened.pauseRecv();
  const accepted = await listener.accepted();
  await eventually('connected', () => connection.status === 'established');
  for (let index = 0; index < 8; index++) accepted.send('x'.repeat(100_000));
  // Another connection's way there and back: time enough to have read, if anything were.
  for (let round = 0; round < 5; round++) {
    const other = connectTcp('127.0.0.1', listener.port, textCodec, new TestOwner(), CONNECTION_LIMITS);
    await eventually('the other', () => other.status === 'established');
    other.destroy();
  }
  expect([owner.messages.length, connection.recvQueueSize]).toEqual([0, 0]);
  connection.resumeRecv();
  await eventually('all', () => owner.messages.length === 8);
  expect(connection.status).toBe('established');
});
