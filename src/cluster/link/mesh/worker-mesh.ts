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
import { type GatewayWorkerError, type Logger, LogThrottle, messageOf } from '../../../util/mod.js';
import {
  Command,
  FLAG_SCALAR,
  MAX_PACKET_SIZE,
  PACKET_HEAD_BYTES,
  type PacketHead,
  type PacketView,
  PHP_MAX_PACKET_SIZE,
  packetHead,
  parseConnectBody,
  workerConnectBody,
  writePacket,
} from '../../protocol/mod.js';
import { AbsentGroups } from '../absent-groups.js';
import {
  type Extension,
  type GatewayPeer,
  type LinkFigures,
  OUR_EXTENSIONS,
  type WorkerLink,
  type WorkerLinkEvents,
} from '../contracts.js';
import { LinkError, unreachable } from '../errors.js';
import { AnnouncedGateways, type GatewayAddress } from './announced-gateways.js';
import { knownExtensions } from './gateway-mesh.js';
import { linkCodec } from './link-codec.js';
import { QueryConnection } from './query-connection.js';
import { Redial } from './redial.js';
import { Silence, WATCH_MS } from './silence.js';

/** Below it no packet can be too large, whatever its characters: three bytes each at most. */
const MEASURED_CHARS = 1_048_576;

/** A gateway of ours says within a round trip what it supports; one that has said nothing for so long will not. */
const UNDECIDED_MS = 1000;

const PING = packetHead({ cmd: Command.PING });

const CONNECTED = 'connected to the gateway';

/** How long `linked` waits for registers, and for gateways that are announced and can't be reached. Milliseconds. */
const LINKED_WITHIN = 3000;

export interface WorkerMeshOptions {
  /** `name:number`, or `name:number:generation`; a gateway puts our address in front. */
  readonly workerKey: string;
  readonly registerAddresses: readonly string[];
  readonly secretKey: string;
  /** Bytes waiting for one gateway from which on further commands are refused. */
  readonly sendToGatewayBufferSize: number;
  /** Largest packet taken, in bytes. */
  readonly maxPacketSize: number;
  /** Seconds a gateway has to answer a question. */
  readonly queryTimeout: number;
  /** Seconds without a byte of a gateway that pings, until its link is ended; 0: never. */
  readonly gatewayTimeout: number;
  readonly logger: Logger;
}

/** A worker's end of the mesh: hears from the Registers which gateways there are, and keeps a link to each. */
export class WorkerMesh implements WorkerLink {
  readonly options: WorkerMeshOptions;
  /** Of all links, those that are forgotten included. */
  readonly counters = new ConnectionCounters();
  /** Commands that were not taken, but for those that found the queue full. */
  readonly refused = { gatewayDown: 0, tooLargeForGateway: 0 };
  /** Gateways whose link was ended because not a byte came from them. */
  silentGateways = 0;
  readonly #peers = new Map<string, MeshGatewayPeer>();
  readonly #announced: AnnouncedGateways;
  events!: WorkerLinkEvents;
  paused = false;
  #leaving = false;
  #watch: NodeJS.Timeout | null = null;
  #listed: ReadonlyMap<string, GatewayAddress> = new Map();

  constructor(options: WorkerMeshOptions) {
    this.options = options;
    const { registerAddresses, secretKey, logger } = options;
    const onChange = (all: ReadonlyMap<string, GatewayAddress>) => this.#take(all);
    this.#announced = new AnnouncedGateways({ registerAddresses, secretKey, onChange, logger });
  }

  get gateways(): Iterable<GatewayPeer> {
    return this.#peers.values();
  }

  gateway(localIp: number, localPort: number): GatewayPeer | undefined {
    for (const peer of this.#peers.values()) {
      if (peer.localIp === localIp && peer.localPort === localPort) return peer;
    }
    return undefined;
  }

  open(events: WorkerLinkEvents): void {
    this.events = events;
    this.#announced.start();
    if (this.options.gatewayTimeout > 0) this.#watch = setInterval(() => this.#watchGateways(), WATCH_MS).unref();
  }

  async linked(): Promise<void> {
    const deadline = performance.now() + LINKED_WITHIN;
    const linked = () => this.#announced.answered && [...this.#peers.values()].every(({ live }) => live);
    while (!linked() && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 5));
    if (this.#announced.answered) return;
    const registers = [...this.#announced.outcomes].map(([register, { state, text }]) => ({ register, state, text }));
    const story = registers.map(({ register, text }) => `${register}: ${text}`).join('; ');
    const message = `no register answered within ${LINKED_WITHIN / 1000} s (${story})`;
    throw new LinkError('GW_LINK_NO_REGISTER', message, { registers });
  }

  announces(address: string): boolean {
    return this.#listed.has(address);
  }

  leave(): void {
    this.#leaving = true;
    this.#announced.stop();
    for (const peer of this.#peers.values()) if (!peer.live) peer.stop();
  }

  pause(): void {
    if (this.paused) return;
    this.paused = true;
    for (const peer of this.#peers.values()) {
      // What a gateway says meanwhile is not read, however long.
      peer.absentGroups.forget();
      peer.connection?.pauseRecv();
    }
  }

  resume(): void {
    if (!this.paused) return;
    this.paused = false;
    for (const peer of this.#peers.values()) {
      peer.absentGroups.forget();
      // A handler may pause all again while the first ones are catching up.
      if (!this.paused) peer.connection?.resumeRecv();
    }
  }

  figures(): LinkFigures {
    const { registers } = this.#announced;
    const { sendFail, sendBufferFull, protocolErrors } = this.counters;
    const { gatewayDown, tooLargeForGateway } = this.refused;
    const peers = [...this.#peers.values()];
    const live = peers.filter((peer) => peer.live).length;
    return {
      up: live + registers.up,
      down: peers.length - live + registers.down,
      queuedBytes: peers.reduce((sum, peer) => sum + peer.queuedBytes, 0),
      sendFail: sendFail + gatewayDown + tooLargeForGateway,
      dropped: {
        gatewayQueueFull: sendBufferFull,
        gatewayDown,
        tooLargeForGateway,
        silentGateways: this.silentGateways,
        linkProtocolErrors: protocolErrors,
        registerProtocolErrors: registers.protocolErrors,
      },
    };
  }

  openConnections(): Iterable<TcpConnection> {
    const links = [...this.#peers.values()].flatMap((peer) => peer.connections);
    return [...links, ...this.#announced.registers.connections];
  }

  async close(): Promise<void> {
    this.#announced.stop();
    if (this.#watch !== null) clearInterval(this.#watch);
    const peers = [...this.#peers.values()];
    for (const peer of peers) peer.stop();
    turnWriter.flush();
    const deadline = performance.now() + 500;
    while (peers.some((peer) => peer.connection !== null) && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    // A gateway that does not hang up must not hold us.
    for (const peer of peers) peer.connection?.destroy();
  }

  /** @internal A link has ended: an address that is listed nowhere any more is forgotten, and each by one who leaves. */
  forgetUnlisted(peer: MeshGatewayPeer): boolean {
    if (peer.listed && !this.#leaving) return false;
    this.#forget(peer);
    return true;
  }

  /** A gateway's host may have lost its power: nobody will say that it is gone. */
  #watchGateways(): void {
    const { gatewayTimeout, logger } = this.options;
    for (const peer of [...this.#peers.values()]) {
      if (peer.silentMs() < gatewayTimeout * 1000) continue;
      this.silentGateways++;
      const message = `a gateway that pings has said nothing for ${gatewayTimeout} s; the link to it is ended`;
      logger.warn(message, { code: 'GW_LINK_SILENT', gateway: peer.address });
      peer.connection?.destroy();
    }
  }

  #take(all: ReadonlyMap<string, GatewayAddress>): void {
    this.#listed = all;
    for (const peer of this.#peers.values()) {
      peer.listed = all.has(peer.address);
      // A link that is up stays, as in the original: it lives as long as the gateway does.
      if (!peer.listed && peer.connection === null) this.#forget(peer);
    }
    for (const announced of all.values()) {
      if (this.#peers.has(announced.address)) continue;
      const peer = new MeshGatewayPeer(this, announced);
      this.#peers.set(announced.address, peer);
      peer.dial();
    }
  }

  #forget(peer: MeshGatewayPeer): void {
    peer.stop();
    this.#peers.delete(peer.address);
  }
}

const NO_EXTENSIONS: ReadonlySet<Extension> = new Set();

class MeshGatewayPeer implements GatewayPeer, ConnectionOwner {
  readonly counters: ConnectionCounters;
  readonly address: string;
  readonly localIp: number;
  readonly localPort: number;
  connection: TcpConnection | null = null;
  live = false;
  listed = true;
  process: string | null = null;
  readonly absentGroups = new AbsentGroups();
  readonly #mesh: WorkerMesh;
  readonly #host: string;
  readonly #limits: ConnectionLimits;
  readonly #redial = new Redial(
    () => this.dial(),
    () => this.#report('info', CONNECTED),
  );
  readonly #throttle = new LogThrottle();
  #extensions = NO_EXTENSIONS;
  /** What it supports is decided when it has said something, or at this time in milliseconds. */
  #decidedAt = 0;
  #queries: QueryConnection | null = null;
  /** It has said something on this link. */
  #heard = false;
  readonly #silence = new Silence();
  /** It pings on this link, so that its silence means something. */
  #pings = false;
  #stopped = false;
  #reported = '';

  constructor(mesh: WorkerMesh, { address, host, localIp, localPort }: GatewayAddress) {
    this.#mesh = mesh;
    this.counters = mesh.counters;
    this.address = address;
    this.#host = host;
    this.localIp = localIp;
    this.localPort = localPort;
    this.#limits = Object.freeze({
      ...CONNECTION_LIMITS,
      maxPackageSize: mesh.options.maxPacketSize,
      maxSendBufferSize: mesh.options.sendToGatewayBufferSize,
      handshakeTimeout: 3,
    });
  }

  get connections(): readonly TcpConnection[] {
    const { connection } = this;
    return [...(connection === null ? [] : [connection]), ...(this.#queries?.connections ?? [])];
  }

  get queuedBytes(): number {
    return (this.connection?.sendQueueSize ?? 0) + (this.#queries?.unwritten ?? 0);
  }

  supports(extension: Extension): boolean {
    return this.#extensions.has(extension);
  }

  get undecided(): boolean {
    return this.#decidedAt > 0 && performance.now() < this.#decidedAt;
  }

  send(head: PacketHead, ext: string | Buffer, body: string | Buffer): boolean {
    const { refused } = this.#mesh;
    if (!this.live || this.connection === null) {
      refused.gatewayDown++;
      return false;
    }
    if (ext.length + body.length > MEASURED_CHARS && this.#tooLarge(ext, body)) {
      refused.tooLargeForGateway++;
      return false;
    }
    const { arena } = turnWriter;
    const { buffer, offset } = arena;
    writePacket(arena, head, ext, body);
    return this.connection.sendRange(arena.buffer, arena.buffer === buffer ? offset : 0, arena.offset);
  }

  ask(head: PacketHead, ext: string | Buffer, body: string | Buffer): Promise<Buffer> {
    // Also when it was never asked: the connection would be made now, and nobody would close it.
    if (this.#stopped) return Promise.reject(unreachable(this.address, 'the link is closed'));
    const { secretKey, queryTimeout } = this.#mesh.options;
    const { counters, localPort: port } = this;
    this.#queries ??= new QueryConnection({ host: this.#host, port, secretKey, queryTimeout, counters });
    return this.#queries.ask(head, ext, body).then((answer) => {
      // Answers come by another way than events, and may tell of members whose PRESENT is yet to be read.
      this.absentGroups.forget();
      return answer;
    });
  }

  dial(): void {
    this.connection = connectNear(this.#host, this.localPort, linkCodec, this, this.#limits);
  }

  stop(): void {
    this.#stopped = true;
    this.#redial.stop();
    this.#queries?.close();
    this.connection?.close();
  }

  onOpen(): void {
    const { workerKey, secretKey } = this.#mesh.options;
    this.live = true;
    this.#extensions = NO_EXTENSIONS;
    this.#heard = false;
    this.#pings = false;
    this.process = null;
    this.#decidedAt = performance.now() + UNDECIDED_MS;
    const body = workerConnectBody(workerKey, secretKey, { extensions: OUR_EXTENSIONS });
    this.send(packetHead({ cmd: Command.WORKER_CONNECT, flag: FLAG_SCALAR }), '', body);
    if (this.#mesh.paused) this.connection?.pauseRecv();
    this.#redial.connected();
    // After failures only when it lasts: one that refuses our key would be two lines a second.
    if (!this.#redial.remarkable) this.#report('debug', CONNECTED);
    this.#mesh.events.gatewayJoined(this);
  }

  onValue(_connection: TcpConnection, value: unknown): void {
    const packet = value as PacketView;
    if (!this.#heard) this.#hears();
    if (packet.cmd === Command.EXTENSIONS) {
      const { fields = {} } = parseConnectBody(packet.bodyText()) ?? {};
      this.#extensions = knownExtensions(fields);
      if (typeof fields.process !== 'string' || !this.supports('acknowledgements')) return;
      this.process = fields.process;
      this.#mesh.events.gatewayIdentified(this);
      return;
    }
    if (packet.cmd === Command.ABSENT || packet.cmd === Command.PRESENT) this.absentGroups.told(packet);
    else if (packet.cmd === Command.PING) this.#pinged();
    else this.#mesh.events.event(packet, this);
  }

  #pinged(): void {
    this.#pings = true;
    // The original's gateways expect no answer.
    if (this.supports('acknowledgements')) this.send(PING, '', '');
  }

  /** Milliseconds in which not a byte came though it pings; 0 while it is not read. */
  silentMs(): number {
    const heard = this.connection?.bytesRead ?? 0;
    return this.#silence.tick(heard, this.live && this.#pings && !this.#mesh.paused);
  }

  /** A gateway that takes our key sends something sooner or later; one that does not hangs up without a word. */
  #hears(): void {
    this.#heard = true;
    this.#redial.proven();
    this.#decidedAt = 0;
  }

  onBytes(): void {}

  onHandshake(): boolean {
    return true;
  }

  onFail(_connection: TcpConnection, error: GatewayWorkerError): void {
    const fields = { code: error.code, gateway: this.address };
    const passed = this.#throttle.pass(error.code, performance.now(), fields);
    if (passed !== null) this.#mesh.options.logger.warn(error.message, passed);
  }

  onFull(): void {}

  onDrain(): void {}

  onHangup(): void {
    if (!this.live) return;
    this.live = false;
    this.absentGroups.forget();
    this.#mesh.events.gatewayLeft(this);
  }

  onClose(_connection: TcpConnection, error: Error | null): void {
    this.onHangup();
    this.connection = null;
    if (this.#stopped || this.#mesh.forgetUnlisted(this)) return;
    this.#redial.later();
    if (!this.#redial.remarkable) return;
    this.#report(
      'warn',
      error === null
        ? 'the gateway closed the link (if this repeats: is the secretKey the same?); trying again'
        : `the gateway can't be reached: ${messageOf(error)}; trying again`,
    );
  }

  /** A gateway drops its link at a packet beyond its limit. Only our own confirms extensions. */
  #tooLarge(ext: string | Buffer, body: string | Buffer): boolean {
    const limit = this.#extensions.size > 0 ? MAX_PACKET_SIZE : PHP_MAX_PACKET_SIZE;
    return PACKET_HEAD_BYTES + Buffer.byteLength(ext) + Buffer.byteLength(body) > limit;
  }

  #report(level: 'debug' | 'info' | 'warn', message: string): void {
    if (this.#reported === message) return;
    this.#reported = message;
    this.#mesh.options.logger[level](message, { gateway: this.address });
  }
}
