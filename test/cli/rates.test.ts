import { expect, test } from 'vitest';
import type { Reading } from '../../src/cli/commands/status.js';
import { ratesOf } from '../../src/cli/commands/status.js';

/** Of processes of one worker: [pid, requests so far], null for figures that did not come. */
function reading(at: number, processes: readonly (readonly [number | undefined, number | null])[]): Reading {
  return {
    at,
    hello: {} as Reading['hello'],
    status: {
      processes: processes.map(([pid, totalRequest], id) => ({
        worker: 'Talk',
        id,
        pid,
        figures: totalRequest === null ? null : { totalRequest },
      })),
    } as unknown as Reading['status'],
  };
}

test('requests per second are the difference by the time between', () => {
  const before = reading(1000, [
    [11, 100],
    [12, 7],
  ]);
  const after = reading(3000, [
    [11, 150],
    [12, 7],
  ]);
  expect(ratesOf(before, after)).toEqual([25, 0]);
});

test('they are not known of a process that is new, or that has not answered', () => {
  const before = reading(0, [
    [11, 100],
    [12, 7],
    [13, null],
    [undefined, null],
  ]);
  const after = reading(1000, [
    [21, 3],
    [12, null],
    [13, 5],
    [undefined, null],
    [15, 9],
  ]);
  expect(ratesOf(before, after)).toEqual([null, null, null, null, null]);
});
