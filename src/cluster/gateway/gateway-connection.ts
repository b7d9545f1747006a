import { Buffer } from 'node:buffer';
import { encodeClientId, unserialize } from '../protocol/mod.js';
import type { GatewayClientEntry } from './context.js';

const NO_NAMES: ReadonlySet<string> = new Set();

/** Where a client's id and port come from. */
interface GatewayPlace {
  readonly localIp: number;
  readonly localPort: number;
  readonly gatewayPort: number;
}

/**
 * A client as code inside the gateway process sees it: hooks and routers. One object for each client, so that it can be a
 * key, and made only where there is such code.
 */
export class GatewayConnection {
  /** The client id that workers know, 20 hex digits. */
  readonly id: string;
  /** The public port it came in by. */
  readonly gatewayPort: number;
  /** A place for what your code keeps of this client. It stays in this process. */
  context: unknown = undefined;
  readonly #client: GatewayClientEntry;
  #decoded: Buffer | null = null;
  #session: Readonly<Record<string, unknown>> = {};

  /** @internal */
  constructor(client: GatewayClientEntry, place: GatewayPlace) {
    this.#client = client;
    this.id = encodeClientId(place.localIp, place.localPort, client.connectionId);
    this.gatewayPort = place.gatewayPort;
  }

  get remoteAddress(): string {
    return this.#client.connection.remoteAddress;
  }

  /** 0 where a proxy has told the address and no port. */
  get remotePort(): number {
    return this.#client.clientPort;
  }

  /** The session as workers wrote it last, read-only: what is changed here goes nowhere. `{}` for one that can't be read. */
  get session(): Readonly<Record<string, unknown>> {
    const bytes = this.#client.session;
    if (this.#decoded !== bytes) {
      this.#decoded = bytes;
      this.#session = sessionOf(bytes);
    }
    return this.#session;
  }

  /** The session's serialized text; empty: none. */
  get sessionBytes(): Buffer {
    return this.#client.session;
  }

  get uid(): string | null {
    const { uid } = this.#client;
    return uid === null ? null : textOf(uid);
  }

  get groups(): ReadonlySet<string> {
    const { groups } = this.#client;
    return groups === null ? NO_NAMES : new Set([...groups].map(({ name }) => textOf(name)));
  }

  /** The key of the worker that had its last event; null before the first. */
  get workerKey(): string | null {
    return this.#client.workerKey;
  }

  /** Sends a message to the client; false when it was dropped. @throws ProtocolError for a value that can't be framed */
  send(message: unknown): boolean {
    return this.#client.connection.send(message);
  }

  /**
   * Ends the connection in order, with a last message if there is one.
   *
   * @param code close code, where the protocol is WebSocket; default 1000
   */
  close(message?: unknown, code?: number, reason?: string): void {
    this.#client.connection.close(message, code, reason);
  }

  /** Ends the connection at once. */
  destroy(): void {
    this.#client.connection.destroy();
  }

  /** The id. */
  toString(): string {
    return this.id;
  }
}

function sessionOf(bytes: Buffer): Readonly<Record<string, unknown>> {
  if (bytes.length === 0) return {};
  try {
    const value = unserialize(bytes);
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    // Who wrote it is told by the workers that read it.
    return {};
  }
}

/** uids and groups are kept as bytes, one character each. */
function textOf(name: string): string {
  return Buffer.from(name, 'latin1').toString('utf8');
}
