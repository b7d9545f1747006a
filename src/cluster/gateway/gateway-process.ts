import { Buffer } from 'node:buffer';
import { randomInt } from 'node:crypto';
import {
  ConnectionCounters,
  type ConnectionLimits,
  type ConnectionOwner,
  Entrance,
  endedConnection,
  Listener,
  type ListenerTls,
  type NetAddress,
  type PeerAddress,
  type SharedFrame,
  shareFrame,
  sharePing,
  TcpConnection,
  type Wire,
} from '../../core/net/mod.js';
import { closeAll, counted, listenCodec, untilNoneRemain, type WorkerFigures } from '../../core/process/mod.js';
import {
  CLOSE_CODE,
  type Codec,
  type HandshakeRequest,
  type HandshakeResponse,
  type HandshakeVerdict,
} from '../../core/protocols/mod.js';
import { deadlines, type Expiring } from '../../core/timers/mod.js';
import { type GatewayWorkerError, type LogFields, type Logger, LogThrottle, messageOf } from '../../util/mod.js';
import type { CommandSource, GatewayLink, GatewayLinkEvents, WorkerPeer } from '../link/mod.js';
import {
  Command,
  commandName,
  type EventCommand,
  FLAG_BINARY,
  FLAG_SCALAR,
  FLAGS_REDELIVERED,
  MAX_PACKET_SIZE,
  numberToIp,
  PACKET_HEAD_BYTES,
  type PacketHead,
  type PacketView,
  PHP_MAX_PACKET_SIZE,
  packetHead,
  redelivered,
  redeliveries,
  serialize,
  websocketConnectBody,
} from '../protocol/mod.js';
import { Absences } from './absences.js';
import { Admission, clientIpOf } from './admission.js';
import { ClientEntry, Clients } from './clients.js';
import { COMMANDS } from './commands/mod.js';
import type { CommandHandler, GatewayClientEntry, GatewayContext, PassedLimit } from './context.js';
import { GatewayConnection } from './gateway-connection.js';
import { Heartbeat, sendsPing } from './heartbeat.js';
import { Keepers } from './keepers.js';
import type { ClientLimits, GatewayOptions } from './options.js';
import { type ConnectedWorker, faultOfAnswer, type RoutedEvent, type Router, WorkerTable } from './own-router.js';
import { BindingRouter } from './router.js';
import { THREW, UserCode } from './user-code.js';
import { type WaitingEvent, WaitingRoom } from './waiting-room.js';
import { WebSocketPings } from './websocket-pings.js';

const NO_BODY = Buffer.alloc(0);
/** Says to a worker that leaves that it has been sent its last event. */
const LAST_EVENT = packetHead({ cmd: Command.DRAIN, flag: FLAG_SCALAR });
const MAX_CONNECTION_ID = 0xffff_ffff;

/** RFC 6455 section 7.4.1. */
const CLOSE_GOING_AWAY = 1001;
const CLOSE_TOO_BIG = 1009;
const CLOSE_TRY_AGAIN_LATER = 1013;

/** What a router calls the events. */
const ROUTED_EVENT: Readonly<Record<EventCommand, RoutedEvent>> = {
  [Command.ON_CONNECT]: 'onConnect',
  [Command.ON_WEBSOCKET_CONNECT]: 'onWebSocketConnect',
  [Command.ON_MESSAGE]: 'onMessage',
  [Command.ON_CLOSE]: 'onClose',
};

const PASSED_LIMITS: Readonly<Record<PassedLimit, { readonly code: string; readonly message: string }>> = {
  sessionTooLarge: { code: 'GW_GATEWAY_SESSION_TOO_LARGE', message: 'a session is too large; it stays as it was' },
  tooManyGroups: { code: 'GW_GATEWAY_TOO_MANY_GROUPS', message: 'a client is in too many groups; it joins no more' },
};

const WAITING_CHECK_MS = 250;

/** The ends of clients that workers know find room up to this many times the limit: there is one for each, and no other word. */
const ENDS_FACTOR = 4;

/** A client that was cut off tells it within a turn or two. */
const LAST_WORDS_MS = 200;

/** Opens the way clients come in by. */
export type MakeListener = (
  ...parts: ConstructorParameters<typeof Listener>
) => Pick<Listener, 'port' | 'listen' | 'close'>;

/** One gateway process at work: clients on one side, the link on the other, and the tables between. */
export class GatewayProcess implements GatewayContext, ConnectionOwner, GatewayLinkEvents {
  readonly counters = new ConnectionCounters();
  /** Events that were lost, by reason. */
  readonly droppedEvents = {
    /** No worker came in time. */
    noWorker: 0,
    waitingRoomFull: 0,
    /** Beyond its hard limit. */
    workerQueueFull: 0,
    tooLargeForWorker: 0,
    /** One worker after the other was sent it, and did not acknowledge it. */
    undeliverable: 0,
    /** A message that the protocol decoded has no form in which it could travel. */
    unsendable: 0,
  };
  /** Events that were sent once more. */
  redelivered = 0;
  /** Commands that were not carried out because of a limit. */
  readonly droppedCommands: Record<PassedLimit, number> = {
    sessionTooLarge: 0,
    tooManyGroups: 0,
  };
  /** Clients that were closed because they did not sign in. */
  signInTimeouts = 0;
  /** Commands of workers and programs that could not be carried out. */
  unusableCommands = 0;
  /** Hooks and routers that threw, or answered what is no answer. */
  failedHooks = 0;
  readonly clients: Clients<TcpConnection>;
  readonly absences = new Absences();
  readonly codec: Codec;
  readonly #options: Readonly<GatewayOptions>;
  readonly #limits: ConnectionLimits;
  readonly #logger: Logger;
  readonly #throttle = new LogThrottle();
  readonly #link: GatewayLink;
  readonly #entrance: Entrance;
  readonly #admission: Admission;
  readonly #listener: ReturnType<MakeListener>;
  readonly #router: BindingRouter;
  readonly #ownRouter: Router | null;
  readonly #userCode = new UserCode((message, fields, alike) => this.#hookFailed(message, fields, alike));
  readonly #workers = new Map<string, WorkerPeer>();
  /** The same for hooks and routers. */
  readonly #workerTable: WorkerTable;
  readonly #keepers: Keepers<TcpConnection>;
  /** Clients that are not read because their worker's queue is full. */
  readonly #pausedFor = new Map<WorkerPeer, Set<GatewayClientEntry>>();
  readonly #waiting: WaitingRoom<GatewayClientEntry>;
  /**
   * By connection id, whose events are being handed over, and how many calls are at it, one inside the other: a worker may
   * turn out to have left, or to have room again, in the middle. Nothing newer of these is read until the last is done.
   */
  readonly #handing = new Map<number, { readonly client: GatewayClientEntry; calls: number }>();
  /** Those that leave in order; true: it has been told that its last event was sent. */
  readonly #leaving = new Map<WorkerPeer, boolean>();
  readonly #heartbeat: Heartbeat;
  /** In place of a heartbeat. */
  readonly #pings: WebSocketPings;
  /** Filled anew for each event. */
  readonly #head = packetHead();
  #heartbeatTimer: NodeJS.Timeout | null = null;
  #waitingTimer: NodeJS.Timeout | null = null;
  #stopping = false;
  /** The link is being ended: workers still handle what they were sent, and can't say so any more. */
  #closing = false;

  /**
   * @param firstConnectionId random unless given: a client id from before a restart must not reach somebody else
   */
  constructor(
    address: NetAddress,
    options: Readonly<GatewayOptions>,
    link: GatewayLink,
    logger: Logger,
    firstConnectionId = randomInt(1, MAX_CONNECTION_ID),
    makeListener: MakeListener = (...parts) => new Listener(...parts),
  ) {
    this.#options = options;
    this.#link = link;
    this.#logger = logger;
    this.#limits = Object.freeze({
      maxPackageSize: options.maxPackageSize,
      maxSendBufferSize: options.sendToClientBufferSize,
      maxHandshakeSize: options.maxHandshakeSize,
      maxFragments: options.maxFragments,
      maxMessagesPerSecond: options.maxMessagesPerSecond,
      maxBytesPerSecond: options.maxBytesPerSecond,
      handshakeTimeout: options.handshakeTimeout,
      closeTimeout: options.closeTimeout,
    });
    this.clients = new Clients(firstConnectionId);
    this.codec = listenCodec(address, options.protocol, options.perMessageDeflate);
    this.#ownRouter = typeof options.router === 'function' ? options.router : null;
    this.#router = new BindingRouter(typeof options.router === 'function' ? 'leastConnections' : options.router);
    this.#workerTable = new WorkerTable(this.#router);
    this.#keepers = new Keepers(this.#workers, (client, worker) => {
      const head = this.#headFor(client, Command.KEEP, FLAG_SCALAR);
      return worker.sendEvent(head, client.session, NO_BODY, 0, 0);
    });
    this.#waiting = new WaitingRoom(options.maxWaitingBytes, options.maxWaitingTime);
    this.#heartbeat = new Heartbeat(options.pingInterval, options.pingNotResponseLimit, sendsPing(options.pingData));
    const pings = options.pingInterval === 0 && this.codec.encodePing !== undefined;
    this.#pings = new WebSocketPings(pings ? options.webSocketPingInterval : 0);
    this.#entrance = new Entrance(
      options,
      (error, peer) => this.#refused(error, peer),
      (check) => (origin, request) => this.#userCode.call('origins', check, origin, request) === true,
    );
    this.#admission = new Admission(this.#entrance, options.authenticate, this.#userCode);
    this.#listener = makeListener(
      address,
      (wire, from) => this.#accept(wire, from),
      this.#entrance.door,
      this.#tls(),
      this.#entrance.proxy(options.handshakeTimeout),
    );
  }

  /** The public port. */
  get port(): number {
    return this.#listener.port;
  }

  get workerCount(): number {
    return this.#workers.size;
  }

  figures(): WorkerFigures {
    const { connections, sendFail, requests, sendBufferFull, protocolErrors, rateLimited, tlsRefused } = this.counters;
    const { droppedEvents, signInTimeouts, unusableCommands, failedHooks } = this;
    const { sessionTooLarge, tooManyGroups } = this.droppedCommands;
    const { up, down, ...link } = this.#link.figures();
    let queuedBytes = link.queuedBytes + this.#waiting.bytes;
    // Measured: of 50,000 clients this takes less than ten milliseconds.
    for (const { connection } of this.clients.all) queuedBytes += connection.sendQueueSize;
    return {
      connections,
      sendFail,
      totalRequest: requests,
      queuedBytes,
      links: { up, down },
      dropped: counted({
        ...droppedEvents,
        sessionTooLarge,
        tooManyGroups,
        sendBufferFull,
        protocolErrors,
        rateLimited,
        tlsRefused,
        ...this.#entrance.door.dropped,
        ...this.#entrance.dropped,
        unauthenticated: this.#admission.unauthenticated,
        signInTimeouts,
        unusableCommands,
        failedHooks,
        ...link.dropped,
      }),
    };
  }

  *openConnections(): Iterable<TcpConnection> {
    for (const { connection } of this.clients.all) yield connection;
    yield* this.#link.openConnections();
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
    // One of the two at most ticks.
    const heartbeat = this.#heartbeat.tickSeconds;
    const pings = this.#pings.tickSeconds;
    if (heartbeat > 0) this.#heartbeatTimer = setInterval(() => this.#beat(), heartbeat * 1000);
    else if (pings > 0) this.#heartbeatTimer = setInterval(() => this.#ping(), pings * 1000);
  }

  async stop(hurry: AbortSignal): Promise<void> {
    this.#listener.close();
    await untilNoneRemain(() => this.clients.size, hurry, this.#logger);
    this.#stopping = true;
    if (this.#heartbeatTimer !== null) clearInterval(this.#heartbeatTimer);
    if (this.#waitingTimer !== null) clearInterval(this.#waitingTimer);
    await closeAll(
      [...this.clients.all].map((client) => client.connection),
      CLOSE_GOING_AWAY,
    );
    // Those that had to be cut off are not gone yet, and their workers are to hear of it while the link is up.
    const deadline = performance.now() + LAST_WORDS_MS;
    const owed = () =>
      [...this.#workers.values(), ...this.#leaving.keys()].some((worker) => worker.unacknowledgedBytes > 0);
    while ((this.clients.size > 0 || owed()) && performance.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 5));
    this.#keepers.stop();
    this.#closing = true;
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
    } else if (isScalar(value)) {
      const body = Buffer.from(scalarText(value));
      this.#event(client, Command.ON_MESSAGE, body, 0, body.length, FLAG_SCALAR);
    } else {
      this.#structuredMessage(client, value);
    }
  }

  onHandshake(connection: TcpConnection, request: HandshakeRequest, response: HandshakeResponse): HandshakeVerdict {
    const client = connection.context as GatewayClientEntry;
    const refusal = this.#admission.ask(client, request, (one) => this.#viewOf(one));
    if (!(refusal instanceof Promise)) return this.#shakesHands(client, request, response, refusal);
    refusal.then((late) => {
      // It may have left, or have been left, while it waited.
      if (connection.status === 'established' && this.#shakesHands(client, request, response, late)) connection.admit();
    });
    return 'later';
  }

  #shakesHands(
    client: GatewayClientEntry,
    request: HandshakeRequest,
    response: HandshakeResponse,
    refusal: Buffer | null,
  ): boolean {
    const { connection } = client;
    if (refusal !== null) connection.refuse(refusal);
    else this.#askHook(client, request, response);
    if (connection.status !== 'established') return false;
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
    this.#warn(error.message, { code: error.code, client: this.#addressOf(client), ...error.fields }, error.code);
  }

  onFull(): void {}

  onDrain(): void {}

  onClose(connection: TcpConnection): void {
    const client = connection.context as GatewayClientEntry;
    this.signedIn(client);
    for (const paused of this.#pausedFor.values()) paused.delete(client);
    if (this.#concernsWorkers(client)) this.#event(client, Command.ON_CLOSE, NO_BODY, 0, 0, FLAG_SCALAR);
    // While its last event waits it keeps its place: a worker that leaves may not be done with it.
    if (!this.#waiting.has(client)) this.#router.clientLeft(client);
    this.clients.remove(client);
    this.#keepers.gone(client);
    this.#entrance.door.leave(connection.remoteAddress);
    const { onClose } = this.#options;
    if (onClose !== null) this.#userCode.call('onClose', onClose, this.#viewOf(client));
  }

  /** Some worker has heard of it, or will. */
  #concernsWorkers(client: GatewayClientEntry): boolean {
    if (client.heard) return true;
    return !client.abandoned && (this.#waiting.has(client) || this.#handing.has(client.connectionId));
  }

  // ---- what the link tells ----

  workerJoined(worker: WorkerPeer): void {
    this.#workers.set(worker.key, worker);
    this.#router.workerJoined(worker.key);
    const added = this.#workerTable.add(worker);
    this.#logger.debug('a worker joined', { worker: worker.key });
    for (const client of this.#waiting.clients) if (!this.#router.holds(client)) this.#retry(client.connectionId);
    this.#keepers.place();
    const { onBusinessWorkerConnected: hook } = this.#options;
    if (hook !== null) this.#userCode.call('onBusinessWorkerConnected', hook, added);
  }

  workerLeft(worker: WorkerPeer): void {
    this.absences.left(worker);
    const leaving = this.#leaving.delete(worker);
    const present = this.#workers.get(worker.key) === worker;
    const busy = leaving ? this.#router.busyOf(worker.key) : null;
    const removed = present ? this.#takeOut(worker) : undefined;
    if (present || leaving) this.#router.workerLeft(worker.key);
    // Of a gateway that stops it is the other way round, and each worker would be a line at every Ctrl+C.
    this.#logger[this.#stopping ? 'debug' : 'info']('a worker left', { worker: worker.key });
    // A gateway that leaves has told its workers everything, and one that dies has nobody to tell.
    if (!this.#closing) {
      this.#redeliver(worker, busy ?? null);
      this.#keepers.left(worker, this.clients.all);
    }
    // What it was not done with is held no longer.
    if (leaving) this.#retryClientsOf(worker);
    this.#resumeClientsOf(worker);
    this.#tellWorkerClose(removed);
  }

  workerDrains(worker: WorkerPeer): void {
    // One that stops closes its clients, and whose workers they are is to hear of it.
    if (this.#workers.get(worker.key) !== worker || this.#stopping) return;
    const removed = this.#takeOut(worker);
    this.#router.workerDrains(worker.key);
    this.#leaving.set(worker, false);
    this.#logger.debug('a worker is leaving', { worker: worker.key });
    this.#sendLast(worker);
    this.#tellWorkerClose(removed);
  }

  /** From now on no router is offered it. */
  #takeOut(worker: WorkerPeer): ConnectedWorker | undefined {
    this.#workers.delete(worker.key);
    return this.#workerTable.delete(worker.key);
  }

  workerBusy(worker: WorkerPeer, connectionIds: readonly number[]): void {
    if (!this.#leaving.has(worker)) return;
    this.#router.workerBusy(worker.key, connectionIds);
    this.#retryClientsOf(worker);
    this.#resumeClientsOf(worker);
  }

  workerDone(worker: WorkerPeer, connectionId: number): void {
    if (!this.#leaving.has(worker)) return;
    this.#router.workerDone(worker.key, connectionId);
    this.#retry(connectionId);
    const client = this.clients.get(connectionId);
    if (client !== undefined && this.#pausedFor.get(worker)?.delete(client)) this.#resume(client);
  }

  #sendLast(worker: WorkerPeer): void {
    if (worker.sendEvent(LAST_EVENT, NO_BODY, NO_BODY, 0, 0)) this.#leaving.set(worker, true);
  }

  #tellWorkerClose(removed: ConnectedWorker | undefined): void {
    const { onBusinessWorkerClose: hook } = this.#options;
    if (hook !== null && removed !== undefined) this.#userCode.call('onBusinessWorkerClose', hook, removed);
  }

  /** Those that were paused because its queue was full, but for those it holds. */
  #resumeClientsOf(worker: WorkerPeer): void {
    const paused = this.#pausedFor.get(worker);
    if (paused === undefined) return;
    this.#pausedFor.delete(worker);
    const held = new Set<GatewayClientEntry>();
    for (const client of paused) {
      if (this.#router.holds(client)) held.add(client);
      else this.#resume(client);
    }
    if (held.size > 0) this.#pausedFor.set(worker, held);
  }

  workerDrained(worker: WorkerPeer): void {
    this.#keepers.place();
    const leaving = this.#leaving.get(worker);
    if (leaving === false) this.#sendLast(worker);
    const paused = this.#pausedFor.get(worker);
    if (paused === undefined || leaving !== undefined) return;
    for (const client of paused) {
      // Each has messages held: all of them at once would be more than the worker's queue may take.
      if (worker.full) return;
      paused.delete(client);
      this.#resume(client);
    }
    // Another set may have taken its place meanwhile: the worker may have left.
    if (paused.size === 0 && this.#pausedFor.get(worker) === paused) this.#pausedFor.delete(worker);
  }

  command(packet: PacketView, from: CommandSource): void {
    const handler: CommandHandler | undefined = COMMANDS[packet.cmd as keyof typeof COMMANDS];
    if (handler === undefined) {
      this.unusable(packet, 'an unknown command was ignored');
      return;
    }
    handler(this, packet, from);
  }

  signedIn(client: GatewayClientEntry): void {
    if (client.signIn === null) return;
    deadlines.delete(client.signIn);
    client.signIn = null;
  }

  /** @internal Its time to sign in is over. */
  signInExpired(client: GatewayClientEntry, signIn: Expiring): void {
    const { signInTimeout } = this.#options;
    // What it signs in with may have come and lie unread. Not so with one that sends too fast: it could put this off for ever.
    if (client.connection.paused) {
      deadlines.set(signIn, signInTimeout);
      return;
    }
    client.signIn = null;
    this.signInTimeouts++;
    const fields = { seconds: signInTimeout, ...this.#facts(client) };
    this.#warn('a client did not sign in in time; it is closed', fields);
    client.connection.close(undefined, CLOSE_CODE.policyViolation, 'sign in');
  }

  get clientLimits(): ClientLimits {
    return this.#options;
  }

  beyondLimit(client: GatewayClientEntry, limit: PassedLimit, fields: LogFields): void {
    this.droppedCommands[limit]++;
    const { code, message } = PASSED_LIMITS[limit];
    this.#warn(message, { code, ...fields, ...this.#facts(client) });
  }

  unusable(packet: PacketView, message: string, fields: LogFields = {}): void {
    this.unusableCommands++;
    this.#warn(message, { command: commandName(packet.cmd), ...fields });
  }

  #warn(message: string, fields: LogFields = {}, alike = message): void {
    const passed = this.#throttle.pass(alike, performance.now(), fields);
    if (passed !== null) this.#logger.warn(message, passed);
  }

  #hookFailed(message: string, fields: LogFields, alike: string): void {
    this.failedHooks++;
    const passed = this.#throttle.pass(alike, performance.now(), fields);
    if (passed !== null) this.#logger.error(message, passed);
  }

  #refused({ code, message, fields }: GatewayWorkerError, peer: string): void {
    this.#warn(message, { code, client: peer, ...fields }, code);
  }

  #tls(): ListenerTls | null {
    const { tls: options, handshakeTimeout } = this.#options;
    if (options === null) return null;
    const onRefused = (error: GatewayWorkerError, peer: string) => {
      this.counters.tlsRefused++;
      this.#refused(error, peer);
    };
    return { options, handshakeTimeout, onRefused };
  }

  #accept(wire: Wire, from: PeerAddress | null): void {
    const connection = new TcpConnection(wire, this.codec, this, this.#limits);
    if (from !== null) connection.cameFrom(from);
    const client = this.clients.add(connection, clientIpOf(connection), connection.remotePort);
    connection.context = client;
    const { onConnect } = this.#options;
    if (onConnect !== null) {
      this.#userCode.call('onConnect', onConnect, this.#viewOf(client));
      if (connection.status !== 'established') {
        client.abandoned = true;
        return;
      }
    }
    const { signInTimeout } = this.#options;
    if (signInTimeout > 0) {
      client.signIn = new SignIn(this, client);
      deadlines.set(client.signIn, signInTimeout);
    }
    this.#event(client, Command.ON_CONNECT, NO_BODY, 0, 0, FLAG_SCALAR);
  }

  #askHook(client: GatewayClientEntry, request: HandshakeRequest, response: HandshakeResponse): void {
    const { onWebSocketConnect: hook } = this.#options;
    if (hook === null) return;
    const said = this.#userCode.call('onWebSocketConnect', hook, this.#viewOf(client), request, response);
    // It decides who may come in: one that fails lets nobody in. Closed before its answer, a client gets status 403.
    if (said === false || said === THREW) client.connection.close();
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
    const key =
      this.#ownRouter === null
        ? this.#router.route(client)
        : this.#askRouter(this.#ownRouter, client, command, body.subarray(start, end));
    const worker = key === null ? undefined : this.#workers.get(key);
    if (worker === undefined) {
      this.#wait(client, command, Buffer.from(body.subarray(start, end)), flag);
      return;
    }
    const extended = worker.supports('binary');
    // A worker drops its link, with all its clients, at a packet beyond its limit.
    const limit = extended ? MAX_PACKET_SIZE : PHP_MAX_PACKET_SIZE;
    if (PACKET_HEAD_BYTES + client.session.length + end - start > limit) {
      this.droppedEvents.tooLargeForWorker++;
      this.#warn('a message is too large for its worker; its client is closed', { limit, ...this.#facts(client) });
      client.connection.close(undefined, CLOSE_TOO_BIG);
      return;
    }
    const head = this.#headFor(client, command, extended ? flag : flag & ~FLAG_BINARY);
    if ((flag & FLAGS_REDELIVERED) !== 0 && !worker.supports('acknowledgements')) head.flag &= ~FLAGS_REDELIVERED;
    if (!worker.sendEvent(head, client.session, body, start, end)) {
      if (this.#workers.get(worker.key) !== worker) {
        // Its link is ending, and it was taken from the table for it: the event goes to another, or waits.
        this.#event(client, command, body, start, end, flag);
        return;
      }
      this.droppedEvents.workerQueueFull++;
      this.#warn('an event was dropped: the queue of its worker is full', {
        worker: worker.key,
        ...this.#facts(client),
      });
    } else if (client.keeper !== worker) {
      this.#keepers.sent(client, worker);
    }
    if (command === Command.ON_MESSAGE && worker.full) this.#pauseFor(worker, client);
  }

  #headFor(client: GatewayClientEntry, command: number, flag: number): PacketHead {
    const head = this.#head;
    head.cmd = command;
    head.clientIp = client.clientIp;
    head.clientPort = client.clientPort;
    head.connectionId = client.connectionId;
    head.flag = flag;
    return head;
  }

  /**
   * Sends what a worker that has left did not acknowledge to others, each client's before anything newer of it.
   *
   * @param busy of one that was leaving in order: the clients it was not done with; null: any
   */
  #redeliver(worker: WorkerPeer, busy: ReadonlySet<number> | null): void {
    const since = performance.now();
    const again = new Map<number, Redelivery>();
    worker.takeUnacknowledged((event) => {
      const { connectionId, cmd: command } = event;
      // What it was done with it had handled, and later events may have gone to another.
      if (busy !== null && !busy.has(connectionId)) return;
      const begun = again.get(connectionId);
      const redelivery = begun ?? this.#beginRedelivery(connectionId, event);
      if (begun === undefined) again.set(connectionId, redelivery);
      const { client, departed, events } = redelivery;
      // What was sent last has the session as it was in the end, and all are to come with that.
      if (departed) client.session = event.extBytes();
      const flag = this.#flagAgain(client, command, event.flag, begun === undefined);
      if (flag !== null) events.push({ client, command, body: event.bodyBytes(), flag, since });
    });
    for (const { client, events, newer } of again.values()) this.#handOver(client, [...events, ...newer]);
  }

  #beginRedelivery(connectionId: number, event: PacketView): Redelivery {
    const newer = this.#waiting.takeOf(connectionId);
    const known = this.clients.get(connectionId) ?? newer[0]?.client ?? this.#handing.get(connectionId)?.client;
    const client = known ?? departedClient(event);
    this.#hold(client);
    return { client, departed: known === undefined, events: [], newer };
  }

  /** The flags with which an event is sent once more; null: it is not. @param oldest of its client, of those that are */
  #flagAgain(client: GatewayClientEntry, command: number, flag: number, oldest: boolean): number | null {
    if (client.abandoned && command !== Command.ON_CLOSE) {
      this.droppedEvents.noWorker++;
      return null;
    }
    if (oldest && redeliveries(flag) >= this.#options.maxRedeliveries) {
      this.droppedEvents.undeliverable++;
      this.#abandon(client, 'one worker after the other did not acknowledge an event of it');
      return null;
    }
    this.redelivered++;
    return redelivered(flag, oldest);
  }

  /** Workers that are gone are not offered, and where there is none the function is not asked. */
  #askRouter(router: Router, client: GatewayClientEntry, command: EventCommand, body: Buffer): string | null {
    const workers = this.#workerTable.all;
    if (workers.size === 0 || this.#router.holds(client)) return null;
    const key = this.#userCode.call('router', router, workers, this.#viewOf(client), ROUTED_EVENT[command], body);
    if (key === THREW) return this.#router.route(client);
    const fault = faultOfAnswer(key, workers);
    if (fault === undefined) {
      this.#router.bind(client, key);
      return key;
    }
    const message = `the router was no help, the default one decides: ${fault}`;
    this.#hookFailed(message, { code: 'GW_GATEWAY_ROUTER', ...this.#facts(client) }, 'router');
    return this.#router.route(client);
  }

  #viewOf(client: GatewayClientEntry): GatewayConnection {
    client.view ??= new GatewayConnection(client, this.#head);
    return client.view;
  }

  #pauseFor(worker: WorkerPeer, client: GatewayClientEntry): void {
    client.connection.pauseRecv();
    const paused = this.#pausedFor.get(worker);
    if (paused === undefined) this.#pausedFor.set(worker, new Set([client]));
    else paused.add(client);
  }

  #resume(client: GatewayClientEntry): void {
    if (this.#handing.has(client.connectionId)) return;
    // What it sent meanwhile, a pong too, is yet to be read.
    if (this.#pings.tickSeconds > 0) this.#pings.excuse(client);
    client.connection.resumeRecv();
  }

  /** A message of a user-defined protocol that is neither text nor bytes travels as a PHP value. */
  #structuredMessage(client: GatewayClientEntry, value: unknown): void {
    let body: Buffer;
    try {
      body = serialize(value);
    } catch (thrown) {
      const fields = { reason: messageOf(thrown), ...this.#facts(client) };
      this.droppedEvents.unsendable++;
      this.#warn('a message that the protocol decoded has no PHP form; it is dropped', fields);
      return;
    }
    this.#event(client, Command.ON_MESSAGE, body, 0, body.length, 0);
  }

  /** Of a worker that leaves, and is not there any more or done with some of them. */
  #retryClientsOf(worker: WorkerPeer): void {
    for (const client of this.#waiting.clients) {
      if (client.workerKey === worker.key && !this.#router.holds(client)) this.#retry(client.connectionId);
    }
  }

  /** Hands over what one client had waiting; it waits again where there is still no worker for it. */
  #retry(connectionId: number): void {
    const events = this.#waiting.takeOf(connectionId);
    const client = events[0]?.client;
    if (client === undefined) return;
    this.#hold(client);
    this.#handOver(client, events);
  }

  /** The client is not read until the `#handOver` that belongs to it is done. */
  #hold(client: GatewayClientEntry): void {
    const { connectionId } = client;
    const found = this.#handing.get(connectionId);
    if (found === undefined) this.#handing.set(connectionId, { client, calls: 1 });
    else found.calls++;
  }

  #handOver(client: GatewayClientEntry, events: readonly WaitingEvent<GatewayClientEntry>[]): void {
    for (const event of events) {
      const { command, body, flag } = event;
      if (client.abandoned && !isOwed(event)) this.droppedEvents.noWorker++;
      else this.#event(client, command as EventCommand, body, 0, body.length, flag);
    }
    const handing = this.#handing.get(client.connectionId);
    if (handing !== undefined && --handing.calls > 0) return;
    this.#handing.delete(client.connectionId);
    if (this.#waiting.has(client)) return;
    this.#freePlace(client);
    // Its end was told before: the worker is to know of it no longer than these take.
    const gone = this.clients.get(client.connectionId) !== client;
    if (gone && events.at(-1)?.command !== Command.ON_CLOSE) this.#keepers.forget(client);
    // Only now: what it sends next must not overtake what it had waiting.
    for (const paused of this.#pausedFor.values()) if (paused.has(client)) return;
    this.#resume(client);
  }

  /** Of a client that left while its events waited nobody will tell again that it left. */
  #freePlace(client: GatewayClientEntry): void {
    if (this.clients.get(client.connectionId) !== client) this.#router.clientLeft(client);
  }

  #wait(client: GatewayClientEntry, command: EventCommand, body: Buffer, flag: number): void {
    // The gateway is leaving: no worker will come any more.
    if (this.#stopping) {
      this.droppedEvents.noWorker++;
      return;
    }
    const event = { client, command, body, flag, since: performance.now() };
    if (!this.#waiting.add(event, this.#limitOf(event))) {
      this.droppedEvents.waitingRoomFull++;
      this.#abandon(client, 'no worker can take its events yet, and no more can wait');
      if (command === Command.ON_CLOSE) this.#keepers.forget(client);
      return;
    }
    if (!this.#router.holds(client)) {
      this.#warn('no worker is connected; events wait for one', { limitSeconds: this.#options.maxWaitingTime });
    }
    // What it sends meanwhile waits on its own side. A handshake goes on: only then can a client be told to try again.
    if (command !== Command.ON_CONNECT || client.connection.ready) client.connection.pauseRecv();
    this.#waitingTimer ??= setInterval(() => this.#expireWaiting(), WAITING_CHECK_MS);
  }

  /** Up to how many bytes in the waiting room this event is taken. */
  #limitOf(event: WaitingEvent<GatewayClientEntry>): number {
    const { maxWaitingBytes } = this.#options;
    // A worker was full at `maxUnacknowledgedBytes`, so what it leaves behind is bounded. It was taken, and is not to be lost.
    if (redeliveries(event.flag) > 0) return Number.POSITIVE_INFINITY;
    return isOwed(event) ? maxWaitingBytes * ENDS_FACTOR : maxWaitingBytes;
  }

  #expireWaiting(): void {
    // A worker that leaves has as much time for its handlers as it had before. The end of a client holds up nobody.
    const mayWait = (oldest: WaitingEvent<GatewayClientEntry>) => isOwed(oldest) || this.#router.holds(oldest.client);
    for (const events of this.#waiting.takeExpired(performance.now(), mayWait)) {
      const [event] = events;
      if (event === undefined) continue;
      const { client } = event;
      this.#abandon(client, `no worker came within ${this.#options.maxWaitingTime} s`, events);
      if (!this.#waiting.has(client)) this.#freePlace(client);
    }
    if (this.#waiting.size === 0 && this.#waitingTimer !== null) {
      clearInterval(this.#waitingTimer);
      this.#waitingTimer = null;
    }
  }

  /**
   * An event of this client is lost: it is told to come again later, and workers hear of nothing but its end any more.
   *
   * @param waiting what it had waiting
   */
  #abandon(client: GatewayClientEntry, reason: string, waiting = this.#waiting.takeOf(client.connectionId)): void {
    client.abandoned = true;
    for (const event of waiting) {
      if (!isOwed(event) || !this.#waiting.add(event, this.#limitOf(event))) this.droppedEvents.noWorker++;
    }
    this.#warn(`a client is closed: ${reason}`, this.#facts(client));
    client.connection.close(undefined, CLOSE_TRY_AGAIN_LATER, 'try again later');
  }

  #beat(): void {
    let frame: SharedFrame | null = null;
    for (const client of this.clients.all) {
      // One that we pause can't show that it is there. One that sends too fast could: with a message less.
      if (client.connection.paused) continue;
      const action = this.#heartbeat.tick(client);
      if (action === 'destroy') {
        client.connection.destroy();
      } else if (action === 'send') {
        frame ??= this.#pingFrame();
        if (frame !== null) client.connection.sendShared(frame);
      }
    }
  }

  #ping(): void {
    let frame: SharedFrame | null = null;
    for (const client of this.clients.all) {
      const { connection } = client;
      // One that is not read can't show that it is there. Handshakes and closing connections have deadlines of their own.
      if (!connection.receiving || !connection.ready) {
        this.#pings.excuse(client);
        continue;
      }
      const action = this.#pings.tick(client, connection.bytesRead);
      if (action === 'destroy') {
        connection.destroy();
      } else if (action === 'send') {
        frame ??= sharePing(this.codec);
        if (frame !== null) connection.sendShared(frame);
      }
    }
  }

  /** null: the user's own protocol can't frame it. */
  #pingFrame(): SharedFrame | null {
    try {
      return shareFrame(this.codec, this.#options.pingData, false);
    } catch (thrown) {
      this.#warn("pingData can't be sent", { reason: messageOf(thrown) });
      return null;
    }
  }

  #facts(client: GatewayClientEntry): LogFields {
    return { client: this.#addressOf(client), connectionId: client.connectionId };
  }

  #addressOf(client: GatewayClientEntry): string {
    return `${client.connection.remoteAddress}:${client.clientPort}`;
  }
}

/** One client's deadline for being bound to a uid. A connection has its own deadlines beside it. */
class SignIn implements Expiring {
  readonly #gateway: GatewayProcess;
  readonly #client: GatewayClientEntry;

  constructor(gateway: GatewayProcess, client: GatewayClientEntry) {
    this.#gateway = gateway;
    this.#client = client;
  }

  expire(): void {
    this.#gateway.signInExpired(this.#client, this);
  }
}

/** The events of one client that are sent once more. */
interface Redelivery {
  readonly client: GatewayClientEntry;
  /** It is gone, and nothing is known of it but these. */
  readonly departed: boolean;
  readonly events: WaitingEvent<GatewayClientEntry>[];
  /** What had waited. */
  readonly newer: readonly WaitingEvent<GatewayClientEntry>[];
}

function departedClient({ connectionId, clientIp, clientPort }: PacketView): GatewayClientEntry {
  const connection = endedConnection(numberToIp(clientIp), clientPort);
  const client = new ClientEntry(connectionId, connection, clientIp, clientPort);
  client.heard = true;
  return client;
}

/** The end of a client that workers know of: whatever else of it was lost, this is told, when there is a worker again. */
function isOwed({ client, command }: WaitingEvent<GatewayClientEntry>): boolean {
  return command === Command.ON_CLOSE && client.heard;
}

function isScalar(value: unknown): value is string | number | bigint | boolean {
  return ['string', 'number', 'bigint', 'boolean'].includes(typeof value);
}

/** As PHP writes a scalar. */
function scalarText(value: string | number | bigint | boolean): string {
  return typeof value === 'boolean' ? (value ? '1' : '') : String(value);
}
