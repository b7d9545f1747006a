import { afterEach, describe, expect, it } from 'vitest';
import { TokenBucket } from '../../../src/core/net/rate-limit.js';
import { deadlines } from '../../../src/core/timers/mod.js';
import { eventually } from '../../support/eventually.js';
import { dial, hangUpPeers } from '../../support/tcp-peer.js';
import { closeListeners, listening } from '../../support/test-listener.js';

afterEach(async () => {
  hangUpPeers();
  await closeListeners();
});

describe('a token bucket', () => {
  it('gives a second’s worth at once, and then as much as time brings', () => {
    const bucket = new TokenBucket(10, 0);
    for (let count = 1; count <= 9; count++) expect(bucket.take(1, 1, 0)).toBe(0);
    expect(bucket.take(1, 1, 0)).toBeCloseTo(0.1);
    expect(bucket.take(0, 1, 100)).toBe(0);
    expect(bucket.take(1, 1, 100)).toBeCloseTo(0.1);
  });

  it('saves up no more than that', () => {
    const bucket = new TokenBucket(10, 0);
    expect(bucket.take(10, 0, 3_600_000)).toBe(0);
    expect(bucket.take(1, 0, 3_600_000)).toBeCloseTo(0.1);
  });

  it('has what was taken beyond it paid back', () => {
    const bucket = new TokenBucket(10, 0);
    expect(bucket.take(35, 0, 0)).toBeCloseTo(2.5);
    expect(bucket.take(0, 0, 1000)).toBeCloseTo(1.5);
    expect(bucket.take(0, 0, 2500)).toBe(0);
  });
});

describe('a connection with a rate', () => {
  it('delivers as many messages as it allows, holds the next one, and loses none', async () => {
    const listener = await listening({ limits: { maxMessagesPerSecond: 4 } });
    const { owner } = listener;
    const seen: unknown[] = [];
    owner.whenFail = (connection) => seen.push([[...owner.messages], connection.receiving, connection.paused]);
    const peer = await dial(listener.port);
    peer.write('1\n2\n3\n4\n5\n6\n');
    await eventually('all', () => owner.messages.length === 6);
    expect(seen[0]).toEqual([['1', '2', '3', '4'], false, false]);
    expect(owner.messages).toEqual(['1', '2', '3', '4', '5', '6']);
    expect(owner.counters.rateLimited).toBe(owner.errors.length);
    expect(owner.errors[0]).toMatchObject({
      code: 'GW_CONNECTION_RATE_LIMIT',
      fields: { option: 'maxMessagesPerSecond', limit: 4 },
    });
  });

  it('does nothing to one that stays within it', async () => {
    const listener = await listening({ limits: { maxMessagesPerSecond: 4, maxBytesPerSecond: 6 } });
    const peer = await dial(listener.port);
    peer.write('1\n2\n3\n');
    await eventually('three messages', () => listener.owner.messages.length === 3);
    expect((await listener.accepted()).receiving).toBe(true);
    expect(listener.owner.counters.rateLimited).toBe(0);
  });

  it('counts bytes too, finished messages or not', async () => {
    const listener = await listening({ limits: { maxBytesPerSecond: 6 } });
    const peer = await dial(listener.port);
    peer.write('1234567');
    await eventually('the pause', () => listener.connections[0]?.receiving === false);
    expect(listener.owner.errors[0]).toMatchObject({ fields: { option: 'maxBytesPerSecond', limit: 6 } });
    peer.write('8\n');
    await eventually('the message', () => listener.owner.messages.length === 1);
    expect(listener.owner.messages).toEqual(['12345678']);
  });

  it('goes on only when its owner wants it too, whoever is first', async () => {
    const listener = await listening({ limits: { maxMessagesPerSecond: 1 } });
    const { owner } = listener;
    const paused: boolean[][] = [];
    owner.whenMessage = (connection) => connection.pauseRecv();
    owner.whenFail = (connection) => {
      connection.resumeRecv();
      paused.push([connection.paused, connection.receiving]);
      connection.pauseRecv();
    };
    const peer = await dial(listener.port);
    peer.write('1\n2\n');
    const connection = await listener.accepted();
    await eventually('the pause', () => owner.counters.rateLimited === 1);
    await eventually('its rate to be paid', () => deadlines.size === 0);
    expect(paused).toEqual([[false, false]]);
    expect(owner.messages).toEqual(['1']);
    connection.resumeRecv();
    expect(owner.messages).toEqual(['1', '2']);
  });

  it('is closed as any other while it waits, and leaves no deadline', async () => {
    const listener = await listening({ limits: { maxMessagesPerSecond: 1 } });
    const peer = await dial(listener.port);
    peer.write('1\n2\n');
    const connection = await listener.accepted();
    await eventually('the pause', () => !connection.receiving);
    connection.destroy();
    expect(deadlines.size).toBe(0);
    await eventually('the end', () => listener.owner.count('close') === 1);
  });

  it('lets one that hung up be read to its end', async () => {
    const listener = await listening({ limits: { maxMessagesPerSecond: 1 } });
    const peer = await dial(listener.port);
    peer.write('1\n2\n3\n');
    peer.socket.end();
    await eventually('the end', () => listener.owner.count('close') === 1);
    expect(listener.owner.messages).toEqual(['1', '2', '3']);
  });
});
