import type { Buffer } from 'node:buffer';
import {
  type Check,
  type Checks,
  callback,
  flag,
  type GatewayWorkerError,
  integer,
  type Logger,
  LogThrottle,
  nonEmptyText,
  OptionsError,
  object,
  orNull,
  readOptions,
  seconds,
  silentLogger,
  stackOf,
} from '../../util/mod.js';
import {
  CONNECTION_LIMITS,
  ConnectionCounters,
  type ConnectionError,
  type ConnectionLimits,
  type ConnectionOwner,
  checkEntrance,
  checkTls,
  DOOR_LIMITS,
  type DoorLimits,
  ENTRANCE_CHECKS,
  ENTRANCE_DEFAULTS,
  Entrance,
  type EntranceOptions,
  hostPort,
  Listener,
  type NetAddress,
  type PeerAddress,
  parseAddress,
  sendQueues,
  TcpConnection,
  type TlsListenOptions,
  type Wire,
} from '../net/mod.js';
import {
  type Codec,
  codecByName,
  customCodec,
  type HandshakeRequest,
  type HandshakeResponse,
  type PerMessageDeflateOptions,
  type Protocol,
  perMessageDeflateCheck,
  readPerMessageDeflate,
  websocketDeflateCodec,
} from '../protocols/mod.js';
import { ACCOUNT_CHECKS, ACCOUNT_DEFAULTS, type AccountOptions } from './account.js';
import { BaseWorker, type PlannedListen, type ProcessContext } from './base-worker.js';
import { untilNoneRemain } from './last-connection.js';
import { counted, type WorkerFigures } from './status.js';

/** A connection of a Worker. Its callbacks are the worker's at the time it was accepted; each can be changed for it alone. */
export class WorkerConnection extends TcpConnection {
  readonly worker: Worker;
  onMessage: WorkerCallbacks['onMessage'];
  onClose: WorkerCallbacks['onClose'];
  onError: WorkerCallbacks['onError'];
  onBufferFull: WorkerCallbacks['onBufferFull'];
  onBufferDrain: WorkerCallbacks['onBufferDrain'];

  constructor(wire: Wire, codec: Codec, owner: ConnectionOwner, limits: ConnectionLimits, worker: Worker) {
    super(wire, codec, owner, limits);
    this.worker = worker;
    this.onMessage = worker.onMessage;
    this.onClose = worker.onClose;
    this.onError = worker.onError;
    this.onBufferFull = worker.onBufferFull;
    this.onBufferDrain = worker.onBufferDrain;
  }
}

/**
 * The originals' callbacks. A callback that throws, or whose promise rejects, is reported with its stack; the connection,
 * the others and the process go on (the original ends the process). Only an `onWebSocketConnect` that throws refuses the
 * handshake.
 */
export interface WorkerCallbacks {
  /** In each process of the worker, before it accepts connections; may be async. Throwing is a failed start. */
  onWorkerStart: ((worker: Worker) => unknown) | null;
  /** In each process at a reload: one that is replaced calls it before it leaves, one that is kept goes on. */
  onWorkerReload: ((worker: Worker) => unknown) | null;
  /** In each process when it stops in order, while its connections still exist; may be async. */
  onWorkerStop: ((worker: Worker) => unknown) | null;
  /** A connection was accepted; nothing has been read yet. With WebSocket this is before the handshake. */
  onConnect: ((connection: WorkerConnection) => unknown) | null;
  /** One message: a string or Buffer, or what a user-defined protocol decodes. */
  // biome-ignore lint/suspicious/noExplicitAny: a user-defined protocol decides what its messages are
  onMessage: ((connection: WorkerConnection, message: any) => unknown) | null;
  /** The connection is gone, however it ended; once for each. */
  onClose: ((connection: WorkerConnection) => unknown) | null;
  /**
   * A message for the peer was dropped, the peer broke the protocol (it is being closed), or it sends faster than it may
   * (it is not read for a while).
   */
  onError: ((connection: WorkerConnection, error: GatewayWorkerError) => unknown) | null;
  /** The send queue has reached `maxSendBufferSize`: further messages are dropped until the peer reads. */
  onBufferFull: ((connection: WorkerConnection) => unknown) | null;
  /** The send queue, having been more than the kernel would take, is empty again. */
  onBufferDrain: ((connection: WorkerConnection) => unknown) | null;
  /** A WebSocket handshake request is right and not yet answered; `connection.close()` refuses it with status 403. */
  onWebSocketConnect:
    | ((connection: WorkerConnection, request: HandshakeRequest, response: HandshakeResponse) => unknown)
    | null;
}

export interface WorkerOptions extends WorkerCallbacks, ConnectionLimits, DoorLimits, EntranceOptions, AccountOptions {
  /** Shown in logs and status; default `none`, as in the original. */
  name: string;
  /** Processes; default 1. */
  count: number;
  /** A reload replaces its processes; default true. False: it keeps them, and calls `onWorkerReload` in them. */
  reloadable: boolean;
  /** A protocol of your own, over `tcp://`; default none. */
  protocol: Protocol | null;
  /**
   * TLS on the port: what `node:tls` takes (`cert`, `key`, `ca`, `SNICallback` …), and `serverNames` for several
   * certificates; default none. Connections are told of once their TLS handshake is done.
   */
  tls: TlsListenOptions | null;
  /**
   * Compression of WebSocket messages (permessage-deflate, RFC 7692) with clients that offer it; default false. True: with
   * the defaults of its options.
   */
  perMessageDeflate: boolean | Partial<PerMessageDeflateOptions>;
}

const DEFAULTS: Readonly<WorkerOptions> = Object.freeze({
  ...CONNECTION_LIMITS,
  ...DOOR_LIMITS,
  ...ENTRANCE_DEFAULTS,
  ...ACCOUNT_DEFAULTS,
  name: 'none',
  count: 1,
  reloadable: true,
  protocol: null,
  tls: null,
  perMessageDeflate: false,
  onWorkerStart: null,
  onWorkerReload: null,
  onWorkerStop: null,
  onConnect: null,
  onMessage: null,
  onClose: null,
  onError: null,
  onBufferFull: null,
  onBufferDrain: null,
  onWebSocketConnect: null,
});

const MIB_1024 = 1_073_741_824;

/** Checks of the limits that every listening worker has. */
export const LIMIT_CHECKS: Checks<ConnectionLimits & DoorLimits & EntranceOptions> = {
  ...ENTRANCE_CHECKS,
  maxPackageSize: integer(1, MIB_1024),
  maxSendBufferSize: integer(1, MIB_1024),
  maxHandshakeSize: integer(128, 1_048_576),
  maxFragments: integer(1),
  maxMessagesPerSecond: integer(0),
  maxBytesPerSecond: integer(0),
  maxConnections: integer(0),
  maxConnectionsPerAddress: integer(0),
  handshakeTimeout: seconds(0.1),
  closeTimeout: seconds(0.1),
};

const CHECKS: Checks<WorkerOptions> = {
  ...LIMIT_CHECKS,
  ...ACCOUNT_CHECKS,
  name: nonEmptyText,
  count: integer(1, 1024),
  reloadable: flag,
  protocol: orNull(protocolCheck),
  tls: orNull(object),
  perMessageDeflate: perMessageDeflateCheck,
  onWorkerStart: orNull(callback),
  onWorkerReload: orNull(callback),
  onWorkerStop: orNull(callback),
  onConnect: orNull(callback),
  onMessage: orNull(callback),
  onClose: orNull(callback),
  onError: orNull(callback),
  onBufferFull: orNull(callback),
  onBufferDrain: orNull(callback),
  onWebSocketConnect: orNull(callback),
};

/** A user-defined protocol has all three functions; without them each connection would fail, not the start. */
export function protocolCheck(value: unknown): ReturnType<Check> {
  const functions = value as Partial<Record<keyof Protocol, unknown>> | null | undefined;
  const complete = (['input', 'decode', 'encode'] as const).every((name) => callback(functions?.[name]) === undefined);
  return complete ? undefined : 'an object with the functions input, decode and encode';
}

/** The protocols that stand in a listen address. */
export const LISTEN_SCHEMES: readonly string[] = ['tcp', 'text', 'frame', 'websocket'];

/** @throws OptionsError `GW_OPTION_INVALID` for a protocol of the user's own beside one that the address names */
export function checkProtocolScheme(owner: string, address: NetAddress, protocol: Protocol | null): void {
  if (protocol === null || address.scheme === 'tcp') return;
  const text = `${owner}: a protocol of your own goes with tcp://, not ${address.text}`;
  throw new OptionsError('GW_OPTION_INVALID', text, { address: address.text });
}

/** @throws OptionsError `GW_OPTION_UNKNOWN`, `GW_OPTION_INVALID`; also beside a protocol that knows no compression */
export function checkPerMessageDeflate(
  owner: string,
  address: NetAddress,
  given: boolean | Partial<PerMessageDeflateOptions>,
): void {
  if (readPerMessageDeflate(owner, given) === null || address.scheme === 'websocket') return;
  const text = `${owner}: perMessageDeflate goes with websocket://, not ${address.text}`;
  throw new OptionsError('GW_OPTION_INVALID', text, { address: address.text });
}

/** The codec of a listen address: the protocol it names, or the user's own over `tcp://`. */
export function listenCodec(
  address: NetAddress,
  protocol: Protocol | null,
  perMessageDeflate: boolean | Partial<PerMessageDeflateOptions>,
): Codec {
  if (protocol !== null) return customCodec(protocol);
  const deflate = readPerMessageDeflate('Worker', perMessageDeflate);
  if (deflate !== null) return websocketDeflateCodec(deflate);
  const codec = codecByName(address.scheme);
  if (codec === undefined) throw new Error(`no codec for ${address.scheme}`);
  return codec;
}

/** An address as a banner shows it. */
export function shownAddress({ text }: NetAddress, tls: TlsListenOptions | null): string {
  return tls === null ? text : `${text} (tls)`;
}

/**
 * A group of processes that listens on an address and calls your functions, or listens on nothing and only runs
 * `onWorkerStart` (timers, clients, another library's server): the socket-server layer, as Workerman's Worker.
 */
export class Worker extends BaseWorker implements WorkerCallbacks {
  readonly name: string;
  readonly count: number;
  override readonly user: string;
  override readonly group: string;
  override readonly reloadable: boolean;
  /** Connections of this process, by their id. */
  readonly connections = new Map<number, WorkerConnection>();
  readonly counters = new ConnectionCounters();
  onWorkerStart: WorkerCallbacks['onWorkerStart'];
  onWorkerReload: WorkerCallbacks['onWorkerReload'];
  onWorkerStop: WorkerCallbacks['onWorkerStop'];
  onConnect: WorkerCallbacks['onConnect'];
  onMessage: WorkerCallbacks['onMessage'];
  onClose: WorkerCallbacks['onClose'];
  onError: WorkerCallbacks['onError'];
  onBufferFull: WorkerCallbacks['onBufferFull'];
  onBufferDrain: WorkerCallbacks['onBufferDrain'];
  onWebSocketConnect: WorkerCallbacks['onWebSocketConnect'];
  readonly #options: Readonly<WorkerOptions>;
  readonly #address: NetAddress | null;
  readonly #owner: ConnectionOwner;
  readonly #entrance: Entrance;
  #listener: Listener | null = null;
  readonly #throttle = new LogThrottle();
  #logger: Logger = silentLogger;

  /**
   * @param address `tcp://0.0.0.0:1234`, `text://[::]:1234`, `frame://…`, `websocket://…`; null: listen on nothing
   * @throws AddressError, OptionsError
   */
  constructor(address: string | null, options: Partial<WorkerOptions> = {}) {
    super();
    this.#address = address === null ? null : parseAddress(address, LISTEN_SCHEMES);
    this.#options = readOptions('Worker', DEFAULTS, CHECKS, options);
    if (this.#address !== null) {
      checkProtocolScheme('Worker', this.#address, this.#options.protocol);
      checkPerMessageDeflate('Worker', this.#address, this.#options.perMessageDeflate);
      checkEntrance('Worker', this.#address, this.#options);
    }
    if (this.#options.tls !== null) checkTls('Worker', this.#options.tls);
    this.name = this.#options.name;
    this.count = this.#options.count;
    this.user = this.#options.user;
    this.group = this.#options.group;
    this.reloadable = this.#options.reloadable;
    this.onWorkerStart = this.#options.onWorkerStart;
    this.onWorkerReload = this.#options.onWorkerReload;
    this.onWorkerStop = this.#options.onWorkerStop;
    this.onConnect = this.#options.onConnect;
    this.onMessage = this.#options.onMessage;
    this.onClose = this.#options.onClose;
    this.onError = this.#options.onError;
    this.onBufferFull = this.#options.onBufferFull;
    this.onBufferDrain = this.#options.onBufferDrain;
    this.onWebSocketConnect = this.#options.onWebSocketConnect;
    this.#owner = new WorkerConnectionOwner(this);
    this.#entrance = new Entrance(
      this.#options,
      (error, peer) => this.#warn(error, peer),
      (check) => (origin, request) => {
        let allowed = false;
        this.callUser('origins', () => {
          allowed = check(origin, request) === true;
        });
        return allowed;
      },
    );
  }

  /** The port this process listens on; 0 before it does. */
  get port(): number {
    return this.#listener?.port ?? 0;
  }

  plannedListens(): readonly PlannedListen[] {
    if (this.#address === null) return [];
    const { host, port } = this.#address;
    return [{ address: shownAddress(this.#address, this.#options.tls), host, port }];
  }

  async start(context: ProcessContext): Promise<void> {
    this.#logger = context.logger;
    await this.onWorkerStart?.(this);
    if (this.#address === null) return;
    const codec = listenCodec(this.#address, this.#options.protocol, this.#options.perMessageDeflate);
    const limits: ConnectionLimits = this.#options;
    const accept = (wire: Wire, from: PeerAddress | null) => {
      const connection = new WorkerConnection(wire, codec, this.#owner, limits, this);
      if (from !== null) connection.cameFrom(from);
      this.connections.set(connection.id, connection);
      this.callUser('onConnect', this.onConnect, connection);
    };
    const { tls, handshakeTimeout } = this.#options;
    this.#listener = new Listener(
      this.#address,
      accept,
      this.#entrance.door,
      tls === null
        ? null
        : { options: tls, handshakeTimeout, onRefused: (error, peer) => this.#reportRefused(error, peer) },
      this.#entrance.proxy(handshakeTimeout),
    );
    await this.#listener.listen(false);
  }

  async stop(hurry: AbortSignal): Promise<void> {
    this.#listener?.close();
    await untilNoneRemain(() => this.connections.size, hurry, this.#logger);
    try {
      await this.onWorkerStop?.(this);
    } catch (thrown) {
      this.#report('onWorkerStop', thrown);
    }
    await closeAll(this.connections.values());
  }

  override async reloading(): Promise<void> {
    await this.onWorkerReload?.(this);
  }

  override figures(): WorkerFigures {
    const { door, dropped } = this.#entrance;
    const { connections, sendFail, requests, sendBufferFull, protocolErrors, rateLimited, tlsRefused } = this.counters;
    return {
      connections,
      sendFail,
      totalRequest: requests,
      queuedBytes: sendQueues(this.connections.values()),
      links: null,
      dropped: counted({ sendBufferFull, protocolErrors, rateLimited, tlsRefused, ...door.dropped, ...dropped }),
    };
  }

  override openConnections(): Iterable<TcpConnection> {
    return this.connections.values();
  }

  /** @internal The one place where this layer calls user code. False when it threw. */
  callUser<Args extends unknown[]>(
    name: string,
    callback: ((...args: Args) => unknown) | null,
    ...args: Args
  ): boolean {
    if (callback === null) return true;
    try {
      const result = callback(...args);
      if (result instanceof Promise) result.catch((thrown) => this.#report(name, thrown));
      return true;
    } catch (thrown) {
      this.#report(name, thrown);
      return false;
    }
  }

  /** @internal It is gone. */
  forget(connection: WorkerConnection): void {
    this.connections.delete(connection.id);
    this.#entrance.door.leave(connection.remoteAddress);
  }

  /** @internal The answer that refuses a handshake; null: user code may see it. */
  refusal(connection: WorkerConnection, request: HandshakeRequest): Buffer | null {
    return this.#entrance.refusal(connection, request);
  }

  /** @internal */
  reportPeer(connection: TcpConnection, error: GatewayWorkerError): void {
    this.#warn(error, hostPort(connection.remoteAddress, connection.remotePort));
  }

  /** There is no connection yet that a callback could be given. */
  #reportRefused(error: ConnectionError, peer: string): void {
    this.counters.tlsRefused++;
    this.#warn(error, peer);
  }

  #warn({ code, message, fields }: GatewayWorkerError, peer: string): void {
    const passed = this.#throttle.pass(code, performance.now(), { code, peer, ...fields });
    if (passed !== null) this.#logger.warn(`${this.name}: ${message}`, passed);
  }

  #report(name: string, thrown: unknown): void {
    this.#logger.error(`${name} threw: ${stackOf(thrown)}`);
  }
}

/** Closes connections in order and waits until they are gone, or cuts off those that are not after half a second. */
export async function closeAll(connections: Iterable<TcpConnection>, code = 1001): Promise<void> {
  const closing = [...connections];
  for (const connection of closing) connection.close(undefined, code);
  const deadline = performance.now() + 500;
  // Until their owners have been told, which is a moment after a connection is cut off: the process may exit next.
  while (closing.some((connection) => !connection.gone)) {
    if (performance.now() > deadline) for (const connection of closing) connection.destroy();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Turns what its connections tell into calls of the worker's callbacks. */
class WorkerConnectionOwner implements ConnectionOwner {
  readonly #worker: Worker;

  constructor(worker: Worker) {
    this.#worker = worker;
  }

  get counters(): ConnectionCounters {
    return this.#worker.counters;
  }

  onBytes(connection: WorkerConnection, buffer: Buffer, start: number, end: number, binary: boolean): void {
    const { onMessage } = connection;
    if (onMessage === null) return;
    this.#worker.callUser('onMessage', onMessage, connection, connection.codec.decode(buffer, start, end, binary));
  }

  onValue(connection: WorkerConnection, value: unknown): void {
    this.#worker.callUser('onMessage', connection.onMessage, connection, value);
  }

  onHandshake(connection: WorkerConnection, request: HandshakeRequest, response: HandshakeResponse): boolean {
    const refusal = this.#worker.refusal(connection, request);
    if (refusal !== null) {
      connection.refuse(refusal);
      return false;
    }
    const { onWebSocketConnect } = this.#worker;
    // It decides who may come in: one that fails lets nobody in.
    if (this.#worker.callUser('onWebSocketConnect', onWebSocketConnect, connection, request, response)) return true;
    connection.close();
    return false;
  }

  onOpen(): void {}

  onFail(connection: WorkerConnection, error: GatewayWorkerError): void {
    if (connection.onError !== null) this.#worker.callUser('onError', connection.onError, connection, error);
    else this.#worker.reportPeer(connection, error);
  }

  onFull(connection: WorkerConnection): void {
    this.#worker.callUser('onBufferFull', connection.onBufferFull, connection);
  }

  onDrain(connection: WorkerConnection): void {
    this.#worker.callUser('onBufferDrain', connection.onBufferDrain, connection);
  }

  onClose(connection: WorkerConnection): void {
    this.#worker.forget(connection);
    this.#worker.callUser('onClose', connection.onClose, connection);
  }
}
