import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { startCluster, type TestCluster } from '../../src/testing/mod.js';
import { LineClient, SocketClient } from '../support/cluster-clients.js';
import { RecordingLogger } from '../support/recording-logger.js';

const running: TestCluster[] = [];

afterEach(async () => {
  for (const cluster of running.splice(0)) await cluster.stop();
});

describe('a test cluster', () => {
  it('is linked when it is there, and gone when the block is left', async () => {
    let port = 0;
    let registerPort = 0;
    {
      await using cluster = await startCluster({ events: { onMessage: (client, message) => client.send(message) } });
      port = cluster.gateways[0]?.port ?? 0;
      registerPort = cluster.register?.port ?? 0;
      expect(cluster.registerAddress).toBe(`127.0.0.1:${registerPort}`);
      const client = await LineClient.open(port);
      client.send('hello');
      expect(await client.take(1)).toEqual(['hello']);
      expect(await cluster.api.getAllClientIdCount()).toBe(1);
      client.socket.destroy();
    }
    for (const closed of [port, registerPort]) {
      const [error] = await once(connect(closed, '127.0.0.1'), 'error');
      expect(error).toMatchObject({ code: 'ECONNREFUSED' });
    }
  });

  it('has as many gateways and workers as asked for, each linked with each', async () => {
    const logger = new RecordingLogger();
    const cluster = await startCluster({
      gateways: ['text://127.0.0.1:0', 'websocket://127.0.0.1:0', 'tcp://127.0.0.1:0'],
      workers: 3,
      secretKey: 'hush',
      logger,
      gatewayOptions: { pingInterval: 0 },
      workerOptions: { binary: true },
      events: { onConnect: (client) => client.send(client.id), onMessage: (client, message) => client.send(message) },
    });
    running.push(cluster);
    expect(cluster.gateways.map((gateway) => gateway.workerCount)).toEqual([3, 3, 3]);
    expect(cluster.workers.map(({ name }) => name)).toEqual(['TestWorker0', 'TestWorker1', 'TestWorker2']);
    const { client } = await SocketClient.greeted(cluster.gateways[1]?.port ?? 0);
    client.send('text, but the option says Buffers');
    expect(await client.take(1)).toEqual([Buffer.from('text, but the option says Buffers')]);
    client.socket.terminate();
    // What is logged has its source in front.
    expect(logger.entries.some(({ message }) => message.startsWith('TestGateway0:0 a worker joined'))).toBe(true);
  });

  it('stops once, however often it is told', async () => {
    let stops = 0;
    const cluster = await startCluster({ events: { onMessage: () => {}, onWorkerStop: () => void stops++ } });
    const first = cluster.stop();
    const second = cluster.stop();
    await second;
    expect(stops).toBe(1);
    expect(() => cluster.workers[0]?.gateway).toThrow(expect.objectContaining({ code: 'GW_API_NOT_RUNNING' }));
    await first;
    await cluster[Symbol.asyncDispose]();
    expect(stops).toBe(1);
  });

  it('leaves nothing behind when it can not start', async () => {
    let stops = 0;
    const events = { onMessage: () => {}, onWorkerStop: () => void stops++ };
    const wrong = startCluster({ events, gateways: ['text://127.0.0.1:0', 'nonsense'] });
    await expect(wrong).rejects.toMatchObject({ code: 'GW_ADDRESS_INVALID' });
    expect(stops).toBe(1);
    await expect(startCluster({ events, workers: 0 })).rejects.toMatchObject({ code: 'GW_OPTION_INVALID' });
    await expect(startCluster({ events: {} })).rejects.toMatchObject({ code: 'GW_START_WORKER_FAILED' });
  });
});
