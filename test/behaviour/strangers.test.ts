import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { connect as connectTls } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { Register } from '../../src/cluster/register/mod.js';
import { eventually } from '../support/eventually.js';
import { MeshGateway } from '../support/mesh.js';
import { RecordingLogger } from '../support/recording-logger.js';
import { seededRandom } from '../support/seeded-random.js';
import { TcpClient } from '../support/tcp-client.js';

const secretKey = 'sekret';

/** A port of the inner side, and how many it has sent away. */
interface InnerPort extends AsyncDisposable {
  readonly port: number;
  readonly logger: RecordingLogger;
  refused(): number;
  connections(): number;
}

async function gatewayPort(): Promise<InnerPort> {
  const gateway = await MeshGateway.start({ secretKey });
  const { mesh, port, logger } = gateway;
  return {
    port,
    logger,
    refused: () => {
      const { linkRefused = 0, linkProtocolErrors = 0 } = mesh.figures().dropped;
      return linkRefused + linkProtocolErrors;
    },
    connections: () => mesh.counters.connections,
    [Symbol.asyncDispose]: () => mesh.close(),
  };
}

async function registerPort(): Promise<InnerPort> {
  const logger = new RecordingLogger();
  const register = new Register('text://127.0.0.1:0', { secretKey });
  await register.start({ logger, single: true, generation: 0 });
  return {
    port: register.port,
    logger,
    refused: () => {
      const { refused = 0, protocolErrors = 0 } = register.figures().dropped;
      return refused + protocolErrors;
    },
    connections: () => register.figures().connections,
    [Symbol.asyncDispose]: () => register.stop(),
  };
}

/** Long before the ten seconds that silence is given. */
const QUICKLY_MS = 5000;

const HTTP = 'GET / HTTP/1.1\r\nHost: 10.0.0.1:2900\r\nUser-Agent: Mozilla/5.0\r\n\r\n';

describe.each([
  ['the inner port of a gateway', gatewayPort],
  ['a Register', registerPort],
])('%s', (_what, start) => {
  it.each<[string, string | Buffer]>([
    ['a browser', HTTP],
    ['the beginning of an HTTP/2 connection', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['an SSH client', 'SSH-2.0-OpenSSH_9.2p1\r\n'],
    ['a Redis client', '*1\r\n$4\r\nPING\r\n'],
    ['a PROXY header', 'PROXY TCP4 203.0.113.7 10.0.0.1 51234 2900\r\n'],
    ['ones only', Buffer.alloc(64, 0xff)],
    ['zeros only', Buffer.alloc(64)],
  ])('sends %s away at once, and counts it', async (_who, bytes) => {
    await using inner = await start();
    await using client = await TcpClient.open(inner.port);
    client.write(bytes);
    await client.untilClosed(QUICKLY_MS);
    expect(inner.refused()).toBe(1);
    expect(inner.logger.of('warn')).toHaveLength(1);
    await eventually('it to be gone', () => inner.connections() === 0);
  });

  it('sends a TLS client away at once, and counts it', async () => {
    await using inner = await start();
    const socket = connectTls({ port: inner.port, host: '127.0.0.1', rejectUnauthorized: false });
    const [error] = await once(socket, 'error', { signal: AbortSignal.timeout(QUICKLY_MS) });
    expect(error).toBeInstanceOf(Error);
    expect(inner.refused()).toBe(1);
  });

  it('takes no notice of who only looks whether it is open', async () => {
    await using inner = await start();
    for (let count = 0; count < 20; count++) {
      const client = await TcpClient.open(inner.port);
      if (count % 2 === 0) client.socket.resetAndDestroy();
      else client.socket.destroy();
    }
    await eventually('all to be gone', () => inner.connections() === 0);
    expect([inner.refused(), inner.logger.of('warn')]).toEqual([0, []]);
  });

  it('lets none of many in that send random bytes, and keeps none', async () => {
    const next = seededRandom(7);
    const random = (below: number) => Math.floor(next() * below);
    await using inner = await start();
    for (let count = 0; count < 100; count++) {
      await using client = await TcpClient.open(inner.port);
      client.socket.end(Buffer.from(Array.from({ length: 1 + random(200) }, () => random(256))));
      await client.untilClosed();
    }
    await eventually('all to be gone', () => inner.connections() === 0);
    expect(inner.refused()).toBeGreaterThan(90);
    expect(inner.logger.of('error')).toEqual([]);
  });
});
