/**
 * Who is where: the state of a Register, as a value. A connection is anything with an identity.
 *
 * As in the original, a connection may hold an address and listen for addresses at once, joining again replaces or
 * repeats, and the list is in the order of registration without duplicates.
 */
export class AddressBook<Connection> {
  readonly #gateways = new Map<Connection, string>();
  readonly #workers = new Set<Connection>();

  /** @returns who is to be told the list now: every worker */
  gatewayJoined(connection: Connection, address: string): Iterable<Connection> {
    // A connection that joins again keeps its place in the order, as in the original.
    this.#gateways.set(connection, address);
    return this.#workers;
  }

  /** @returns who is to be told the list now: the newcomer alone */
  workerJoined(connection: Connection): Iterable<Connection> {
    this.#workers.add(connection);
    return [connection];
  }

  /** A connection has ended. @returns who is to be told the list now */
  left(connection: Connection): Iterable<Connection> {
    this.#workers.delete(connection);
    return this.#gateways.delete(connection) ? this.#workers : [];
  }

  get addresses(): string[] {
    return [...new Set(this.#gateways.values())];
  }

  get size(): { readonly gateways: number; readonly workers: number } {
    return { gateways: this.#gateways.size, workers: this.#workers.size };
  }
}
