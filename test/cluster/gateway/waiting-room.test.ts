import { Buffer } from 'node:buffer';
import { describe, expect, it } from 'vitest';
import { WaitingRoom } from '../../../src/cluster/gateway/waiting-room.js';

/** What an event costs beside its body. */
const OVERHEAD = 200;

function event(client: string, bytes: number, since = 0) {
  return { client, command: 3, body: Buffer.alloc(bytes), flag: 1, since };
}

describe('WaitingRoom', () => {
  it('takes events up to exactly its bytes, and not one byte more', () => {
    const room = new WaitingRoom<string>(2 * OVERHEAD + 100, 10);
    expect(room.add(event('a', 40))).toBe(true);
    expect(room.add(event('b', 61))).toBe(false);
    expect(room.add(event('b', 60))).toBe(true);
    expect(room.bytes).toBe(2 * OVERHEAD + 100);
    expect(room.add(event('c', 0))).toBe(false);
    expect([...room.clients]).toEqual(['a', 'b']);
  });

  it('counts empty events too', () => {
    const room = new WaitingRoom<string>(10 * OVERHEAD, 10);
    let taken = 0;
    while (room.add(event('a', 0))) taken++;
    expect(taken).toBe(10);
  });

  it('gives out what has waited exactly its time, and not a millisecond less', () => {
    const room = new WaitingRoom<string>(10_000, 2);
    room.add(event('a', 1, 1000));
    room.add(event('b', 1, 1001));
    expect(room.takeExpired(2999)).toEqual([]);
    expect(room.takeExpired(3000).map(({ client }) => client)).toEqual(['a']);
    expect(room.takeExpired(3001).map(({ client }) => client)).toEqual(['b']);
    expect([room.size, room.bytes]).toEqual([0, 0]);
  });

  it('gives out all in order, and has its room again', () => {
    const room = new WaitingRoom<string>(2 * OVERHEAD, 10);
    for (const client of ['a', 'b']) room.add(event(client, 0));
    expect(room.takeAll().map(({ client }) => client)).toEqual(['a', 'b']);
    expect(room.add(event('c', OVERHEAD))).toBe(true);
  });
});
