import { createHash } from 'node:crypto';
import { describe, expect, it, vi } from 'vitest';
import { GatewayClient } from '../../../src/cluster/api/mod.js';
import {
  Command,
  gatewayClientConnectBody,
  gatewayConnectLine,
  workerConnectBody,
} from '../../../src/cluster/protocol/mod.js';
import { Register } from '../../../src/cluster/register/mod.js';
import { sameSecret } from '../../../src/util/mod.js';
import { eventually } from '../../support/eventually.js';
import { packetBytes } from '../../support/gateway-link.js';
import { MeshGateway, MeshWorker } from '../../support/mesh.js';
import { RecordingLogger } from '../../support/recording-logger.js';
import { TcpClient } from '../../support/tcp-client.js';

const compared: number[] = [];

vi.mock('node:crypto', async (original) => {
  const crypto = await original<typeof import('node:crypto')>();
  const timingSafeEqual: typeof crypto.timingSafeEqual = (one, other) => {
    compared.push(one.byteLength);
    return crypto.timingSafeEqual(one, other);
  };
  return { ...crypto, timingSafeEqual };
});

const OURS = 'the-key-of-this-cluster';
const THEIRS = 'the-key-of-somebody-else';

describe('secret keys', () => {
  it.each([
    [OURS, OURS, true],
    [OURS, THEIRS, false],
    [OURS, `${OURS}x`, false],
    [OURS, OURS.slice(0, -1), false],
    [OURS, '', false],
    ['', '', true],
    ['', 'x', false],
    ['é', 'e\u0301', false],
  ])('%j and %j are compared in a time that tells neither content nor length', (ours, theirs, same) => {
    compared.length = 0;
    expect(sameSecret(ours, theirs)).toBe(same);
    expect(compared).toEqual([32]);
  });

  it('are compared so wherever one is shown: by gateways and workers to a Register, by workers and programs to a gateway', async () => {
    const register = new Register('text://127.0.0.1:0', { secretKey: OURS });
    await register.start({ logger: new RecordingLogger(), single: true, generation: 0 });
    await using gateway = await MeshGateway.start({ secretKey: OURS });
    const shown: [number, string | Buffer][] = [
      [register.port, gatewayConnectLine('127.0.0.1:1', THEIRS)],
      [register.port, `{"event":"worker_connect","secret_key":"${THEIRS}"}\n`],
      [gateway.port, packetBytes(Command.WORKER_CONNECT, 0, '', workerConnectBody('worker:0', THEIRS))],
      [gateway.port, packetBytes(Command.GATEWAY_CLIENT_CONNECT, 0, '', gatewayClientConnectBody(THEIRS))],
    ];
    for (const [port, bytes] of shown) {
      compared.length = 0;
      await using client = await TcpClient.open(port);
      client.write(bytes);
      await client.untilClosed();
      expect(compared).toEqual([32]);
    }
    await register.stop();
  });

  it('are in no log and no error, on neither side, whatever goes wrong', async () => {
    const register = new Register('text://127.0.0.1:0', { secretKey: OURS });
    const logger = new RecordingLogger();
    await register.start({ logger, single: true, generation: 0 });
    const registerAddresses = [`127.0.0.1:${register.port}`];
    await using gateway = await MeshGateway.start({ secretKey: OURS, registerAddresses });
    await using stranger = await MeshGateway.start({ secretKey: THEIRS, registerAddresses });
    await using worker = new MeshWorker(registerAddresses, { secretKey: OURS });
    await using foreign = new MeshWorker(registerAddresses, { secretKey: THEIRS });
    await eventually('the link', () => worker.live.length === 1);
    // Broken in the middle of the key, or around it.
    const line = gatewayConnectLine('127.0.0.1:1', OURS);
    const packet = packetBytes(Command.WORKER_CONNECT, 0, '', `${workerConnectBody('worker:0', OURS)}}`);
    for (const [port, bytes] of [
      [register.port, line.replace('gateway_connect', 'gateway_comes')],
      [register.port, line.replace('}', '')],
      [register.port, line.replace('"address":"127.0.0.1:1"', '"a":1')],
      [gateway.port, packet],
      [gateway.port, line],
    ] as const) {
      await using client = await TcpClient.open(port);
      client.write(bytes);
      await client.untilClosed();
      expect(client.text).not.toContain(OURS);
    }
    const programLogger = new RecordingLogger();
    const program = new GatewayClient({
      registerAddress: registerAddresses[0] as string,
      secretKey: THEIRS,
      readyTimeout: 1,
      logger: programLogger,
    });
    const error = await program.ready().catch((thrown) => thrown);
    await program.close();
    for (const one of [stranger, foreign]) {
      await eventually('the complaint', () => one.logger.count('is the secretKey the same?') > 0);
    }
    const loggers = [logger, programLogger, gateway.logger, stranger.logger, worker.logger, foreign.logger];
    const said = JSON.stringify([loggers.map(({ entries }) => entries), error.message, error.fields, error.stack]);
    expect(loggers.every(({ entries }) => entries.length > 0)).toBe(true);
    for (const key of [OURS, THEIRS]) {
      expect(said).not.toContain(key);
      expect(said).not.toContain(createHash('sha256').update(key).digest('hex'));
    }
    await register.stop();
  });

  it('of the wrong type are not shown by the error that says so', () => {
    const make = () => new Register('text://127.0.0.1:0', { secretKey: 271_828 as unknown as string });
    expect(make).toThrow("option 'secretKey' must be a string, got number");
  });
});
