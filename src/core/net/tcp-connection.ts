import type { Buffer } from 'node:buffer';
import { connect as connectSocket, isIPv6, type Socket } from 'node:net';
import { ByteQueue, type GatewayWorkerError } from '../../util/mod.js';
import {
  type Codec,
  type HandshakeRequest,
  type HandshakeResponse,
  type ProtocolError,
  type Reader,
  type ReaderSink,
  tcpCodec,
} from '../protocols/mod.js';
import { deadlines, type Expiring } from '../timers/mod.js';
import { ConnectionError } from './errors.js';
import { localSocketOf } from './local-socket.js';
import { SocketWire } from './socket-wire.js';
import { appendOwn, appendShared, type FrameRun, SharedFrame, type TurnFlushed, turnWriter } from './turn-writer.js';
import { KEEP_ALIVE_MS, type Wire, type WireEnd } from './wire.js';

/** What a connection is held to. One object serves all connections of a listener. */
export interface ConnectionLimits {
  /** Largest package taken from the peer, in bytes with framing; default 10,485,760 (as the original). */
  readonly maxPackageSize: number;
  /** Bytes queued for the peer from which on further messages are dropped; default 1,048,576 (as the original). */
  readonly maxSendBufferSize: number;
  /** Seconds a handshake may take; default 10. */
  readonly handshakeTimeout: number;
  /** Seconds after `close` until a peer that does not read what is left, or does not hang up, is cut off; default 10. */
  readonly closeTimeout: number;
}

export const CONNECTION_LIMITS: ConnectionLimits = Object.freeze({
  maxPackageSize: 10_485_760,
  maxSendBufferSize: 1_048_576,
  handshakeTimeout: 10,
  closeTimeout: 10,
});

/** Counters of all connections of one owner. */
export class ConnectionCounters {
  /** Connections that exist now. */
  connections = 0;
  /** Messages taken from peers, since the process started. */
  requests = 0;
  /** Messages for peers that were dropped: queue full, or the connection was closed. */
  sendFail = 0;
  /** Those of them that a full queue was the reason for. */
  sendBufferFull = 0;
  /** Connections closed because the peer broke the protocol or a limit. */
  protocolErrors = 0;
  /** Connections that came to nothing because their TLS handshake failed, took too long or found no room. */
  tlsRefused = 0;
}

/**
 * Who a connection belongs to: a Worker, a gateway, a link. One owner serves all its connections, so that a connection
 * carries no closure of its own. Methods must not throw; whoever runs user code guards it.
 */
export interface ConnectionOwner {
  readonly counters: ConnectionCounters;
  /** A message, as bytes in place: good only during the call. */
  onBytes(connection: TcpConnection, buffer: Buffer, start: number, end: number, binary: boolean): void;
  /** A message that the codec decoded to a value of its own. */
  onValue(connection: TcpConnection, value: unknown): void;
  /** A handshake request came; false when the owner has refused it (closed the connection). */
  onHandshake(connection: TcpConnection, request: HandshakeRequest, response: HandshakeResponse): boolean;
  /** Connected (an outgoing connection), or the handshake is done. Not called for accepted ones without a handshake. */
  onOpen(connection: TcpConnection): void;
  /** The peer broke the protocol or a limit (the connection is being closed), or a message for it was dropped. */
  onFail(connection: TcpConnection, error: GatewayWorkerError): void;
  /** The send queue has reached its limit. */
  onFull(connection: TcpConnection): void;
  /** The send queue, having been more than the kernel would take, is empty. */
  onDrain(connection: TcpConnection): void;
  /** The peer has hung up its side or said goodbye: nothing more comes and nothing can be sent. `onClose` follows. */
  onHangup?(connection: TcpConnection): void;
  /** Gone, for whatever reason: exactly once, the last call. `error` is the system's, if it was one. */
  onClose(connection: TcpConnection, error: Error | null): void;
}

export type ConnectionStatus = 'connecting' | 'established' | 'closing' | 'closed';

export interface SendOptions {
  /** Write the bytes as they are, without the framing of the protocol; default false. */
  readonly raw?: boolean;
  /** The message is binary, where the protocol tells; default: true for a Buffer, false for text. */
  readonly binary?: boolean;
}

/** Close code that says goodbye when nothing else was asked for: RFC 6455 section 7.4.1, normal closure. */
const NORMAL_CLOSURE = 1000;

/** As the original's `lingerTimeout`. */
const LINGER_SECONDS = 1;

/** A peer that broke the protocol is not waited for as long as one that is leaving in order. */
const FAILED_CLOSE_SECONDS = 2;

/** Whether the turn writer knows that there is something to write. */
const SCHEDULED = { no: 0, inBulk: 1, forThisTurn: 2 } as const;

type Scheduled = (typeof SCHEDULED)[keyof typeof SCHEDULED];

let lastId = 0;

/**
 * One TCP connection, accepted or outgoing.
 *
 * What is sent during one turn of the event loop leaves in one write at the end of the turn (see turn-writer.ts).
 */
export class TcpConnection implements TurnFlushed, Expiring, WireEnd {
  /** Unique within the process, from 1 on. */
  readonly id: number;
  /** Another than that of the listener from the handshake on, where the peer has agreed to one. */
  codec: Codec;
  readonly owner: ConnectionOwner;
  limits: ConnectionLimits;
  /** Bytes taken from and handed to the socket (after TLS). */
  bytesRead = 0;
  bytesWritten = 0;
  /** The owner's place for what belongs to this connection. */
  context: unknown = null;
  #wire: Wire;
  readonly #reader: Reader;
  #status: ConnectionStatus;
  /** Frames may leave: connected, and the handshake, where there is one, is done. */
  #open: boolean;
  #paused = false;
  /** What was sent before `#open`. */
  #early: ByteQueue | null = null;
  /** What was sent during this turn. */
  #pending: FrameRun | null = null;
  #scheduled: Scheduled = SCHEDULED.no;
  /** The wire will tell when its queue has drained. */
  #marked = false;
  /** `onFull` was told, and `onDrain` not yet. */
  #full = false;
  /** The owner is being told of a dropped message. */
  #telling = false;
  /** The peer hung up its side while we were paused. */
  #hungUp = false;
  #closed = false;
  #cutShort = false;
  #error: Error | null = null;

  constructor(wire: Wire, codec: Codec, owner: ConnectionOwner, limits: ConnectionLimits, connecting = false) {
    this.id = ++lastId;
    this.codec = codec;
    this.owner = owner;
    this.limits = limits;
    this.#wire = wire;
    this.#reader = codec.open(limits);
    this.#status = connecting ? 'connecting' : 'established';
    this.#open = !connecting && this.#reader.open;
    owner.counters.connections++;
    wire.attach(this);
    if (!this.#open) deadlines.set(this, limits.handshakeTimeout);
  }

  get status(): ConnectionStatus {
    return this.#status;
  }

  get remoteAddress(): string {
    return this.#wire.remoteAddress;
  }

  get remotePort(): number {
    return this.#wire.remotePort;
  }

  get localAddress(): string {
    return this.#wire.localAddress;
  }

  get localPort(): number {
    return this.#wire.localPort;
  }

  get isIpV6(): boolean {
    return isIPv6(this.remoteAddress);
  }

  /** Bytes that wait for the peer: this turn's, those before the handshake, and those the kernel has not taken. */
  get sendQueueSize(): number {
    return (
      (this.#pending === null ? 0 : this.#pending.length) +
      (this.#early === null ? 0 : this.#early.length) +
      this.#wire.queued
    );
  }

  /** Bytes taken from the peer that make no complete message yet, or wait behind a pause. */
  get recvQueueSize(): number {
    return this.#reader.held;
  }

  /**
   * Whether at least `limit` bytes wait for the peer. What only waits for the end of the turn is not a slow peer's fault,
   * so the kernel is offered it before the answer is yes; `onDrain` then tells when all of it is gone.
   */
  isFull(limit: number): boolean {
    if (this.sendQueueSize < limit) return false;
    if (this.#pending !== null && this.#write()) turnWriter.retain();
    return this.sendQueueSize >= limit;
  }

  /** It goes over a Unix socket, beside the port that its addresses tell of. */
  get local(): boolean {
    return this.#wire.local;
  }

  /** The peer speaks TLS. */
  get encrypted(): boolean {
    return this.#wire.encrypted;
  }

  /** Messages leave at once: connected, the handshake, where there is one, is done, and nobody has said goodbye. */
  get ready(): boolean {
    return this.#open && this.#status === 'established';
  }

  /** Not all that was taken for the peer was handed to the system before the end; for `onClose`. */
  get cutShort(): boolean {
    return this.#cutShort;
  }

  /** @internal The owner has been told of the end. */
  get gone(): boolean {
    return this.#closed;
  }

  get paused(): boolean {
    return this.#paused;
  }

  /**
   * Sends one message.
   *
   * A message is taken whole as long as less than `maxSendBufferSize` bytes wait for the peer; from there on messages are
   * dropped whole (never cut) until the peer has read, as in the original.
   *
   * @param data text or bytes; a user-defined protocol takes what its `encode` takes
   * @returns true: taken; false: dropped, because the queue is full or the connection is closing
   * @throws ProtocolError when the protocol can't frame this value; nothing has changed then
   */
  send(data: unknown, options?: SendOptions): boolean {
    if (!this.#canSend()) return false;
    const { arena } = turnWriter;
    const { buffer, offset } = arena;
    if (options?.raw === true) tcpCodec.encode(arena, data, true);
    else this.codec.encode(arena, data, options?.binary ?? typeof data !== 'string');
    // The encoder reserves once: a frame begins where the arena stood, or at the beginning of a new slab.
    this.#queue(arena.buffer, arena.buffer === buffer ? offset : 0, arena.offset);
    return true;
  }

  /** Sends one message that stands in buffer[start…end), for whoever has it there: no Buffer is made of it. */
  sendBytes(buffer: Buffer, start: number, end: number, binary: boolean): boolean {
    if (!this.#canSend()) return false;
    const { arena } = turnWriter;
    const { buffer: slab, offset } = arena;
    const { codec } = this;
    if (codec.encodeRange === undefined) codec.encode(arena, buffer.subarray(start, end), binary);
    else codec.encodeRange(arena, buffer, start, end, binary);
    this.#queue(arena.buffer, arena.buffer === slab ? offset : 0, arena.offset);
    return true;
  }

  /** Sends bytes of the arena that are framed already. The range is good for this turn only. */
  sendRange(buffer: Buffer, start: number, end: number): boolean {
    if (!this.#canSend()) return false;
    this.#queue(buffer, start, end);
    return true;
  }

  /** The same behind `maxSendBufferSize` too: for the few bytes a peer must not miss, of which the caller bounds the sum. */
  sendRangeAlways(buffer: Buffer, start: number, end: number): void {
    if (this.#takesMessages()) this.#queue(buffer, start, end);
  }

  /** Sends a frame that others get too; see SharedFrame. */
  sendShared(frame: SharedFrame): boolean {
    if (!this.#canSend()) return false;
    if (!this.#open) {
      this.#queueEarly(frame.buffer, frame.start, frame.end);
    } else {
      this.#pending = appendShared(this.#pending, frameFor(this.codec, frame));
      if (this.#scheduled === SCHEDULED.no) {
        this.#scheduled = SCHEDULED.inBulk;
        turnWriter.scheduleBulk(this);
      }
    }
    this.#checkFull();
    return true;
  }

  /** Sends a ping of the protocol, where it has one (WebSocket) and its handshake is done. */
  ping(): boolean {
    if (this.codec.encodePing === undefined || !this.#open || !this.#canSend()) return false;
    const { arena } = turnWriter;
    const { buffer, offset } = arena;
    this.codec.encodePing(arena);
    this.#queue(arena.buffer, arena.buffer === buffer ? offset : 0, arena.offset);
    return true;
  }

  /**
   * Ends the connection in order: takes no further message, writes what waits, says goodbye where the protocol can, and
   * hangs up. What the peer still sends is thrown away. Unlike the original, a last message is sent even when the queue
   * is full, and `onClose` never comes before `close` has returned.
   *
   * @param data a last message, or a frame that is one
   * @param code close code of a protocol that has them (RFC 6455 section 7.4); default 1000
   * @throws ProtocolError when the protocol can't frame the message or the code; the connection is closed all the same,
   *   without that message or with code 1000
   */
  close(data?: unknown, code: number = NORMAL_CLOSURE, reason = ''): void {
    if (this.#status === 'closed' || this.#status === 'closing') return;
    if (this.#status === 'connecting') {
      this.destroy();
      return;
    }
    try {
      if (this.#open && data !== undefined && data !== null) this.#appendLast(data);
    } finally {
      this.#end(code, reason);
    }
  }

  /** Ends the connection at once; what waits for the peer is lost. */
  destroy(): void {
    if (this.#status === 'closed') return;
    this.#cutShort ||= this.sendQueueSize > 0;
    this.#status = 'closed';
    this.#pending = null;
    this.#early = null;
    deadlines.delete(this);
    this.#wire.destroy();
  }

  /** Stops reading; messages that were read already are held. The peer's sends pile up on its own side. */
  pauseRecv(): void {
    if (this.#paused || this.#status === 'closing') return;
    this.#paused = true;
    this.#wire.pause();
  }

  /** Goes on reading, first with what was held. */
  resumeRecv(): void {
    if (!this.#paused) return;
    this.#paused = false;
    // Also when nothing is held: the reader has stopped if it was paused inside the last message it had.
    if (this.#status === 'established') {
      const outer = sink.enter(this);
      this.#reader.resume(sink);
      sink.leave(outer);
    }
    // A handler of a held message may have paused again.
    if (this.#paused) return;
    this.#wire.resume();
    if (this.#hungUp) this.peerEnded();
  }

  // ---- below: for turn-writer, deadlines and the wire ----

  /** @internal */
  flushTurn(): boolean {
    // One that was in the bulk and then had something of its own to send has been flushed for that.
    if (this.#scheduled === SCHEDULED.no) return false;
    this.#scheduled = SCHEDULED.no;
    return this.#write();
  }

  /** @internal A handshake that took too long, or a closing peer that does not hang up. */
  expire(): void {
    if (this.#status === 'connecting') {
      this.#error = new ConnectionError('GW_CONNECTION_CONNECT_TIMEOUT', 'the connection was not made in time', {
        seconds: this.limits.handshakeTimeout,
      });
    }
    if (this.#status === 'established') {
      this.owner.counters.protocolErrors++;
      this.owner.onFail(
        this,
        new ConnectionError('GW_CONNECTION_HANDSHAKE_TIMEOUT', 'the handshake was not finished in time', {
          seconds: this.limits.handshakeTimeout,
        }),
      );
    }
    this.destroy();
  }

  /** @internal */
  receive(chunk: Buffer): void {
    this.bytesRead += chunk.length;
    if (this.#status !== 'established') return;
    const outer = sink.enter(this);
    this.#reader.push(chunk, sink);
    sink.leave(outer);
  }

  /** @internal True while messages may be delivered: neither paused nor closing. */
  get receiving(): boolean {
    return this.#status === 'established' && !this.#paused;
  }

  /** @internal Bytes of the protocol itself: a handshake answer, a pong. False: not taken. */
  writeProtocol(bytes: Buffer): boolean {
    // A peer that asks for pongs and does not read them must not make the queue grow. What waits for the handshake is
    // our own, and waits for this answer.
    if (this.#open && this.sendQueueSize >= this.limits.maxSendBufferSize) return false;
    this.#queueCopy(bytes);
    return true;
  }

  /** @internal */
  opened(): void {
    this.#open = true;
    this.codec = this.#reader.codec ?? this.codec;
    if (this.#status === 'established') deadlines.delete(this);
    if (this.#early !== null) {
      const early = this.#early;
      this.#early = null;
      this.#queueCopy(early.buffer.subarray(early.start, early.end));
    }
    this.owner.onOpen(this);
  }

  /**
   * @internal The peer has said goodbye in its protocol, and was answered.
   *
   * @param answer the answer, if it was not taken because the queue is full: there is but one, so it is written all the same
   */
  ended(answer: Buffer | null): void {
    if (this.#status !== 'established') return;
    if (answer !== null) this.#queueCopy(answer);
    this.#finish(this.limits.closeTimeout);
    this.owner.onHangup?.(this);
  }

  /** @internal The peer broke the protocol or a limit. */
  failed(error: ProtocolError): void {
    if (this.#status !== 'established') return;
    this.owner.counters.protocolErrors++;
    if (error.reply !== null) this.#queueCopy(error.reply);
    this.#finish(FAILED_CLOSE_SECONDS);
    this.owner.onFail(this, error);
  }

  /** @internal */
  connected(wire: Wire): void {
    this.#wire = wire;
    if (this.#paused) wire.pause();
    if (this.#status !== 'connecting') return;
    this.#status = 'established';
    if (this.#reader.open) this.opened();
  }

  /** @internal The peer has hung up its side: nothing can be asked any more, what is queued is still written. */
  peerEnded(): void {
    // A socket tells of it even to who is paused; the messages that are held came before it.
    this.#hungUp = this.#paused && this.#status === 'established';
    if (this.#hungUp) return;
    if (this.#status !== 'established' && this.#status !== 'connecting') return;
    this.#finish(this.limits.closeTimeout);
    this.owner.onHangup?.(this);
  }

  /** @internal */
  wireFailed(error: Error): void {
    this.#error ??= error;
  }

  /** @internal */
  wireClosed(): void {
    if (this.#closed) return;
    this.#closed = true;
    // A socket that failed has forgotten its queue: that the marker never came through tells of it.
    this.#cutShort ||= this.#marked || this.#pending !== null || this.#early !== null;
    this.#status = 'closed';
    this.#pending = null;
    this.#early = null;
    deadlines.delete(this);
    this.owner.counters.connections--;
    this.owner.onClose(this, this.#error);
  }

  /** @internal The wire's queue was written up to the marker. */
  drained(): void {
    if (this.#wire.destroyed) return;
    this.#marked = false;
    if (this.#wire.queued > 0) {
      this.#mark();
    } else {
      this.#relieved();
    }
  }

  /** @internal All is written and the peer knows it is the end: it has a moment left to hang up too. */
  finished(): void {
    if (this.#status === 'closing') deadlines.set(this, LINGER_SECONDS);
  }

  #takesMessages(): boolean {
    return this.#status === 'established' || this.#status === 'connecting';
  }

  #canSend(): boolean {
    // Asked twice: offered the bytes, the socket may drain, and a handler of that may close.
    if (this.#takesMessages() && !this.isFull(this.limits.maxSendBufferSize) && this.#takesMessages()) return true;
    this.owner.counters.sendFail++;
    if (this.#takesMessages()) {
      this.owner.counters.sendBufferFull++;
      this.#tellDropped();
    }
    return false;
  }

  #tellDropped(): void {
    // A handler that sends would be told of that too, and so on.
    if (this.#telling) return;
    this.#telling = true;
    this.owner.onFail(
      this,
      new ConnectionError('GW_CONNECTION_SEND_BUFFER_FULL', 'the send buffer is full; the message was dropped', {
        queued: this.sendQueueSize,
        limit: this.limits.maxSendBufferSize,
      }),
    );
    this.#telling = false;
  }

  #queue(buffer: Buffer, start: number, end: number): void {
    if (end === start) return;
    if (this.#open) {
      this.#pending = appendOwn(this.#pending, buffer, start, end);
      this.#schedule();
    } else {
      this.#queueEarly(buffer, start, end);
    }
    this.#checkFull();
  }

  #queueEarly(buffer: Buffer, start: number, end: number): void {
    this.#early ??= new ByteQueue();
    this.#early.append(buffer, start, end);
  }

  #queueCopy(bytes: Buffer): void {
    if (bytes.length === 0) return;
    const { arena } = turnWriter;
    arena.reserve(bytes.length);
    const start = arena.offset;
    bytes.copy(arena.buffer, start);
    arena.offset = start + bytes.length;
    this.#pending = appendOwn(this.#pending, arena.buffer, start, arena.offset);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled === SCHEDULED.forThisTurn) return;
    this.#scheduled = SCHEDULED.forThisTurn;
    turnWriter.schedule(this);
  }

  #checkFull(): void {
    if (!this.isFull(this.limits.maxSendBufferSize)) return;
    this.#full = true;
    this.owner.onFull(this);
  }

  /** Hands what is pending to the wire; true when the wire still needs the bytes afterwards. */
  #write(): boolean {
    const run = this.#pending;
    this.#pending = null;
    const wire = this.#wire;
    if (this.#status === 'closed') return false;
    // Bytes that are certain to wait leave the arena: only the first ones that the kernel does not take keep a slab.
    // A marker on its way through TLS has no length and yet holds up what comes after it.
    const behind = wire.queued > 0 || (this.#marked && wire.encrypted);
    if (run !== null) {
      const bytes = behind ? run.copy(turnWriter.arena) : run.bytes(turnWriter.arena);
      this.bytesWritten += bytes.length;
      wire.write(bytes);
      // It has failed, before or now, and we are not told yet: nothing takes these.
      this.#cutShort ||= wire.destroyed;
    }
    const waits = wire.queued > 0;
    // TLS has copied what it was handed and tells in the next turn, not now, whether the kernel took it: bytes that wait
    // are a slow peer's only when others waited before them. A marker and another slab for each write would be the price.
    const unknown = waits && !behind && wire.encrypted;
    if (waits && (!unknown || this.#full)) this.#mark();
    if (this.#status === 'closing') wire.end();
    else if (!waits && this.#full) this.#relieved();
    return waits && !behind && !unknown;
  }

  /** Has `drained` called when all that is in the wire's queue now is written. */
  #mark(): void {
    if (this.#marked) return;
    this.#marked = true;
    this.#wire.mark();
  }

  #relieved(): void {
    this.#full = false;
    if (this.#status === 'established' && !this.#wire.destroyed) this.owner.onDrain(this);
  }

  /** Past the limit too, and without telling of it: a handler might close in the middle of closing. */
  #appendLast(data: unknown): void {
    if (data instanceof SharedFrame) {
      this.#pending = appendOwn(this.#pending, data.buffer, data.start, data.end);
      return;
    }
    const { arena } = turnWriter;
    const { buffer, offset } = arena;
    this.codec.encode(arena, data, typeof data !== 'string');
    this.#pending = appendOwn(this.#pending, arena.buffer, arena.buffer === buffer ? offset : 0, arena.offset);
  }

  #end(code: number, reason: string): void {
    try {
      if (this.#open) this.#goodbye(code, reason);
    } catch (thrown) {
      this.#goodbye(NORMAL_CLOSURE, '');
      throw thrown;
    } finally {
      this.#finish(this.limits.closeTimeout);
    }
  }

  #goodbye(code: number, reason: string): void {
    if (this.codec.encodeClose === undefined) return;
    const { arena } = turnWriter;
    const { buffer, offset } = arena;
    this.codec.encodeClose(arena, code, reason);
    this.#pending = appendOwn(this.#pending, arena.buffer, arena.buffer === buffer ? offset : 0, arena.offset);
  }

  /** Stops taking and delivering messages; hangs up once what waits is written. */
  #finish(seconds: number): void {
    this.#status = 'closing';
    deadlines.set(this, seconds);
    // Closing a socket that has unread bytes resets it, and the peer may lose our last words: read on, and ignore it.
    if (this.#paused) {
      this.#paused = false;
      this.#wire.resume();
    }
    this.#schedule();
  }
}

/** A connection to `host:port`; `owner.onOpen` says when it is up, `owner.onClose` that it failed or ended. */
export function connectTcp(
  host: string,
  port: number,
  codec: Codec,
  owner: ConnectionOwner,
  limits: ConnectionLimits,
): TcpConnection {
  const wire = new SocketWire(connectPort(host, port), { connecting: true });
  return new TcpConnection(wire, codec, owner, limits, true);
}

/** As `connectTcp`; by the second door of a process of this host and user, where it has one (see local-socket.ts). */
export function connectNear(
  host: string,
  port: number,
  codec: Codec,
  owner: ConnectionOwner,
  limits: ConnectionLimits,
): TcpConnection {
  const path = localSocketOf(host, port);
  if (path === null) return connectTcp(host, port, codec, owner, limits);
  const wire = new SocketWire(connectSocket({ path, allowHalfOpen: true }), {
    connecting: true,
    addresses: { host, localPort: 0, remotePort: port },
    // Whoever listened there is dead.
    instead: () => connectPort(host, port),
  });
  return new TcpConnection(wire, codec, owner, limits, true);
}

function connectPort(host: string, port: number): Socket {
  return connectSocket({
    host,
    port,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_MS,
    allowHalfOpen: true,
  });
}

/** Bytes that wait for the peers of these connections. */
export function sendQueues(connections: Iterable<TcpConnection>): number {
  let bytes = 0;
  for (const connection of connections) bytes += connection.sendQueueSize;
  return bytes;
}

/** Frames a message once for many receivers of the same codec. Good for this turn only. */
export function shareFrame(codec: Codec, data: unknown, binary: boolean): SharedFrame {
  const { arena } = turnWriter;
  const { buffer, offset } = arena;
  codec.encode(arena, data, binary);
  const variants = codec.negotiates === true ? new Map<Codec, SharedFrame>() : null;
  return new SharedFrame(arena.buffer, arena.buffer === buffer ? offset : 0, arena.offset, variants);
}

/** A shared frame as the connections of a codec get it: itself, or what was made of it once for all of them. */
export function frameFor(codec: Codec, frame: SharedFrame): SharedFrame {
  const { variants } = frame;
  return variants === null || codec.recode === undefined ? frame : variantFor(codec, frame, variants);
}

function variantFor(codec: Codec, frame: SharedFrame, variants: Map<Codec, SharedFrame>): SharedFrame {
  let variant = variants.get(codec);
  if (variant === undefined) {
    const { arena } = turnWriter;
    const { buffer, offset } = arena;
    variant = codec.recode?.(arena, frame.buffer, frame.start, frame.end)
      ? new SharedFrame(arena.buffer, arena.buffer === buffer ? offset : 0, arena.offset)
      : frame;
    variants.set(codec, variant);
  }
  return variant;
}

/** A ping of the protocol, once for many receivers; null where the protocol has none. Good for this turn only. */
export function sharePing(codec: Codec): SharedFrame | null {
  if (codec.encodePing === undefined) return null;
  const { arena } = turnWriter;
  const { buffer, offset } = arena;
  codec.encodePing(arena);
  return new SharedFrame(arena.buffer, arena.buffer === buffer ? offset : 0, arena.offset);
}

/** Raw bytes once for many receivers. Good for this turn only. */
export function shareRaw(data: string | Buffer): SharedFrame {
  const { arena } = turnWriter;
  const { buffer, offset } = arena;
  tcpCodec.encode(arena, data, true);
  return new SharedFrame(arena.buffer, arena.buffer === buffer ? offset : 0, arena.offset);
}

/**
 * The sink of whichever connection is reading now. One for the process: a sink per connection would cost each of them
 * memory for what is needed only during a read.
 */
class ConnectionSink implements ReaderSink {
  #connection!: TcpConnection;
  /** What the connection has just not taken. */
  #refused: Buffer | null = null;

  /** @returns who was reading before: a handler may resume another connection while its own is being read. */
  enter(connection: TcpConnection): TcpConnection {
    const outer = this.#connection;
    this.#connection = connection;
    this.#refused = null;
    return outer;
  }

  leave(outer: TcpConnection): void {
    this.#connection = outer;
  }

  message(buffer: Buffer, start: number, end: number, binary: boolean): boolean {
    const connection = this.#connection;
    connection.owner.counters.requests++;
    connection.owner.onBytes(connection, buffer, start, end, binary);
    return connection.receiving;
  }

  value(value: unknown): boolean {
    const connection = this.#connection;
    connection.owner.counters.requests++;
    connection.owner.onValue(connection, value);
    return connection.receiving;
  }

  handshake(request: HandshakeRequest, response: HandshakeResponse): boolean {
    const connection = this.#connection;
    return connection.owner.onHandshake(connection, request, response) && connection.status === 'established';
  }

  opened(): boolean {
    this.#connection.opened();
    return this.#connection.receiving;
  }

  write(bytes: Buffer): void {
    this.#refused = this.#connection.writeProtocol(bytes) ? null : bytes;
  }

  pong(): boolean {
    return this.#connection.receiving;
  }

  ended(): void {
    this.#connection.ended(this.#refused);
    this.#refused = null;
  }

  fail(error: ProtocolError): void {
    this.#connection.failed(error);
  }
}

const sink = new ConnectionSink();
