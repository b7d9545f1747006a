import { Buffer } from 'node:buffer';
import { describe, expect, it } from 'vitest';
import { MAX_PACKET_SIZE } from '../../../src/cluster/protocol/mod.js';
import { bench, deferred, FakePeer } from '../../support/fake-link.js';

const COST = 200;

describe('the figures of a worker', () => {
  it('count the events it has handled, and its gateways', () => {
    const { link, process } = bench({ onMessage: () => {} });
    link.peers.push(new FakePeer(2901), new FakePeer(2902));
    link.peer.live = false;
    link.connect(1);
    link.message(1, 'x');
    expect(process.figures()).toEqual({
      connections: 0,
      sendFail: 0,
      totalRequest: 2,
      queuedBytes: 0,
      links: { up: 2, down: 1 },
      dropped: {},
    });
  });

  it('count what waits for handlers until it is handled', async () => {
    const { promise, resolve } = deferred();
    const { link, process } = bench({ onMessage: (_client, message) => (message === 'hang' ? promise : undefined) });
    link.message(1, 'hang');
    expect(process.figures().queuedBytes).toBe(0);
    link.message(1, 'abc');
    link.message(1, 'd');
    expect(process.figures().queuedBytes).toBe(2 * COST + 4);
    resolve();
    await process.stop();
    expect(process.figures()).toMatchObject({ queuedBytes: 0, totalRequest: 3, dropped: {} });
  });
});

describe('what a worker lost or refused is counted by its reason:', () => {
  it('failedHandlers', async () => {
    const { link, process } = bench({
      onMessage: () => {
        throw new Error('thrown');
      },
      onConnect: () => Promise.reject(new Error('rejected')),
    });
    link.connect(1);
    link.message(2, 'x');
    await process.stop();
    expect(process.figures()).toMatchObject({ totalRequest: 2, dropped: { failedHandlers: 2 } });
  });

  it('handlerQueueFull: also behind the first event that found no room', () => {
    const { link, process } = bench(
      { onMessage: () => new Promise(() => {}) },
      { maxPendingBytesPerClient: 2 * (COST + 1) },
    );
    for (let count = 0; count < 6; count++) link.message(1, 'x');
    // One at work, two wait.
    expect(process.figures()).toMatchObject({ queuedBytes: 2 * (COST + 1), dropped: { handlerQueueFull: 3 } });
  });

  it('gatewayLost: what waited when its gateway left', () => {
    const { link, process } = bench({ onMessage: () => new Promise(() => {}) });
    for (let count = 0; count < 4; count++) link.message(1, 'x');
    process.gatewayLeft(link.peer);
    expect(process.figures()).toMatchObject({ queuedBytes: 0, dropped: { gatewayLost: 3 } });
  });

  it('unknownEvents', () => {
    const { link, process } = bench({ onMessage: () => {} });
    link.event(77, 1);
    expect(process.figures().dropped).toEqual({ unknownEvents: 1 });
  });

  it('tooLargeForGateway: what is larger than any gateway takes', () => {
    const { link, process } = bench({
      onMessage: (client) => {
        client.send(Buffer.alloc(MAX_PACKET_SIZE));
      },
    });
    link.message(1, 'x');
    expect(process.figures()).toMatchObject({ sendFail: 1, dropped: { tooLargeForGateway: 1 } });
  });

  it('and what its link says is added', () => {
    const { link, process } = bench({});
    const dropped = { gatewayDown: 2, tooLargeForGateway: 1, linkProtocolErrors: 0 };
    link.figures = () => ({ up: 1, down: 0, queuedBytes: 7, sendFail: 3, dropped });
    process.api.sendToAll(Buffer.alloc(MAX_PACKET_SIZE));
    expect(process.figures()).toMatchObject({ sendFail: 4, queuedBytes: 7 });
    expect(process.figures().dropped).toEqual({ gatewayDown: 2, tooLargeForGateway: 2 });
  });
});
