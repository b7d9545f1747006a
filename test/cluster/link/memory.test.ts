import { afterEach, describe, expect, it } from 'vitest';
import { type ClientLink, MemoryHub } from '../../../src/cluster/link/mod.js';
import { Command, type PacketView } from '../../../src/cluster/protocol/mod.js';
import { eventually } from '../../support/eventually.js';
import { commandHead, GatewayEnd, linked, WorkerEnd } from '../../support/link-ends.js';

const closing: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

async function openGateway(hub: MemoryHub, lanPort = 0): Promise<GatewayEnd> {
  const link = hub.gatewayLink({
    lanIp: '127.0.0.1',
    lanPort,
    sendToWorkerBufferSize: 10_240_000,
    maxUnacknowledgedBytes: 16_777_216,
  });
  const gateway = new GatewayEnd(link);
  await gateway.open();
  link.announce();
  closing.push(() => link.close());
  return gateway;
}

function openWorker(hub: MemoryHub, options: { workerKey?: string; extensions?: [] } = {}): WorkerEnd {
  const link = hub.workerLink({
    workerKey: 'worker:0',
    sendToGatewayBufferSize: 10_240_000,
    queryTimeout: 5,
    ...options,
  });
  const worker = new WorkerEnd(link);
  link.open(worker);
  closing.push(() => link.close());
  return worker;
}

function openClient(hub: MemoryHub): ClientLink {
  const limits = { queryTimeout: 5, readyTimeout: 5, sendBufferSize: 10_240_000, maxPendingQuestions: 100 };
  const link = hub.clientLink({ ...limits, binary: false });
  link.open();
  closing.push(() => link.close());
  return link;
}

describe('a link in memory', () => {
  it('leaves nothing of a packet to who keeps it beyond the call', async () => {
    const hub = new MemoryHub();
    const gateway = await openGateway(hub);
    const worker = openWorker(hub);
    await linked([gateway], [worker]);
    const kept: { view: PacketView; range: Buffer; during: string }[] = [];
    worker.onEvent = (view) => {
      const range = view.buffer.subarray(view.bodyStart, view.bodyEnd);
      kept.push({ view, range, during: view.bodyText() });
    };
    gateway.event('first');
    gateway.event('second');
    await eventually('both', () => kept.length === 2);
    expect(kept.map(({ during }) => during)).toEqual(['first', 'second']);
    expect(kept.map(({ range }) => range.every((byte) => byte === 0))).toEqual([true, true]);
    expect(kept[0]?.view).toBe(kept[1]?.view);
  });

  it('has no extension with a worker that announces none, as PHP', async () => {
    const hub = new MemoryHub();
    const gateway = await openGateway(hub);
    const worker = openWorker(hub, { extensions: [] });
    await linked([gateway], [worker]);
    expect([gateway.worker.supports('binary'), worker.gateway.supports('binary')]).toEqual([false, false]);
  });

  it('is between ends of one hub only', async () => {
    const [one, two] = [new MemoryHub(), new MemoryHub()];
    const gateways = [await openGateway(one), await openGateway(two)] as const;
    const workers = [openWorker(one), openWorker(two)] as const;
    await linked([gateways[0]], [workers[0]]);
    await linked([gateways[1]], [workers[1]]);
    workers[0].send('hello');
    await eventually('the command', () => gateways[0].bodies.length === 1);
    expect(gateways[1].bodies).toEqual([]);
  });

  it('gives gateways the same ports each time, and none that is in use', async () => {
    for (const _round of [1, 2]) {
      const hub = new MemoryHub();
      await openGateway(hub, 2001);
      const chosen = [await openGateway(hub), await openGateway(hub)];
      expect(chosen.map(({ identity }) => identity.localPort)).toEqual([2000, 2002]);
    }
  });

  it('hands over in the same order each time, over all its ends', async () => {
    const stories: string[][] = [];
    for (const _round of [1, 2, 3]) {
      const story: string[] = [];
      const hub = new MemoryHub();
      const gateways = [await openGateway(hub), await openGateway(hub)];
      const workers = ['a:0', 'b:0'].map((workerKey) => openWorker(hub, { workerKey }));
      await linked(gateways, workers);
      for (const [index, worker] of workers.entries()) {
        worker.onEvent = (packet, from) => {
          const text = packet.bodyText();
          story.push(`worker ${index}: ${text}`);
          for (const gateway of worker.live) worker.send(`${text} from ${from.address} to ${gateway.address}`, gateway);
        };
      }
      for (const [index, gateway] of gateways.entries()) {
        gateway.onTold = () => story.push(`gateway ${index}`);
        for (const worker of gateway.workers.values()) for (const text of ['x', 'y']) gateway.event(text, worker);
      }
      await eventually('all of it', () => story.length === 24);
      stories.push(story);
    }
    expect(stories[1]).toEqual(stories[0]);
    expect(stories[2]).toEqual(stories[0]);
  });

  it('has handed over everything when a program has drained it, also what was sent while it handed over', async () => {
    const hub = new MemoryHub();
    const gateway = await openGateway(hub);
    const link = openClient(hub);
    await link.ready();
    const [peer] = link.gateways;
    const send = (body: string) => peer?.send(commandHead(Command.SEND_TO_ONE), '', body);
    send('first');
    let drained: Promise<void> | undefined;
    gateway.onTold = () => {
      if (drained !== undefined) return;
      send('second');
      drained = link.drain();
    };
    await link.drain();
    expect(gateway.bodies).toEqual(['first']);
    await drained;
    expect(gateway.bodies).toEqual(['first', 'second']);
  });

  it('ends once on both sides, whichever end leaves first', async () => {
    const story = (gateway: GatewayEnd, worker: WorkerEnd) => [
      ...gateway.history.map((told) => told[0]),
      ...worker.history.map((told) => told[0]),
    ];
    for (const order of ['both at once', 'the worker at once', 'the worker, paused', 'the gateway, twice']) {
      const hub = new MemoryHub();
      const gateway = await openGateway(hub);
      const worker = openWorker(hub);
      await linked([gateway], [worker]);
      if (order === 'the worker, paused') {
        worker.link.pause();
        gateway.event('unread');
        const left = gateway.link.close();
        expect(worker.live).toHaveLength(1);
        await worker.link.close();
        await left;
      } else {
        const ends = [worker.link, gateway.link];
        if (order === 'both at once') ends.reverse();
        if (order === 'the gateway, twice') ends.splice(0, 1, gateway.link);
        await Promise.all(ends.map((end) => end.close()));
      }
      await eventually('the end', () => story(gateway, worker).length === 4);
      expect(story(gateway, worker), order).toEqual(['+', '-', '+', '-']);
      expect(worker.events).toEqual([]);
    }
  });
});
