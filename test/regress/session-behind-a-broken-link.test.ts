import { expect, it } from 'vitest';
import type { Client } from '../../src/cluster/business/mod.js';
import { startCluster, type TestCluster } from '../../src/testing/mod.js';
import { eventually } from '../support/eventually.js';
import { deferred } from '../support/fake-link.js';

it('a handler that was at work when its link broke does not save its session over that of the worker that went on', async () => {
  const work = deferred();
  const seen: string[] = [];
  let first: Client | undefined;
  await using cluster = await startCluster({
    workers: 2,
    events: {
      async onMessage(client, message, { redelivered }) {
        seen.push(`${message} after ${client.session.last ?? 'nothing'}`);
        client.session.last = message;
        if (message !== '1' || redelivered) return;
        first = client;
        await work.promise;
        client.session.last = 'what nobody is to see';
        // The next turn is behind what is saved.
        setImmediate(() => client.send('the first is done'));
      },
    },
  });
  const [gateway] = cluster.gateways;
  const client = await cluster.connect();
  client.send('1');
  await eventually('the handler', () => first !== undefined);
  cutLinkOf(cluster, first);
  await eventually('the other to have it', () => seen.length === 2);
  await eventually('the link', () => gateway?.workerCount === 2);
  client.send('2');
  await eventually('the next', () => seen.length === 3);
  work.resolve();
  expect(await client.next()).toBe('the first is done');
  client.send('3');
  await eventually('the last', () => seen.length === 4);
  expect(seen).toEqual(['1 after nothing', '1 after nothing', '2 after 1', '3 after 2']);
});

it('the worker that had it at work handles it again with the session from before', async () => {
  const work = deferred();
  const seen: string[] = [];
  let first: Client | undefined;
  await using cluster = await startCluster({
    events: {
      async onMessage(client, message, { redelivered }) {
        seen.push(`${message} after ${client.session.count ?? 0}`);
        client.session.count = Number(client.session.count ?? 0) + 1;
        if (message === 'are you there?') client.send('yes');
        if (message !== '1' || redelivered) return;
        first = client;
        await work.promise;
      },
    },
  });
  const [gateway] = cluster.gateways;
  const client = await cluster.connect();
  client.send('1');
  await eventually('the handler', () => first !== undefined);
  cutLinkOf(cluster, first);
  await eventually('the end of the link', () => gateway?.workerCount === 0);
  await eventually('the link', () => gateway?.workerCount === 1);
  client.send('2');
  const other = await cluster.connect();
  other.send('are you there?');
  expect(await other.next()).toBe('yes');
  work.resolve();
  await eventually('all', () => seen.length === 4);
  expect(seen).toEqual(['1 after 0', 'are you there? after 0', '1 after 0', '2 after 1']);
});

function cutLinkOf(cluster: TestCluster, client: Client | undefined): void {
  const worker = cluster.workers.find(({ gateway }) => gateway === client?.gateway);
  for (const connection of worker?.openConnections() ?? []) {
    if (connection.codec.name === 'link') connection.destroy();
  }
}
