import type { LogFields } from './logger.js';

const WINDOW_MS = 10_000;
const MAX_KEYS = 1000;
/** What more kinds of messages than that count as, so that a peer that can vary a message gains nothing. */
const OTHERS = '';

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
    const known = this.#windows.has(key) || this.#hasRoom(now) ? key : OTHERS;
    const window = this.#windows.get(known);
    if (window !== undefined && now - window.since < WINDOW_MS) {
      window.suppressed++;
      return null;
    }
    // Put behind the others: the oldest stand first.
    this.#windows.delete(known);
    this.#windows.set(known, { since: now, suppressed: 0 });
    const suppressed = window?.suppressed ?? 0;
    return suppressed === 0 ? fields : { ...fields, suppressed };
  }

  /** Forgets windows that are over when there are too many. */
  #hasRoom(now: number): boolean {
    if (this.#windows.size < MAX_KEYS) return true;
    for (const [key, window] of this.#windows) {
      if (now - window.since < WINDOW_MS) break;
      this.#windows.delete(key);
    }
    return this.#windows.size < MAX_KEYS;
  }
}
