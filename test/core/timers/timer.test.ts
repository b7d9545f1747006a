import { afterEach, beforeEach, expect, test } from 'vitest';
import { Timer } from '../../../src/core/timers/mod.js';
import { OptionsError, setProcessLogger, silentLogger } from '../../../src/util/mod.js';
import { eventually } from '../../support/eventually.js';

let errors: string[];

beforeEach(() => {
  errors = [];
  setProcessLogger({ ...silentLogger, error: (message) => errors.push(message) });
});

afterEach(() => setProcessLogger(silentLogger));

test('a timer repeats with its arguments until it is taken back', async () => {
  const seen: unknown[] = [];
  const id = Timer.add(0.001, (...args: unknown[]) => seen.push(args), ['a', 1]);
  await eventually('three runs', () => seen.length >= 3);
  expect(seen[0]).toEqual(['a', 1]);
  expect(Timer.del(id)).toBe(true);
  expect(Timer.del(id)).toBe(false);
  const runs = seen.length;
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(seen.length).toBe(runs);
});

test('ids are numbers from 1 on and never the same', () => {
  const ids = [1, 2, 3].map(() => Timer.add(60, () => {}));
  expect(ids[0]).toBeGreaterThanOrEqual(1);
  expect(new Set(ids).size).toBe(3);
  for (const id of ids) Timer.del(id);
  expect(Timer.del(0)).toBe(false);
});

test('a one-shot timer runs once and is then unknown', async () => {
  const before = Timer.count;
  let runs = 0;
  let countInside = -1;
  const id = Timer.add(
    0.01,
    () => {
      runs++;
      countInside = Timer.count;
    },
    [],
    false,
  );
  expect(Timer.count).toBe(before + 1);
  await eventually('the run', () => runs === 1);
  await new Promise((resolve) => setTimeout(resolve, 30));
  expect(runs).toBe(1);
  expect(countInside).toBe(before);
  expect(Timer.del(id)).toBe(false);
});

test('a one-shot timer that was taken back does not run, and one can take itself back', async () => {
  let runs = 0;
  Timer.del(Timer.add(0.01, () => runs++, [], false));
  let own = 0;
  const id = Timer.add(0.001, () => {
    own++;
    Timer.del(id);
  });
  await new Promise((resolve) => setTimeout(resolve, 40));
  expect(runs).toBe(0);
  expect(own).toBe(1);
});

test('seconds may be fractions and are not cut to whole ones', async () => {
  const begun = performance.now();
  let ended = 0;
  Timer.add(
    0.15,
    () => {
      ended = performance.now();
    },
    [],
    false,
  );
  await eventually('the run', () => ended > 0);
  expect(ended - begun).toBeGreaterThan(145);
});

test('a callback that throws or rejects is reported with its stack, and the timer goes on', async () => {
  let runs = 0;
  const throwing = Timer.add(0.001, () => {
    if (++runs === 1) throw new Error('first run');
  });
  let rejected = 0;
  const rejecting = Timer.add(0.001, async () => {
    if (++rejected === 1) throw new Error('rejected run');
  });
  await eventually('more runs', () => runs >= 3 && rejected >= 3);
  Timer.del(throwing);
  Timer.del(rejecting);
  expect(errors).toHaveLength(2);
  expect(errors.join('\n')).toMatch(/first run\n\s+at /);
  expect(errors.join('\n')).toMatch(/rejected run\n\s+at /);
});

test('impossible times and what is no function are refused at once', () => {
  for (const seconds of [-1, Number.NaN, Number.POSITIVE_INFINITY, 2_147_484]) {
    expect(() => Timer.add(seconds, () => {})).toThrow(OptionsError);
  }
  expect(() => Timer.add(1, 'x' as unknown as () => void)).toThrow(/callback must be a function, got string/);
  Timer.del(Timer.add(2_147_483, () => {}));
});
