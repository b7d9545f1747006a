import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Deadlines } from '../../../src/core/timers/mod.js';

let now: number;
let queue: Deadlines;
let expired: string[];

beforeEach(() => {
  vi.useFakeTimers();
  now = 0;
  expired = [];
  queue = new Deadlines(() => now);
});

afterEach(() => {
  vi.useRealTimers();
});

const target = (name: string) => ({ expire: () => void expired.push(name) });

function pass(milliseconds: number): void {
  now += milliseconds;
  vi.advanceTimersByTime(milliseconds);
}

test('a deadline passes within 250 ms after its time and not before', () => {
  queue.set(target('a'), 1);
  for (let step = 0; step < 19; step++) pass(50);
  expect(expired).toEqual([]);
  pass(300);
  expect(expired).toEqual(['a']);
  pass(2000);
  expect(expired).toEqual(['a']);
});

test('setting again replaces', () => {
  const a = target('a');
  queue.set(a, 1);
  pass(750);
  queue.set(a, 1);
  expect(queue.size).toBe(1);
  pass(750);
  expect(expired).toEqual([]);
  pass(500);
  expect(expired).toEqual(['a']);
});

test('one that was taken back does not pass', () => {
  const a = target('a');
  queue.set(a, 1);
  queue.set(target('b'), 1);
  queue.delete(a);
  queue.delete(a);
  pass(1500);
  expect(expired).toEqual(['b']);
});

test('expire may set again, take others back, and add others', () => {
  const b = target('b');
  let times = 0;
  const again = {
    expire: () => {
      expired.push('again');
      queue.delete(b);
      if (++times < 3) queue.set(again, 1);
    },
  };
  queue.set(again, 1);
  queue.set(b, 1);
  pass(1250);
  expect(expired).toEqual(['again']);
  pass(1250);
  pass(1250);
  pass(1250);
  expect(expired).toEqual(['again', 'again', 'again']);
});

test('expire that sets a deadline of no time at all waits for the next tick', () => {
  let times = 0;
  const again = {
    expire: () => {
      if (++times > 100) throw new Error('the clock hangs');
      queue.set(again, 0);
    },
  };
  queue.set(again, 0);
  queue.tick();
  expect(times).toBe(1);
  queue.tick();
  expect(times).toBe(2);
  queue.delete(again);
});

test('the clock stands still while there is no deadline, and starts again with the next', () => {
  expect(vi.getTimerCount()).toBe(0);
  const a = target('a');
  queue.set(a, 1);
  expect(vi.getTimerCount()).toBe(1);
  queue.delete(a);
  pass(250);
  expect(vi.getTimerCount()).toBe(0);
  queue.set(a, 1);
  pass(1250);
  expect(expired).toEqual(['a']);
  expect(vi.getTimerCount()).toBe(0);
});
