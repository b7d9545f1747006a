import { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

/** Bytes under way to one end that it has not asked for; what a writer hands over beyond waits with the writer. */
const WINDOW_BYTES = 65_536;

export interface SocketAddresses {
  readonly localAddress: string;
  readonly localPort: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
}

/**
 * One end of a TCP connection that exists only in this process: a stream with what a connection of core/net uses of a
 * socket. What one end writes, the other is given in a later turn of the event loop.
 */
class MemorySocket extends Duplex implements SocketAddresses {
  readonly localAddress: string;
  readonly localPort: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
  peer!: MemorySocket;
  /** Under way to this end; null is the end of it. */
  readonly #inbox: (Buffer | null)[] = [];
  #inboxBytes = 0;
  /** The peer's last write has not been taken yet. */
  #waiting: (() => void) | null = null;
  #wanted = false;
  #scheduled = false;

  constructor(addresses: SocketAddresses) {
    super();
    this.localAddress = addresses.localAddress;
    this.localPort = addresses.localPort;
    this.remoteAddress = addresses.remoteAddress;
    this.remotePort = addresses.remotePort;
  }

  override _read(): void {
    this.#wanted = true;
    this.#schedule();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    // The writer uses its memory again as soon as this is taken.
    this.peer.#receive(Buffer.from(chunk), done);
  }

  override _final(done: () => void): void {
    this.peer.#receive(null, done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#inbox.length = 0;
    this.#taken();
    this.peer.#receive(null, ignore);
    done(error);
  }

  #receive(bytes: Buffer | null, done: () => void): void {
    // As into a socket whose peer is gone: it is taken, and nobody gets it.
    if (this.destroyed) {
      done();
      return;
    }
    if (bytes === null || bytes.length > 0) this.#inbox.push(bytes);
    this.#inboxBytes += bytes?.length ?? 0;
    if (this.#inboxBytes < WINDOW_BYTES) done();
    else this.#waiting = done;
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled || !this.#wanted || this.#inbox.length === 0) return;
    this.#scheduled = true;
    setImmediate(() => this.#deliver());
  }

  #deliver(): void {
    this.#scheduled = false;
    while (this.#wanted && !this.destroyed) {
      const bytes = this.#inbox.shift();
      if (bytes === undefined) break;
      this.#inboxBytes -= bytes?.length ?? 0;
      this.#wanted = false;
      if (this.push(bytes)) this.#wanted = true;
    }
    if (this.#inboxBytes < WINDOW_BYTES) this.#taken();
  }

  #taken(): void {
    const done = this.#waiting;
    this.#waiting = null;
    done?.();
  }
}

/**
 * The two ends of a connection from a client to a server, neither connected yet: the client's is told so with `connect`.
 *
 * @param addresses as the client's end has them
 */
export function memorySockets(addresses: SocketAddresses): { readonly client: Socket; readonly server: Socket } {
  const { localAddress, localPort, remoteAddress, remotePort } = addresses;
  const client = new MemorySocket(addresses);
  const swapped = {
    localAddress: remoteAddress,
    localPort: remotePort,
    remoteAddress: localAddress,
    remotePort: localPort,
  };
  const server = new MemorySocket(swapped);
  client.peer = server;
  server.peer = client;
  return { client: client as unknown as Socket, server: server as unknown as Socket };
}

function ignore(): void {}
