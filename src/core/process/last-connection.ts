import type { Logger } from '../../util/mod.js';

const LOOK_EVERY = 50;

/** So many times it is said how many remain, while they go. */
const PARTS = 3;

/**
 * Resolves when no connection is left, or when it is to hurry. Says how many remain: at first, and whenever a third of them
 * has gone, as the original does.
 *
 * @param count connections that exist now
 */
export async function untilNoneRemain(count: () => number, hurry: AbortSignal, logger: Logger): Promise<void> {
  const all = count();
  let said = Number.POSITIVE_INFINITY;
  for (let left = all; left > 0 && !hurry.aborted; left = count()) {
    if (left <= said - all / PARTS) {
      logger.info(`${left} ${left === 1 ? 'connection remains' : 'connections remain'}`);
      said = left;
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY));
  }
}
