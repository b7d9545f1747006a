import type { Buffer } from 'node:buffer';
import {
  CONNECTION_LIMITS,
  ConnectionCounters,
  type ConnectionLimits,
  type ConnectionOwner,
  checkLinkTls,
  DOOR_LIMITS,
  Door,
  hostPort,
  type LinkTlsOptions,
  Listener,
  type ListenerTls,
  linkServerTls,
  type NetAddress,
  parseAddress,
  sendQueues,
  TcpConnection,
  type Wire,
} from '../../core/net/mod.js';
import {
  ACCOUNT_CHECKS,
  ACCOUNT_DEFAULTS,
  type AccountOptions,
  BaseWorker,
  counted,
  type PlannedListen,
  type ProcessContext,
  STOP_PHASE,
  type StopPhase,
  type WorkerFigures,
} from '../../core/process/mod.js';
import { deadlines, type Expiring } from '../../core/timers/mod.js';
import {
  type Checks,
  flag,
  type GatewayWorkerError,
  integer,
  type Logger,
  LogThrottle,
  nonEmptyText,
  object,
  orNull,
  orZero,
  readOptions,
  sameSecret,
  seconds,
  silentLogger,
  text,
} from '../../util/mod.js';
import { broadcastAddressesLine, parseRegisterLine } from '../protocol/mod.js';
import { AddressBook } from './address-book.js';
import { EXPLANATION, registerCodec } from './register-codec.js';

/** Options of a Register. */
export interface RegisterOptions extends AccountOptions {
  /** Shown in logs and status; default `Register`. */
  name: string;
  /** A reload replaces its process; default false: it keeps it. */
  reloadable: boolean;
  /** Shared by everything in the cluster; default empty. */
  secretKey: string;
  /**
   * TLS on its port and on links, both sides with a certificate: `{ ca, cert, key }`, the same kind in the whole cluster;
   * default null: none. Not with peers of the original.
   */
  linkTls: LinkTlsOptions | null;
  /**
   * Largest line taken, in bytes; default 131,072. What is said to a Register is short, and anybody may say it: the original's
   * 10,485,760 would be memory for strangers.
   */
  maxPackageSize: number;
  /** Connections at a time, of gateways, workers and programs; default 10,000, 0: any number. */
  maxConnections: number;
  /**
   * Seconds in which a gateway or worker that pings (those that reach it under another address than 127.0.0.1 do, every 25 s)
   * says nothing until it counts as gone; at least 30, default 60, 0: never.
   */
  peerTimeout: number;
}

export const REGISTER_DEFAULTS: Readonly<RegisterOptions> = Object.freeze({
  ...ACCOUNT_DEFAULTS,
  name: 'Register',
  reloadable: false,
  secretKey: '',
  linkTls: null,
  maxPackageSize: 131_072,
  maxConnections: 10_000,
  peerTimeout: 60,
});

export const REGISTER_CHECKS: Checks<RegisterOptions> = {
  ...ACCOUNT_CHECKS,
  name: nonEmptyText,
  reloadable: flag,
  secretKey: text,
  linkTls: orNull(object),
  maxPackageSize: integer(1),
  maxConnections: integer(0),
  // Pings come every 25 s: with less, all that live would be taken for gone.
  peerTimeout: orZero(seconds(30)),
};

/**
 * Whoever has not joined by then is sent away. In the original any line is enough, a ping too: strangers could take every place
 * without the key.
 */
const JOIN_SECONDS = 10;

const RAW = { raw: true } as const;

/**
 * Keeps the addresses of the gateways and tells the workers: newline-terminated JSON over TCP, as in the original. One
 * process. It holds nothing that is not made again when the gateways come back, so it may be restarted at any time.
 */
export class Register extends BaseWorker implements ConnectionOwner {
  override readonly kind = 'Register';
  readonly name: string;
  readonly count = 1;
  override readonly user: string;
  override readonly group: string;
  override readonly stopPhase: StopPhase = STOP_PHASE.register;
  override readonly reloadable: boolean;
  override readonly overlaps = false;
  readonly counters = new ConnectionCounters();
  /** Protocol errors that were no fault in a line: the wrong secret key. */
  refused = 0;
  /** Connections that were ended because those that had pinged said nothing any more. */
  silentPeers = 0;
  readonly #address: NetAddress;
  readonly #options: Readonly<RegisterOptions>;
  readonly #limits: ConnectionLimits;
  readonly #book = new AddressBook<TcpConnection>();
  readonly #connections = new Set<TcpConnection>();
  readonly #throttle = new LogThrottle();
  readonly #door: Door;
  #listener: Listener | null = null;
  #logger: Logger = silentLogger;

  /**
   * @param address `text://127.0.0.1:1236`; whatever the scheme, lines are spoken, as in the original
   * @throws AddressError, OptionsError
   */
  constructor(address: string, options: Partial<RegisterOptions> = {}) {
    super();
    this.#address = parseAddress(address, ['text', 'tcp']);
    this.#options = readOptions('Register', REGISTER_DEFAULTS, REGISTER_CHECKS, options);
    if (this.#options.linkTls !== null) checkLinkTls('Register', this.#options.linkTls);
    this.name = this.#options.name;
    this.user = this.#options.user;
    this.group = this.#options.group;
    this.reloadable = this.#options.reloadable;
    this.#limits = Object.freeze({ ...CONNECTION_LIMITS, maxPackageSize: this.#options.maxPackageSize });
    const { maxConnections } = this.#options;
    this.#door = new Door({ ...DOOR_LIMITS, maxConnections }, ({ code, message }, peer) =>
      this.#warn(message, peer, code, code),
    );
  }

  /** The port listened on; 0 before it is. */
  get port(): number {
    return this.#listener?.port ?? 0;
  }

  plannedListens(): readonly PlannedListen[] {
    const { text: address, host, port } = this.#address;
    return [{ address, host, port, inner: true }];
  }

  async start(context: ProcessContext): Promise<void> {
    this.#logger = context.logger;
    this.#listener = new Listener(this.#address, (wire) => this.#accept(wire), this.#door, this.#tls());
    await this.#listener.listen(true);
  }

  async stop(): Promise<void> {
    this.#listener?.close();
    // Nothing is owed to anybody here: they come again when there is a Register again.
    for (const connection of this.#connections) connection.destroy();
  }

  override figures(): WorkerFigures {
    const { connections, sendFail, requests, sendBufferFull, protocolErrors, tlsRefused } = this.counters;
    const { refused, silentPeers } = this;
    const { tooManyConnections, acceptErrors } = this.#door.dropped;
    const { gateways, workers } = this.#book.size;
    return {
      connections,
      sendFail,
      totalRequest: requests,
      queuedBytes: sendQueues(this.#connections),
      // Who is to come is not known here.
      links: { up: gateways + workers, down: 0 },
      dropped: counted({
        sendBufferFull,
        refused,
        silentPeers,
        protocolErrors: protocolErrors - refused,
        tlsRefused,
        tooManyConnections,
        acceptErrors,
      }),
    };
  }

  override openConnections(): Iterable<TcpConnection> {
    return this.#connections;
  }

  onBytes(connection: TcpConnection, buffer: Buffer, start: number, end: number): void {
    const patience = connection.context as Patience;
    patience.heard();
    const message = parseRegisterLine(buffer.toString('utf8', start, end));
    if ('fault' in message) {
      this.#refuse(connection, message.fault, message.fault === 'malformed' ? EXPLANATION : null);
      return;
    }
    switch (message.event) {
      case 'ping':
        patience.pinged(this.#options.peerTimeout);
        return;
      case 'gateway_connect':
        if (!this.#admits(connection, message.secretKey)) return;
        this.#tell(this.#book.gatewayJoined(connection, message.address));
        this.#logger.debug('a gateway joined', { gateway: message.address });
        return;
      case 'worker_connect':
        if (this.#admits(connection, message.secretKey)) this.#tell(this.#book.workerJoined(connection));
        return;
      default:
        this.#refuse(connection, 'unknown_event', null);
    }
  }

  onValue(): void {}

  onHandshake(): boolean {
    return true;
  }

  onOpen(): void {}

  onFail(connection: TcpConnection, error: GatewayWorkerError): void {
    this.#warn(error.message, peerOf(connection), error.code, error.code);
  }

  onFull(): void {}

  onDrain(): void {}

  onClose(connection: TcpConnection): void {
    deadlines.delete(connection.context as Patience);
    this.#connections.delete(connection);
    this.#door.leave(connection.remoteAddress);
    this.#tell(this.#book.left(connection));
  }

  #tls(): ListenerTls | null {
    const { linkTls } = this.#options;
    if (linkTls === null) return null;
    const onRefused = ({ code, message }: GatewayWorkerError, peer: string) => {
      this.counters.tlsRefused++;
      this.#warn(message, peer, code, code);
    };
    return { options: linkServerTls(linkTls), handshakeTimeout: JOIN_SECONDS, onRefused };
  }

  #accept(wire: Wire): void {
    const connection = new TcpConnection(wire, registerCodec, this, this.#limits);
    const patience = new Patience(this, connection);
    connection.context = patience;
    this.#connections.add(connection);
    deadlines.set(patience, JOIN_SECONDS);
  }

  /** @internal */
  tooSilent(connection: TcpConnection): void {
    this.#refuse(connection, `it did not join within ${JOIN_SECONDS} s`, null);
  }

  /** @internal Its host may have lost its power: nobody will say that it is gone. */
  wentSilent(connection: TcpConnection): void {
    this.silentPeers++;
    const { peerTimeout } = this.#options;
    const message = `who has pinged says nothing any more for ${peerTimeout} s; the connection is ended`;
    this.#warn(message, peerOf(connection), 'GW_REGISTER_SILENT');
    connection.destroy();
  }

  #admits(connection: TcpConnection, secretKey: string | null): boolean {
    const admitted = sameSecret(this.#options.secretKey, secretKey);
    if (admitted) {
      (connection.context as Patience).joined();
    } else {
      this.refused++;
      this.#refuse(connection, 'wrong secretKey', null);
    }
    return admitted;
  }

  #tell(connections: Iterable<TcpConnection>): void {
    const line = broadcastAddressesLine(this.#book.addresses);
    for (const connection of connections) connection.send(line, RAW);
  }

  #refuse(connection: TcpConnection, reason: string, reply: string | null): void {
    this.counters.protocolErrors++;
    this.#warn(`a connection was refused: ${reason}`, peerOf(connection), 'GW_REGISTER_REFUSED');
    if (reply !== null) connection.send(reply, RAW);
    deadlines.delete(connection.context as Patience);
    connection.close();
    // It may take its time to hang up; nobody is to be sent to it meanwhile.
    this.#tell(this.#book.left(connection));
  }

  #warn(message: string, peer: string, code: string, alike = message): void {
    const fields = { code, peer };
    const passed = this.#throttle.pass(alike, performance.now(), fields);
    if (passed !== null) this.#logger.warn(message, passed);
  }
}

/** How long a connection may take to join, and from its first ping as a member on say nothing. */
class Patience implements Expiring {
  readonly #register: Register;
  readonly #connection: TcpConnection;
  #joined = false;
  /** Seconds between lines; 0: it has not pinged, or may take its time. */
  #between = 0;

  constructor(register: Register, connection: TcpConnection) {
    this.#register = register;
    this.#connection = connection;
  }

  joined(): void {
    this.#joined = true;
    this.heard();
  }

  /** What strangers say gives them no more time. */
  heard(): void {
    if (!this.#joined) return;
    deadlines.delete(this);
    if (this.#between > 0) deadlines.set(this, this.#between);
  }

  pinged(between: number): void {
    if (!this.#joined) return;
    this.#between = between;
    this.heard();
  }

  expire(): void {
    if (this.#between > 0) this.#register.wentSilent(this.#connection);
    else this.#register.tooSilent(this.#connection);
  }
}

function peerOf({ remoteAddress, remotePort }: TcpConnection): string {
  return hostPort(remoteAddress, remotePort);
}
