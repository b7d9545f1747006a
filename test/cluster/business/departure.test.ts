import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Departure } from '../../../src/cluster/business/departure.js';
import type { Events } from '../../../src/cluster/business/mod.js';
import { Command, serialize } from '../../../src/cluster/protocol/mod.js';
import { bench, deferred, FakePeer, turn } from '../../support/fake-link.js';
import { RecordingLogger } from '../../support/recording-logger.js';

const { DRAIN, BUSY, DONE, SET_SESSION } = Command;

/** A worker with one gateway that knows of workers that leave. */
function leavingBench(events: Events, options: Parameters<typeof bench>[1] = {}) {
  const all = bench(events, options);
  all.link.peer.extensions.push('draining');
  const said = () =>
    all.link.peer.sent
      .filter(({ cmd }) => cmd === DRAIN || cmd === BUSY || cmd === DONE || cmd === SET_SESSION)
      .map(({ cmd, connectionId, bytes }) =>
        cmd === BUSY ? [cmd, ...ids(bytes)] : cmd === DRAIN ? [cmd] : [cmd, connectionId],
      );
  return { ...all, said };
}

function ids(body: Buffer): number[] {
  return Array.from({ length: body.length / 4 }, (_, index) => body.readUInt32BE(index * 4));
}

describe('a worker that stops', () => {
  it('handles all up to the last event, names its busy clients, and each when it is done', async () => {
    const seen: string[] = [];
    const work = new Map([1, 2].map((id) => [id, deferred()]));
    const { link, process, said } = leavingBench({
      onMessage: async (client, message) => {
        if (message === 'slow') await work.get(Number.parseInt(client.id.slice(-8), 16))?.promise;
        seen.push(message);
      },
    });
    for (const id of [1, 2, 3]) link.connect(id);
    link.message(1, 'slow');
    link.message(2, 'slow');
    let stopped = false;
    const stop = process.stop().then(() => {
      stopped = true;
    });
    expect(link.left).toBe(true);
    expect(said()).toEqual([[DRAIN]]);
    link.message(3, 'before the last');
    link.message(2, 'queued');
    await turn();
    link.last();
    expect(said()).toEqual([[DRAIN], [BUSY, 1, 2]]);
    work.get(2)?.resolve();
    await turn();
    expect(said().slice(2)).toEqual([[DONE, 2]]);
    expect(seen).toEqual(['before the last', 'slow', 'queued']);
    await turn();
    expect(stopped).toBe(false);
    work.get(1)?.resolve();
    await stop;
    expect(said().slice(3)).toEqual([[DONE, 1]]);
    expect(link.paused).toBe(true);
  });

  it('has the session on the way before it lets the client go, also a change from outside a handler', async () => {
    const work = deferred();
    let later = () => {};
    const { link, process, said } = leavingBench({
      onConnect: (client) => {
        const { session } = client;
        later = () => {
          client.session.outside = 1;
          void session;
        };
      },
      onMessage: async (client) => {
        await work.promise;
        client.session.n = 1;
      },
    });
    link.message(1, 'x', {});
    link.connect(2);
    later();
    const stop = process.stop();
    link.last();
    expect(said()).toEqual([[DRAIN], [SET_SESSION, 2], [BUSY, 1]]);
    work.resolve();
    await stop;
    expect(said().slice(3)).toEqual([
      [SET_SESSION, 1],
      [DONE, 1],
    ]);
    expect(link.peer.of(SET_SESSION).map(({ ext }) => ext)).toEqual([
      serialize({ outside: 1 }).toString(),
      serialize({ n: 1 }).toString(),
    ]);
  });

  it('tries again what the gateway has no room for: nothing is let go before its session is on the way', async () => {
    const work = deferred();
    const { link, process, said } = leavingBench({
      onMessage: async (client, message) => {
        await work.promise;
        client.session.n = message;
      },
    });
    link.message(1, 'x', {});
    link.message(2, 'y', {});
    link.peer.live = false;
    const stop = process.stop();
    await turn();
    expect(said()).toEqual([]);
    link.peer.live = true;
    await vi.waitFor(() => expect(said()).toEqual([[DRAIN]]));
    link.peer.live = false;
    link.last();
    work.resolve();
    await turn();
    link.peer.live = true;
    await stop;
    // By the time it could be said nobody was busy any more, and the sessions went first.
    expect(said()).toEqual([[DRAIN], [SET_SESSION, 1], [SET_SESSION, 2], [BUSY]]);
  });

  it('says nothing of it to a gateway of the original, and stops reading from it', async () => {
    const { link, process } = bench({ onMessage: () => {} });
    link.message(1, 'x');
    await process.stop();
    expect(link.peer.sent).toEqual([]);
    expect(link.paused).toBe(true);
  });

  it('waits for no gateway whose link is gone', async () => {
    const { link, process } = leavingBench({ onMessage: () => {} });
    const stop = process.stop();
    process.gatewayLeft(link.peer);
    await stop;
  });

  it('goes on reading while too much waits for handlers: the last event may be behind it', async () => {
    const work = deferred();
    const { link, process, said } = leavingBench({ onMessage: () => work.promise }, { maxPendingBytes: 500 });
    for (let count = 0; count < 6; count++) link.message(1, 'x');
    expect(link.paused).toBe(true);
    const stop = process.stop();
    link.last();
    expect(said()).toEqual([[DRAIN]]);
    work.resolve();
    await stop;
    expect(said()).toEqual([[DRAIN], [BUSY, 1], [DONE, 1]]);
  });
});

describe('a departure', () => {
  const clients = { isPaused: () => false, settle: () => [], save: () => {} };
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('from a gateway that has just been joined waits until it shows whether it is ours', async () => {
    const peer = new FakePeer();
    peer.extensions = [];
    peer.undecided = true;
    const departure = new Departure(peer, clients, new RecordingLogger());
    departure.begin();
    await vi.advanceTimersByTimeAsync(100);
    expect(peer.sent).toEqual([]);
    peer.extensions = ['draining'];
    await vi.advanceTimersByTimeAsync(50);
    expect(peer.sent.map(({ cmd }) => cmd)).toEqual([DRAIN]);
    departure.end();
    await departure.left;
    expect(vi.getTimerCount()).toBe(0);
  });

  it('from one that turns out to be of the original is over', async () => {
    const peer = new FakePeer();
    peer.extensions = [];
    peer.undecided = true;
    const departure = new Departure(peer, clients, new RecordingLogger());
    departure.begin();
    await vi.advanceTimersByTimeAsync(100);
    peer.undecided = false;
    await vi.advanceTimersByTimeAsync(20);
    await departure.left;
    expect([peer.sent, vi.getTimerCount()]).toEqual([[], 0]);
  });

  it('from a gateway that never lets go is over after five seconds in which we read, with a warning', async () => {
    const peer = new FakePeer();
    peer.extensions = ['draining'];
    const logger = new RecordingLogger();
    let paused = true;
    const departure = new Departure(peer, { ...clients, isPaused: () => paused }, logger);
    let left = false;
    void departure.left.then(() => {
      left = true;
    });
    departure.begin();
    await vi.advanceTimersByTimeAsync(6000);
    paused = false;
    await vi.advanceTimersByTimeAsync(3999);
    expect([left, logger.warnings]).toEqual([false, []]);
    await vi.advanceTimersByTimeAsync(1);
    expect(left).toBe(true);
    expect(logger.warnings).toEqual(['the gateway did not let go of this worker within 5 s; it is left all the same']);
  });
});
