/** First try after a connection was lost, then longer, up to the original's one second. */
const FIRST_DELAY_MS = 100;
const MAX_DELAY_MS = 1000;

const REMARKABLE_FAILURES = 3;

/**
 * When to dial again: soon after the first loss, up to once a second while the peer stays away, for ever. A quarter of each
 * delay is random, so that a fleet does not come back in step.
 */
export class Redial {
  readonly #dial: () => void;
  #delay = FIRST_DELAY_MS;
  #failures = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(dial: () => void) {
    this.#dial = dial;
  }

  /** The connection is up: the next loss is a first one. */
  reset(): void {
    this.#delay = FIRST_DELAY_MS;
    this.#failures = 0;
  }

  /** The peer is away for longer than a cluster that starts in any order explains: worth a line in the log. */
  get remarkable(): boolean {
    return this.#failures >= REMARKABLE_FAILURES;
  }

  later(): void {
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
  }
}
