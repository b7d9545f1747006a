import type { LogFields } from './logger.js';

const WINDOW_MS = 10_000;
const MAX_KEYS = 1000;

interface Window {
  since: number;
  suppressed: number;
}

/**
 * Lets a message through once in ten seconds and says then how many like it were left out, so that a peer that
 * misbehaves often can't fill a disk with logs.
 */
export class LogThrottle {
  readonly #windows = new Map<string, Window>();

  /**
   * @param key what makes messages alike
   * @param now milliseconds
   * @returns the fields to log, with `suppressed` where some were left out; null when this one is to be left out
   */
  pass(key: string, now: number, fields: LogFields = {}): LogFields | null {
    const window = this.#windows.get(key);
    if (window !== undefined && now - window.since < WINDOW_MS) {
      window.suppressed++;
      return null;
    }
    if (window === undefined && this.#windows.size >= MAX_KEYS) this.#windows.clear();
    this.#windows.set(key, { since: now, suppressed: 0 });
    const suppressed = window?.suppressed ?? 0;
    return suppressed === 0 ? fields : { ...fields, suppressed };
  }
}
