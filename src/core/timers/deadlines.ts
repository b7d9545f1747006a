/** What can run out of time. */
export interface Expiring {
  /** Its deadline has passed. It is no longer in the queue. */
  expire(): void;
}

const TICK_MS = 250;

/**
 * Deadlines on one coarse clock per process, for the many that are nearly always taken back before they pass: handshakes,
 * closing connections. Adding and removing cost a Set operation and no timer; an expiry comes 0 to 250 ms late, never early.
 * One target has one deadline. The clock stands still while there is none, and never keeps the process alive.
 */
export class Deadlines {
  readonly #targets = new Map<Expiring, number>();
  readonly #now: () => number;
  #clock: NodeJS.Timeout | null = null;

  /** @param now milliseconds on a clock that never goes back */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  get size(): number {
    return this.#targets.size;
  }

  /** Sets or replaces the deadline of `target`. */
  set(target: Expiring, seconds: number): void {
    this.#targets.set(target, this.#now() + seconds * 1000);
    this.#clock ??= setInterval(() => this.tick(), TICK_MS).unref();
  }

  delete(target: Expiring): void {
    this.#targets.delete(target);
  }

  /** Expires what is due. Called by the clock; tests call it with their own. */
  tick(): void {
    const now = this.#now();
    // What is set during the tick stands behind these and waits for the next one, even if it is due at once.
    let left = this.#targets.size;
    for (const [target, due] of this.#targets) {
      if (left-- === 0) break;
      if (due > now) continue;
      this.#targets.delete(target);
      target.expire();
    }
    if (this.#targets.size === 0 && this.#clock !== null) {
      clearInterval(this.#clock);
      this.#clock = null;
    }
  }
}

/** The deadlines of this process. */
export const deadlines = new Deadlines();
