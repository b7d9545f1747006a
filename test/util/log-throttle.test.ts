import { expect, test } from 'vitest';
import { LogThrottle } from '../../src/util/mod.js';

test('a message passes once in ten seconds, and says then how many were left out', () => {
  const throttle = new LogThrottle();
  expect(throttle.pass('a', 0, { peer: 1 })).toEqual({ peer: 1 });
  for (let at = 1; at <= 5; at++) expect(throttle.pass('a', at)).toBeNull();
  expect(throttle.pass('a', 9_999)).toBeNull();
  expect(throttle.pass('a', 10_000, { peer: 2 })).toEqual({ peer: 2, suppressed: 6 });
  expect(throttle.pass('a', 20_000)).toEqual({});
});

test('messages with different keys do not hold each other up', () => {
  const throttle = new LogThrottle();
  throttle.pass('a', 0);
  expect(throttle.pass('b', 0)).toEqual({});
});

test('more kinds of messages than it remembers are held to one line in ten seconds', () => {
  const throttle = new LogThrottle();
  let passed = 0;
  for (let round = 0; round < 3; round++) {
    for (let key = 0; key < 5000; key++) if (throttle.pass(`key ${key}`, round) !== null) passed++;
  }
  expect(passed).toBeLessThanOrEqual(1001);
});

test('what is over makes room for other kinds', () => {
  const throttle = new LogThrottle();
  for (let key = 0; key < 5000; key++) throttle.pass(`old ${key}`, 0);
  expect(throttle.pass('new', 10_000)).toEqual({});
  expect(throttle.pass('newer', 10_000)).toEqual({});
  expect(throttle.pass('newer', 10_001)).toBeNull();
});
