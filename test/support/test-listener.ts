import {
  CONNECTION_LIMITS,
  ConnectionCounters,
  type ConnectionError,
  type ConnectionLimits,
  type ConnectionOwner,
  DOOR_LIMITS,
  type Door,
  type DoorLimits,
  ENTRANCE_DEFAULTS,
  Entrance,
  type EntranceOptions,
  Listener,
  type PeerAddress,
  parseAddress,
  TcpConnection,
  type TlsListenOptions,
  type Wire,
} from '../../src/core/net/mod.js';
import { type Codec, type HandshakeRequest, type HandshakeResponse, textCodec } from '../../src/core/protocols/mod.js';
import type { GatewayWorkerError } from '../../src/util/mod.js';
import { eventually } from './eventually.js';

type Handler<Args extends unknown[] = []> = (connection: TcpConnection, ...args: Args) => void;

/** Remembers what its connections tell it, and does what the test says. */
export class TestOwner implements ConnectionOwner {
  readonly counters = new ConnectionCounters();
  /** In order: `message x`, `value x`, `handshake`, `open`, `fail CODE`, `full`, `drain`, `close`. */
  readonly events: string[] = [];
  readonly errors: GatewayWorkerError[] = [];
  closeError: Error | null = null;
  door: Door | null = null;
  whenMessage: Handler<[string]> = ignore;
  whenHandshake: (connection: TcpConnection, request: HandshakeRequest, response: HandshakeResponse) => boolean = yes;
  whenOpen: Handler = ignore;
  whenFail: Handler<[GatewayWorkerError]> = ignore;
  whenFull: Handler = ignore;
  whenDrain: Handler = ignore;
  whenClose: Handler = ignore;

  /** How many events begin with it. */
  count(event: string): number {
    return this.events.filter((name) => name.startsWith(event)).length;
  }

  get messages(): string[] {
    return this.events.filter((name) => name.startsWith('message ')).map((name) => name.slice(8));
  }

  onBytes(connection: TcpConnection, buffer: Buffer, start: number, end: number): void {
    const text = buffer.toString('utf8', start, end);
    this.events.push(`message ${text}`);
    this.whenMessage(connection, text);
  }

  onValue(_connection: TcpConnection, value: unknown): void {
    this.events.push(`value ${String(value)}`);
  }

  onHandshake(connection: TcpConnection, request: HandshakeRequest, response: HandshakeResponse): boolean {
    this.events.push('handshake');
    return this.whenHandshake(connection, request, response);
  }

  onOpen(connection: TcpConnection): void {
    this.events.push('open');
    this.whenOpen(connection);
  }

  onFail(connection: TcpConnection, error: GatewayWorkerError): void {
    this.events.push(`fail ${error.code}`);
    this.errors.push(error);
    this.whenFail(connection, error);
  }

  onFull(connection: TcpConnection): void {
    this.events.push('full');
    this.whenFull(connection);
  }

  onDrain(connection: TcpConnection): void {
    this.events.push('drain');
    this.whenDrain(connection);
  }

  onClose(connection: TcpConnection, error: Error | null): void {
    this.events.push('close');
    this.closeError = error;
    this.door?.leave(connection.remoteAddress);
    this.whenClose(connection);
  }
}

export interface TestListenerOptions {
  readonly codec?: Codec;
  readonly limits?: Partial<ConnectionLimits>;
  readonly door?: Partial<DoorLimits>;
  readonly host?: string;
  readonly tls?: TlsListenOptions;
  /** The PROXY protocol, and from whom. */
  readonly proxy?: Pick<EntranceOptions, 'proxyProtocol' | 'trustedProxies'>;
  readonly whenAccepted?: (connection: TcpConnection) => void;
}

const listeners = new Set<TestListener>();

/** An open port whose connections belong to one TestOwner. */
export class TestListener {
  readonly owner = new TestOwner();
  readonly connections: TcpConnection[] = [];
  /** What carries them. */
  readonly wires: Wire[] = [];
  readonly door: Door;
  /** What came to nothing at the door or during the TLS handshake. */
  readonly refused: { readonly error: ConnectionError; readonly peer: string }[] = [];
  readonly #listener: Listener;

  constructor({
    codec = textCodec,
    limits,
    door,
    host = '127.0.0.1',
    tls,
    proxy,
    whenAccepted,
  }: TestListenerOptions = {}) {
    const all = { ...CONNECTION_LIMITS, ...limits };
    const accept = (wire: Wire, from: PeerAddress | null) => {
      const connection = new TcpConnection(wire, codec, this.owner, all);
      if (from !== null) connection.cameFrom(from);
      this.owner.door = this.door;
      this.connections.push(connection);
      this.wires.push(wire);
      whenAccepted?.(connection);
    };
    const secured = tls && {
      options: tls,
      handshakeTimeout: all.handshakeTimeout,
      onRefused: (error: ConnectionError, peer: string) => void this.refused.push({ error, peer }),
    };
    const entrance = new Entrance(
      { ...DOOR_LIMITS, ...ENTRANCE_DEFAULTS, ...door, ...proxy },
      (error, peer) => void this.refused.push({ error, peer }),
      (check) => check,
    );
    this.door = entrance.door;
    const headers = entrance.proxy(all.handshakeTimeout);
    this.#listener = new Listener(parseAddress(`tcp://${host}:0`, ['tcp']), accept, this.door, secured, headers);
    listeners.add(this);
  }

  get port(): number {
    return this.#listener.port;
  }

  /** TLS handshakes that go on. */
  get handshakes(): number {
    return this.#listener.handshakes;
  }

  listen(): Promise<void> {
    return this.#listener.listen(true);
  }

  /** Waits for the first connection, or the one of that number. */
  async accepted(index = 0): Promise<TcpConnection> {
    return eventually('an accepted connection', () => this.connections[index]);
  }

  /** Cuts all off; waits until they are gone. */
  async close(): Promise<void> {
    this.#listener.close();
    for (const connection of this.connections) connection.destroy();
    await eventually('all connections gone', () => this.owner.counters.connections === 0);
  }
}

export async function listening(options?: TestListenerOptions): Promise<TestListener> {
  const listener = new TestListener(options);
  await listener.listen();
  return listener;
}

/** For `afterEach`. */
export async function closeListeners(): Promise<void> {
  for (const listener of listeners) await listener.close();
  listeners.clear();
}

function ignore(): void {}

function yes(): boolean {
  return true;
}
