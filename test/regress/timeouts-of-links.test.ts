import { afterEach, describe, expect, it, vi } from 'vitest';
import { BusinessWorker } from '../../src/cluster/business/mod.js';
import { Register } from '../../src/cluster/register/mod.js';
import { startCluster } from '../../src/testing/mod.js';
import { OptionsError } from '../../src/util/mod.js';
import { eventually } from '../support/eventually.js';
import { deferred } from '../support/fake-link.js';

const events = { onMessage() {} };

afterEach(() => void vi.useRealTimers());

it('an overloaded worker keeps its link to a gateway with a workerTimeout of 3 seconds', async () => {
  // The sockets are real, and so is the clock by which they and the test wait: signs of life and the watch come by this one.
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  const work = deferred();
  const seen: string[] = [];
  await using cluster = await startCluster({
    gatewayOptions: { workerTimeout: 3 },
    workerOptions: { maxPendingBytes: 1000 },
    events: {
      async onMessage(_client, message, { redelivered }) {
        seen.push(`${message} ${redelivered}`);
        await work.promise;
      },
    },
  });
  const [gateway] = cluster.gateways;
  const [worker] = cluster.workers;
  const heard = () =>
    [...(gateway?.openConnections() ?? [])]
      .filter(({ codec }) => codec.name === 'link')
      .reduce((sum, { bytesRead }) => sum + bytesRead, 0);
  const client = await cluster.connect();
  for (let message = 1; message <= 10; message++) client.send(String(message));
  await eventually('more than may wait', () => (worker?.figures().queuedBytes ?? 0) > 1000);
  for (let sign = 0; sign < 5; sign++) {
    const before = heard();
    vi.advanceTimersByTime(2000);
    await eventually('a sign of life', () => heard() > before, 2000);
  }
  expect(gateway?.workerCount).toBe(1);
  expect(gateway?.figures().dropped).toEqual({});
  work.resolve();
  await eventually('all', () => seen.length === 10);
  expect(seen.filter((message) => message.endsWith('true'))).toEqual([]);
});

describe.each([
  ['gatewayTimeout', (gatewayTimeout: number) => new BusinessWorker({ events, gatewayTimeout })],
  ['peerTimeout', (peerTimeout: number) => new Register('text://127.0.0.1:0', { peerTimeout })],
])('%s', (option, make) => {
  it.each([0, 30, 60])('may be %d', (value) => void make(value));

  it.each([-1, 0.3, 10, 25, 29.9])('may not be %d, for pings come every 25 seconds', (value) => {
    expect(() => make(value)).toThrow(OptionsError);
    expect(() => make(value)).toThrow(
      `option '${option}' must be 0, or a number of seconds from 30 to 2147483, got ${value}`,
    );
  });
});
