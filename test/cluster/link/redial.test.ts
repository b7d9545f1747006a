import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Redial } from '../../../src/cluster/link/mesh/redial.js';

describe('Redial', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  function start() {
    const told = { dials: 0, steady: 0 };
    const redial = new Redial(
      () => void told.dials++,
      () => void told.steady++,
    );
    return { redial, told };
  }

  /** Milliseconds until the next dial. */
  function nextDelay({ redial, told }: ReturnType<typeof start>): number {
    const before = told.dials;
    redial.later();
    let waited = 0;
    while (told.dials === before && waited < 5000) {
      vi.advanceTimersByTime(1);
      waited++;
    }
    return waited;
  }

  it('waits longer each time, from a tenth of a second up to one second, never less than three quarters of it', () => {
    const each = start();
    const nominal = [100, 200, 400, 800, 1000, 1000, 1000];
    for (const delay of nominal) {
      const waited = nextDelay(each);
      expect(waited).toBeGreaterThanOrEqual(delay * 0.75);
      expect(waited).toBeLessThanOrEqual(delay + 1);
    }
  });

  it('dials once however often it is told of one loss', () => {
    const { redial, told } = start();
    redial.later();
    redial.later();
    vi.advanceTimersByTime(5000);
    expect(told.dials).toBe(1);
  });

  it('is not fooled by a peer that accepts and hangs up at once', () => {
    const each = start();
    for (let round = 0; round < 6; round++) {
      nextDelay(each);
      each.redial.connected();
      vi.advanceTimersByTime(500);
    }
    expect(each.redial.remarkable).toBe(true);
    expect(nextDelay(each)).toBeGreaterThanOrEqual(750);
    expect(each.told.steady).toBe(0);
  });

  it('begins anew once a connection has lasted, or the peer has proved that it takes us', () => {
    for (const proof of ['time', 'word']) {
      const each = start();
      for (let round = 0; round < 5; round++) nextDelay(each);
      each.redial.connected();
      if (proof === 'time') vi.advanceTimersByTime(2000);
      else each.redial.proven();
      expect(each.redial.remarkable).toBe(false);
      expect(nextDelay(each)).toBeLessThanOrEqual(101);
      expect(each.told.steady).toBe(1);
    }
  });

  it('leaves no timer when it is stopped', () => {
    const { redial, told } = start();
    redial.connected();
    redial.later();
    redial.connected();
    redial.stop();
    expect(vi.getTimerCount()).toBe(0);
    vi.advanceTimersByTime(5000);
    expect(told.dials).toBe(0);
  });
});
