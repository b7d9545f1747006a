import { Buffer } from 'node:buffer';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Client } from '../../../src/cluster/business/mod.js';
import { Command, serialize, unserialize } from '../../../src/cluster/protocol/mod.js';
import { startCluster } from '../../../src/testing/mod.js';
import { LineClient } from '../../support/cluster-clients.js';
import { eventually } from '../../support/eventually.js';
import { bench, deferred, turn } from '../../support/fake-link.js';

const ONE = '7f0000010b5400000001';

afterEach(() => void vi.useRealTimers());

describe('setting the session of a client by the API', () => {
  it('in its own handler replaces client.session, with one write', () => {
    const seen: unknown[] = [];
    const { link } = bench({
      onMessage: (client) => {
        client.session.unsaved = true;
        client.gateway.setSession(client.id, { a: 1 });
        seen.push(structuredClone(client.session));
      },
    });
    link.message(1, 'x', { before: 1 });
    expect(seen).toEqual([{ a: 1 }]);
    expect(writes(link)).toEqual([[Command.SET_SESSION, 1, { a: 1 }]]);
  });

  it('from the handler of another client, while its own is at work, loses neither', async () => {
    const gate = deferred();
    const { link } = bench({
      onMessage: async (client: Client, message) => {
        if (message === 'other') {
          client.gateway.updateSession(ONE, { other: 1 });
          return;
        }
        const { session } = client;
        session.before = 1;
        await gate.promise;
        session.behind = 1;
      },
    });
    link.message(1, 'own', { old: 1 });
    link.message(2, 'other');
    gate.resolve();
    await turn();
    expect(writes(link)).toEqual([
      [Command.UPDATE_SESSION, 1, { other: 1 }],
      [Command.SET_SESSION, 1, { old: 1, before: 1, other: 1, behind: 1 }],
    ]);
  });

  it('changes nothing here when the link refuses it, or when the arguments are wrong', () => {
    const seen: unknown[] = [];
    const { link } = bench({
      onMessage: (client) => {
        link.peer.live = false;
        seen.push(client.gateway.setSession(client.id, { a: 1 }), client.gateway.updateSession(client.id, { a: 1 }));
        link.peer.live = true;
        expect(() => client.gateway.setSession(client.id, { a: () => {} })).toThrow();
        expect(() => client.gateway.updateSession(client.id, 5 as never)).toThrow();
        seen.push({ ...client.session });
      },
    });
    link.message(1, 'x', { before: 1 });
    expect(seen).toEqual([false, false, { before: 1 }]);
    expect(link.peer.sent).toEqual([]);
  });

  it('of a client that this worker does not know only sends', () => {
    const { link, process } = bench({});
    expect(process.api.setSession(ONE, { a: 1 })).toBe(true);
    expect(process.api.updateSession(ONE, { a: 1 })).toBe(true);
    expect(writes(link)).toHaveLength(2);
  });
});

describe('asking for the session of a client', () => {
  it('gives what was written last, though the question overtakes it, and not what is unsaved', async () => {
    const { link, process } = bench({
      onMessage: (client) => {
        client.session.n = 1;
      },
    });
    link.peer.answer = async () => serialize({ n: 0 });
    link.message(1, 'x', { n: 0 });
    expect(await process.api.getSession(ONE)).toEqual({ n: 1 });
    process.api.updateSession(ONE, { k: 1 });
    const session = await process.api.getSession(ONE);
    expect(session).toEqual({ n: 1, k: 1 });
    // Somebody else's.
    link.peer.answer = async () => serialize({ n: 77 });
    expect(await process.api.getSession(ONE)).toEqual({ n: 77 });
    link.peer.answer = async () => Buffer.from('N;');
    expect(await process.api.getSession(ONE)).toBeNull();
  });

  it('leaves client.session as it is, and the object given is nobody else’s', async () => {
    let client!: Client;
    const { link, process } = bench({
      onMessage: (given) => {
        client = given;
        given.session.unsaved = 1;
        return new Promise(() => {});
      },
    });
    link.peer.answer = async () => serialize({ n: 77 });
    link.message(1, 'x', { n: 0 });
    const session = (await process.api.getSession(ONE)) as Record<string, unknown>;
    session.mine = true;
    expect(session).toEqual({ n: 77, mine: true });
    expect(client.session).toEqual({ n: 0, unsaved: 1 });
  });
});

describe('an old session that comes with an event long after a newer one was written', () => {
  /** A client whose handler has made it an admin, a while ago, and who sees what its session is in each message. */
  function promoted(answer: () => Promise<Buffer>, slow?: Promise<void>) {
    vi.useFakeTimers({ toFake: ['performance'] });
    const seen: string[] = [];
    const { link, process } = bench({
      onMessage: (client, message) => {
        if (message === 'promote') client.session.role = 'admin';
        else seen.push(`${message} ${client.session.role}`);
        return message === 'slow' ? slow : undefined;
      },
      onClose: (client) => void seen.push(`close ${client.session.role}`),
    });
    let asked = 0;
    link.peer.answer = ({ cmd }) => {
      expect(cmd).toBe(Command.GET_SESSION_BY_CLIENT_ID);
      asked++;
      return answer();
    };
    link.message(1, 'promote', { role: 'user' });
    link.message(1, 'soon', { role: 'user' });
    expect([seen.splice(0), asked]).toEqual([['soon admin'], 0]);
    vi.advanceTimersByTime(6000);
    return { link, process, seen, asked: () => asked };
  }

  it('is what somebody else has written again, when the gateway says so; no event overtakes the one that waits', async () => {
    const { link, process, seen, asked } = promoted(async () => serialize({ role: 'user' }));
    link.message(1, 'a', { role: 'user' });
    link.message(1, 'b', { role: 'user' });
    link.message(2, 'other', { role: 'x' });
    await process.stop();
    expect(seen).toEqual(['other x', 'a user', 'b user']);
    expect(asked()).toBe(1);
    expect(process.handled).toBe(5);
  });

  it('is only late when the gateway has what was written, or does not answer', async () => {
    for (const answer of [async () => serialize({ role: 'admin' }), () => Promise.reject(new Error('silent'))]) {
      const { link, process, seen } = promoted(answer);
      link.message(1, 'a', { role: 'user' });
      link.message(1, 'b', { role: 'admin' });
      await process.stop();
      expect(seen).toEqual(['a admin', 'b admin']);
    }
  });

  it('is asked for also of an event that has waited, and not of the last one', async () => {
    const answers = ['admin', 'user'];
    const gate = deferred();
    const { link, process, seen, asked } = promoted(async () => serialize({ role: answers.shift() }), gate.promise);
    link.message(1, 'slow', { role: 'user' });
    link.message(1, 'a', { role: 'user' });
    link.message(1, 'b', { role: 'user' });
    await turn();
    expect(seen.splice(0)).toEqual(['slow admin']);
    gate.resolve();
    link.hangUp(1);
    await process.stop();
    expect(seen).toEqual(['a user', 'b user', 'close undefined']);
    expect(asked()).toBe(2);
  });

  it.each(['look', 'slow'])('is not asked for of a client that is gone, after a message %s', async (message) => {
    const gate = deferred();
    const { link, process, seen, asked } = promoted(async () => serialize({ role: 'admin' }), gate.promise);
    link.message(1, message, { role: 'user' });
    await turn();
    link.event(Command.ON_CLOSE, 1, '', serialize({ role: 'user' }));
    gate.resolve();
    await process.stop();
    expect(seen).toEqual([`${message} admin`, 'close admin']);
    expect(asked()).toBe(1);
  });

  it('is of no use when its gateway has left meanwhile', async () => {
    const { link, process, seen } = promoted(async () => serialize({ role: 'user' }));
    link.message(1, 'a', { role: 'user' });
    link.message(1, 'b', { role: 'user' });
    process.gatewayLeft(link.peer);
    process.gatewayJoined(link.peer);
    await turn();
    expect(seen).toEqual([]);
    link.message(1, 'c', { role: 'user' });
    expect(seen).toEqual(['c user']);
  });
});

describe('sessions of a real cluster', () => {
  it('lose no change, whether handlers make it, the API in them, or a timer', async () => {
    const MESSAGES = 300;
    await using cluster = await startCluster({
      workers: 2,
      events: {
        onConnect: (client) => void client.send(client.id),
        onMessage: async (client: Client<{ own?: number; api?: number; timed?: number }>, message) => {
          client.session.own = (client.session.own ?? 0) + 1;
          if (Number(message) % 3 === 0) await null;
          if (Number(message) % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
          client.gateway.updateSession(client.id, { api: (client.session.api ?? 0) + 1 });
          if (Number(message) % 2 === 0) {
            setTimeout(() => {
              client.gateway.updateSession(client.id, { timed: (client.session.timed ?? 0) + 1 });
            }, 0);
          }
          client.send('.');
        },
      },
    });
    const { client, id } = await LineClient.greeted(cluster.gateways[0]?.port ?? 0);
    client.send(...Array.from({ length: MESSAGES }, (_, index) => String(index)));
    await client.take(MESSAGES);
    // The timers read the session outside a handler: what they saw is theirs to answer for, here it is this worker's.
    const session = await eventually('all changes at the gateway', async () => {
      const found = (await cluster.workers[0]?.gateway.getAllClientSessions())?.get(id);
      return found?.timed === MESSAGES / 2 ? found : undefined;
    });
    expect(session).toEqual({ own: MESSAGES, api: MESSAGES, timed: MESSAGES / 2 });
    client.socket.destroy();
  });

  it('are read as they were written a moment ago', async () => {
    await using cluster = await startCluster({
      events: {
        onConnect: (client) => void client.send(client.id),
        onMessage: async (client, message) => {
          client.gateway.setSession(client.id, { message });
          client.gateway.updateSession(client.id, { more: 1 });
          client.send(JSON.stringify(await client.gateway.getSession(client.id)));
        },
      },
    });
    const { client } = await LineClient.greeted(cluster.gateways[0]?.port ?? 0);
    const messages = Array.from({ length: 200 }, (_, index) => String(index));
    client.send(...messages);
    expect(await client.take(200)).toEqual(messages.map((message) => JSON.stringify({ message, more: 1 })));
    client.socket.destroy();
  });
});

function writes(link: ReturnType<typeof bench>['link']): unknown[] {
  return link.peer.sent.map(({ cmd, connectionId, ext }) => [cmd, connectionId, unserialize(Buffer.from(ext))]);
}
