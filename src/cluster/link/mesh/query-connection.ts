import { Buffer } from 'node:buffer';
import {
  CONNECTION_LIMITS,
  ConnectionCounters,
  type ConnectionLimits,
  type ConnectionOwner,
  connectNear,
  type TcpConnection,
  turnWriter,
} from '../../../core/net/mod.js';
import { deadlines, type Expiring } from '../../../core/timers/mod.js';
import { ByteQueue, type GatewayWorkerError, messageOf } from '../../../util/mod.js';
import {
  Command,
  DEFAULT_MAX_REPLY_SIZE,
  gatewayClientConnectBody,
  PACKET_HEAD_BYTES,
  type PacketHead,
  packetHead,
  writePacket,
} from '../../protocol/mod.js';
import { type LinkError, questionTooLarge, tooManyQuestions, unanswered, unreachable } from '../errors.js';
import { replyCodec } from './link-codec.js';
import { Redial } from './redial.js';

/** As in the original. */
const CONNECT_SECONDS = 3;

export interface QueryConnectionOptions {
  readonly host: string;
  readonly port: number;
  readonly secretKey: string;
  /** Seconds the gateway has to answer a question. */
  readonly queryTimeout: number;
  /** Seconds the connection may take to be made; default 3, as in the original. */
  readonly connectTimeout?: number;
  /** Bytes that may wait for the gateway, before the connection is up and after; default 1,048,576. */
  readonly sendBufferSize?: number;
  /** Questions that may wait for their answers; default: as many as fit. */
  readonly maxQuestions?: number;
  /** Largest packet the gateway takes; default: it is not looked at. */
  readonly maxPacketSize?: number;
  readonly events?: QueryConnectionEvents;
  /** Counts for several; default: its own. */
  readonly counters?: ConnectionCounters;
}

/** What happens to the connection, for whom it matters. */
export interface QueryConnectionEvents {
  /** A connection has ended, or could not be made; null: the gateway closed it. `remarkable`: it is not the first in a row. */
  ended(error: Error | null, remarkable: boolean): void;
  /** A connection lasts again, after `remarkable` ones. */
  steady(): void;
  /** Commands that were taken will not be carried out. */
  lost(): void;
  /** Something was not taken, because the gateway does not read. */
  dropped(error: GatewayWorkerError): void;
}

interface Question {
  readonly resolve: (payload: Buffer) => void;
  readonly reject: (error: LinkError) => void;
  /** Milliseconds. */
  readonly due: number;
  /** Rejected already; its answer, which still has to come before the next one, is for nobody. */
  late: boolean;
  /** Where it stands in the queue, while the connection is not up. */
  readonly start: number;
  readonly end: number;
}

/**
 * The connection on which one gateway is asked, and on which a program that is no worker sends its commands too: so that a
 * question sees what the commands before it did. The original's answers carry neither header nor request id, so they come
 * apart from the events, in the order of the questions. It is opened at the first need and kept.
 *
 * What is handed over before it is up waits, in order. When it ends, or can't be made, the questions are rejected; commands
 * that were not written yet wait for the next try, which comes while there are any.
 *
 * A question has `queryTimeout` seconds from when it was asked. A gateway that says nothing at all for so long loses the
 * connection: the answers behind would be taken for the wrong questions.
 */
export class QueryConnection implements ConnectionOwner, Expiring {
  readonly counters: ConnectionCounters;
  readonly #options: QueryConnectionOptions;
  readonly #address: string;
  readonly #limits: ConnectionLimits;
  readonly #redial = new Redial(
    () => this.#rested(),
    () => this.#options.events?.steady(),
  );
  /** Rejected ones that are still owed an answer included. While the connection is up, all of them are written. */
  readonly #questions: Question[] = [];
  /** Packets for a connection that is not up. */
  readonly #queue = new ByteQueue();
  /** The one in use: being made, or up. */
  #connection: TcpConnection | null = null;
  #up = false;
  /** One that is being closed in order. The next is made when it is gone, so that no command overtakes another. */
  #leaving: TcpConnection | null = null;
  /** The last one failed: the next is not made at once. */
  #resting = false;
  /** Commands were sent, which a gateway that is slow should still get. */
  #commanding = false;
  /** When the gateway last said something, in milliseconds. */
  #heard = 0;
  #taken = 0;
  #closed = false;

  constructor(options: QueryConnectionOptions) {
    this.#options = options;
    this.counters = options.counters ?? new ConnectionCounters();
    this.#address = `${options.host}:${options.port}`;
    this.#limits = Object.freeze({
      ...CONNECTION_LIMITS,
      maxPackageSize: DEFAULT_MAX_REPLY_SIZE,
      maxSendBufferSize: options.sendBufferSize ?? CONNECTION_LIMITS.maxSendBufferSize,
      handshakeTimeout: options.connectTimeout ?? CONNECT_SECONDS,
    });
  }

  /** Bytes taken so far, without those of questions that were rejected before they could be written. */
  get taken(): number {
    return this.#taken;
  }

  /** Bytes taken that the system has not got yet. */
  get unwritten(): number {
    return this.#queue.length + (this.#connection?.sendQueueSize ?? 0) + (this.#leaving?.sendQueueSize ?? 0);
  }

  get connections(): readonly TcpConnection[] {
    return [this.#connection, this.#leaving].filter((connection) => connection !== null);
  }

  /** There is a connection, or one is being made. */
  get connected(): boolean {
    return this.#connection !== null || this.#leaving !== null;
  }

  /** Sends one command. @returns false: not taken, because too much waits, the packet is too large, or this is closed */
  send(head: PacketHead, ext: string | Buffer, body: string | Buffer): boolean {
    if (this.#closed || this.#tooLarge(ext, body)) return false;
    this.#commanding = true;
    return this.#take(head, ext, body);
  }

  ask(head: PacketHead, ext: string | Buffer, body: string | Buffer): Promise<Buffer> {
    return new Promise<Buffer>((resolve, reject) => {
      if (this.#closed) {
        reject(unreachable(this.#address, 'the link is closed'));
        return;
      }
      const { maxQuestions = Number.POSITIVE_INFINITY, queryTimeout } = this.#options;
      if (this.#tooLarge(ext, body)) {
        reject(questionTooLarge(this.#address));
        return;
      }
      const start = this.#queue.length;
      if (this.#questions.length >= maxQuestions || !this.#take(head, ext, body)) {
        reject(tooManyQuestions(this.#address));
        return;
      }
      const now = performance.now();
      const due = now + queryTimeout * 1000;
      const previous = this.#questions.at(-1);
      this.#questions.push({ resolve, reject, due, late: false, start, end: this.#queue.length });
      // Those in front are due before this one, unless they are late already.
      if (previous === undefined || previous.late) this.#watch(now);
    });
  }

  /** Takes nothing more; whoever waits for an answer is told that there will be none. Commands on the way are written. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#redial.stop();
    const connection = this.#connection;
    this.#detach(unreachable(this.#address, 'the link is closed'));
    if (this.#queue.length > 0) this.#options.events?.lost();
    this.#queue.clear();
    if (connection !== null) this.#leave(connection);
  }

  /** For one that was closed and whose gateway does not hang up. */
  destroy(): void {
    this.close();
    this.#leaving?.destroy();
  }

  onOpen(connection: TcpConnection): void {
    if (connection !== this.#connection) return;
    const { secretKey } = this.#options;
    this.#up = true;
    this.#heard = performance.now();
    this.#redial.connected();
    if (secretKey !== '') {
      const head = packetHead({ cmd: Command.GATEWAY_CLIENT_CONNECT });
      this.#write(connection, head, '', gatewayClientConnectBody(secretKey));
    }
    const { buffer, start, end } = this.#queue;
    this.#queue.clear();
    connection.sendRange(buffer, start, end);
    this.#watch(this.#heard);
  }

  onValue(connection: TcpConnection, value: unknown): void {
    if (connection !== this.#connection) return;
    const question = this.#questions.shift();
    if (question === undefined) {
      this.#detach(unreachable(this.#address, 'it answered what nobody asked'));
      connection.destroy();
      return;
    }
    this.#heard = performance.now();
    this.#redial.proven();
    if (this.#questions.length === 0) deadlines.delete(this);
    question.resolve(value as Buffer);
  }

  onHangup(connection: TcpConnection): void {
    if (connection !== this.#connection) return;
    this.#detach(unreachable(this.#address, 'it closed the connection'));
    if (connection.sendQueueSize > 0) this.#leaving = connection;
  }

  onClose(connection: TcpConnection, error: Error | null): void {
    const { events } = this.#options;
    if (connection === this.#connection) {
      this.#detach(unreachable(this.#address, error === null ? 'it closed the connection' : messageOf(error), error));
    }
    if (connection.cutShort && this.#commanding) events?.lost();
    if (connection === this.#leaving) {
      this.#leaving = null;
      this.#need();
    }
    events?.ended(error, this.#redial.remarkable);
  }

  onFail(connection: TcpConnection, error: GatewayWorkerError): void {
    if (connection.status === 'established') this.#options.events?.dropped(error);
    else if (connection === this.#connection) this.#detach(unreachable(this.#address, error.message, error));
  }

  /** The oldest question has waited long enough. */
  expire(): void {
    const [oldest] = this.#questions;
    if (oldest === undefined) return;
    const now = performance.now();
    const reason = unanswered(this.#address, this.#options.queryTimeout);
    const connection = this.#connection;
    if (this.#up && connection !== null && this.#silentAt(oldest) <= now) {
      this.#detach(reason);
      this.#leave(connection);
      return;
    }
    for (const question of this.#questions) {
      if (question.due > now) break;
      if (!question.late) question.reject(reason);
      question.late = true;
    }
    this.#watch(now);
  }

  onBytes(): void {}

  onHandshake(): boolean {
    return true;
  }

  onFull(): void {}

  onDrain(): void {}

  /** When the gateway has left this question, and everything else, unanswered for too long. */
  #silentAt(oldest: Question): number {
    const patience = this.#options.queryTimeout * 1000;
    return Math.max(this.#heard + patience, oldest.due);
  }

  /** Sets the deadline anew: for the next question that can be late, or the end of our patience. */
  #watch(now: number): void {
    const [oldest] = this.#questions;
    const next = this.#questions.find(({ late }) => !late);
    const times: number[] = [];
    if (next !== undefined) times.push(next.due);
    if (this.#up && oldest !== undefined) times.push(this.#silentAt(oldest));
    if (times.length > 0) deadlines.set(this, Math.max(0, Math.min(...times) - now) / 1000);
  }

  #take(head: PacketHead, ext: string | Buffer, body: string | Buffer): boolean {
    if (this.#up && this.#connection !== null) return this.#write(this.#connection, head, ext, body);
    const queue = this.#queue;
    if (queue.length >= this.#limits.maxSendBufferSize) return false;
    const { arena } = turnWriter;
    const { buffer, offset } = arena;
    writePacket(arena, head, ext, body);
    const start = arena.buffer === buffer ? offset : 0;
    queue.append(arena.buffer, start, arena.offset);
    this.#taken += arena.offset - start;
    // The packet was copied: its place is free again.
    arena.offset = start;
    this.#need();
    return true;
  }

  #write(connection: TcpConnection, head: PacketHead, ext: string | Buffer, body: string | Buffer): boolean {
    const { arena } = turnWriter;
    const { buffer, offset } = arena;
    writePacket(arena, head, ext, body);
    const start = arena.buffer === buffer ? offset : 0;
    const { offset: end } = arena;
    if (!connection.sendRange(arena.buffer, start, end)) return false;
    this.#taken += end - start;
    return true;
  }

  #need(): void {
    if (this.#connection !== null || this.#leaving !== null || this.#resting || this.#closed) return;
    if (this.#queue.length === 0) return;
    this.#connection = connectNear(this.#options.host, this.#options.port, replyCodec, this, this.#limits);
  }

  #rested(): void {
    this.#resting = false;
    this.#need();
  }

  /** The connection is of no use any more: every question is rejected, and what comes now waits for the next one. */
  #detach(reason: LinkError): void {
    this.#connection = null;
    this.#up = false;
    deadlines.delete(this);
    const questions = this.#questions.splice(0);
    this.#withdraw(questions);
    if (!this.#closed) {
      this.#resting = true;
      this.#redial.later();
    }
    for (const question of questions) if (!question.late) question.reject(reason);
  }

  /** Takes questions that were not written out of the queue. */
  #withdraw(questions: readonly Question[]): void {
    const queue = this.#queue;
    if (queue.length === 0 || questions.length === 0) return;
    const packets = Buffer.from(queue.buffer.subarray(queue.start, queue.end));
    queue.clear();
    let kept = 0;
    for (const { start, end } of questions) {
      queue.append(packets, kept, start);
      kept = end;
      this.#taken -= end - start;
    }
    queue.append(packets, kept);
  }

  /** Its gateway should still carry out the commands it was sent; answers it owes are for nobody. */
  #leave(connection: TcpConnection): void {
    if (this.#commanding && connection.status === 'established') {
      this.#leaving = connection;
      connection.close();
    } else {
      connection.destroy();
    }
  }

  /** Texts are measured only when they could be too large. */
  #tooLarge(ext: string | Buffer, body: string | Buffer): boolean {
    const { maxPacketSize: limit } = this.#options;
    if (limit === undefined || PACKET_HEAD_BYTES + (ext.length + body.length) * 3 <= limit) return false;
    return PACKET_HEAD_BYTES + Buffer.byteLength(ext) + Buffer.byteLength(body) > limit;
  }
}
