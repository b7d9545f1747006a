import { afterEach, describe, expect, it } from 'vitest';
import { ApiError, GatewayApi, gateway, WorkerGatewayApi } from '../../../src/cluster/api/mod.js';
import { BusinessWorker, type Client } from '../../../src/cluster/business/mod.js';
import { startCluster, type TestCluster } from '../../../src/testing/mod.js';
import { LineClient } from '../../support/cluster-clients.js';

const running: TestCluster[] = [];

afterEach(async () => {
  for (const cluster of running.splice(0)) await cluster.stop();
});

describe('the gateway functions outside a worker', () => {
  it('throw, and questions reject', async () => {
    expect(() => gateway.sendToAll('x')).toThrow(ApiError);
    expect(() => gateway.sendToAll('x')).toThrow(expect.objectContaining({ code: 'GW_API_NOT_RUNNING' }));
    expect(() => gateway.bindUid('7f0000010b5400000001', 'x')).toThrow('GatewayClient');
    const questions = [
      gateway.isOnline('7f0000010b5400000001'),
      gateway.getAllClientIdCount(),
      gateway.getClientIdCountByGroup('g'),
      gateway.getAllClientSessions(),
    ];
    for (const question of questions) await expect(question).rejects.toMatchObject({ code: 'GW_API_NOT_RUNNING' });
  });

  it('are those of the API of a worker', () => {
    const names = [GatewayApi.prototype, WorkerGatewayApi.prototype].flatMap((prototype) =>
      Object.getOwnPropertyNames(prototype).filter((name) => name !== 'constructor'),
    );
    expect(Object.keys(gateway)).toEqual(names);
  });

  it('work again after a stop only in a worker that runs', async () => {
    const cluster = await start();
    expect(await gateway.getAllClientIdCount()).toBe(0);
    await cluster.stop();
    expect(() => gateway.sendToAll('x')).toThrow(expect.objectContaining({ code: 'GW_API_NOT_RUNNING' }));
  });
});

describe('the gateway functions in one process', () => {
  it('work with two workers of one cluster, in handlers and outside', async () => {
    const cluster = await start(2);
    const { client } = await LineClient.greeted(cluster.gateways[0]?.port ?? 0);
    expect(gateway.sendToAll('from outside')).toBe(true);
    expect(await client.take(1)).toEqual(['from outside']);
    client.send('say');
    expect(await client.take(2)).toEqual(['in the handler', 'behind an await']);
    client.socket.destroy();
  });

  it('mean the right one of two clusters in a handler, and say so outside', async () => {
    const clusters = [await start(), await start()];
    const clients: LineClient[] = [];
    for (const cluster of clusters) clients.push((await LineClient.greeted(cluster.gateways[0]?.port ?? 0)).client);
    for (const [index, client] of clients.entries()) {
      client.send('say');
      expect(await client.take(2), `cluster ${index}`).toEqual(['in the handler', 'GW_API_AMBIGUOUS']);
    }
    expect(() => gateway.sendToAll('x')).toThrow(expect.objectContaining({ code: 'GW_API_AMBIGUOUS' }));
    await expect(gateway.getAllClientIdCount()).rejects.toMatchObject({ code: 'GW_API_AMBIGUOUS' });
    // Each by its own worker, and its own client.
    for (const [index, cluster] of clusters.entries()) {
      cluster.workers[0]?.gateway.sendToAll(`worker ${index}`);
      expect(await clients[index]?.take(1)).toEqual([`worker ${index}`]);
      clients[index]?.send('via client');
      expect(await clients[index]?.take(1)).toEqual(['by client.gateway']);
    }
    expect(clients.map(({ lines }) => lines)).toEqual([[], []]);
    await clusters[0]?.stop();
    gateway.sendToAll('not ambiguous any more');
    expect(await clients[1]?.take(1)).toEqual(['not ambiguous any more']);
    for (const client of clients) client.socket.destroy();
  });

  it('mean the right one also behind a handler that threw', async () => {
    const clusters = [await start(), await start()];
    const first = (await LineClient.greeted(clusters[0]?.gateways[0]?.port ?? 0)).client;
    first.send('throw', 'hello');
    expect(await first.take(1)).toEqual(['hello']);
    expect(() => gateway.sendToAll('x')).toThrow(expect.objectContaining({ code: 'GW_API_AMBIGUOUS' }));
    first.socket.destroy();
  });

  it('are there in onWorkerStart and onWorkerStop', async () => {
    const seen: unknown[] = [];
    const cluster = await startCluster({
      events: {
        onConnect: () => {},
        onWorkerStart: async (worker) => {
          seen.push(gateway.sendToAll('x'), worker.gateway.sendToAll('x'));
          await null;
          seen.push(await worker.gateway.getAllClientIdCount().catch((error: ApiError) => error.code));
        },
        onWorkerStop: async () => {
          seen.push(gateway.sendToUid([], 'x'));
          await null;
          seen.push(gateway.sendToUid([], 'x'));
        },
      },
    });
    running.push(cluster);
    await cluster.stop();
    expect(seen).toEqual([false, false, 'GW_API_NO_GATEWAY', true, true]);
  });
});

describe('the gateway of a worker', () => {
  it('is there while the worker runs, and not before or after', async () => {
    const worker = new BusinessWorker({ events: { onMessage: () => {} } });
    expect(() => worker.gateway).toThrow(expect.objectContaining({ code: 'GW_API_NOT_RUNNING' }));
    const cluster = await start();
    const [first] = cluster.workers;
    expect(first?.gateway).toBeInstanceOf(WorkerGatewayApi);
    await cluster.stop();
    expect(() => first?.gateway).toThrow(expect.objectContaining({ code: 'GW_API_NOT_RUNNING' }));
  });
});

async function start(workers = 1): Promise<TestCluster> {
  const cluster = await startCluster({
    workers,
    events: {
      onConnect: (client: Client) => void client.send(client.id),
      onMessage: (client: Client, message: string) => {
        if (message === 'throw') throw new Error('asked to');
        if (message === 'via client') return client.gateway.sendToAll('by client.gateway');
        if (message !== 'say') return client.send(message);
        return say(client);
      },
    },
  });
  running.push(cluster);
  return cluster;
}

async function say(client: Client): Promise<void> {
  gateway.sendToAll('in the handler');
  await new Promise((resolve) => setImmediate(resolve));
  try {
    gateway.sendToAll('behind an await');
  } catch (thrown) {
    client.send((thrown as ApiError).code);
  }
}
