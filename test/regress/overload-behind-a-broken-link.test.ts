import { expect, it } from 'vitest';
import { startCluster } from '../../src/testing/mod.js';
import { eventually } from '../support/eventually.js';

it('a worker that reads no more, because too much waits for its handlers, goes on when its link breaks meanwhile', async () => {
  const waiting: (() => void)[] = [];
  let free = false;
  const seen = new Set<string>();
  await using cluster = await startCluster({
    workerOptions: { maxPendingBytes: 2000 },
    events: {
      async onMessage(_client, message) {
        if (!free) await new Promise<void>((resolve) => void waiting.push(resolve));
        seen.add(String(message));
      },
    },
  });
  const [worker] = cluster.workers;
  const client = await cluster.connect();
  let sent = 0;
  await eventually('it to be full', () => {
    client.send(String(++sent));
    return (worker?.figures().queuedBytes ?? 0) > 2000;
  });
  for (let more = 0; more < 5; more++) client.send(String(++sent));
  for (const connection of worker?.openConnections() ?? []) {
    if (connection.codec.name === 'link') connection.destroy();
  }
  await eventually('the end of the link', () => cluster.gateways[0]?.workerCount === 0);
  free = true;
  for (const resolve of waiting) resolve();
  await eventually('all to be handled', () => seen.size === sent);
});

it('a router of the app is not offered the worker whose events are sent again because it died', async () => {
  const offered: string[][] = [];
  const seen: string[] = [];
  await using cluster = await startCluster({
    workers: 2,
    events: {
      onMessage: (_client, message) =>
        message === '1' && seen.push(message) === 1 ? new Promise(() => {}) : undefined,
    },
    gatewayOptions: {
      router: (workers) => {
        offered.push([...workers.keys()]);
        // Always the first that it is offered, dead or alive.
        return [...workers.keys()].sort()[0] ?? '';
      },
    },
  });
  const client = await cluster.connect();
  client.send('1');
  await eventually('the handler', () => seen.length === 1);
  const first = [...(offered.at(-1) ?? [])].sort()[0];
  const worker = cluster.workers.find(({ name, id }) => first?.endsWith(`${name}:${id}`));
  for (const connection of worker?.openConnections() ?? []) {
    if (connection.codec.name === 'link') connection.destroy();
  }
  await eventually('another to have it', () => seen.length === 2);
  expect(cluster.gateways[0]?.figures().dropped).not.toHaveProperty('noWorker');
});
