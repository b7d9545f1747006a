import { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { HandleWire } from './handle-wire.js';
import type { LocalAddresses, Wire, WireEnd } from './wire.js';

const kEnd = Symbol('end');
const kWire = Symbol('wire');
const NOTHING = Buffer.alloc(0);

type WireSocket = Socket & { [kEnd]?: WireEnd; [kWire]?: SocketWire };

export interface SocketWireOptions {
  /** The socket is being connected: `connected` tells. */
  readonly connecting?: boolean;
  /** Of a Unix socket. */
  readonly addresses?: LocalAddresses;
  /** Makes the socket to try when this one can't be connected. */
  readonly instead?: () => Socket;
}

/** A socket of Node.js: TLS, and whatever has no handle of its own. Its listeners are shared by all sockets. */
export class SocketWire implements Wire {
  #socket: WireSocket;
  #addresses: LocalAddresses | null;
  #instead: (() => Socket) | null;
  readonly #connecting: boolean;

  constructor(socket: Socket, { connecting = false, addresses, instead }: SocketWireOptions = {}) {
    this.#socket = socket;
    this.#connecting = connecting;
    this.#addresses = addresses ?? null;
    this.#instead = instead ?? null;
  }

  get remoteAddress(): string {
    return this.#addresses?.host ?? this.#socket.remoteAddress ?? '';
  }

  get remotePort(): number {
    return this.#addresses?.remotePort ?? this.#socket.remotePort ?? 0;
  }

  get localAddress(): string {
    return this.#addresses?.host ?? this.#socket.localAddress ?? '';
  }

  get localPort(): number {
    return this.#addresses?.localPort ?? this.#socket.localPort ?? 0;
  }

  get local(): boolean {
    return this.#addresses !== null;
  }

  get encrypted(): boolean {
    return this.#socket instanceof TLSSocket;
  }

  get queued(): number {
    return this.#socket.writableLength;
  }

  get destroyed(): boolean {
    return this.#socket.destroyed;
  }

  attach(end: WireEnd): void {
    const socket = this.#socket;
    socket[kEnd] = end;
    socket.on('data', onData);
    socket.on('end', onEnd);
    socket.on('error', onError);
    socket.on('close', onClose);
    if (this.#connecting) {
      socket[kWire] = this;
      socket.on('connect', onConnect);
    }
    // Asked once, a socket remembers; when it is gone, which a handler of the end wants to know of whom, it can't be asked.
    else void socket.remoteAddress;
  }

  /** @internal It is connected: its handle, where it can be had, serves better. */
  connected(end: WireEnd): void {
    const socket = this.#socket;
    this.#instead = null;
    const wire = HandleWire.takeOver(socket, this.#addresses);
    if (wire === null) {
      void socket.remoteAddress;
      end.connected(this);
      return;
    }
    forget(socket);
    wire.attach(end);
    end.connected(wire);
  }

  /** @internal @returns whether another socket is tried */
  failed(end: WireEnd): boolean {
    const next = this.#instead;
    if (next === null) return false;
    this.#instead = null;
    this.#addresses = null;
    forget(this.#socket);
    this.#socket = next();
    this.attach(end);
    return true;
  }

  write(bytes: Buffer): void {
    this.#socket.write(bytes);
  }

  mark(): void {
    const socket = this.#socket;
    if (!socket.writableEnded) socket.write(NOTHING, () => socket[kEnd]?.drained());
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    const socket = this.#socket;
    socket.end(() => socket[kEnd]?.finished());
  }

  destroy(): void {
    this.#socket.destroy();
  }
}

function onData(this: WireSocket, chunk: Buffer): void {
  this[kEnd]?.receive(chunk);
}

function onEnd(this: WireSocket): void {
  this[kEnd]?.peerEnded();
}

function onError(this: WireSocket, error: Error): void {
  const end = this[kEnd];
  if (end === undefined || this[kWire]?.failed(end)) return;
  end.wireFailed(error);
}

function onClose(this: WireSocket): void {
  this[kEnd]?.wireClosed();
}

function onConnect(this: WireSocket): void {
  const end = this[kEnd];
  if (end !== undefined) this[kWire]?.connected(end);
}

/** What this socket still has to say is of no interest. */
function forget(socket: WireSocket): void {
  delete socket[kEnd];
  delete socket[kWire];
}
