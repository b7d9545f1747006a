/** What a router needs of a client: its number, and the place where its binding is kept. */
export interface Bindable {
  readonly connectionId: number;
  workerKey: string | null;
}

/** How a new client's worker is chosen. */
export type BalanceMode = 'leastConnections' | 'random';

/**
 * The original's default router, as a value: a client is bound to a worker at its first event and stays with it as long as
 * that worker is there. A worker that comes back under its key gets its clients back. The clients of one that leaves in
 * order go nowhere until it is done with them.
 *
 * Unlike the original, the counts are those of the clients really bound: it starts a returning worker at 0 although
 * clients are still bound to it, and so gives it too many.
 */
export class BindingRouter {
  /** Clients bound to each key; also to keys whose worker is away. */
  readonly #bound = new Map<string, number>();
  /** Keys of the workers that are there, in order of joining. */
  readonly #workers = new Set<string>();
  /** Keys of the workers that leave, with the clients each is not done with yet; null: all of its clients. */
  readonly #leaving = new Map<string, Set<number> | null>();
  readonly #mode: BalanceMode;
  readonly #random: () => number;

  /** @param random from 0 up to but not including 1 */
  constructor(mode: BalanceMode = 'leastConnections', random: () => number = Math.random) {
    this.#mode = mode;
    this.#random = random;
  }

  get workers(): Iterable<string> {
    return this.#workers;
  }

  /** Clients bound to `key`. */
  boundTo(key: string): number {
    return this.#bound.get(key) ?? 0;
  }

  workerJoined(key: string): void {
    this.#leaving.delete(key);
    // A worker that joins again is the newest for the order of ties, as in the original.
    this.#workers.delete(key);
    this.#workers.add(key);
  }

  workerLeft(key: string): void {
    this.#workers.delete(key);
    this.#leaving.delete(key);
  }

  /** It takes no events any more, and none of its clients may go to another. */
  workerDrains(key: string): void {
    this.#workers.delete(key);
    this.#leaving.set(key, null);
  }

  /** A worker that leaves is done with all of its clients but these. Said once. */
  workerBusy(key: string, connectionIds: readonly number[]): void {
    if (this.#leaving.get(key) === null) this.#leaving.set(key, new Set(connectionIds));
  }

  /** A worker that leaves is done with this client too. */
  workerDone(key: string, connectionId: number): void {
    this.#leaving.get(key)?.delete(connectionId);
  }

  /** The clients that a worker which leaves is not done with; null: all of them. Undefined of one that does not leave. */
  busyOf(key: string): ReadonlySet<number> | null | undefined {
    return this.#leaving.get(key);
  }

  /** The client's worker leaves and is not done with it. */
  holds({ workerKey, connectionId }: Bindable): boolean {
    if (workerKey === null || this.#leaving.size === 0) return false;
    const busy = this.#leaving.get(workerKey);
    return busy === null || busy?.has(connectionId) === true;
  }

  /** The key of the worker for this client's next event, or null: there is no worker at all, or its own holds the client. */
  route(client: Bindable): string | null {
    const bound = client.workerKey;
    if (bound !== null && this.#workers.has(bound)) return bound;
    if (this.holds(client)) return null;
    const chosen = this.#mode === 'random' ? this.#anyWorker() : this.#leastBound();
    if (chosen === null) return null;
    this.bind(client, chosen);
    return chosen;
  }

  /** Binds the client to a key, and to no other any more. */
  bind(client: Bindable, key: string): void {
    if (client.workerKey === key) return;
    this.clientLeft(client);
    client.workerKey = key;
    this.#bound.set(key, this.boundTo(key) + 1);
  }

  /** The client is gone, or bound anew. */
  clientLeft(client: Bindable): void {
    const key = client.workerKey;
    if (key === null) return;
    client.workerKey = null;
    const left = this.boundTo(key) - 1;
    if (left > 0) this.#bound.set(key, left);
    else this.#bound.delete(key);
  }

  #leastBound(): string | null {
    let best: string | null = null;
    let fewest = Number.POSITIVE_INFINITY;
    for (const key of this.#workers) {
      const count = this.boundTo(key);
      if (count < fewest) {
        best = key;
        fewest = count;
      }
    }
    return best;
  }

  #anyWorker(): string | null {
    const keys = [...this.#workers];
    return keys[Math.floor(this.#random() * keys.length)] ?? null;
  }
}
