/** First try after a connection was lost, then longer, up to the original's one second. */
const FIRST_DELAY_MS = 100;
const MAX_DELAY_MS = 1000;

const REMARKABLE_FAILURES = 3;

/** A peer that refuses us hangs up at once: one that has not by then has taken us. Longer than MAX_DELAY_MS. */
const STEADY_MS = 2000;

/**
 * When to dial again: soon after the first loss, up to once a second while the peer stays away, for ever. A quarter of each
 * delay is random, so that a fleet does not come back in step.
 */
export class Redial {
  readonly #dial: () => void;
  readonly #steady: () => void;
  #delay = FIRST_DELAY_MS;
  #failures = 0;
  #timer: NodeJS.Timeout | null = null;
  #steadyTimer: NodeJS.Timeout | null = null;

  /** @param steady told when a connection after `remarkable` failures has proved to be one that lasts */
  constructor(dial: () => void, steady: () => void) {
    this.#dial = dial;
    this.#steady = steady;
  }

  /** The connection is up, but the peer may still refuse us: it tells neither yes nor no. */
  connected(): void {
    this.#steadyTimer ??= setTimeout(() => this.proven(), STEADY_MS).unref();
  }

  /** The peer has taken us: the next loss is a first one. */
  proven(): void {
    this.#forgetSteady();
    const wasRemarkable = this.remarkable;
    this.#delay = FIRST_DELAY_MS;
    this.#failures = 0;
    if (wasRemarkable) this.#steady();
  }

  /** The peer is away for longer than a cluster that starts in any order explains: worth a line in the log. */
  get remarkable(): boolean {
    return this.#failures >= REMARKABLE_FAILURES;
  }

  later(): void {
    this.#forgetSteady();
    if (this.#timer !== null) return;
    this.#failures++;
    const delay = this.#delay * (0.75 + Math.random() / 4);
    this.#delay = Math.min(this.#delay * 2, MAX_DELAY_MS);
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#dial();
    }, delay);
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#forgetSteady();
  }

  #forgetSteady(): void {
    if (this.#steadyTimer !== null) clearTimeout(this.#steadyTimer);
    this.#steadyTimer = null;
  }
}
