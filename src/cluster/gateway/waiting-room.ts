import type { Buffer } from 'node:buffer';

/** An event of a client that no worker may take yet. */
export interface WaitingEvent<Client> {
  readonly client: Client;
  readonly command: number;
  readonly body: Buffer;
  /** Flags of its packet. */
  readonly flag: number;
  /** When it came, in milliseconds of the caller's clock. */
  readonly since: number;
}

/** What the room tells clients apart by. */
export interface Waiting {
  readonly connectionId: number;
}

/**
 * Events that wait for a worker, as a value: bounded in bytes and in time. The original destroys the client instead.
 * Each event counts with what it costs beside its body, so that a flood of empty ones is bounded too.
 */
export class WaitingRoom<Client extends Waiting> {
  /** By connection id, in the order in which the clients' first events came; those of one client in their order. */
  readonly #events = new Map<number, WaitingEvent<Client>[]>();
  readonly #maxBytes: number;
  readonly #maxMs: number;
  #bytes = 0;

  constructor(maxBytes: number, maxSeconds: number) {
    this.#maxBytes = maxBytes;
    this.#maxMs = maxSeconds * 1000;
  }

  /** Clients with events that wait. */
  get size(): number {
    return this.#events.size;
  }

  /** Whose events wait: as they are now, also when what they have waiting is taken out meanwhile. */
  get clients(): readonly Client[] {
    return [...this.#events.values()].flatMap(([first]) => (first === undefined ? [] : [first.client]));
  }

  get bytes(): number {
    return this.#bytes;
  }

  has({ connectionId }: Client): boolean {
    return this.#events.has(connectionId);
  }

  /**
   * @param limit bytes up to which this one is taken; default: the room's own
   * @returns false when there is no room: the event was not taken
   */
  add(event: WaitingEvent<Client>, limit = this.#maxBytes): boolean {
    const cost = costOf(event);
    if (this.#bytes + cost > limit) return false;
    this.#bytes += cost;
    const { connectionId } = event.client;
    const events = this.#events.get(connectionId);
    if (events === undefined) this.#events.set(connectionId, [event]);
    else events.push(event);
    return true;
  }

  /** Takes out what one client has waiting. */
  takeOf(connectionId: number): readonly WaitingEvent<Client>[] {
    const events = this.#events.get(connectionId) ?? [];
    this.#events.delete(connectionId);
    for (const event of events) this.#bytes -= costOf(event);
    return events;
  }

  /** Takes out, by client, what has waited too long. @param mayWait by its oldest event: it waits however long it takes */
  takeExpired(
    now: number,
    mayWait: (oldest: WaitingEvent<Client>) => boolean,
  ): readonly (readonly WaitingEvent<Client>[])[] {
    const expired: (readonly WaitingEvent<Client>[])[] = [];
    for (const [connectionId, [first]] of this.#events) {
      if (first === undefined || now - first.since < this.#maxMs) break;
      if (!mayWait(first)) expired.push(this.takeOf(connectionId));
    }
    return expired;
  }
}

const EVENT_OVERHEAD_BYTES = 200;

function costOf(event: WaitingEvent<unknown>): number {
  return event.body.length + EVENT_OVERHEAD_BYTES;
}
