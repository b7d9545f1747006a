import { Buffer } from 'node:buffer';
import { describe, expect, it } from 'vitest';
import type { Client, Events } from '../../../src/cluster/business/mod.js';
import { Command, FLAG_BINARY, FLAG_SCALAR, serialize, unserialize } from '../../../src/cluster/protocol/mod.js';
import { bench, deferred, turn } from '../../support/fake-link.js';
import { seededRandom } from '../../support/seeded-random.js';

describe('the events of one client', () => {
  it('are handled one after the other, each when the promise of the one before has settled, those of others at once', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const random = seededRandom(seed);
      const log = new Map<string, string[]>();
      const working = new Set<string>();
      let most = 0;
      const handle = async (client: Client, what: string) => {
        expect(working.has(client.id), `seed ${seed}`).toBe(false);
        working.add(client.id);
        most = Math.max(most, working.size);
        const turns = Math.floor(random() * 5);
        for (let index = 0; index < turns; index++) await (random() < 0.5 ? turn() : null);
        working.delete(client.id);
        log.set(client.id, [...(log.get(client.id) ?? []), what]);
        if (random() < 0.1) throw new Error('now and then');
      };
      const events: Events = {
        // Some answer at once, some later.
        onConnect: (client) => (random() < 0.3 ? void log.set(client.id, ['connect']) : handle(client, 'connect')),
        onMessage: (client, message) => handle(client, message),
        onClose: (client) => handle(client, 'close'),
      };
      const { link, process } = bench(events);
      const ids = [1, 2, 3, 4, 5];
      for (const id of ids) link.connect(id);
      for (let index = 0; index < 20; index++) {
        for (const id of ids) link.message(id, String(index));
        if (random() < 0.3) await turn();
      }
      for (const id of ids) link.hangUp(id);
      await process.stop();
      const expected = ['connect', ...Array.from({ length: 20 }, (_, index) => String(index)), 'close'];
      expect(log.size).toBe(5);
      for (const lines of log.values()) expect(lines, `seed ${seed}`).toEqual(expected);
      expect(most).toBeGreaterThan(1);
      expect(process.handled).toBe(5 * 22);
    }
  });

  it('are not overtaken by what a link delivers while it is let go again', async () => {
    const seen: string[] = [];
    const first = deferred();
    const { link, process } = bench(
      {
        onMessage: (_client, message) => {
          seen.push(message);
          return message === '0' ? first.promise : undefined;
        },
      },
      { maxPendingBytes: 1000 },
    );
    for (let index = 0; index < 40; index++) link.message(1, String(index));
    expect(link.paused).toBe(true);
    first.resolve();
    await turn();
    await process.stop();
    expect(seen).toEqual(Array.from({ length: 40 }, (_, index) => String(index)));
  });

  it('come to a synchronous handler within the call, without a microtask between', () => {
    const order: string[] = [];
    const { link } = bench({
      onMessage: (client, message) => {
        order.push(message);
        client.session.last = message;
        queueMicrotask(() => order.push(`behind ${message}`));
      },
    });
    link.message(1, 'a');
    order.push('between');
    link.message(1, 'b', { last: 'a' });
    // Also what the handler leaves to do, the session, has been done by now.
    expect(order).toEqual(['a', 'between', 'b']);
    expect(link.peer.of(Command.SET_SESSION)).toHaveLength(2);
  });

  it('go through every kind of handler, and through none', () => {
    const seen: string[] = [];
    const { link, process } = bench({ onConnect: (client) => void seen.push(client.id) });
    link.connect(1);
    link.message(1, 'ignored');
    link.hangUp(1);
    expect(seen).toEqual(['7f0000010b5400000001']);
    expect(process.handled).toBe(3);
  });

  it('of an unknown kind are reported and ignored', () => {
    const { link, logger, process } = bench({});
    link.event(99, 1);
    expect(logger.of('warn')).toEqual([
      { level: 'warn', message: expect.stringContaining('unknown kind'), fields: { command: 99 } },
    ]);
    expect(process.failed).toBe(0);
  });

  it('give the same client object each time, until it has left', () => {
    const clients: Client[] = [];
    const { link } = bench({
      onMessage: (client) => void clients.push(client),
      onClose: (client) => void clients.push(client),
    });
    link.message(1, 'a');
    link.message(1, 'b');
    link.hangUp(1);
    link.message(1, 'c');
    expect(clients[1]).toBe(clients[0]);
    expect(clients[2]).toBe(clients[0]);
    expect(clients[3]).not.toBe(clients[0]);
  });

  it('bring text as a string, binary and values as what they are, and everything as Buffers with the option binary', () => {
    const seen: unknown[] = [];
    for (const binary of [false, true]) {
      const { link, process } = bench({ onMessage: (_client, message) => void seen.push(message) }, { binary });
      link.message(1, 'grüße');
      const at = (flag: number, body: Buffer) => {
        const original = process.event.bind(process);
        process.event = (packet, gateway) => {
          packet.flag = flag;
          original(packet, gateway);
        };
        link.message(1, body);
        process.event = original;
      };
      at(FLAG_SCALAR | FLAG_BINARY, Buffer.from([0xff, 0]));
      at(0, serialize({ a: [1] }));
    }
    expect(seen).toEqual([
      'grüße',
      Buffer.from([0xff, 0]),
      { a: [1] },
      Buffer.from('grüße'),
      Buffer.from([0xff, 0]),
      { a: [1] },
    ]);
  });
});

describe('a handler that fails', () => {
  it('is reported once with the name of the event, the client and the stack, and the next event goes on', async () => {
    const seen: string[] = [];
    const throwing: Events = {
      onConnect: () => {
        throw new Error('in connect');
      },
      onWebSocketConnect: async () => {
        throw new Error('in handshake');
      },
      onMessage: async (_client, message) => {
        await turn();
        if (message === 'bad') throw new Error('in message');
        seen.push(message);
      },
      onClose: () => Promise.reject(new Error('in close')),
    };
    const { link, logger, process } = bench(throwing);
    link.connect(1);
    link.event(Command.ON_WEBSOCKET_CONNECT, 1, serialize({}));
    link.message(1, 'bad');
    link.message(1, 'good');
    link.message(2, 'other');
    link.hangUp(1);
    await process.stop();
    expect(seen.sort()).toEqual(['good', 'other']);
    const errors = logger.of('error');
    expect(errors.map(({ message }) => message.split('\n')[0])).toEqual([
      'onConnect threw: Error: in connect',
      'onWebSocketConnect threw: Error: in handshake',
      'onMessage threw: Error: in message',
      'onClose threw: Error: in close',
    ]);
    for (const { message, fields } of errors) {
      expect(message).toContain('business-process.test.ts');
      expect(fields).toEqual({ client: '7f0000010b5400000001' });
    }
    expect(process.failed).toBe(4);
    expect(process.handled).toBe(6);
  });

  it('is reported whatever it throws', async () => {
    const thrown = [null, undefined, 'text', Symbol('s'), Object.create(null), { toString: 5 }];
    const { link, logger, process } = bench({
      onMessage: (_client, message) => {
        if (message === 'sync') throw thrown.at(-1);
        return Promise.reject(thrown[Number(message)]);
      },
    });
    for (let index = 0; index < thrown.length; index++) link.message(1, String(index));
    link.message(2, 'sync');
    await process.stop();
    expect(logger.of('error')).toHaveLength(thrown.length + 1);
  });

  it('keeps what it changed in the session, as one that does not', async () => {
    const { link, process } = bench({
      onMessage: async (client, message) => {
        client.session.last = message;
        throw new Error('behind the change');
      },
    });
    link.message(1, 'a');
    await process.stop();
    expect(link.peer.of(Command.SET_SESSION).map(({ ext }) => ext)).toEqual(['a:1:{s:4:"last";s:1:"a";}']);
  });

  it('may do so with a body that can not be read', () => {
    const { link, logger, process } = bench({});
    link.event(Command.ON_WEBSOCKET_CONNECT, 1, 'no PHP value');
    expect(process.failed).toBe(0);
    const listening = bench({ onWebSocketConnect: () => {} });
    listening.link.event(Command.ON_WEBSOCKET_CONNECT, 1, 'no PHP value');
    expect(listening.logger.of('error')[0]?.message).toContain('onWebSocketConnect threw');
    expect(logger.of('error')).toEqual([]);
  });
});

describe('what a handler returns', () => {
  it('may be a thenable that is no Promise, also one that calls back twice, throws, or is a function', async () => {
    const seen: string[] = [];
    const thenables: Record<string, unknown> = {
      // biome-ignore lint/suspicious/noThenProperty: the subject of this test
      twice: { then: (yes: () => void) => [yes(), yes()] },
      // biome-ignore lint/suspicious/noThenProperty: the subject of this test
      late: { then: (yes: () => void) => setTimeout(yes, 5) },
      // biome-ignore lint/suspicious/noThenProperty: the subject of this test
      function: Object.assign(() => {}, { then: (yes: () => void) => setTimeout(yes, 5) }),
      throws: {
        // biome-ignore lint/suspicious/noThenProperty: the subject of this test
        then: () => {
          throw new Error('in then');
        },
      },
      getter: {
        // biome-ignore lint/suspicious/noThenProperty: the subject of this test
        get then() {
          throw new Error('in the getter');
        },
      },
      // biome-ignore lint/suspicious/noThenProperty: the subject of this test
      refuses: { then: (_yes: () => void, no: (thrown: unknown) => void) => no(new Error('refused')) },
      // biome-ignore lint/suspicious/noThenProperty: no function, so no thenable
      value: { then: 5 },
    };
    const { link, logger, process } = bench({
      onMessage: (_client, message) => {
        seen.push(message);
        return thenables[message];
      },
    });
    const names = Object.keys(thenables);
    for (const name of names) link.message(1, name);
    link.message(1, 'last');
    await process.stop();
    expect(seen).toEqual([...names, 'last']);
    expect(process.handled).toBe(names.length + 1);
    expect(logger.of('error').map(({ message }) => message.split('\n')[0])).toEqual([
      'onMessage threw: Error: in then',
      'onMessage threw: Error: in the getter',
      'onMessage threw: Error: refused',
    ]);
    // All is over: one more event is handled within the call.
    link.resume();
    link.message(1, 'sync');
    expect(seen.at(-1)).toBe('sync');
  });
});

describe('a handler that never settles', () => {
  const COST = 200;

  it('blocks only its client, which is closed by the event that finds no room, and none before', () => {
    const seen: string[] = [];
    const { link, logger } = bench(
      {
        onMessage: (client, message) => {
          seen.push(`${client.id.at(-1)}${message}`);
          return message === 'hang' ? new Promise(() => {}) : undefined;
        },
      },
      { maxPendingBytesPerClient: 10 * (COST + 1) },
    );
    link.message(1, 'hang');
    for (let index = 0; index < 10; index++) link.message(1, 'x');
    expect(link.peer.of(Command.DESTROY)).toEqual([]);
    link.message(1, 'x');
    expect(link.peer.of(Command.DESTROY)).toEqual([expect.objectContaining({ connectionId: 1 })]);
    expect(logger.of('warn')).toEqual([
      expect.objectContaining({ fields: { client: '7f0000010b5400000001', limitBytes: 2010 } }),
    ]);
    link.message(2, 'y');
    expect(seen).toEqual(['1hang', '2y']);
  });

  it('takes one that fits exactly, and not one byte more', () => {
    for (const [bytes, closed] of [
      [100, 0],
      [101, 1],
    ] as const) {
      const limits = { maxPendingBytesPerClient: 2 * COST + 100 };
      const { link } = bench({ onMessage: () => new Promise(() => {}) }, limits);
      link.message(1, 'hang');
      link.message(1, 'x');
      link.message(1, 'x'.repeat(bytes - 1));
      expect(link.peer.of(Command.DESTROY)).toHaveLength(closed);
    }
  });

  it('takes the first that waits however large it is, and none behind it', () => {
    const { link } = bench({ onMessage: () => new Promise(() => {}) }, { maxPendingBytesPerClient: COST + 100 });
    link.message(1, 'hang');
    link.message(1, 'x'.repeat(100_000));
    expect(link.peer.of(Command.DESTROY)).toEqual([]);
    link.message(1, 'x');
    expect(link.peer.of(Command.DESTROY)).toHaveLength(1);
  });

  it('loses nothing between two that are handled: behind one without room comes only onClose', async () => {
    const seen: string[] = [];
    const hang = deferred();
    const { link, process } = bench(
      {
        onMessage: (_client, message) => {
          seen.push(message);
          return message === 'hang' ? hang.promise : undefined;
        },
        onClose: () => void seen.push('close'),
      },
      { maxPendingBytesPerClient: 300 },
    );
    for (const message of ['hang', 'fits', 'x'.repeat(200), 'y']) link.message(1, message);
    link.message(1, 'z');
    link.hangUp(1);
    expect(link.peer.of(Command.DESTROY)).toHaveLength(1);
    hang.resolve();
    await process.stop();
    expect(seen).toEqual(['hang', 'fits', 'close']);
  });

  it('tries again to close the client when the gateway took no command', () => {
    const { link } = bench({ onMessage: () => new Promise(() => {}) }, { maxPendingBytesPerClient: 1 });
    link.message(1, 'hang');
    link.message(1, 'the first finds room');
    link.peer.live = false;
    link.message(1, 'x');
    link.peer.live = true;
    link.message(1, 'x');
    expect(link.peer.of(Command.DESTROY)).toHaveLength(1);
  });
});

describe('events that wait for handlers', () => {
  it('pause the links above the limit, and let them go at half of it', async () => {
    const hangs = [deferred(), deferred()];
    const { link, process } = bench(
      {
        onMessage: (client, message) => (message === 'hang' ? hangs[Number(client.id.at(-1)) - 1]?.promise : undefined),
      },
      { maxPendingBytes: 1000 },
    );
    link.message(1, 'hang');
    link.message(2, 'hang');
    // 4 x 250 bytes fit exactly.
    for (const id of [1, 2, 2, 2]) link.message(id, 'x'.repeat(50));
    expect(link.paused).toBe(false);
    link.message(1, '');
    expect(link.paused).toBe(true);
    expect(link.pauses).toBe(1);
    hangs[0]?.resolve();
    await turn();
    // 750 bytes are left.
    expect(link.paused).toBe(true);
    hangs[1]?.resolve();
    await turn();
    expect(link.paused).toBe(false);
    expect(link.resumes).toBe(1);
    await process.stop();
  });

  it('of a gateway that is gone are forgotten, and the links let go', async () => {
    const hang = deferred();
    const seen: string[] = [];
    const { link, process, logger } = bench(
      {
        onMessage: (client, message) => {
          seen.push(message);
          client.session.last = message;
          return message === 'hang' ? hang.promise : undefined;
        },
      },
      { maxPendingBytes: 100 },
    );
    link.message(1, 'hang');
    link.message(1, 'x');
    expect(link.paused).toBe(true);
    link.peer.live = false;
    process.gatewayLeft(link.peer);
    expect(link.paused).toBe(false);
    link.message(1, 'nobody hears it');
    hang.resolve();
    await turn();
    expect(seen).toEqual(['hang']);
    expect(logger.of('error')).toEqual([]);
    expect(logger.of('warn').filter(({ message }) => message.includes('session'))).toEqual([]);
    await process.stop();
  });

  it('are all handled before a stop, during which nothing new comes in', async () => {
    const seen: string[] = [];
    const hang = deferred();
    const { link, process } = bench(
      {
        onMessage: async (_client, message) => {
          if (message === '0') await hang.promise;
          await turn();
          seen.push(message);
        },
      },
      // Paused by then: what drains must not let the links go again.
      { maxPendingBytes: 500 },
    );
    for (let index = 0; index < 10; index++) link.message(1, String(index));
    const stopped = process.stop().then(() => seen.push('stopped'));
    link.message(2, 'late');
    hang.resolve();
    await stopped;
    await turn();
    expect(seen).toEqual(['0', '1', '2', '3', 'stopped']);
    expect(link.paused).toBe(true);
  });
});

describe('the session behind a handler', () => {
  it('is saved when the handler has settled, before the next event', async () => {
    const { link, process } = bench({
      onMessage: async (client, message) => {
        await turn();
        const seen = (client.session.seen ?? []) as string[];
        client.session.seen = [...seen, message];
      },
    });
    for (const message of ['a', 'b', 'c']) link.message(1, message);
    expect(link.peer.sent).toEqual([]);
    await process.stop();
    const saved = link.peer.of(Command.SET_SESSION).map(({ ext }) => unserialize(Buffer.from(ext)));
    expect(saved).toEqual([{ seen: ['a'] }, { seen: ['a', 'b'] }, { seen: ['a', 'b', 'c'] }]);
  });

  it('that can not be sent is reported, and neither the next event nor the old session is harmed', () => {
    const { link, logger, process } = bench({
      onMessage: (client, message) => {
        client.session.last = message === 'bad' ? () => {} : message;
      },
    });
    link.message(1, 'bad', { last: 'x' });
    link.message(1, 'good', { last: 'x' });
    expect(logger.of('error')).toEqual([
      expect.objectContaining({
        message: expect.stringContaining("session of a client can't be saved"),
        fields: { client: '7f0000010b5400000001' },
      }),
    ]);
    expect(process.failed).toBe(1);
    expect(link.peer.of(Command.SET_SESSION).map(({ ext }) => ext)).toEqual(['a:1:{s:4:"last";s:4:"good";}']);
  });

  it('that the link refused is reported and sent after the next event', () => {
    const { link, logger } = bench({
      onMessage: (client, message) => {
        if (message !== 'look') client.session.last = message;
      },
    });
    link.peer.live = false;
    link.message(1, 'a');
    expect(logger.of('warn')).toEqual([
      expect.objectContaining({ fields: { client: '7f0000010b5400000001', bytes: 25 } }),
    ]);
    link.peer.live = true;
    link.message(1, 'look');
    expect(link.peer.of(Command.SET_SESSION).map(({ ext }) => ext)).toEqual(['a:1:{s:4:"last";s:1:"a";}']);
  });

  it('goes nowhere when it is changed in onClose', () => {
    const { link } = bench({
      onClose: (client) => {
        client.session.late = true;
      },
    });
    link.message(1, 'a');
    link.hangUp(1);
    expect(link.peer.of(Command.SET_SESSION)).toEqual([]);
  });
});
