import { expect, test } from 'vitest';

import { BACKOFF, isCrashLoop, restartAfter } from '../../../src/core/process/backoff.js';

const READY_AT = 50_000;

function delaysOf(lives: readonly number[]): number[] {
  let shortLives = 0;
  return lives.map((life) => {
    const restart = restartAfter(shortLives, READY_AT, READY_AT + life);
    shortLives = restart.shortLives;
    return restart.delay;
  });
}

test('a process that keeps dying waits 0.1 s, twice as long each time, and never more than 10 s', () => {
  expect(delaysOf(Array(10).fill(5))).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000]);
});

test('the wait stays finite however often a process has died', () => {
  expect(restartAfter(5000, READY_AT, READY_AT).delay).toBe(BACKOFF.longest);
});

test('a process that was ready for 10 s is started again at once', () => {
  expect(restartAfter(0, READY_AT, READY_AT + 10_000)).toEqual({ delay: 0, shortLives: 0 });
  expect(restartAfter(0, READY_AT, READY_AT + 9_999)).toEqual({ delay: 100, shortLives: 1 });
});

test('one long life makes the short ones before it forgotten', () => {
  expect(delaysOf([1, 1, 1, 10_000, 1])).toEqual([100, 200, 400, 0, 100]);
});

test('a start that fails is a short life', () => {
  expect(restartAfter(2, undefined, 99_999_999)).toEqual({ delay: 400, shortLives: 3 });
});

test('five short lives in a row are a crash loop, until a process has lived for 10 s', () => {
  expect(isCrashLoop(4, undefined, 0)).toBe(false);
  expect(isCrashLoop(5, undefined, 0)).toBe(true);
  expect(isCrashLoop(5, READY_AT, READY_AT + 9_999)).toBe(true);
  expect(isCrashLoop(5, READY_AT, READY_AT + 10_000)).toBe(false);
});
