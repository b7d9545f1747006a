import { describe, expect, it } from 'vitest';
import { type Bindable, BindingRouter } from '../../../src/cluster/gateway/router.js';
import { vectors } from '../protocol/support.js';

interface Step {
  readonly op: 'join' | 'leave' | 'connect' | 'message' | 'close';
  readonly who: string | [name: string, ip: string, key: string];
  readonly events: { readonly worker: string; readonly cmd: number }[];
  readonly client_destroyed: boolean | null;
  readonly workers: string[];
  readonly connections_per_worker: Record<string, number> | [];
}

/**
 * Where we differ on purpose. The original counts a returning worker from 0 although clients are still bound to it, and so
 * gives it more than its share: in these steps we count, and choose, by the clients that are really bound.
 */
const OUR_EVENT: Record<string, Record<number, string>> = {
  // d: w0b has a and c, w1 has b; the original gives it to w0b, whose count it has set to 0.
  'worker-returns': { 9: 'w1' },
};
/** The first step behind which the original's counts are wrong, by trace. */
const COUNTS_DIFFER_FROM: Record<string, number> = { 'worker-returns': 6, 'last-worker-leaves': 5, 'name-conflict': 2 };

function newClient(connectionId = 1): Bindable {
  return { connectionId, workerKey: null };
}

describe('BindingRouter', () => {
  const traces = vectors<{ name: string; expected: Step[] }>('router');

  it('has all the traces', () => expect(traces).toHaveLength(10));

  it.each(traces)('routes as the original: $name', (vector) => {
    const router = new BindingRouter();
    const keys = new Map<string, string>();
    const nameByKey = new Map<string, string>();
    const clients = new Map<string, Bindable>();
    vector.expected.forEach((step, index) => {
      const routed: string[] = [];
      if (step.op === 'join') {
        const [name, ip, workerKey] = step.who as [string, string, string];
        keys.set(name, `${ip}:${workerKey}`);
        nameByKey.set(`${ip}:${workerKey}`, name);
        router.workerJoined(`${ip}:${workerKey}`);
      } else if (step.op === 'leave') {
        router.workerLeft(keys.get(step.who as string) as string);
      } else {
        const client = clients.get(step.who as string) ?? newClient();
        clients.set(step.who as string, client);
        const key = router.route(client);
        if (key !== null) routed.push(nameByKey.get(key) as string);
        if (step.op === 'close' || key === null) {
          router.clientLeft(client);
          clients.delete(step.who as string);
        }
        expect(key === null).toBe(step.client_destroyed === true && step.op !== 'close');
      }
      const ours = OUR_EVENT[vector.name]?.[index];
      expect(routed, `step ${index}`).toEqual(ours === undefined ? step.events.map((event) => event.worker) : [ours]);
      expect([...router.workers].sort()).toEqual([...step.workers].sort());
      for (const key of step.workers) {
        const bound = [...clients.values()].filter((client) => client.workerKey === key).length;
        expect(router.boundTo(key), `step ${index}`).toBe(bound);
        if (index < (COUNTS_DIFFER_FROM[vector.name] ?? Number.POSITIVE_INFINITY)) {
          expect(bound).toBe((step.connections_per_worker as Record<string, number>)[key]);
        }
      }
    });
  });

  it('chooses by the random number it is given, and stays with the choice', () => {
    let next = 0;
    const router = new BindingRouter('random', () => next);
    for (const key of ['a', 'b', 'c', 'd']) router.workerJoined(key);
    const chosen = [0, 0.26, 0.5, 0.9999].map((number) => {
      next = number;
      return router.route(newClient());
    });
    expect(chosen).toEqual(['a', 'b', 'c', 'd']);
    const client = newClient();
    next = 0.6;
    expect(router.route(client)).toBe('c');
    next = 0;
    expect(router.route(client)).toBe('c');
  });

  it('has nobody to route to without workers, in either mode', () => {
    expect(new BindingRouter().route(newClient())).toBeNull();
    expect(new BindingRouter('random').route(newClient())).toBeNull();
  });

  it('keeps a binding whose worker is away, and counts it until the client leaves', () => {
    const router = new BindingRouter();
    router.workerJoined('a');
    const client = newClient();
    router.route(client);
    router.workerLeft('a');
    expect(router.route(client)).toBeNull();
    expect(router.boundTo('a')).toBe(1);
    router.clientLeft(client);
    router.clientLeft(client);
    expect(router.boundTo('a')).toBe(0);
  });

  it('routes the clients of a worker that leaves nowhere until it is done with them, and others past it', () => {
    const router = new BindingRouter();
    router.workerJoined('a');
    const [idle, busy] = [newClient(1), newClient(2)];
    for (const client of [idle, busy]) router.route(client);
    router.workerJoined('b');
    router.workerDrains('a');
    const seen = () => [router.route(idle), router.route(busy), router.route(newClient(3))];
    expect(seen()).toEqual([null, null, 'b']);
    expect([idle, busy, newClient(3)].map((client) => router.holds(client))).toEqual([true, true, false]);
    router.workerBusy('a', [2]);
    expect(seen()).toEqual(['b', null, 'b']);
    router.workerBusy('a', []);
    expect(seen(), 'what it says a second time').toEqual(['b', null, 'b']);
    router.workerDone('a', 2);
    expect(seen()).toEqual(['b', 'b', 'b']);
    expect(router.boundTo('a')).toBe(0);
  });

  it.each(['workerLeft', 'workerJoined'] as const)('holds nobody any more after %s', (what) => {
    const router = new BindingRouter();
    router.workerJoined('a');
    const client = newClient();
    router.route(client);
    router.workerDrains('a');
    router[what]('a');
    expect(router.holds(client)).toBe(false);
    expect(router.route(client)).toBe(what === 'workerLeft' ? null : 'a');
  });
});
