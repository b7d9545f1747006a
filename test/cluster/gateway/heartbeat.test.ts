import { describe, expect, it } from 'vitest';
import { Heartbeat, sendsPing } from '../../../src/cluster/gateway/heartbeat.js';
import { vectors } from '../protocol/support.js';

interface Trace {
  readonly name: string;
  readonly input: {
    readonly pingInterval: number;
    readonly pingNotResponseLimit: number;
    readonly pingData: string | null;
    readonly tick_seconds: number;
  };
  readonly expected: { readonly message_before: boolean; readonly counter_after: number; readonly result: string }[];
}

describe('Heartbeat', () => {
  const traces = vectors<Trace>('heartbeat');

  it('has all the traces', () => expect(traces).toHaveLength(80));

  it.each(traces)('does at each tick what the original does: $name', ({ input, expected }) => {
    const { pingInterval, pingNotResponseLimit, pingData } = input;
    const heartbeat = new Heartbeat(pingInterval, pingNotResponseLimit, sendsPing(pingData ?? ''));
    expect(heartbeat.tickSeconds).toBe(input.tick_seconds);
    const client = { heartbeat: -1 };
    const ours = expected.map(({ message_before }) => {
      if (message_before) client.heartbeat = -1;
      const result = heartbeat.tick(client);
      return { message_before, counter_after: client.heartbeat, result };
    });
    expect(ours).toEqual(
      expected.map(({ message_before, counter_after, result }) => ({ message_before, counter_after, result })),
    );
  });
});
