import { Buffer } from 'node:buffer';
import type { Server, Socket } from 'node:net';
import process from 'node:process';
import { TLSSocket } from 'node:tls';
import { getSystemErrorName } from 'node:util';
import { KEEP_ALIVE_MS, type LocalAddresses, type Wire, type WireEnd } from './wire.js';

/**
 * A connection without the socket: bytes go to and come from the handle that Node's own sockets are built on.
 *
 * A stream costs what most of its users need and a TcpConnection does not: a fresh 64 KiB buffer for each read, two queues
 * with their states and events, a request object and a tick for each write. Measured with an echo of 64 bytes over 200
 * connections, one in flight: 9.1 µs a message with sockets, 6.9 µs with handles, 6.0 µs in C; and an idle connection
 * takes a third of the memory.
 *
 * The handle is not documented. Everything used of it is in this file and is looked for before it is used; where something
 * is missing, or GATEWAYWORKER_PLAIN_SOCKETS is set, sockets do the work.
 */
export class HandleWire implements Wire {
  readonly remoteAddress: string;
  readonly remotePort: number;
  queued = 0;
  destroyed = false;
  readonly #handle: Handle;
  readonly #addresses: LocalAddresses | null;
  #end: WireEnd | null = null;
  #reading = false;
  #marked = false;
  /** Our side is being hung up, or was. */
  #ending = false;
  /** Each side's end, once there. */
  #written = false;
  #read = false;

  private constructor(handle: Handle, addresses: LocalAddresses | null) {
    this.#handle = handle;
    this.#addresses = addresses;
    // Now or never: when it is gone, which a handler of the end wants to know of whom, it can't be asked.
    const { address, port } = addresses === null ? addressOf(handle, 'getpeername') : NO_ADDRESS;
    this.remoteAddress = addresses?.host ?? address;
    this.remotePort = addresses?.remotePort ?? port;
  }

  /**
   * Has a listening server hand out handles instead of making sockets.
   *
   * @param accept gets each connection, over TCP without Nagle and with keepalive after 55 s
   * @param addresses for a server on a Unix socket
   * @returns whether it will: false when this Node.js is not known well enough
   */
  static takeOverServer(
    server: Server,
    accept: (wire: Wire) => void,
    addresses: LocalAddresses | null = null,
  ): boolean {
    const listening = (server as unknown as { _handle?: { onconnection?: OnConnection } })._handle;
    if (stream === null || typeof listening?.onconnection !== 'function') return false;
    const onSocket = listening.onconnection;
    listening.onconnection = function (error, handle) {
      if (error !== 0 || !isHandle(handle) || (addresses === null && !isTcp(handle))) {
        onSocket.call(this, error, handle);
        return;
      }
      if (isTcp(handle)) {
        handle.setNoDelay(true);
        handle.setKeepAlive(true, KEEP_ALIVE_MS / 1000);
      }
      accept(new HandleWire(handle, addresses));
    };
    return true;
  }

  /**
   * Takes the handle of a socket that has just connected; null: it must keep it.
   *
   * @param addresses for a Unix socket
   */
  static takeOver(socket: Socket, addresses: LocalAddresses | null): HandleWire | null {
    // What it was handed before it was connected it has yet to write.
    if (socket instanceof TLSSocket || socket.writableLength > 0) return null;
    const holder = socket as unknown as { _handle: unknown };
    const handle = holder._handle;
    if (stream === null || !isHandle(handle) || (addresses === null && !isTcp(handle))) return null;
    holder._handle = null;
    socket.destroy();
    return new HandleWire(handle, addresses);
  }

  get encrypted(): boolean {
    return false;
  }

  get local(): boolean {
    return this.#addresses !== null;
  }

  get localAddress(): string {
    return this.#addresses?.host ?? this.#localAddress.address;
  }

  get localPort(): number {
    return this.#addresses?.localPort ?? this.#localAddress.port;
  }

  get #localAddress(): { address: string; port: number } {
    return this.destroyed ? NO_ADDRESS : addressOf(this.#handle, 'getsockname');
  }

  attach(end: WireEnd): void {
    const handle = this.#handle;
    this.#end = end;
    handle[kWire] = this;
    handle.useUserBuffer(READ_BUFFER);
    handle.onread = onRead;
    this.resume();
  }

  write(bytes: Buffer): void {
    if (this.destroyed || stream === null) return;
    const request = spareRequest ?? new stream.WriteWrap();
    const error = this.#handle.writeBuffer(request, bytes);
    spareRequest = null;
    if (error !== 0) {
      this.#fail(error, 'write');
      return;
    }
    // The system has taken all of it and nothing knows of the request: it serves the next write.
    if (stream.streamBaseState[stream.kLastWriteWasAsync] === 0) {
      spareRequest = request;
      return;
    }
    request[kWire] = this;
    request.buffer = bytes;
    request.oncomplete = afterWrite;
    this.queued += bytes.length;
  }

  mark(): void {
    if (!this.#ending) this.#marked = true;
  }

  pause(): void {
    if (this.destroyed || !this.#reading) return;
    this.#reading = false;
    this.#handle.readStop();
  }

  resume(): void {
    // Asked to begin when it has begun, a handle answers with an error.
    if (this.destroyed || this.#read || this.#reading) return;
    this.#reading = true;
    const error = this.#handle.readStart();
    if (error !== 0) this.#fail(error, 'read');
  }

  end(): void {
    if (this.#ending || this.destroyed || stream === null) return;
    this.#ending = true;
    const request = new stream.ShutdownWrap();
    request[kWire] = this;
    request.oncomplete = afterShutdown;
    const result = this.#handle.shutdown(request);
    // 1: done already. A peer that is gone needs no goodbye; that it is gone is told by reading.
    if (result !== 0) queueMicrotask(() => this.didShutDown());
  }

  destroy(): void {
    if (this.destroyed) return;
    this.destroyed = true;
    this.#handle.close(() => this.#end?.wireClosed());
  }

  // ---- below: for the listeners of this file ----

  /** @internal @param count bytes in the read buffer, or what the system has to say, below 0 */
  didRead(count: number): void {
    if (this.destroyed || count === 0) return;
    if (count > 0) this.#end?.receive(readBytes(count));
    else if (count === UV_EOF) this.#peerEnded();
    else this.#fail(count, 'read');
  }

  /** @internal What the system could not take at once is written. */
  didWrite(bytes: number, status: number): void {
    this.queued -= bytes;
    if (this.destroyed) return;
    if (status < 0) {
      this.#fail(status, 'write');
    } else if (this.#marked && this.queued === 0) {
      this.#marked = false;
      this.#end?.drained();
    }
  }

  /** @internal */
  didShutDown(): void {
    if (this.destroyed) return;
    this.#written = true;
    if (this.#read) this.destroy();
    this.#end?.finished();
  }

  #peerEnded(): void {
    this.#read = true;
    if (this.#written) this.destroy();
    this.#end?.peerEnded();
  }

  #fail(error: number, syscall: string): void {
    if (this.destroyed) return;
    this.destroy();
    this.#end?.wireFailed(systemError(error, syscall));
  }
}

const kWire = Symbol('wire');

/** What `getSystemErrorName` calls EOF. */
const UV_EOF = -4095;

/**
 * All reads of the process go here: what is read is used up, or copied by whoever needs it longer, before the next read.
 * As large as what a socket reads at once: this much of a client that is paused may have to be kept.
 */
const READ_BUFFER = Buffer.allocUnsafeSlow(64 * 1024);
let lastRead = READ_BUFFER;

/** The beginning of the read buffer. Messages tend to be alike: a view serves again as long as their length is the same. */
function readBytes(count: number): Buffer {
  if (lastRead.length !== count) lastRead = READ_BUFFER.subarray(0, count);
  return lastRead;
}

/** How Node.js wraps handles, if it does so the way we know. */
const stream = streamBinding();

/** A write request that no write is using. */
let spareRequest: WriteRequest | null = null;

function onRead(this: Handle): void {
  if (stream !== null) this[kWire]?.didRead(stream.streamBaseState[stream.kReadBytesOrError] as number);
}

function afterWrite(this: WriteRequest, status: number): void {
  const bytes = this.buffer?.length ?? 0;
  this.buffer = null;
  this[kWire]?.didWrite(bytes, status);
}

function afterShutdown(this: Request): void {
  this[kWire]?.didShutDown();
}

function systemError(error: number, syscall: string): Error {
  const code = getSystemErrorName(error);
  return Object.assign(new Error(`${syscall} ${code}`), { code, errno: error, syscall });
}

const NO_ADDRESS = Object.freeze({ address: '', port: 0 });

function addressOf(handle: Handle, ask: 'getpeername' | 'getsockname'): { address: string; port: number } {
  const out = { ...NO_ADDRESS };
  // A peer may be gone again before it is accepted: then there is nothing to know.
  if (isTcp(handle)) handle[ask](out);
  return out;
}

interface Handle {
  [kWire]?: HandleWire;
  onread: (this: Handle) => void;
  readStart(): number;
  readStop(): number;
  useUserBuffer(buffer: Uint8Array): void;
  writeBuffer(request: WriteRequest, bytes: Uint8Array): number;
  shutdown(request: Request): number;
  close(closed: () => void): void;
}

interface TcpHandle extends Handle {
  getpeername(out: object): number;
  getsockname(out: object): number;
  setNoDelay(on: boolean): number;
  setKeepAlive(on: boolean, seconds: number): number;
}

const HANDLE_METHODS = [
  'readStart',
  'readStop',
  'useUserBuffer',
  'writeBuffer',
  'shutdown',
  'close',
] as const satisfies readonly (keyof Handle)[];

const TCP_METHODS = [
  'getpeername',
  'getsockname',
  'setNoDelay',
  'setKeepAlive',
] as const satisfies readonly (keyof TcpHandle)[];

function isHandle(value: unknown): value is Handle {
  const handle = value as Partial<Handle> | null | undefined;
  return handle !== null && HANDLE_METHODS.every((name) => typeof handle?.[name] === 'function');
}

function isTcp(handle: Handle): handle is TcpHandle {
  return TCP_METHODS.every((name) => typeof (handle as Partial<TcpHandle>)[name] === 'function');
}

type OnConnection = (this: unknown, error: number, handle: unknown) => void;

interface Request {
  [kWire]?: HandleWire;
  oncomplete?: (status: number) => void;
}

interface WriteRequest extends Request {
  /** Keeps the bytes alive until they are written. */
  buffer?: Buffer | null;
}

/** How Node.js tells what a read or a write came to. */
interface StreamBinding {
  readonly WriteWrap: new () => WriteRequest;
  readonly ShutdownWrap: new () => Request;
  readonly streamBaseState: Int32Array;
  readonly kReadBytesOrError: number;
  readonly kLastWriteWasAsync: number;
}

function streamBinding(): StreamBinding | null {
  const { GATEWAYWORKER_PLAIN_SOCKETS: plain = '' } = process.env;
  if (plain !== '') return null;
  try {
    const { binding } = process as unknown as { binding(name: string): Partial<StreamBinding> };
    const found = binding.call(process, 'stream_wrap');
    const known =
      typeof found.WriteWrap === 'function' &&
      typeof found.ShutdownWrap === 'function' &&
      ArrayBuffer.isView(found.streamBaseState) &&
      typeof found.kReadBytesOrError === 'number' &&
      typeof found.kLastWriteWasAsync === 'number';
    return known ? (found as StreamBinding) : null;
  } catch {
    // The permission model forbids it, or it is no more.
    return null;
  }
}
