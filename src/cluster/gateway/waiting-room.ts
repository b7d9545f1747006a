import type { Buffer } from 'node:buffer';

/** An event of a client that no worker was there to take. */
export interface WaitingEvent<Client> {
  readonly client: Client;
  readonly command: number;
  readonly body: Buffer;
  /** Flags of its packet. */
  readonly flag: number;
  /** When it came, in milliseconds of the caller's clock. */
  readonly since: number;
}

/**
 * Events that wait for a worker, as a value: bounded in bytes and in time. The original destroys the client instead.
 * Each event counts with what it costs beside its body, so that a flood of empty ones is bounded too.
 */
export class WaitingRoom<Client> {
  readonly #events: WaitingEvent<Client>[] = [];
  readonly #maxBytes: number;
  readonly #maxMs: number;
  #bytes = 0;

  constructor(maxBytes: number, maxSeconds: number) {
    this.#maxBytes = maxBytes;
    this.#maxMs = maxSeconds * 1000;
  }

  get size(): number {
    return this.#events.length;
  }

  /** Whose events wait; a client for each of its events. */
  get clients(): Iterable<Client> {
    return this.#events.map((event) => event.client);
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** @returns false when there is no room: the event was not taken */
  add(event: WaitingEvent<Client>): boolean {
    const cost = costOf(event);
    if (this.#bytes + cost > this.#maxBytes) return false;
    this.#bytes += cost;
    this.#events.push(event);
    return true;
  }

  /** Takes all out, in order of arrival: a worker is there. */
  takeAll(): WaitingEvent<Client>[] {
    this.#bytes = 0;
    return this.#events.splice(0);
  }

  /** Takes out what has waited too long, in order of arrival. */
  takeExpired(now: number): WaitingEvent<Client>[] {
    let count = 0;
    for (const event of this.#events) {
      if (now - event.since < this.#maxMs) break;
      this.#bytes -= costOf(event);
      count++;
    }
    return this.#events.splice(0, count);
  }
}

const EVENT_OVERHEAD_BYTES = 200;

function costOf(event: WaitingEvent<unknown>): number {
  return event.body.length + EVENT_OVERHEAD_BYTES;
}
