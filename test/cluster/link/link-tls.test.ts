import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { type ConnectionOptions, connect } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { BusinessWorker } from '../../../src/cluster/business/mod.js';
import { Gateway } from '../../../src/cluster/gateway/mod.js';
import { Command } from '../../../src/cluster/protocol/mod.js';
import { Register } from '../../../src/cluster/register/mod.js';
import { CONNECTION_LIMITS, connectTcp } from '../../../src/core/net/mod.js';
import { textCodec } from '../../../src/core/protocols/mod.js';
import { startCluster } from '../../../src/testing/mod.js';
import { OptionsError } from '../../../src/util/mod.js';
import { memberTls, strangerTls, testCertificate } from '../../support/certificates.js';
import { eventually } from '../../support/eventually.js';
import { packetBytes } from '../../support/gateway-link.js';
import { MeshGateway, MeshWorker } from '../../support/mesh.js';
import { RawServer } from '../../support/raw-server.js';
import { RecordingLogger } from '../../support/recording-logger.js';
import { TcpClient } from '../../support/tcp-client.js';
import { TestOwner } from '../../support/test-listener.js';

const linkTls = memberTls();

async function startRegister(): Promise<{ register: Register; logger: RecordingLogger } & AsyncDisposable> {
  const logger = new RecordingLogger();
  const register = new Register('text://127.0.0.1:0', { linkTls });
  await register.start({ logger, single: true, generation: 0 });
  return { register, logger, [Symbol.asyncDispose]: () => register.stop() };
}

/** What became of a TLS client that has said something: closed without an answer, or answered. */
async function spoken(port: number, options: ConnectionOptions, bytes: string | Buffer): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port, checkServerIdentity: () => undefined, ...options });
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk;
  });
  socket.on('error', () => {});
  socket.write(bytes);
  const over = new Promise((resolve) => socket.once('close', resolve));
  await Promise.race([over, eventually('an answer', () => text !== '').catch(() => {})]);
  socket.destroy();
  return text;
}

describe('a cluster with linkTls', () => {
  it('does all that one without does: events, commands, questions, programs', async () => {
    await using cluster = await startCluster({
      gateways: ['websocket://127.0.0.1:0'],
      secretKey: 'sekret',
      gatewayOptions: { linkTls },
      workerOptions: { linkTls },
      events: { onMessage: (client, message) => client.send(`re: ${message}`) },
    });
    const client = await cluster.connect();
    const long = 'x'.repeat(3_000_000);
    client.send(long);
    expect(await client.next()).toBe(`re: ${long}`);
    await using program = cluster.client({ linkTls });
    await program.ready();
    expect(await program.getAllClientIdCount()).toBe(1);
    program.sendToAll('from the program');
    expect(await client.next()).toBe('from the program');
    const links = [...cluster.gateways].flatMap((gateway) => [...gateway.openConnections()]);
    const inner = links.filter(({ codec }) => codec.name !== 'websocket');
    expect(inner.length).toBeGreaterThanOrEqual(3);
    expect(inner.every(({ encrypted }) => encrypted)).toBe(true);
  });

  it('says nothing on the wire that can be read', async () => {
    for (const secured of [true, false]) {
      const chunks: Buffer[] = [];
      const listener = createServer((socket) => socket.on('error', () => {}).on('data', (chunk) => chunks.push(chunk)));
      await once(listener.listen(0, '127.0.0.1'), 'listening');
      const registerAddresses = [`127.0.0.1:${(listener.address() as AddressInfo).port}`];
      const secretKey = 'sekret-of-the-wire';
      await using _gateway = await MeshGateway.start({
        registerAddresses,
        secretKey,
        linkTls: secured ? linkTls : null,
      });
      await eventually('the beginning', () => chunks.length > 0);
      expect(Buffer.concat(chunks).includes(secretKey)).toBe(!secured);
      listener.close();
    }
  });
});

describe('the ports of such a cluster', () => {
  it.each<[string, ConnectionOptions]>([
    ['no certificate', { ca: linkTls.ca }],
    ['a certificate of another CA', { ...strangerTls() }],
    ['a certificate that is a CA to itself', { ...testCertificate('localhost'), rejectUnauthorized: false }],
  ])('are closed to who has %s, and count it', async (_what, options) => {
    await using started = await startRegister();
    await using gateway = await MeshGateway.start({ linkTls });
    expect(await spoken(started.register.port, options, '{"event":"worker_connect","secret_key":""}\n')).toBe('');
    expect(await spoken(gateway.port, options, packetBytes(Command.IS_ONLINE, 1))).toBe('');
    await eventually('both counts', () => {
      const { tlsRefused } = started.register.figures().dropped;
      return tlsRefused === 1 && gateway.mesh.figures().dropped.linkRefused === 1;
    });
    expect(gateway.commands).toEqual([]);
    expect(gateway.mesh.counters.connections).toBe(0);
    for (const logger of [started.logger, gateway.logger]) {
      expect(logger.of('warn')[0]?.fields).toMatchObject({ code: 'GW_CONNECTION_TLS_HANDSHAKE' });
    }
  });

  it('are open to who has one of the cluster', async () => {
    await using started = await startRegister();
    await using gateway = await MeshGateway.start({ linkTls });
    const line = '{"event":"worker_connect","secret_key":""}\n';
    expect(await spoken(started.register.port, { ...linkTls }, line)).toContain('broadcast_addresses');
    expect(await spoken(gateway.port, { ...linkTls }, packetBytes(Command.IS_ONLINE, 7))).toContain('i:7;');
  });

  it('are closed at once to who speaks without TLS', async () => {
    await using started = await startRegister();
    await using gateway = await MeshGateway.start({ linkTls });
    for (const port of [started.register.port, gateway.port]) {
      await using plain = await TcpClient.open(port);
      plain.write(packetBytes(Command.IS_ONLINE, 1));
      await plain.untilClosed(5000);
    }
    expect(gateway.commands).toEqual([]);
    await eventually('the count', () => gateway.mesh.figures().dropped.linkRefused === 1);
  });
});

describe('who connects', () => {
  it('is not connected before the TLS handshake is done, and waits for it no longer than for a connection', async () => {
    await using silent = await RawServer.start();
    const owner = new TestOwner();
    const limits = { ...CONNECTION_LIMITS, handshakeTimeout: 0.3 };
    const connection = connectTcp('127.0.0.1', silent.port, textCodec, owner, limits, linkTls);
    await eventually('its hello', () => silent.received.length > 0);
    expect([connection.status, owner.events]).toEqual(['connecting', []]);
    await eventually('the end', () => owner.count('close') === 1);
    expect(owner.events).toEqual(['close']);
    expect(owner.closeError).toMatchObject({ code: 'GW_CONNECTION_CONNECT_TIMEOUT' });
  });

  it('trusts no gateway and no register of another CA, and says why', async () => {
    await using started = await startRegister();
    const registerAddresses = [`127.0.0.1:${started.register.port}`];
    const ca = testCertificate('example.com').cert;
    await using worker = new MeshWorker(registerAddresses, { linkTls: { ...linkTls, ca } });
    await eventually('the reason', () =>
      worker.logger.of('warn').some(({ message }) => /can't be reached/.test(message)),
    );
    expect(worker.logger.of('warn')[0]?.message).toMatch(/certificate/);
    expect(worker.live).toEqual([]);
  });
});

describe('linkTls', () => {
  it.each<[string, object, string]>([
    ['no key', { ca: linkTls.ca, cert: linkTls.cert }, 'linkTls.key'],
    ['no ca, which would be anybody who has a certificate', { cert: linkTls.cert, key: linkTls.key }, 'linkTls.ca'],
    ['a path', { ...linkTls, ca: '/etc/ca.pem' }, 'linkTls.ca'],
    ['a key of another certificate', { ...linkTls, key: testCertificate('localhost').key }, 'linkTls.key'],
    ['what it does not know', { ...linkTls, rejectUnauthorized: false }, 'linkTls.rejectUnauthorized'],
  ])('with %s is refused when the object is made', (_what, given, option) => {
    const wrong = { linkTls: given as typeof linkTls };
    const makers = [
      () => new Gateway('tcp://127.0.0.1:0', wrong),
      () => new Register('text://127.0.0.1:0', wrong),
      () => new BusinessWorker({ events: {}, ...wrong }),
    ];
    for (const make of makers) {
      expect(make).toThrow(OptionsError);
      expect(make).toThrow(option);
      expect(make).not.toThrow('PRIVATE KEY');
    }
  });
});
