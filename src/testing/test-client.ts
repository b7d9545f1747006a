import type { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import {
  CONNECTION_LIMITS,
  ConnectionCounters,
  type ConnectionOwner,
  SocketWire,
  TcpConnection,
} from '../core/net/mod.js';
import { CLOSE_CODE, type Codec, codecByName, tcpCodec } from '../core/protocols/mod.js';
import {
  type Checks,
  GatewayWorkerError,
  messageOf,
  nonEmptyText,
  OptionsError,
  object,
  readOptions,
} from '../util/mod.js';
import { TestTimeoutError } from './eventually.js';
import { WebSocketClientCodec, webSocketRequest } from './websocket-client.js';

/** A connection that was not made, or has ended. Codes `GW_TEST_…`. */
export class TestClientError extends GatewayWorkerError {}

export interface ConnectOptions {
  /** WebSocket: path and query; default `/`. */
  readonly path?: string;
  /** WebSocket: further headers of the request, name → value; default none. */
  readonly headers?: Readonly<Record<string, string>>;
}

const DEFAULTS: Readonly<Required<ConnectOptions>> = Object.freeze({ path: '/', headers: {} });

const CHECKS: Checks<Required<ConnectOptions>> = { path: nonEmptyText, headers: object };

/** How a client talks with a gateway. */
interface Speech {
  readonly codec: Codec;
  /** What the client says first. */
  readonly hello: Buffer | null;
}

/** How a connection ended. */
export interface TestClose {
  /**
   * WebSocket: the code of the gateway's close frame, or ours when we closed first; 1005 where there was none in it, 1006 when
   * the connection ended without a close frame. null for protocols that have no codes.
   */
  readonly code: number | null;
  readonly reason: string;
}

interface Waiter {
  readonly resolve: (message: string | Buffer) => void;
  readonly reject: (error: GatewayWorkerError) => void;
  readonly timer: NodeJS.Timeout;
}

/** A test client takes what it is sent, and is never told that it sends too much. */
const LIMITS = Object.freeze({
  ...CONNECTION_LIMITS,
  maxPackageSize: Number.MAX_SAFE_INTEGER,
  maxSendBufferSize: Number.MAX_SAFE_INTEGER,
});

/**
 * A client of a gateway of a TestCluster: sends messages in the gateway's protocol and keeps those it is sent. Where the
 * protocol is `tcp` or your own, a message is what one read returned.
 *
 * Text comes as a string, bytes as a Buffer: `text` has strings, `frame` and `tcp` have Buffers, WebSocket has both.
 */
export class TestClient implements AsyncDisposable {
  /** Resolves when the connection has ended, however it did. */
  readonly closed: Promise<TestClose>;
  readonly #codec: Codec;
  readonly #connection: TcpConnection;
  readonly #messages: (string | Buffer)[] = [];
  readonly #waiters: Waiter[] = [];
  #taken = 0;
  /** What we closed with. */
  #said: TestClose | null = null;
  #end: TestClose | null = null;

  /**
   * Resolves when the connection is there; with WebSocket, when the handshake is done.
   *
   * @internal
   * @param socket is being connected
   * @throws TestClientError `GW_TEST_CONNECT` (rejects)
   */
  static open(socket: Socket, { codec, hello }: Speech): Promise<TestClient> {
    return new Promise((resolve, reject) => {
      const client: TestClient = new TestClient(socket, codec, () => resolve(client), reject);
      if (hello !== null) client.#connection.writeProtocol(hello);
    });
  }

  private constructor(socket: Socket, codec: Codec, onOpen: () => void, onRefused: (error: TestClientError) => void) {
    this.#codec = codec;
    let settle!: (close: TestClose) => void;
    this.closed = new Promise((resolve) => {
      settle = resolve;
    });
    let failure: GatewayWorkerError | null = null;
    const owner: ConnectionOwner = {
      counters: new ConnectionCounters(),
      onBytes: (_connection, buffer, start, end, binary) => this.#take(codec.decode(buffer, start, end, binary)),
      onValue: () => {},
      onHandshake: () => true,
      onOpen,
      onFail: (_connection, error) => {
        failure = error;
      },
      onFull: () => {},
      onDrain: () => {},
      onClose: (_connection, error) => {
        const cause = failure ?? error;
        const text = cause === null ? 'the gateway closed the connection' : messageOf(cause);
        // Of no consequence once it was open.
        onRefused(new TestClientError('GW_TEST_CONNECT', text, { status: failure?.fields.status ?? null }, cause));
        settle(this.#ended());
      },
    };
    this.#connection = new TcpConnection(new SocketWire(socket, { connecting: true }), codec, owner, LIMITS, true);
  }

  /** Every message so far, in order; also those that `next` has given. */
  get messages(): readonly (string | Buffer)[] {
    return this.#messages;
  }

  /**
   * The next message: the first that no call of `next` has given yet.
   *
   * @param seconds to wait for it; default 10
   * @throws TestTimeoutError `GW_TEST_TIMEOUT`; TestClientError `GW_TEST_CLOSED` when the connection has ended and no message
   *   is left (rejects)
   */
  next(seconds = 10): Promise<string | Buffer> {
    return new Promise((resolve, reject) => {
      const message = this.#messages[this.#taken];
      if (message !== undefined) {
        this.#taken++;
        resolve(message);
      } else if (this.#end !== null) {
        reject(closedError(this.#end));
      } else {
        const late = () => {
          this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
          const what = 'a message for a test client';
          reject(new TestTimeoutError('GW_TEST_TIMEOUT', `waited ${seconds} s for: ${what}`, { what, seconds }));
        };
        const waiter: Waiter = { resolve, reject, timer: setTimeout(late, seconds * 1000) };
        this.#waiters.push(waiter);
      }
    });
  }

  /**
   * Sends one message; WebSocket: text for a string, binary for bytes.
   *
   * @returns false when the connection has ended
   */
  send(message: string | Uint8Array): boolean {
    return this.#connection.send(message);
  }

  /** Stops reading: what it is sent piles up on the gateway's side, as with a slow client. */
  pause(): void {
    this.#connection.pauseRecv();
  }

  /** Reads on. */
  resume(): void {
    this.#connection.resumeRecv();
  }

  /** Ends the connection in order. @param code, reason for WebSocket; default 1000 */
  close(code: number = CLOSE_CODE.normal, reason = ''): Promise<TestClose> {
    if (this.#connection.status === 'established') {
      this.#said = { code, reason };
      this.#connection.close(undefined, code, reason);
    }
    return this.closed;
  }

  /** Ends the connection at once, without a goodbye. */
  destroy(): void {
    this.#connection.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.destroy();
    await this.closed;
  }

  #take(message: string | Buffer): void {
    this.#messages.push(message);
    const waiter = this.#waiters.shift();
    if (waiter === undefined) return;
    this.#taken++;
    clearTimeout(waiter.timer);
    waiter.resolve(message);
  }

  #ended(): TestClose {
    const end = this.#howItEnded();
    this.#end = end;
    for (const { timer, reject } of this.#waiters.splice(0)) {
      clearTimeout(timer);
      reject(closedError(end));
    }
    return end;
  }

  #howItEnded(): TestClose {
    if (!(this.#codec instanceof WebSocketClientCodec)) return { code: null, reason: '' };
    return this.#codec.goodbye ?? this.#said ?? { code: CLOSE_CODE.abnormal, reason: '' };
  }
}

/**
 * @param host of the request
 * @throws OptionsError
 */
export function speechOf(scheme: string, host: string, given: ConnectOptions): Speech {
  const { path, headers } = readOptions('connect', DEFAULTS, CHECKS, given);
  if (scheme === 'websocket') {
    return { codec: new WebSocketClientCodec(), hello: webSocketRequest(host, path, headers) };
  }
  if (Object.keys(given).length > 0) {
    const message = `connect: path and headers go with WebSocket, and this gateway speaks ${scheme}`;
    throw new OptionsError('GW_OPTION_INVALID', message, { scheme });
  }
  return { codec: codecByName(scheme) ?? tcpCodec, hello: null };
}

function closedError({ code, reason }: TestClose): TestClientError {
  const shown = code === null ? '' : ` with code ${code}${reason === '' ? '' : ` (${reason})`}`;
  return new TestClientError('GW_TEST_CLOSED', `the connection has ended${shown}, and no message is left`, {
    code,
    reason,
  });
}
