import { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import { type ProxyVersions, parseProxyHeader } from '../protocols/mod.js';
import { deadlines, type Expiring } from '../timers/mod.js';
import type { PeerAddress } from './trusted-proxies.js';

/** Told once what came of the header. */
interface ProxyReaderOwner {
  /** What came behind it is with the socket, unread. `from` null: the proxy speaks for itself, or does not say. */
  headerRead(reader: ProxyReader, from: PeerAddress | null): void;
  /** There will be none; the socket is destroyed. `reason` null: nobody has done anything wrong. */
  headerMissing(reader: ProxyReader, reason: string | null): void;
}

const kReader = Symbol('proxy reader');

type ProxiedSocket = Socket & { [kReader]?: ProxyReader };

/** Reads the PROXY header of one connection that was accepted. */
export class ProxyReader implements Expiring {
  readonly socket: ProxiedSocket;
  readonly #owner: ProxyReaderOwner;
  readonly #versions: ProxyVersions;
  #bytes: Buffer | null = null;
  /** The header has come. */
  #complete = false;
  #from: PeerAddress | null = null;

  constructor(socket: Socket, owner: ProxyReaderOwner, versions: ProxyVersions, seconds: number) {
    this.socket = socket;
    this.#owner = owner;
    this.#versions = versions;
    this.socket[kReader] = this;
    socket.on('readable', socketOnReadable);
    for (const event of LAST_EVENTS) socket.on(event, socketOnOver);
    deadlines.set(this, seconds);
  }

  /** The header was not there in time. */
  expire(): void {
    this.#fail('it was not there in time');
  }

  /** Nobody is interested any more. */
  cancel(): void {
    this.#fail(null);
  }

  // ---- below: for the listeners of this file ----

  /** @internal */
  read(): void {
    const chunk: Buffer | null = this.socket.read();
    if (chunk === null) return;
    const bytes = this.#bytes === null ? chunk : Buffer.concat([this.#bytes, chunk]);
    this.#bytes = bytes;
    const header = parseProxyHeader(bytes, this.#versions);
    if (header === null) return;
    if (typeof header === 'string') {
      this.#fail(header);
      return;
    }
    this.#complete = true;
    this.#from = header.peer;
    deadlines.delete(this);
    this.socket.off('readable', socketOnReadable);
    if (header.bytes < bytes.length) this.socket.unshift(bytes.subarray(header.bytes));
    // Taking back a listener for `readable`, a socket with one for `data` resumes in its next tick, paused or not.
    setImmediate(handOver, this);
  }

  /** @internal */
  handOver(): void {
    if (this.socket[kReader] !== this) return;
    this.#detach();
    this.#owner.headerRead(this, this.#from);
  }

  /** @internal The peer has hung up, or the socket has failed. Who only looks whether the port is open does no wrong. */
  over(): void {
    this.#fail(this.#bytes === null || this.#complete ? null : 'it ended in the middle');
  }

  #fail(reason: string | null): void {
    if (this.socket[kReader] !== this) return;
    this.#detach();
    this.socket.destroy();
    this.#owner.headerMissing(this, reason);
  }

  #detach(): void {
    const { socket } = this;
    deadlines.delete(this);
    delete socket[kReader];
    if (!this.#complete) socket.off('readable', socketOnReadable);
    for (const event of LAST_EVENTS) socket.off(event, socketOnOver);
  }
}

const LAST_EVENTS = ['end', 'error', 'close'] as const;

function socketOnReadable(this: ProxiedSocket): void {
  this[kReader]?.read();
}

function socketOnOver(this: ProxiedSocket): void {
  this[kReader]?.over();
}

function handOver(reader: ProxyReader): void {
  reader.handOver();
}
