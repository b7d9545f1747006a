import { afterEach, describe, expect, it } from 'vitest';
import { BusinessWorker, type Client, type Events } from '../../../src/cluster/business/mod.js';
import { startCluster, type TestCluster } from '../../../src/testing/mod.js';
import { LineClient } from '../../support/cluster-clients.js';
import { eventually } from '../../support/eventually.js';
import { deferred } from '../../support/fake-link.js';
import { freePort } from '../../support/free-port.js';
import { RecordingLogger } from '../../support/recording-logger.js';

const clusters: TestCluster[] = [];
const replacements: BusinessWorker[] = [];
const sockets: { destroy(): void }[] = [];

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const worker of replacements.splice(0)) await worker.stop();
  for (const cluster of clusters.splice(0)) await cluster.stop();
});

async function started(events: Events): Promise<TestCluster> {
  const cluster = await startCluster({ events, workerOptions: { name: 'Worker' } });
  clusters.push(cluster);
  return cluster;
}

/** A process that has the place of the cluster's only worker. */
async function replacement(registerAddress: string, events: Events): Promise<BusinessWorker> {
  const worker = new BusinessWorker({ name: 'Worker', registerAddress, events });
  await worker.start({ logger: new RecordingLogger(), single: true, generation: 1 });
  replacements.push(worker);
  return worker;
}

async function connected(cluster: TestCluster): Promise<LineClient> {
  const client = await LineClient.open(cluster.gateways[0]?.port ?? 0);
  sockets.push(client.socket);
  return client;
}

describe('a worker that replaces another', () => {
  it('is linked before it is ready, under a key of its own, beside the one it replaces', async () => {
    const cluster = await started({ onMessage: (client: Client) => client.send('old') });
    await replacement(cluster.registerAddress, { onMessage: (client: Client) => client.send('new') });
    await eventually('both to be there', () => cluster.gateways[0]?.workerCount === 2);
    const client = await connected(cluster);
    client.send('x');
    expect(await client.take(1)).toEqual(['old']);
    await cluster.workers[0]?.stop();
    client.send('x');
    expect(await client.take(1)).toEqual(['new']);
  });

  it('handles nothing of a client before the last handler of the old one is done, and sees its session', async () => {
    const work = deferred();
    const seen: string[] = [];
    const cluster = await started({
      onMessage: async (client: Client, message: string) => {
        seen.push(`old begins ${message}`);
        if (message === '1') await work.promise;
        client.session.last = message;
        seen.push(`old ends ${message}`);
      },
    });
    const client = await connected(cluster);
    const other = await connected(cluster);
    client.send('1', '2');
    await eventually('the handler', () => seen.length === 1);
    await replacement(cluster.registerAddress, {
      onMessage: (client: Client, message: string) => {
        seen.push(`new ${message} after ${client.session.last}`);
        client.send(message);
      },
    });
    await eventually('both to be there', () => cluster.gateways[0]?.workerCount === 2);
    const stopped = cluster.workers[0]?.stop();
    await eventually('the gateway to know', () => cluster.gateways[0]?.workerCount === 1);
    other.send('free');
    await other.take(1);
    client.send('3', '4');
    await other.settle('later');
    expect(seen).toEqual(['old begins 1', 'new free after undefined', 'new later after undefined']);
    work.resolve();
    await stopped;
    expect(await client.take(2)).toEqual(['3', '4']);
    expect(seen.slice(3)).toEqual(['old ends 1', 'old begins 2', 'old ends 2', 'new 3 after 2', 'new 4 after 2']);
  });

  it('is no worker at all when it finds no register, and leaves nothing behind', async () => {
    const registerAddress = `127.0.0.1:${await freePort()}`;
    const worker = new BusinessWorker({ registerAddress, events: { onMessage: () => {} } });
    const start = worker.start({ logger: new RecordingLogger(), single: true, generation: 1 });
    await expect(start).rejects.toMatchObject({ code: 'GW_LINK_NO_REGISTER' });
    expect(() => worker.gateway).toThrow('does not run in this process');
  });

  it('has its onWorkerReload called with the API at hand, whatever comes of it', async () => {
    const told: unknown[] = [];
    const cluster = await started({
      onMessage: () => {},
      onWorkerReload: (worker) => {
        told.push(worker.gateway.sendToAll('reloading'));
        throw new Error('thrown by onWorkerReload');
      },
    });
    const client = await connected(cluster);
    await eventually('the client', () => cluster.gateways[0]?.figures().connections === 1);
    await expect(cluster.workers[0]?.reloading()).rejects.toThrow('thrown by onWorkerReload');
    expect(told).toEqual([true]);
    expect(await client.take(1)).toEqual(['reloading']);
  });
});
