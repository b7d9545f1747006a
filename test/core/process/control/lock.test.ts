import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { LONGEST_HOLD, takeAway, withLock } from '../../../../src/core/process/control/lock.js';
import { folder } from './support.js';

/** What so many do under the lock, each taking several turns of the event loop. */
async function crowd(file: string, size: number): Promise<{ most: number; done: number }> {
  let inside = 0;
  let most = 0;
  let done = 0;
  const work = async () => {
    inside++;
    most = Math.max(most, inside);
    for (let turns = 0; turns < 5; turns++) await turn();
    inside--;
    done++;
  };
  await Promise.all(Array.from({ length: size }, () => withLock(file, work)));
  return { most, done };
}

test('one at a time does its work, and leaves no file', async () => {
  const place = folder();
  expect(await crowd(join(place, 'x.lock'), 20)).toEqual({ most: 1, done: 20 });
  expect(readdirSync(place)).toEqual([]);
});

test('the lock is let go when the work fails', async () => {
  const file = join(folder(), 'x.lock');
  await expect(withLock(file, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(existsSync(file)).toBe(false);
});

test('the lock of a dead process is taken at once, by one of many', async () => {
  const child = spawn(process.execPath, ['-e', '']);
  await once(child, 'exit');
  const place = folder();
  writeFileSync(join(place, 'x.lock'), `${child.pid} dead`);
  expect(await crowd(join(place, 'x.lock'), 20)).toEqual({ most: 1, done: 20 });
  expect(readdirSync(place)).toEqual([]);
});

test.each([
  ['of a process that has long had it', `${process.pid} other`],
  ['without a holder', ''],
])('a lock %s is taken after its time', async (_what, holder) => {
  const file = join(folder(), 'x.lock');
  writeFileSync(file, holder);
  const begun = performance.now();
  expect(await crowd(file, 3)).toEqual({ most: 1, done: 3 });
  expect(performance.now() - begun).toBeGreaterThan(LONGEST_HOLD);
});

test('a lock that has another holder by now is not taken away', () => {
  const place = folder();
  const file = join(place, 'x.lock');
  writeFileSync(file, 'new');
  takeAway(file, 'old');
  expect(readFileSync(file, 'utf8')).toBe('new');
  takeAway(file, 'new');
  takeAway(file, 'new');
  expect(readdirSync(place)).toEqual([]);
});

test('whoever has lost the lock is told so, and leaves it to the other', async () => {
  const file = join(folder(), 'x.lock');
  await withLock(file, async (held) => {
    expect(held()).toBe(true);
    rmSync(file);
    expect(held()).toBe(false);
    writeFileSync(file, `${process.pid} other`);
    expect(held()).toBe(false);
  });
  expect(readFileSync(file, 'utf8')).toBe(`${process.pid} other`);
});

test('where there can be no lock, the error of the system is thrown', async () => {
  const place = folder();
  await expect(withLock(join(place, 'not/there'), async () => {})).rejects.toMatchObject({ code: 'ENOENT' });
  mkdirSync(join(place, 'x.lock'));
  await expect(withLock(join(place, 'x.lock'), async () => {})).rejects.toMatchObject({ code: 'EISDIR' });
});
