import { GatewayWorkerError } from '../util/mod.js';

/** A condition that did not come true in time. Code `GW_TEST_TIMEOUT`. */
export class TestTimeoutError extends GatewayWorkerError {}

const POLL_MS = 5;

/**
 * Resolves with what `probe` gives once that is truthy.
 *
 * @param what is being waited for, for the message
 * @param seconds default 10
 * @throws TestTimeoutError
 */
export async function eventually<T>(what: string, probe: () => T | Promise<T>, seconds = 10): Promise<NonNullable<T>> {
  const deadline = performance.now() + seconds * 1000;
  for (;;) {
    const value = await probe();
    if (value) return value as NonNullable<T>;
    if (performance.now() > deadline) {
      throw new TestTimeoutError('GW_TEST_TIMEOUT', `waited ${seconds} s for: ${what}`, { what, seconds });
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
