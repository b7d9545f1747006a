import { spawnSync } from 'node:child_process';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { afterEach, expect, it } from 'vitest';
import { testCertificate } from '../support/certificates.js';
import { eventually } from '../support/eventually.js';
import { closeListeners, listening } from '../support/test-listener.js';
import { TlsClient } from '../support/tls-client.js';

const tls = testCertificate('localhost');

/** Connects as often as it is told to, and resets each connection. */
const RESETTER = `
  const { connect } = require('node:net');
  for (let left = Number(process.argv[2]); left > 0; left--) {
    const socket = connect(Number(process.argv[1]), '127.0.0.1', () => socket.resetAndDestroy());
  }
`;

afterEach(closeListeners);

it('clients that reset before they are accepted leave no place taken', async () => {
  const limit = 3;
  const listener = await listening({ tls, door: { maxConnections: limit } });
  // Nothing is accepted until it has ended.
  const { status, stderr } = spawnSync(process.execPath, ['-e', RESETTER, String(listener.port), '20']);
  expect([status, String(stderr)]).toEqual([0, '']);
  // They are behind those in the queue of the kernel, and all find room.
  await using _first = await TlsClient.open(listener.port);
  await using _second = await TlsClient.open(listener.port);
  await using _third = new TlsClient(listener.port);
  await eventually('all of them', () => listener.connections.length === limit);
  expect([listener.refused, listener.handshakes]).toEqual([[], 0]);
});

it('clients that reset right behind the end of their handshake are not accepted, and make no room for more than may come in', async () => {
  const limit = 2;
  const listener = await listening({ tls, door: { maxConnections: limit, maxConnectionsPerAddress: limit } });
  for (let round = 0; round < 5; round++) await resetBehindHandshake(listener.port);
  await eventually('the end of all', () => listener.handshakes === 0 && listener.owner.counters.connections === 0);
  expect([listener.connections.length, listener.door.addresses]).toEqual([0, 0]);
  await using _first = await TlsClient.open(listener.port);
  await using _second = await TlsClient.open(listener.port);
  await using third = new TlsClient(listener.port);
  await third.untilClosed();
  expect(listener.connections.map(({ remoteAddress }) => remoteAddress)).toEqual(['127.0.0.1', '127.0.0.1']);
});

/** The last bytes leave behind the event, and the reset in the same turn of the loop: the server, in this process, finds both. */
async function resetBehindHandshake(port: number): Promise<void> {
  const raw = connect(port, '127.0.0.1');
  const client = connectTls({ socket: raw, rejectUnauthorized: false });
  client.on('error', () => {});
  client.on('secureConnect', () => setImmediate(() => raw.resetAndDestroy()));
  await new Promise((resolve) => raw.on('error', () => {}).on('close', resolve));
}
