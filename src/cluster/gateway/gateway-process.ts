import { Buffer } from 'node:buffer';
import { randomInt } from 'node:crypto';
import type { Socket } from 'node:net';
import {
  ConnectionCounters,
  type ConnectionLimits,
  type ConnectionOwner,
  Listener,
  type NetAddress,
  shareFrame,
  TcpConnection,
} from '../../core/net/mod.js';
import { closeAll, listenCodec } from '../../core/process/mod.js';
import type { Codec, HandshakeRequest } from '../../core/protocols/mod.js';
import { type GatewayWorkerError, type LogFields, type Logger, LogThrottle } from '../../util/mod.js';
import type { CommandSource, GatewayLink, GatewayLinkEvents, WorkerPeer } from '../link/mod.js';
import {
  Command,
  commandName,
  type EventCommand,
  FLAG_BINARY,
  FLAG_SCALAR,
  ipToNumber,
  PACKET_HEAD_BYTES,
  type PacketView,
  PHP_MAX_PACKET_SIZE,
  packetHead,
  serialize,
  websocketConnectBody,
} from '../protocol/mod.js';
import { Clients } from './clients.js';
import { COMMANDS } from './commands/mod.js';
import type { CommandHandler, GatewayClientEntry, GatewayContext } from './context.js';
import { Heartbeat } from './heartbeat.js';
import type { GatewayOptions } from './options.js';
import { BindingRouter } from './router.js';
import { WaitingRoom } from './waiting-room.js';

const NO_BODY = Buffer.alloc(0);
const MAX_CONNECTION_ID = 0xffff_ffff;

/** RFC 6455 section 7.4.1. */
const CLOSE_GOING_AWAY = 1001;
const CLOSE_TOO_BIG = 1009;
const CLOSE_TRY_AGAIN_LATER = 1013;

const WAITING_CHECK_MS = 250;

/** One gateway process at work: clients on one side, the link on the other, and the tables between. */
export class GatewayProcess implements GatewayContext, ConnectionOwner, GatewayLinkEvents {
  readonly counters = new ConnectionCounters();
  /** Events that were lost because no worker came in time, or a worker's queue passed its hard limit. */
  droppedEvents = 0;
  readonly clients: Clients<TcpConnection>;
  readonly codec: Codec;
  readonly #options: Readonly<GatewayOptions>;
  readonly #limits: ConnectionLimits;
  readonly #logger: Logger;
  readonly #throttle = new LogThrottle();
  readonly #link: GatewayLink;
  readonly #listener: Listener;
  readonly #router: BindingRouter;
  readonly #workers = new Map<string, WorkerPeer>();
  /** Clients that are not read because their worker's queue is full. */
  readonly #pausedFor = new Map<WorkerPeer, Set<GatewayClientEntry>>();
  readonly #waiting: WaitingRoom<GatewayClientEntry>;
  readonly #heartbeat: Heartbeat;
  /** Filled anew for each event. */
  readonly #head = packetHead();
  #heartbeatTimer: NodeJS.Timeout | null = null;
  #waitingTimer: NodeJS.Timeout | null = null;

  constructor(address: NetAddress, options: Readonly<GatewayOptions>, link: GatewayLink, logger: Logger) {
    this.#options = options;
    this.#link = link;
    this.#logger = logger;
    this.#limits = Object.freeze({
      maxPackageSize: options.maxPackageSize,
      maxSendBufferSize: options.sendToClientBufferSize,
      handshakeTimeout: options.handshakeTimeout,
      closeTimeout: options.closeTimeout,
    });
    // A random start: a client id from before a restart must not reach somebody else.
    this.clients = new Clients(randomInt(1, MAX_CONNECTION_ID));
    this.codec = listenCodec(address, options.protocol);
    this.#router = new BindingRouter(options.router);
    this.#waiting = new WaitingRoom(options.maxWaitingBytes, options.maxWaitingTime);
    this.#heartbeat = new Heartbeat(options.pingInterval, options.pingNotResponseLimit, sendsPing(options.pingData));
    this.#listener = new Listener(address, (socket) => this.#accept(socket));
  }

  /** The public port. */
  get port(): number {
    return this.#listener.port;
  }

  get workerCount(): number {
    return this.#workers.size;
  }

  /** @throws ListenError with nothing left open */
  async start(): Promise<void> {
    const identity = await this.#link.open(this);
    this.#head.localIp = identity.localIp;
    this.#head.localPort = identity.localPort;
    try {
      await this.#listener.listen(false);
    } catch (error) {
      await this.#link.close();
      throw error;
    }
    this.#head.gatewayPort = this.#listener.port;
    this.#link.announce();
    const { tickSeconds } = this.#heartbeat;
    if (tickSeconds > 0) this.#heartbeatTimer = setInterval(() => this.#beat(), tickSeconds * 1000);
  }

  async stop(): Promise<void> {
    this.#listener.close();
    if (this.#heartbeatTimer !== null) clearInterval(this.#heartbeatTimer);
    if (this.#waitingTimer !== null) clearInterval(this.#waitingTimer);
    await closeAll(
      [...this.clients.all].map((client) => client.connection),
      CLOSE_GOING_AWAY,
    );
    await this.#link.close();
  }

  // ---- what client connections tell ----

  onBytes(connection: TcpConnection, buffer: Buffer, start: number, end: number, binary: boolean): void {
    const client = connection.context as GatewayClientEntry;
    client.heartbeat = -1;
    this.#event(client, Command.ON_MESSAGE, buffer, start, end, binary ? FLAG_SCALAR | FLAG_BINARY : FLAG_SCALAR);
  }

  onValue(connection: TcpConnection, value: unknown): void {
    const client = connection.context as GatewayClientEntry;
    client.heartbeat = -1;
    if (Buffer.isBuffer(value)) {
      this.#event(client, Command.ON_MESSAGE, value, 0, value.length, FLAG_SCALAR | FLAG_BINARY);
    } else if (typeof value === 'object' && value !== null) {
      const body = serialize(value);
      this.#event(client, Command.ON_MESSAGE, body, 0, body.length, 0);
    } else {
      const body = Buffer.from(String(value));
      this.#event(client, Command.ON_MESSAGE, body, 0, body.length, FLAG_SCALAR);
    }
  }

  onHandshake(connection: TcpConnection, request: HandshakeRequest): boolean {
    const client = connection.context as GatewayClientEntry;
    const body = websocketConnectBody({
      ...request,
      remoteAddress: connection.remoteAddress,
      remotePort: connection.remotePort,
      serverPort: this.#head.gatewayPort,
    });
    this.#event(client, Command.ON_WEBSOCKET_CONNECT, body, 0, body.length, 0);
    return true;
  }

  onOpen(): void {}

  onFail(connection: TcpConnection, error: GatewayWorkerError): void {
    const client = connection.context as GatewayClientEntry;
    this.warn(error.message, { code: error.code, client: this.#addressOf(client), ...error.fields });
  }

  onFull(): void {}

  onDrain(): void {}

  onClose(connection: TcpConnection): void {
    const client = connection.context as GatewayClientEntry;
    if (!client.abandoned) this.#event(client, Command.ON_CLOSE, NO_BODY, 0, 0, FLAG_SCALAR);
    this.#router.clientLeft(client);
    this.clients.remove(client);
  }

  // ---- what the link tells ----

  workerJoined(worker: WorkerPeer): void {
    this.#workers.set(worker.key, worker);
    this.#router.workerJoined(worker.key);
    this.#logger.info('a worker joined', { worker: worker.key });
    const waited = this.#waiting.takeAll();
    for (const { client, command, body, flag } of waited) {
      this.#event(client, command as EventCommand, body, 0, body.length, flag);
    }
    // Only now: what a client sends next must not overtake what it had waiting.
    for (const { client } of waited) client.connection.resumeRecv();
  }

  workerLeft(worker: WorkerPeer): void {
    if (this.#workers.get(worker.key) === worker) {
      this.#workers.delete(worker.key);
      this.#router.workerLeft(worker.key);
    }
    this.#logger.info('a worker left', { worker: worker.key });
    this.workerDrained(worker);
  }

  workerDrained(worker: WorkerPeer): void {
    const paused = this.#pausedFor.get(worker);
    if (paused === undefined) return;
    this.#pausedFor.delete(worker);
    for (const client of paused) client.connection.resumeRecv();
  }

  command(packet: PacketView, from: CommandSource): void {
    const handler: CommandHandler | undefined = COMMANDS[packet.cmd as keyof typeof COMMANDS];
    if (handler === undefined) {
      this.warn('an unknown command was ignored', { command: commandName(packet.cmd) });
      return;
    }
    handler(this, packet, from);
  }

  warn(message: string, fields: LogFields = {}): void {
    const passed = this.#throttle.pass(message, performance.now(), fields);
    if (passed !== null) this.#logger.warn(message, passed);
  }

  #accept(socket: Socket): void {
    const connection = new TcpConnection(socket, this.codec, this, this.#limits);
    const ip = ipToNumber(connection.remoteAddress.replace(/^::ffff:/, '')) ?? 0;
    const client = this.clients.add(connection, ip, connection.remotePort);
    connection.context = client;
    this.#event(client, Command.ON_CONNECT, NO_BODY, 0, 0, FLAG_SCALAR);
  }

  /** Hands one event to the client's worker, or has it wait for one. */
  #event(
    client: GatewayClientEntry,
    command: EventCommand,
    body: Buffer,
    start: number,
    end: number,
    flag: number,
  ): void {
    const key = this.#router.route(client);
    const worker = key === null ? undefined : this.#workers.get(key);
    if (worker === undefined) {
      this.#wait(client, command, Buffer.from(body.subarray(start, end)), flag);
      return;
    }
    const extended = worker.supports('binary');
    // A worker of the original drops its link, with all its clients, at a packet beyond its limit.
    if (!extended && PACKET_HEAD_BYTES + client.session.length + end - start > PHP_MAX_PACKET_SIZE) {
      this.droppedEvents++;
      this.warn('a message is too large for a worker of the original; its client is closed', this.#facts(client));
      client.connection.close(undefined, CLOSE_TOO_BIG);
      return;
    }
    const head = this.#head;
    head.cmd = command;
    head.clientIp = client.clientIp;
    head.clientPort = client.clientPort;
    head.connectionId = client.connectionId;
    head.flag = extended ? flag : flag & ~FLAG_BINARY;
    if (!worker.sendEvent(head, client.session, body, start, end)) {
      this.droppedEvents++;
      this.warn('an event was dropped: the queue of its worker is full', {
        worker: worker.key,
        ...this.#facts(client),
      });
    }
    if (command === Command.ON_MESSAGE && worker.full) this.#pauseFor(worker, client);
  }

  #pauseFor(worker: WorkerPeer, client: GatewayClientEntry): void {
    client.connection.pauseRecv();
    const paused = this.#pausedFor.get(worker);
    if (paused === undefined) this.#pausedFor.set(worker, new Set([client]));
    else paused.add(client);
  }

  #wait(client: GatewayClientEntry, command: EventCommand, body: Buffer, flag: number): void {
    if (!this.#waiting.add({ client, command, body, flag, since: performance.now() })) {
      this.#abandon(client, 'no worker is connected, and no more events can wait for one');
      return;
    }
    this.warn('no worker is connected; events wait for one', { limitSeconds: this.#options.maxWaitingTime });
    // What it sends meanwhile waits on its own side.
    client.connection.pauseRecv();
    this.#waitingTimer ??= setInterval(() => this.#expireWaiting(), WAITING_CHECK_MS);
  }

  #expireWaiting(): void {
    for (const event of this.#waiting.takeExpired(performance.now())) {
      this.#abandon(event.client, `no worker came within ${this.#options.maxWaitingTime} s`);
    }
    if (this.#waiting.size === 0 && this.#waitingTimer !== null) {
      clearInterval(this.#waitingTimer);
      this.#waitingTimer = null;
    }
  }

  /** An event of this client is lost: it is told to come again later, and no worker will hear of it any more. */
  #abandon(client: GatewayClientEntry, reason: string): void {
    this.droppedEvents++;
    client.abandoned = true;
    this.warn(`a client is closed: ${reason}`, this.#facts(client));
    client.connection.close(undefined, CLOSE_TRY_AGAIN_LATER, 'try again later');
  }

  #beat(): void {
    const { pingData } = this.#options;
    let frame: ReturnType<typeof shareFrame> | null = null;
    for (const client of this.clients.all) {
      const action = this.#heartbeat.tick(client);
      if (action === 'destroy') {
        client.connection.destroy();
      } else if (action === 'send') {
        frame ??= shareFrame(this.codec, pingData, false);
        client.connection.sendShared(frame);
      }
    }
  }

  #facts(client: GatewayClientEntry): LogFields {
    return { client: this.#addressOf(client), connectionId: client.connectionId };
  }

  #addressOf(client: GatewayClientEntry): string {
    return `${client.connection.remoteAddress}:${client.clientPort}`;
  }
}

/** What PHP calls empty, `0` too, is no ping data. */
function sendsPing(pingData: string): boolean {
  return pingData !== '' && pingData !== '0';
}
