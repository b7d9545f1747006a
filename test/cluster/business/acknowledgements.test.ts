import { describe, expect, it, vi } from 'vitest';
import type { Client } from '../../../src/cluster/business/mod.js';
import { Command, FLAG_SCALAR, serialize } from '../../../src/cluster/protocol/mod.js';
import { type Bench, bench, deferred, FakePeer, turn } from '../../support/fake-link.js';

const { ACK, SET_SESSION, ON_CLOSE, KEEP, FORGET, SEND_TO_ONE } = Command;

type Parts = Parameters<typeof bench>;

/** A worker of one gateway that agrees on acknowledgements. */
function acknowledging(events: Parts[0], options: Parts[1] = {}): Bench {
  const all = bench(events, options);
  all.link.peer.extensions.push('acknowledgements', 'draining');
  all.link.peer.process = 'first';
  all.process.gatewayIdentified(all.link.peer);
  return all;
}

/** Up to which number, who is at work, who is done. */
function acks({ link }: Bench, peer = link.peer) {
  const numbers = (bytes: Buffer) =>
    Array.from({ length: bytes.length / 4 }, (_, index) => bytes.readUInt32BE(index * 4));
  return peer.of(ACK).map(({ connectionId, ext, bytes }) => [connectionId, numbers(Buffer.from(ext)), numbers(bytes)]);
}

const nameOf = (client: Client) => Number.parseInt(client.id.slice(-8), 16);

describe('a worker acknowledges', () => {
  it('all events of a turn at once, behind what their handlers have sent', async () => {
    const all = acknowledging({
      onMessage: (client, message) => {
        client.session.n = message;
        client.send('answer');
      },
    });
    const { link } = all;
    link.message(1, 'a');
    link.message(2, 'b');
    expect(acks(all)).toEqual([]);
    await turn();
    expect(link.peer.sent.map(({ cmd }) => cmd)).toEqual([SEND_TO_ONE, SET_SESSION, SEND_TO_ONE, SET_SESSION, ACK]);
    expect(acks(all)).toEqual([[2, [], []]]);
    await turn();
    link.message(1, 'c', { n: 'a' });
    await turn();
    expect(acks(all).slice(1)).toEqual([[3, [], []]]);
  });

  it('an event whose handler takes longer when it has settled, and those behind it before', async () => {
    const work = new Map([1, 2].map((id) => [id, deferred()]));
    const all = acknowledging({
      onMessage: (client, message) => (message === 'slow' ? work.get(nameOf(client))?.promise : undefined),
    });
    const { link } = all;
    link.message(1, 'slow');
    link.message(1, 'behind it');
    link.message(2, 'slow');
    link.message(3, 'quick');
    await turn();
    link.message(3, 'quick');
    await turn();
    work.get(2)?.resolve();
    await turn();
    await turn();
    work.get(1)?.reject(new Error('rejected'));
    await turn();
    await turn();
    expect(acks(all)).toEqual([
      [4, [1, 2, 3], []],
      [5, [], []],
      [5, [], [3]],
      [5, [], [1, 2]],
    ]);
  });

  it('an event whose handler throws, one that finds no room, and one that settles within the turn, as handled', async () => {
    const work = deferred();
    const all = acknowledging(
      {
        onMessage: async (_client, message) => {
          if (message === 'throw') throw new Error('thrown');
          if (message === 'work') await work.promise;
        },
      },
      { maxPendingBytesPerClient: 300 },
    );
    const { link, process } = all;
    link.message(1, 'throw');
    link.message(2, 'quick');
    await turn();
    link.message(3, 'work');
    link.message(3, 'fits');
    link.message(3, 'does not');
    await turn();
    expect(acks(all)).toEqual([
      [2, [], []],
      [5, [3, 4], []],
    ]);
    expect([process.failed, process.dropped.handlerQueueFull]).toEqual([1, 1]);
    work.resolve();
    await turn();
  });

  it('nothing to a gateway that does not know of it', async () => {
    const { link } = bench({ onMessage: async () => turn() });
    link.message(1, 'x');
    await turn();
    await turn();
    await turn();
    expect(link.peer.sent).toEqual([]);
  });

  it('again what the gateway had no room for', async () => {
    const all = acknowledging({ onMessage: () => {} });
    const { link } = all;
    link.message(1, 'x');
    link.peer.live = false;
    await turn();
    link.peer.live = true;
    await vi.waitFor(() => expect(acks(all)).toEqual([[1, [], []]]));
  });

  it('an event only when the session that it has left is on its way', async () => {
    let rooms = true;
    const all = acknowledging({
      onMessage: (client, message) => {
        client.session.last = message;
      },
    });
    const { link, process } = all;
    const send = link.peer.send.bind(link.peer);
    link.peer.send = (head, ext, body) => (head.cmd !== SET_SESSION || rooms) && send(head, ext, body);
    rooms = false;
    link.message(1, 'x');
    link.message(2, 'y');
    await turn();
    await turn();
    expect(link.peer.sent).toEqual([]);
    rooms = true;
    await vi.waitFor(() => expect(acks(all)).toEqual([[2, [], []]]));
    expect(link.peer.sent.map(({ cmd, connectionId }) => [cmd, connectionId])).toEqual([
      [SET_SESSION, 1],
      [SET_SESSION, 2],
      [ACK, 2],
    ]);
    expect(process.failed).toBe(0);
  });

  it('an event whose session is larger than any packet all the same', async () => {
    const all = acknowledging({
      onMessage: (client) => {
        client.session.huge = 'x'.repeat(33_554_432);
      },
    });
    all.link.message(1, 'x');
    await turn();
    expect(acks(all)).toEqual([[1, [], []]]);
    expect(all.process.figures().dropped).toEqual({ tooLargeForGateway: 1 });
  });

  it('everything before it lets its clients go', async () => {
    const all = acknowledging({ onMessage: () => {} });
    const { link, process } = all;
    link.message(1, 'x');
    const stop = process.stop();
    link.message(2, 'y');
    link.last();
    await stop;
    const said = link.peer.sent.map(({ cmd }) => cmd);
    expect(said).toEqual([Command.DRAIN, ACK, Command.BUSY]);
    expect(acks(all)).toEqual([[2, [], []]]);
  });

  it('that it lives, while too much waits for handlers', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    try {
      const work = deferred();
      const all = acknowledging({ onMessage: () => work.promise }, { maxPendingBytes: 300 });
      for (const message of ['1', '2', '3', '4']) all.link.message(1, message);
      expect(all.link.paused).toBe(true);
      await turn();
      const before = acks(all).length;
      await vi.advanceTimersByTimeAsync(2000);
      expect(acks(all).length).toBe(before + 1);
      work.resolve();
      for (let count = 0; count < 10; count++) await turn();
      const after = acks(all).length;
      await vi.advanceTimersByTimeAsync(30_000);
      expect(acks(all).length).toBe(after);
    } finally {
      vi.useRealTimers();
    }
  });
});

describe('a handler that does not settle', () => {
  it('counts as done after its time, which is reported; when it does after all, nothing happens', async () => {
    const late = deferred();
    const seen: string[] = [];
    const all = acknowledging(
      {
        onMessage: (_client, message) => {
          seen.push(message);
          return message === 'never' ? late.promise : undefined;
        },
      },
      { handlerTimeout: 0.3 },
    );
    const { link, process, logger } = all;
    link.message(1, 'never');
    link.message(1, 'next');
    await vi.waitFor(() => expect(seen).toEqual(['never', 'next']), 5000);
    await turn();
    expect(acks(all).at(-1)).toEqual([2, [], [1, 2]]);
    expect(logger.of('error').map(({ message }) => message)).toEqual([
      'onMessage has not settled within 0.3 s; its event counts as handled',
    ]);
    expect([process.dropped.handlerTimeouts, process.handled]).toEqual([1, 2]);
    late.resolve();
    await turn();
    await turn();
    expect([process.handled, acks(all).length]).toEqual([2, 2]);
  });
});

describe('an event that was sent before', () => {
  it('says so to its handler, whichever it is', () => {
    const told: unknown[] = [];
    const { link, process } = bench({
      onConnect: (_client, delivery) => told.push(delivery.redelivered),
      onMessage: (_client, message, delivery) => told.push(message, delivery.redelivered),
      onClose: (_client, delivery) => told.push(delivery.redelivered),
    });
    const original = process.event.bind(process);
    link.connect(1);
    process.event = (packet, gateway) => {
      packet.flag = FLAG_SCALAR | 8;
      original(packet, gateway);
    };
    link.message(1, 'a');
    link.hangUp(1);
    expect(told).toEqual([false, 'a', true, true]);
  });
});

describe('the clients of a gateway that is away', () => {
  /** A worker that notes what its clients do. */
  function noting(options: Parts[1] = {}, work: (message: string) => unknown = () => {}) {
    const seen: string[] = [];
    const all = acknowledging(
      {
        onMessage: (client, message) => {
          seen.push(`${nameOf(client)} ${message}`);
          client.session.last = message;
          return work(message);
        },
        onClose: (client) => void seen.push(`${nameOf(client)} closed ${client.session.last ?? ''}`.trim()),
      },
      { lostGatewayTimeout: 0.3, ...options },
    );
    const rejoin = (process: string) => {
      const { link } = all;
      link.peer.process = null;
      all.process.gatewayJoined(link.peer);
      link.peer.process = process;
      all.process.gatewayIdentified(link.peer);
    };
    return { ...all, seen, rejoin };
  }

  it('have their onClose when another process is at its address, with their sessions, behind what waits', async () => {
    const slow = deferred();
    const { link, process, seen, rejoin } = noting({}, (message) => (message === 'slow' ? slow.promise : undefined));
    link.message(1, 'slow');
    link.message(1, 'waits');
    link.message(2, 'x');
    link.hangUp(2);
    link.message(3, 'y');
    process.gatewayLeft(link.peer);
    await turn();
    expect(seen).toEqual(['1 slow', '2 x', '2 closed x', '3 y']);
    rejoin('second');
    expect(seen.slice(4)).toEqual(['3 closed y']);
    slow.resolve();
    await turn();
    expect(seen.slice(5)).toEqual(['1 waits', '1 closed waits']);
    // Those of the new process are others.
    link.message(3, 'z');
    rejoin('third');
    await turn();
    expect(seen.slice(7)).toEqual(['3 z']);
  });

  it('have their onClose once when it is listed nowhere for long enough, also with its last event on the way', async () => {
    const slow = deferred();
    const { link, process, seen, logger } = noting({}, (message) => (message === 'slow' ? slow.promise : undefined));
    link.message(1, 'slow');
    link.hangUp(1);
    link.message(2, 'x');
    process.gatewayLeft(link.peer);
    await new Promise((resolve) => setTimeout(resolve, 900));
    expect(seen, 'a link that broke is no gateway that died').toEqual(['1 slow', '2 x']);
    link.announced = false;
    await vi.waitFor(() => expect(seen.slice(2)).toEqual(['2 closed x']), 5000);
    slow.resolve();
    await turn();
    expect(seen.slice(3)).toEqual(['1 closed slow']);
    expect(logger.warnings).toEqual(['a gateway is gone; onClose is called for the clients it had']);
  });

  it('have no second onClose when the handler of the first is at work as the gateway dies', async () => {
    const work = deferred();
    let closes = 0;
    const { link, process } = acknowledging({
      onClose: () => {
        closes++;
        return work.promise;
      },
    });
    link.connect(1);
    link.hangUp(1);
    process.gatewayLeft(link.peer);
    process.gatewayJoined(link.peer);
    link.peer.process = 'second';
    process.gatewayIdentified(link.peer);
    work.resolve();
    await turn();
    await turn();
    expect(closes).toBe(1);
  });

  it.each([
    ['before the gateway is known to be gone', true],
    ['after that', false],
  ])(
    'have their events handled and their onClose though a question is out as it dies, which fails %s',
    async (_when, before) => {
      vi.useFakeTimers({ toFake: ['performance'] });
      try {
        const { link, process, seen, rejoin } = noting();
        link.message(1, 'a');
        link.message(1, 'b', { last: 'a' });
        // An old text long after the last write: the gateway is asked.
        vi.advanceTimersByTime(6000);
        let fail!: (reason: Error) => void;
        link.peer.answer = () =>
          new Promise((_resolve, reject) => {
            fail = reject;
          });
        link.message(1, 'doubtful', { last: 'a' });
        link.message(1, 'behind it', { last: 'a' });
        expect(seen.splice(0)).toEqual(['1 a', '1 b']);
        process.gatewayLeft(link.peer);
        if (before) fail(new Error('gone'));
        await turn();
        expect(seen).toEqual([]);
        rejoin('second');
        if (!before) fail(new Error('gone'));
        else await turn();
        for (let turns = 0; turns < 5; turns++) await turn();
        expect(seen).toEqual(['1 doubtful', '1 behind it', '1 closed behind it']);
        expect(process.dropped.gatewayLost).toBe(0);
      } finally {
        vi.useRealTimers();
      }
    },
  );

  it('are the same when the same process is back: nothing is told, and what waited comes again', async () => {
    const slow = deferred();
    const { link, process, seen, rejoin } = noting({}, (message) => (message === 'slow' ? slow.promise : undefined));
    link.message(1, 'slow');
    link.message(1, 'waits');
    process.gatewayLeft(link.peer);
    rejoin('first');
    // The gateway sends again what was not acknowledged: behind the handler that is at work.
    link.message(1, 'slow, again');
    link.message(1, 'waits');
    expect(seen).toEqual(['1 slow']);
    slow.resolve();
    await turn();
    expect(seen).toEqual(['1 slow', '1 slow, again', '1 waits']);
    expect(process.dropped.gatewayLost).toBe(0);
    const numbers = link.peer.of(ACK).map(({ connectionId }) => connectionId);
    expect(numbers.at(-1), 'of the new link').toBe(2);
  });

  it('that another worker keeps by now are not told of', async () => {
    const { link, seen, process, rejoin } = noting();
    for (const id of [1, 2, 3]) link.message(id, 'x');
    link.event(FORGET, 1);
    process.gatewayLeft(link.peer);
    rejoin('first');
    link.event(KEEP, 3, '', serialize({ last: 'kept' }));
    process.gatewayLeft(link.peer);
    rejoin('second');
    await turn();
    expect(seen.slice(3)).toEqual(['3 closed kept']);
  });

  it('are told of in turns of the loop, however many, and a worker that stops waits for that', async () => {
    const { link, seen, process } = noting();
    for (let id = 1; id <= 1000; id++) link.message(id, 'x');
    process.gatewayLeft(link.peer);
    link.announced = false;
    seen.length = 0;
    const stop = process.stop();
    expect(seen.length).toBeLessThan(1000);
    await stop;
    expect(new Set(seen).size).toBe(1000);
    expect(seen).toHaveLength(1000);
  });

  it('of the original are forgotten, and nobody is told', async () => {
    const { link, seen, process } = noting({ lostGatewayTimeout: 0 });
    const php = new FakePeer(2901);
    process.gatewayJoined(php);
    link.announced = false;
    link.message(1, 'x');
    process.gatewayLeft(php);
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect(seen).toEqual(['1 x']);
  });

  it('that a gateway names are known by their session, and one that is forgotten while at work is when it is done', async () => {
    const slow = deferred();
    const { link, seen, process, rejoin } = noting({}, (message) => (message === 'slow' ? slow.promise : undefined));
    link.message(1, 'slow');
    link.event(FORGET, 1);
    link.event(KEEP, 2, '', serialize({ last: 'elsewhere' }));
    slow.resolve();
    await turn();
    process.gatewayLeft(link.peer);
    rejoin('second');
    await turn();
    expect(seen).toEqual(['1 slow', '2 closed elsewhere']);
    expect(link.peer.of(ON_CLOSE)).toEqual([]);
  });
});
