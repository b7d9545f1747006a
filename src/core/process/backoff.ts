/** How long a process that ended waits before it is started again. Milliseconds. */
export const BACKOFF = Object.freeze({
  /** Who was ready for as long as this is not in a crash loop, and is started again at once. */
  longLife: 10_000,
  /** The wait after the first short life: short enough that clients hardly notice, long enough not to spin. */
  first: 100,
  /** Each further short life in a row multiplies the wait by this … */
  factor: 2,
  /** … up to this, so that a repaired database is noticed soon. */
  longest: 10_000,
  /** So many short lives in a row are a crash loop: it is not bad luck any more, and somebody should look. */
  loop: 5,
});

export interface Restart {
  /** Milliseconds to wait; 0 is at once. */
  readonly delay: number;
  /** Short lives in a row, this one included; goes into the next call. */
  readonly shortLives: number;
}

/**
 * What to do about a process that has ended.
 *
 * @param shortLives how many of its forerunners in a row lived shortly; 0 at first
 * @param readyAt when it became ready, or undefined when it never did: a start that fails is a short life however long
 *   it took to fail
 * @param now on the same clock as `readyAt`, milliseconds
 */
export function restartAfter(shortLives: number, readyAt: number | undefined, now: number): Restart {
  if (readyAt !== undefined && now - readyAt >= BACKOFF.longLife) return { delay: 0, shortLives: 0 };
  return {
    delay: Math.min(BACKOFF.first * BACKOFF.factor ** shortLives, BACKOFF.longest),
    shortLives: shortLives + 1,
  };
}

/**
 * Whether a place is in a crash loop: one process after another has died shortly after its start, and the present one has
 * not shown yet that it is better.
 *
 * @param shortLives as `restartAfter` gave it last
 * @param readyAt when the present process became ready; undefined: there is none that is
 */
export function isCrashLoop(shortLives: number, readyAt: number | undefined, now: number): boolean {
  return shortLives >= BACKOFF.loop && (readyAt === undefined || now - readyAt < BACKOFF.longLife);
}
