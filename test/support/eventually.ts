const PAUSE_MS = 10;

/** Long, because processes start slowly where many tests share few processors; nothing waits for it that goes well. */
export const DEADLINE_MS = 20_000;

/**
 * Waits until the condition holds and returns what it returned; asks again every few milliseconds.
 *
 * A condition that throws does not hold yet. Fails when the time is over, saying what was waited for and the last error.
 */
export async function eventually<T>(
  what: string,
  condition: () => T | Promise<T>,
  withinMs = DEADLINE_MS,
): Promise<NonNullable<T>> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    let lastError: unknown;
    try {
      const result = await condition();
      if (result) return result;
    } catch (error) {
      lastError = error;
    }
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}`, { cause: lastError });
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}
