import { Buffer } from 'node:buffer';
import {
  CONNECTION_LIMITS,
  ConnectionCounters,
  type ConnectionOwner,
  connectTcp,
  type TcpConnection,
  turnWriter,
} from '../../../core/net/mod.js';
import {
  type Codec,
  type CodecLimits,
  ProtocolError,
  type Reader,
  type ReaderSink,
} from '../../../core/protocols/mod.js';
import { deadlines, type Expiring } from '../../../core/timers/mod.js';
import { type GatewayWorkerError, messageOf } from '../../../util/mod.js';
import {
  Command,
  DEFAULT_MAX_REPLY_SIZE,
  gatewayClientConnectBody,
  type LinkProtocolError,
  type PacketHead,
  packetHead,
  ReplyReader,
  type ReplySink,
  writePacket,
} from '../../protocol/mod.js';
import { LinkError } from '../errors.js';

/** As in the original. */
const CONNECT_SECONDS = 3;

/** As the original's limit of the requests it keeps on one cached connection: what is asked waits in the gateway's order. */
const LIMITS = Object.freeze({
  ...CONNECTION_LIMITS,
  maxPackageSize: DEFAULT_MAX_REPLY_SIZE,
  handshakeTimeout: CONNECT_SECONDS,
});

/** Answers to queries as a codec: each comes out as a Buffer of its own. */
const replyCodec: Codec = {
  name: 'link-replies',
  open: (limits) => new ReplyCodecReader(limits),
  encode: refuse,
  decode: refuse,
};

interface Question {
  readonly resolve: (payload: Buffer) => void;
  readonly reject: (error: LinkError) => void;
}

/**
 * The connection on which one gateway is asked. The original's answers carry neither header nor request id, so they come
 * apart from the events, in the order of the questions. It is opened at the first question and kept.
 *
 * A gateway that leaves one question unanswered for `timeout` seconds loses the connection: the answers behind would be
 * taken for the wrong questions. Every question then waiting is rejected.
 */
export class QueryConnection implements ConnectionOwner, Expiring {
  readonly counters = new ConnectionCounters();
  readonly #address: string;
  readonly #host: string;
  readonly #port: number;
  readonly #secretKey: string;
  readonly #timeout: number;
  readonly #waiting: Question[] = [];
  #connection: TcpConnection | null = null;
  #closed = false;

  constructor(host: string, port: number, secretKey: string, timeout: number) {
    this.#address = `${host}:${port}`;
    this.#host = host;
    this.#port = port;
    this.#secretKey = secretKey;
    this.#timeout = timeout;
  }

  ask(head: PacketHead, ext: string | Buffer, body: string | Buffer): Promise<Buffer> {
    return new Promise<Buffer>((resolve, reject) => {
      if (this.#closed) {
        reject(this.#unreachable('the link is closed'));
        return;
      }
      const { status } = this.#connection ?? { status: 'closed' };
      // One that is ending answers nothing more, and the next question need not wait until it is gone.
      if (status === 'closing' || status === 'closed') this.#drop(this.#unreachable('it closed the connection'));
      this.#connection ??= this.#open();
      if (!this.#write(this.#connection, head, ext, body)) {
        reject(this.#unreachable('too many questions wait'));
        return;
      }
      this.#waiting.push({ resolve, reject });
      if (this.#waiting.length === 1) deadlines.set(this, this.#timeout);
    });
  }

  /** Whoever waits for an answer is told that there will be none. */
  close(): void {
    this.#closed = true;
    const connection = this.#connection;
    this.#drop(this.#unreachable('the link is closed'));
    connection?.destroy();
  }

  onValue(connection: TcpConnection, value: unknown): void {
    const question = connection === this.#connection ? this.#waiting.shift() : undefined;
    if (question === undefined) {
      connection.destroy();
      return;
    }
    if (this.#waiting.length === 0) deadlines.delete(this);
    else deadlines.set(this, this.#timeout);
    question.resolve(value as Buffer);
  }

  onClose(connection: TcpConnection, error: Error | null): void {
    if (connection !== this.#connection) return;
    this.#drop(this.#unreachable(error === null ? 'it closed the connection' : messageOf(error), error));
  }

  /** The oldest question has waited too long. */
  expire(): void {
    const connection = this.#connection;
    const text = `gateway ${this.#address} did not answer within ${this.#timeout} s`;
    this.#drop(new LinkError('GW_LINK_TIMEOUT', text, this.#fields()));
    connection?.destroy();
  }

  onBytes(): void {}

  onHandshake(): boolean {
    return true;
  }

  onOpen(): void {}

  onFail(_connection: TcpConnection, _error: GatewayWorkerError): void {
    // The connection closes, and onClose tells those who wait.
  }

  onFull(): void {}

  onDrain(): void {}

  #open(): TcpConnection {
    const connection = connectTcp(this.#host, this.#port, replyCodec, this, LIMITS);
    if (this.#secretKey !== '') {
      const head = packetHead({ cmd: Command.GATEWAY_CLIENT_CONNECT });
      this.#write(connection, head, '', gatewayClientConnectBody(this.#secretKey));
    }
    return connection;
  }

  #write(connection: TcpConnection, head: PacketHead, ext: string | Buffer, body: string | Buffer): boolean {
    const { arena } = turnWriter;
    const { buffer, offset } = arena;
    writePacket(arena, head, ext, body);
    return connection.sendRange(arena.buffer, arena.buffer === buffer ? offset : 0, arena.offset);
  }

  /** The connection is of no use any more: every question on it is rejected, and the next one opens another. */
  #drop(reason: LinkError): void {
    this.#connection = null;
    deadlines.delete(this);
    for (const question of this.#waiting.splice(0)) question.reject(reason);
  }

  #unreachable(why: string, cause: Error | null = null): LinkError {
    const text = `gateway ${this.#address} can't be asked: ${why}`;
    return new LinkError('GW_LINK_UNREACHABLE', text, this.#fields(), cause ?? undefined);
  }

  #fields(): { readonly gateway: string } {
    return { gateway: this.#address };
  }
}

class ReplyCodecReader implements Reader, ReplySink {
  readonly open = true;
  readonly #replies: ReplyReader;
  #sink!: ReaderSink;

  constructor(limits: CodecLimits) {
    this.#replies = new ReplyReader({ maxReplySize: limits.maxPackageSize });
  }

  get held(): number {
    return this.#replies.held;
  }

  push(chunk: Buffer, sink: ReaderSink): void {
    this.#sink = sink;
    this.#replies.push(chunk, this);
  }

  resume(sink: ReaderSink): void {
    this.#sink = sink;
    this.#replies.resume(this);
  }

  reply(buffer: Buffer, start: number, end: number): boolean {
    return this.#sink.value(Buffer.from(buffer.subarray(start, end)));
  }

  fail(error: LinkProtocolError): void {
    this.#sink.fail(new ProtocolError(error.code, error.message, error.fields));
  }
}

function refuse(): never {
  throw new Error('questions are written with writePacket');
}
