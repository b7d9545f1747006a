import { Buffer } from 'node:buffer';
import type { WorkerPeer } from '../link/mod.js';
import { Command, FLAG_SCALAR, packetHead } from '../protocol/mod.js';
import type { ClientEntry } from './clients.js';

/** Clients that are given to workers in one turn of the loop. */
const KEPT_A_TURN = 500;

const NO_EXT = Buffer.alloc(0);

/**
 * Which worker keeps each client (extension `acknowledgements`): the one that had its last event, and, when that worker has
 * left, another that is told of it with KEEP. Should this process die, the keeper tells the client's `onClose`, so each
 * client has one at a time: whoever was it before is told to FORGET.
 */
export class Keepers<Connection = unknown> {
  readonly #workers: ReadonlyMap<string, WorkerPeer>;
  readonly #keep: (client: ClientEntry<Connection>, worker: WorkerPeer) => boolean;
  /** Whose keeper has left. */
  readonly #orphans = new Set<ClientEntry<Connection>>();
  readonly #head = packetHead({ cmd: Command.FORGET, flag: FLAG_SCALAR });
  #next: NodeJS.Immediate | null = null;

  /**
   * @param workers those that take events
   * @param keep sends KEEP; false: it was not taken
   */
  constructor(
    workers: ReadonlyMap<string, WorkerPeer>,
    keep: (client: ClientEntry<Connection>, worker: WorkerPeer) => boolean,
  ) {
    this.#workers = workers;
    this.#keep = keep;
  }

  /** A worker that is not its keeper was sent an event of this client. */
  sent(client: ClientEntry<Connection>, worker: WorkerPeer): void {
    const { keeper } = client;
    client.keeper = worker;
    client.heard = true;
    if (keeper === null) this.#orphans.delete(client);
    else this.#forget(client, keeper);
  }

  /** The client has left, and its last event was sent, or waits. */
  gone(client: ClientEntry<Connection>): void {
    this.#orphans.delete(client);
  }

  /** No worker is to tell the client's end, for it was told, or can't be. */
  forget(client: ClientEntry<Connection>): void {
    const { keeper } = client;
    client.keeper = null;
    if (keeper !== null) this.#forget(client, keeper);
  }

  /** The worker's link has ended; what it had not acknowledged was sent to others. */
  left(worker: WorkerPeer, clients: Iterable<ClientEntry<Connection>>): void {
    for (const client of clients) {
      if (client.keeper !== worker) continue;
      client.keeper = null;
      this.#orphans.add(client);
    }
    this.place();
  }

  /** Gives those that nobody keeps to workers, in turn, as far as these have room. */
  place(): void {
    if (this.#orphans.size === 0 || this.#next !== null) return;
    const workers = [...this.#workers.values()].filter((worker) => worker.supports('acknowledgements') && !worker.full);
    let placed = 0;
    for (const client of this.#orphans) {
      if (placed === KEPT_A_TURN) {
        this.#next = setImmediate(() => {
          this.#next = null;
          this.place();
        });
        return;
      }
      const worker = workers[placed % workers.length];
      // When it has room, or another one joins, it goes on.
      if (worker === undefined || !this.#keep(client, worker)) return;
      client.keeper = worker;
      this.#orphans.delete(client);
      placed++;
    }
  }

  stop(): void {
    if (this.#next !== null) clearImmediate(this.#next);
  }

  #forget({ connectionId }: ClientEntry<Connection>, keeper: WorkerPeer): void {
    if (!keeper.supports('acknowledgements')) return;
    this.#head.connectionId = connectionId;
    keeper.tell(this.#head, NO_EXT);
  }
}
