import type { ErrorFields } from '../../util/mod.js';
import { deadlines, type Expiring } from '../timers/mod.js';

/** Holds as much as may come in a second: so much at once is no fault, and silence saves up no more. */
export class TokenBucket {
  readonly perSecond: number;
  /** Below 0: as much is owed. */
  #level: number;
  #at: number;

  /** @param now milliseconds on a clock that never goes back */
  constructor(perSecond: number, now: number) {
    this.perSecond = perSecond;
    this.#level = perSecond;
    this.#at = now;
  }

  /**
   * Takes out, also more than there is.
   *
   * @param needed what has to be left for the next to come
   * @returns seconds until that is there; 0 when it is
   */
  take(amount: number, needed: number, now: number): number {
    const { perSecond } = this;
    this.#level = Math.min(perSecond, this.#level + ((now - this.#at) / 1000) * perSecond) - amount;
    this.#at = now;
    return Math.max(0, (needed - this.#level) / perSecond);
  }
}

/** Who is held to a rate. */
interface Metered {
  /** It has sent more than it may: nothing more is to be read. */
  tooFast(fields: ErrorFields): void;
  /** As long as it was to wait is over. */
  slowEnough(): void;
}

/** What is given out in a second; 0: any number. */
interface Rates {
  readonly maxMessagesPerSecond: number;
  readonly maxBytesPerSecond: number;
}

/**
 * How fast one peer may send. It is not read while it is ahead of its rate, so that TCP slows it down: nothing is lost, and
 * a peer in a hurry for a moment is not thrown out. The time is looked at as bytes come; waiting is a deadline on the
 * coarse clock of the process, which makes a wait up to 250 ms longer and the rate no higher.
 */
export class RateLimit implements Expiring {
  readonly #peer: Metered;
  readonly #messages: TokenBucket | null;
  readonly #bytes: TokenBucket | null;
  #until = 0;

  private constructor(peer: Metered, { maxMessagesPerSecond, maxBytesPerSecond }: Rates, now: number) {
    this.#peer = peer;
    this.#messages = maxMessagesPerSecond === 0 ? null : new TokenBucket(maxMessagesPerSecond, now);
    this.#bytes = maxBytesPerSecond === 0 ? null : new TokenBucket(maxBytesPerSecond, now);
  }

  /** null: there is no limit. */
  static of(peer: Metered, rates: Rates): RateLimit | null {
    if (rates.maxMessagesPerSecond === 0 && rates.maxBytesPerSecond === 0) return null;
    return new RateLimit(peer, rates, performance.now());
  }

  message(): void {
    this.#take(this.#messages, 1, 1, 'maxMessagesPerSecond');
  }

  bytes(count: number): void {
    this.#take(this.#bytes, count, 0, 'maxBytesPerSecond');
  }

  /** The peer is gone. */
  end(): void {
    deadlines.delete(this);
  }

  expire(): void {
    this.#peer.slowEnough();
  }

  #take(bucket: TokenBucket | null, amount: number, needed: number, option: keyof Rates): void {
    if (bucket === null) return;
    const now = performance.now();
    const seconds = bucket.take(amount, needed, now);
    if (seconds === 0) return;
    // Of the two waits the longer one counts.
    this.#until = Math.max(this.#until, now + seconds * 1000);
    deadlines.set(this, (this.#until - now) / 1000);
    this.#peer.tooFast({ option, limit: bucket.perSecond });
  }
}
