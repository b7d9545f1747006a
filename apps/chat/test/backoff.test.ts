import { expect, test } from 'vitest';
import { delayOf } from '../public/backoff.js';

test('doubles from half a second to ten', () => {
  const delays = [0, 1, 2, 3, 4, 5, 6, 10_000].map((attempt) => delayOf(attempt, 0));
  expect(delays).toEqual([500, 1000, 2000, 4000, 8000, 10_000, 10_000, 10_000]);
});

test('takes off up to half of it, so that not all come back at once', () => {
  expect(delayOf(0, 1)).toBe(250);
  expect(delayOf(9, 0.5)).toBe(7500);
});
