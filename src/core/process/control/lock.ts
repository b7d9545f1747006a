import { randomUUID } from 'node:crypto';
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';

/** Who has it for longer died with it: what is done under the lock takes milliseconds. Milliseconds. */
export const LONGEST_HOLD = 3000;

/** Milliseconds. */
const RETRY_AFTER = 10;

/**
 * Does the work while no other process does it that uses the same lock file.
 *
 * A lock that a dead process has left is taken away, at once where its pid is gone, else once it has been seen for
 * `LONGEST_HOLD`.
 *
 * @param work gets a function that says whether the lock is still its own: one that was asleep too long has lost it
 * @throws the system's error when the file can't be made
 */
export async function withLock<T>(file: string, work: (held: () => boolean) => Promise<T>): Promise<T> {
  const mine = `${process.pid} ${randomUUID()}`;
  const held = () => holderOf(file) === mine;
  let seen: { readonly holder: string; readonly since: number } | undefined;
  while (!made(file, mine)) {
    const holder = holderOf(file);
    if (holder === undefined) continue;
    if (seen?.holder !== holder) seen = { holder, since: performance.now() };
    if (isGone(holder) || performance.now() - seen.since > LONGEST_HOLD) takeAway(file, holder);
    else await sleep(RETRY_AFTER);
  }
  try {
    return await work(held);
  } finally {
    if (held()) rmSync(file);
  }
}

function made(file: string, holder: string): boolean {
  try {
    writeFileSync(file, holder, { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** What stands in the file: nothing for a moment while it is being made; undefined when there is no file. */
function holderOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function isGone(holder: string): boolean {
  const pid = Number(/^\d+/.exec(holder)?.[0] ?? 0);
  if (pid === 0) return false;
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}

/** Removes the lock of this holder. Several may do so at once, and one of them may have the lock by then: it stays. */
export function takeAway(file: string, holder: string): void {
  const aside = `${file}.${process.pid}`;
  try {
    renameSync(file, aside);
    if (holderOf(aside) !== holder) linkSync(aside, file);
  } catch {
    // Another one was faster.
  }
  rmSync(aside, { force: true });
}
