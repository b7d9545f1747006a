import { Buffer } from 'node:buffer';
import { describe, expect, it } from 'vitest';
import { WaitingRoom } from '../../../src/cluster/gateway/waiting-room.js';

/** What an event costs beside its body. */
const OVERHEAD = 200;

interface Client {
  readonly connectionId: number;
}

const [a, b, c]: readonly Client[] = [1, 2, 3].map((connectionId) => ({ connectionId }));
const nobody = () => false;

function event(client: Client | undefined, bytes: number, since = 0) {
  return { client: client as Client, command: 3, body: Buffer.alloc(bytes), flag: 1, since };
}

describe('WaitingRoom', () => {
  it('takes events up to exactly its bytes, and not one byte more', () => {
    const room = new WaitingRoom<Client>(2 * OVERHEAD + 100, 10);
    expect(room.add(event(a, 40))).toBe(true);
    expect(room.add(event(b, 61))).toBe(false);
    expect(room.add(event(b, 60))).toBe(true);
    expect(room.bytes).toBe(2 * OVERHEAD + 100);
    expect(room.add(event(c, 0))).toBe(false);
    expect(room.clients).toEqual([a, b]);
  });

  it('counts empty events too', () => {
    const room = new WaitingRoom<Client>(10 * OVERHEAD, 10);
    let taken = 0;
    while (room.add(event(a, 0))) taken++;
    expect(taken).toBe(10);
  });

  it('gives out what has waited exactly its time, and not a millisecond less, with all that came behind it', () => {
    const room = new WaitingRoom<Client>(10_000, 2);
    room.add(event(a, 1, 1000));
    room.add(event(b, 1, 1001));
    room.add(event(a, 2, 1002));
    const expired = (now: number) =>
      room.takeExpired(now, nobody).map((events) => events.map(({ body }) => body.length));
    expect(expired(2999)).toEqual([]);
    expect(expired(3000)).toEqual([[1, 2]]);
    expect(expired(3001)).toEqual([[1]]);
    expect([room.size, room.bytes]).toEqual([0, 0]);
  });

  it('leaves there, however long, what may wait', () => {
    const room = new WaitingRoom<Client>(10_000, 2);
    for (const client of [a, b]) room.add(event(client, 1));
    const expired = room.takeExpired(60_000, ({ client }) => client === a);
    expect(expired.map(([first]) => first?.client)).toEqual([b]);
    expect(room.clients).toEqual([a]);
  });

  it('gives out what one client has, in order, and has its room again', () => {
    const room = new WaitingRoom<Client>(3 * OVERHEAD + 3, 10);
    for (const [client, bytes] of [
      [a, 1],
      [b, 0],
      [a, 2],
    ] as const)
      room.add(event(client, bytes));
    expect(room.takeOf(1).map(({ body }) => body.length)).toEqual([1, 2]);
    expect(room.takeOf(1)).toEqual([]);
    expect([room.clients, room.bytes]).toEqual([[b], OVERHEAD]);
    expect(room.add(event(c, OVERHEAD))).toBe(true);
  });
});
