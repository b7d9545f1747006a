import { describe, expect, it } from 'vitest';
import { startCluster, type TestCluster } from '../../src/testing/mod.js';
import { eventually } from '../support/eventually.js';

/** Ends the links of one worker, as a network does. */
function cut(cluster: TestCluster, worker: number): void {
  for (const connection of cluster.workers[worker]?.openConnections() ?? []) {
    if (connection.codec.name === 'link') connection.destroy();
  }
}

describe('a link that breaks while clients talk', () => {
  it('loses nothing, marks what is handled twice, keeps the order, and tells nobody’s end', async () => {
    const faults: string[] = [];
    const reached = new Map<string, number>();
    let closed = 0;
    await using cluster = await startCluster({
      workers: 2,
      events: {
        async onMessage(client, message, { redelivered }) {
          const number = Number(message);
          const before = reached.get(client.id) ?? 0;
          if (number !== before + 1 && !(redelivered && number <= before)) faults.push(`${number} behind ${before}`);
          reached.set(client.id, Math.max(before, number));
          if (number % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
        },
        onClose: () => void closed++,
      },
      workerOptions: { lostGatewayTimeout: 0.1 },
    });
    const clients = [];
    for (let count = 0; count < 10; count++) clients.push(await cluster.connect());
    let sent = 0;
    const [gateway] = cluster.gateways;
    for (let round = 0; round < 8; round++) {
      for (let turn = 0; turn < 30; turn++) {
        sent++;
        for (const client of clients) client.send(String(sent));
        if (turn === 15) cut(cluster, round % 2);
        await new Promise((resolve) => setImmediate(resolve));
      }
      await eventually('the links', () => gateway?.workerCount === 2);
    }
    await eventually('all messages', () => reached.size === 10 && [...reached.values()].every((last) => last === sent));
    expect(faults).toEqual([]);
    expect(closed).toBe(0);
    for (const client of clients) client.close();
    await eventually('all ends', () => closed === 10);
  });

  it('has a worker that says nothing for too long left by the gateway, and its events go to another', async () => {
    const seen: string[] = [];
    let worker = -1;
    await using cluster = await startCluster({
      workers: 2,
      gatewayOptions: { workerTimeout: 1 },
      events: {
        onConnect(client) {
          worker = cluster.workers.findIndex(({ gateway }) => gateway === client.gateway);
        },
        onMessage: (_client, message, { redelivered }) => void seen.push(`${message} ${redelivered}`),
      },
    });
    const client = await cluster.connect();
    await eventually('the client', () => worker >= 0);
    // Frozen: the worker reads nothing, and so does not answer.
    const links = [...(cluster.workers[worker]?.openConnections() ?? [])].filter(({ codec }) => codec.name === 'link');
    for (const link of links) link.pauseRecv();
    client.send('1');
    await eventually('it to be handled', () => seen.length > 0);
    for (const link of links) link.resumeRecv();
    const [gateway] = cluster.gateways;
    await eventually('the worker to be back', () => gateway?.workerCount === 2);
    // The first one has it too, and reads it now.
    expect(seen[0]).toBe('1 true');
    expect(gateway?.figures().dropped).toMatchObject({ silentWorkers: 1 });
  });
});
