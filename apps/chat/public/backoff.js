const FIRST = 500;
const LAST = 10_000;

/**
 * Milliseconds to wait before attempt `attempt` (0 is the first after a loss): 0.5 s, doubling to 10 s, less up to half
 * of it by `random` (0 to 1). Without the jitter all pages of a restarted server would come back in the same instant.
 */
export function delayOf(attempt, random) {
  const full = Math.min(LAST, FIRST * 2 ** Math.min(attempt, 30));
  return Math.round(full * (1 - random / 2));
}
