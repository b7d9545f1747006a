import { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { HandleWire } from './handle-wire.js';
import type { Wire, WireEnd } from './wire.js';

const kEnd = Symbol('end');
const NOTHING = Buffer.alloc(0);

type WireSocket = Socket & { [kEnd]?: WireEnd };

/** A socket of Node.js: TLS, and whatever has no handle of its own. Its listeners are shared by all sockets. */
export class SocketWire implements Wire {
  readonly #socket: WireSocket;
  readonly #connecting: boolean;

  /** @param connecting the socket is being connected: `connected` tells */
  constructor(socket: Socket, connecting = false) {
    this.#socket = socket;
    this.#connecting = connecting;
  }

  get remoteAddress(): string {
    return this.#socket.remoteAddress ?? '';
  }

  get remotePort(): number {
    return this.#socket.remotePort ?? 0;
  }

  get localAddress(): string {
    return this.#socket.localAddress ?? '';
  }

  get localPort(): number {
    return this.#socket.localPort ?? 0;
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
    if (this.#connecting) socket.on(this.encrypted ? 'secureConnect' : 'connect', onConnect);
    // Asked once, a socket remembers; when it is gone, which a handler of the end wants to know of whom, it can't be asked.
    else void socket.remoteAddress;
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
  this[kEnd]?.wireFailed(error);
}

function onClose(this: WireSocket): void {
  this[kEnd]?.wireClosed();
}

/** Connecting is the socket's business; once it is done, its handle serves better. */
function onConnect(this: WireSocket): void {
  const end = this[kEnd];
  if (end === undefined) return;
  const wire = HandleWire.takeOver(this);
  if (wire === null) {
    void this.remoteAddress;
    end.connected(new SocketWire(this));
    return;
  }
  delete this[kEnd];
  wire.attach(end);
  end.connected(wire);
}
