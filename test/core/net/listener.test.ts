import { afterEach, expect, test } from 'vitest';
import {
  CONNECTION_LIMITS,
  DOOR_LIMITS,
  Door,
  ListenError,
  Listener,
  parseAddress,
  TcpConnection,
} from '../../../src/core/net/mod.js';
import { tcpCodec } from '../../../src/core/protocols/mod.js';
import { busyPort } from '../../support/free-port.js';
import { dial, hangUpPeers } from '../../support/tcp-peer.js';
import { closeListeners, listening, TestOwner } from '../../support/test-listener.js';

afterEach(async () => {
  hangUpPeers();
  await closeListeners();
});

test('a port in use is a ListenError with the address and the cause', async () => {
  const { server, port } = await busyPort();
  const listener = new Listener(parseAddress(`tcp://127.0.0.1:${port}`, ['tcp']), () => {}, openDoor());
  const error = await listener.listen(true).catch((thrown) => thrown);
  server.close();
  expect(error).toBeInstanceOf(ListenError);
  expect(error).toMatchObject({
    code: 'GW_LISTEN_FAILED',
    fields: { address: `tcp://127.0.0.1:${port}` },
    cause: { code: 'EADDRINUSE' },
  });
  listener.close();
});

test('port 0 is one the system chose', async () => {
  const listener = await listening();
  expect(listener.port).toBeGreaterThan(0);
});

test('IPv6 is listened on, and the connection says so', async () => {
  const listener = await listening({ host: '[::1]' });
  const peer = await dial(listener.port, '::1');
  const connection = await listener.accepted();
  expect(connection.isIpV6).toBe(true);
  expect(connection.remoteAddress).toBe('::1');
  expect(connection.localAddress).toBe('::1');
  expect(connection.localPort).toBe(listener.port);
  expect(connection.remotePort).toBe(peer.socket.localPort);
});

test('a closed listener takes none, and those that exist live on', async () => {
  const owner = new TestOwner();
  const listener = new Listener(
    parseAddress('tcp://127.0.0.1:0', ['tcp']),
    (wire) => {
      const connection = new TcpConnection(wire, tcpCodec, owner, CONNECTION_LIMITS);
      owner.whenMessage = (_connection, text) => void connection.send(text);
    },
    openDoor(),
  );
  await listener.listen(true);
  const { port } = listener;
  const peer = await dial(port);
  peer.write('a');
  await peer.received('a');
  listener.close();
  peer.write('b');
  await peer.received('ab');
  await expect(dial(port).then((late) => late.error ?? 'connected')).resolves.toMatchObject({ code: 'ECONNREFUSED' });
  peer.socket.end();
});

function openDoor(): Door {
  return new Door(DOOR_LIMITS, () => {});
}
