import { spawnSync } from 'node:child_process';
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
