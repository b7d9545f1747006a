import { Buffer } from 'node:buffer';
import { randomBytes } from 'node:crypto';
import {
  CONNECTION_LIMITS,
  ConnectionCounters,
  type ConnectionLimits,
  type ConnectionOwner,
  DOOR_LIMITS,
  Door,
  hostPort,
  type LinkTlsOptions,
  Listener,
  type ListenerTls,
  LocalListener,
  linkServerTls,
  sendQueues,
  TcpConnection,
  turnWriter,
  type Wire,
} from '../../../core/net/mod.js';
import { deadlines, type Expiring } from '../../../core/timers/mod.js';
import { type GatewayWorkerError, type Logger, LogThrottle, sameSecret } from '../../../util/mod.js';
import {
  Command,
  commandName,
  FLAG_SCALAR,
  gatewayConnectLine,
  ipToNumber,
  isEvent,
  type PacketHead,
  type PacketView,
  packetHead,
  parseConnectBody,
  writePacket,
  writePacketRange,
  writeReply,
} from '../../protocol/mod.js';
import {
  type CommandSource,
  type Extension,
  type GatewayIdentity,
  type GatewayLink,
  type GatewayLinkEvents,
  type LinkFigures,
  OUR_EXTENSIONS,
  type WorkerPeer,
} from '../contracts.js';
import { isTakenAlways, Unacknowledged } from '../unacknowledged.js';
import { linkCodec } from './link-codec.js';
import { RegisterClient, registerFigures } from './register-client.js';
import { Silence, WATCH_MS } from './silence.js';

/**
 * As in the original: workers on other hosts are pinged, so that a firewall between does not forget the link. Between our own
 * each answers, so that both sides learn when the other's host has lost its power.
 */
const PING_MS = 25_000;

/** Behind `sendToWorkerBufferSize` clients are paused; what they had sent already may still come, up to this many times it. */
const HARD_LIMIT_FACTOR = 4;

/** Below this share of what may be unacknowledged the clients of a worker are read again. */
const ROOM_SHARE = 0.5;

const NOTHING = Buffer.alloc(0);

const ANY_ADDRESS = '0.0.0.0';

/** As a Register: who has not shown the secret key by then, or said anything where there is none, is sent away. */
const AUTHORIZATION_SECONDS = 10;

/** Who has not shown the secret key has nothing to say but that: a name, a key and what it can do. Bytes. */
const STRANGER_PACKET_SIZE = 4096;

export interface GatewayMeshOptions {
  /** IPv4 address under which workers reach this gateway. */
  readonly lanIp: string;
  /** Inner port; 0 lets the system choose. */
  readonly lanPort: number;
  /** Address to listen on when it is not `lanIp`. */
  readonly listenIp: string;
  readonly registerAddresses: readonly string[];
  readonly secretKey: string;
  /** TLS between the processes of the cluster; default null: none. */
  readonly linkTls?: LinkTlsOptions | null;
  /** Bytes waiting for one worker from which on its clients are paused. */
  readonly sendToWorkerBufferSize: number;
  /** Bytes of events that one worker has not acknowledged from which on its clients are paused. */
  readonly maxUnacknowledgedBytes: number;
  /** Seconds without a byte of a worker that owes an acknowledgement or an answer until its link is ended; 0: never. */
  readonly workerTimeout: number;
  /** Largest packet taken, in bytes. */
  readonly maxPacketSize: number;
  readonly logger: Logger;
}

/** A gateway's end of the mesh: an inner port that workers and GatewayClients connect to, announced to the Registers. */
export class GatewayMesh implements GatewayLink, ConnectionOwner {
  readonly counters = new ConnectionCounters();
  /** Protocol errors that were not one of a packet: no secret key, or the wrong one. */
  refused = 0;
  /** Askers that were disconnected because they don't read their answers. */
  lostAnswers = 0;
  /** Workers that were disconnected because another one came under their key. */
  replacedWorkers = 0;
  /** Workers whose link was ended because not a byte came from them. */
  silentWorkers = 0;
  /** Tells workers a link that broke from a gateway that died. */
  readonly #process = randomBytes(8).toString('hex');
  readonly #options: GatewayMeshOptions;
  readonly #limits: ConnectionLimits;
  /** Of peers that have not shown the secret key. */
  readonly #strangerLimits: ConnectionLimits;
  readonly #workers = new Map<string, MeshWorkerPeer>();
  readonly #peers = new Set<InnerPeer>();
  readonly #door: Door;
  readonly #listener: Listener;
  #local: LocalListener | null = null;
  readonly #registers: RegisterClient[] = [];
  readonly #throttle = new LogThrottle();
  #events!: GatewayLinkEvents;
  #ping: NodeJS.Timeout | null = null;
  #watch: NodeJS.Timeout | null = null;

  constructor(options: GatewayMeshOptions) {
    this.#options = options;
    this.#limits = Object.freeze({
      ...CONNECTION_LIMITS,
      maxPackageSize: options.maxPacketSize,
      maxSendBufferSize: options.sendToWorkerBufferSize * HARD_LIMIT_FACTOR,
    });
    const maxPackageSize = Math.min(options.maxPacketSize, STRANGER_PACKET_SIZE);
    this.#strangerLimits = options.secretKey === '' ? this.#limits : Object.freeze({ ...this.#limits, maxPackageSize });
    const { listenIp: host, lanPort: port } = options;
    const text = `tcp://${hostPort(host, port)}`;
    this.#door = new Door(DOOR_LIMITS, (error, peer) => this.#warn(error.message, peer, error.code, error.code));
    const address = { scheme: 'tcp', host, port, text };
    this.#listener = new Listener(
      address,
      (wire) => this.#accept(wire),
      this.#door,
      this.#tls(options.linkTls ?? null),
    );
  }

  async open(events: GatewayLinkEvents): Promise<GatewayIdentity> {
    this.#events = events;
    await this.#listener.listen(true);
    const { lanIp } = this.#options;
    const { port } = this.#listener;
    await this.#openLocal(lanIp, port);
    return { localIp: ipToNumber(lanIp) ?? 0, localPort: port };
  }

  async #openLocal(lanIp: string, port: number): Promise<void> {
    const { linkTls, listenIp } = this.#options;
    // Who asks for certificates is to see them from everybody; and what is reached by another address than it listens on
    // has something in between that is there for a purpose.
    if ((linkTls ?? null) !== null || (listenIp !== lanIp && listenIp !== ANY_ADDRESS)) return;
    this.#local = new LocalListener(lanIp, port, (wire) => this.#accept(wire));
    const reason = await this.#local.listen();
    if (reason !== null) this.#options.logger.debug('workers of this host come over TCP too', { reason });
  }

  announce(): void {
    const { lanIp, secretKey, linkTls, logger, registerAddresses, workerTimeout } = this.#options;
    const address = `${lanIp}:${this.#listener.port}`;
    for (const register of registerAddresses) {
      const joinLine = () => gatewayConnectLine(address, secretKey);
      const client = new RegisterClient({ address: register, joinLine, onAddresses: null, linkTls, logger });
      this.#registers.push(client);
      client.start();
    }
    if (lanIp !== '127.0.0.1') this.#ping = setInterval(() => this.#pingWorkers(), PING_MS).unref();
    if (workerTimeout > 0) this.#watch = setInterval(() => this.#watchWorkers(), WATCH_MS).unref();
  }

  figures(): LinkFigures {
    const registers = registerFigures(this.#registers);
    const { sendFail, protocolErrors } = this.counters;
    return {
      up: this.#workers.size + registers.up,
      down: registers.down,
      queuedBytes: sendQueues(this.openConnections()),
      sendFail,
      dropped: {
        linkRefused: this.refused,
        linkProtocolErrors: protocolErrors - this.refused,
        lostAnswers: this.lostAnswers,
        replacedWorkers: this.replacedWorkers,
        silentWorkers: this.silentWorkers,
        registerProtocolErrors: registers.protocolErrors,
        linkAcceptErrors: this.#door.dropped.acceptErrors,
      },
    };
  }

  openConnections(): Iterable<TcpConnection> {
    const links = [...this.#peers].map(({ connection }) => connection);
    return [...links, ...registerFigures(this.#registers).connections];
  }

  async close(): Promise<void> {
    for (const register of this.#registers) register.stop();
    if (this.#ping !== null) clearInterval(this.#ping);
    if (this.#watch !== null) clearInterval(this.#watch);
    this.#local?.close();
    this.#listener.close();
    for (const peer of this.#peers) peer.connection.close();
    turnWriter.flush();
    // The workers hang up when they have read our last events; who doesn't is cut off with the process.
    const deadline = performance.now() + 500;
    while (this.#peers.size > 0 && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    for (const peer of this.#peers) peer.connection.destroy();
  }

  onValue(connection: TcpConnection, value: unknown): void {
    const peer = connection.context as InnerPeer;
    const packet = value as PacketView;
    if (packet.cmd === Command.WORKER_CONNECT) this.#workerConnects(peer, packet);
    else if (packet.cmd === Command.GATEWAY_CLIENT_CONNECT) this.#clientConnects(peer, packet);
    else if (packet.cmd === Command.ACK && peer.worker !== null) this.#acknowledges(peer, peer.worker, packet);
    else if (packet.cmd === Command.PING && peer.worker !== null) peer.worker.answered();
    else if (peer.authorized) this.#events.command(packet, peer);
    else if (this.#options.secretKey === '') this.#firstCommand(peer, packet);
    else this.#refuse(peer, `${commandName(packet.cmd)} before the secret key was shown`);
  }

  onBytes(): void {}

  onHandshake(): boolean {
    return true;
  }

  onOpen(): void {}

  onFail(connection: TcpConnection, error: GatewayWorkerError): void {
    this.#warn(`inner connection: ${error.message}`, peerOf(connection), error.code, error.code);
    const { worker } = connection.context as InnerPeer;
    // It broke the protocol and takes nothing more: its clients' events go elsewhere from now on.
    if (worker !== null && connection.status !== 'established') this.workerLeft(worker);
  }

  onFull(): void {}

  onDrain(connection: TcpConnection): void {
    const { worker } = connection.context as InnerPeer;
    if (worker !== null) this.#events.workerDrained(worker);
  }

  /** A worker that has hung up takes no further event: the next one goes to another, not into a socket that is closing. */
  onHangup(connection: TcpConnection): void {
    const { worker } = connection.context as InnerPeer;
    if (worker !== null) this.workerLeft(worker);
  }

  onClose(connection: TcpConnection): void {
    const peer = connection.context as InnerPeer;
    this.#peers.delete(peer);
    this.#door.leave(connection.remoteAddress);
    deadlines.delete(peer);
    if (peer.worker !== null) this.workerLeft(peer.worker);
  }

  #tls(linkTls: LinkTlsOptions | null): ListenerTls | null {
    if (linkTls === null) return null;
    const onRefused = ({ code, message }: GatewayWorkerError, peer: string) => {
      this.counters.protocolErrors++;
      this.refused++;
      this.#warn(`inner connection: ${message}`, peer, code, code);
    };
    return { options: linkServerTls(linkTls), handshakeTimeout: AUTHORIZATION_SECONDS, onRefused };
  }

  #accept(wire: Wire): void {
    const connection = new TcpConnection(wire, linkCodec, this, this.#strangerLimits);
    const peer = new InnerPeer(this, connection);
    connection.context = peer;
    this.#peers.add(peer);
    deadlines.set(peer, AUTHORIZATION_SECONDS);
  }

  /** As in the original: without a secret key everybody who reaches the inner port may command. */
  #firstCommand(peer: InnerPeer, packet: PacketView): void {
    this.#authorize(peer);
    this.#events.command(packet, peer);
  }

  #workerConnects(peer: InnerPeer, packet: PacketView): void {
    const body = parseConnectBody(packet.bodyText());
    if (body === undefined) {
      this.#refuse(peer, 'WORKER_CONNECT with a body that is not JSON');
      return;
    }
    // The original compares the key here even when none is configured.
    if (!sameSecret(this.#options.secretKey, body.secretKey)) {
      this.#refuse(peer, 'the secret key is not ours');
      return;
    }
    this.#authorize(peer);
    const key = `${peer.remoteIp}:${body.workerKey}`;
    if (peer.worker !== null) {
      // Repeated on a link that is up: nothing is new, unless the worker changed its name.
      if (peer.worker.key === key) return;
      this.workerLeft(peer.worker);
    }
    const old = this.#workers.get(key);
    if (old !== undefined) {
      this.replacedWorkers++;
      const message =
        'a worker joined under a key that is in use; the older link is closed (if this repeats: give each BusinessWorker of a host a name of its own)';
      // Two of one name push each other out for ever, several times a second.
      const passed = this.#throttle.pass('key in use', performance.now(), { worker: key });
      if (passed !== null) this.#options.logger.warn(message, passed);
      this.workerLeft(old);
      old.connection.close();
    }
    const worker = new MeshWorkerPeer(this, key, peer.connection, this.#options, knownExtensions(body.fields));
    peer.worker = worker;
    this.#workers.set(key, worker);
    this.#confirmExtensions(worker);
    this.#events.workerJoined(worker);
  }

  #clientConnects(peer: InnerPeer, packet: PacketView): void {
    const body = parseConnectBody(packet.bodyText());
    if (this.#options.secretKey === '' || sameSecret(this.#options.secretKey, body?.secretKey ?? null)) {
      this.#authorize(peer);
    } else {
      this.#refuse(peer, 'the secret key is not ours');
    }
  }

  #acknowledges(peer: InnerPeer, worker: MeshWorkerPeer, ack: PacketView): void {
    const { unacknowledged } = worker;
    if (unacknowledged?.acknowledge(ack) !== true) {
      this.#refuse(peer, 'ACK of what was not sent');
    } else if (worker.wasFull && unacknowledged.bytes < this.#options.maxUnacknowledgedBytes * ROOM_SHARE) {
      worker.wasFull = false;
      this.#events.workerDrained(worker);
    }
  }

  #authorize(peer: InnerPeer): void {
    peer.authorized = true;
    peer.connection.relimit(this.#limits);
    deadlines.delete(peer);
  }

  /** @internal Only while the entry is still this link: a worker that came back under its key must not be forgotten. */
  workerLeft(worker: MeshWorkerPeer): void {
    if (this.#workers.get(worker.key) !== worker) return;
    this.#workers.delete(worker.key);
    this.#events.workerLeft(worker);
  }

  /** Says what we can too; a peer that announced nothing (PHP) never sees this command. */
  #confirmExtensions(worker: MeshWorkerPeer): void {
    if (worker.extensions.size === 0) return;
    const known = worker.supports('acknowledgements') ? { process: this.#process } : {};
    const body = JSON.stringify({ extensions: [...worker.extensions], ...known });
    worker.write(packetHead({ cmd: Command.EXTENSIONS, flag: FLAG_SCALAR }), body);
  }

  #pingWorkers(): void {
    for (const worker of this.#workers.values()) worker.ping();
  }

  /** A worker that is frozen, or whose host has lost its power: nobody will say that it is gone. */
  #watchWorkers(): void {
    const { workerTimeout } = this.#options;
    for (const worker of [...this.#workers.values()]) {
      if (worker.silentMs() < workerTimeout * 1000) continue;
      this.silentWorkers++;
      const message = `a worker that owes an answer has said nothing for ${workerTimeout} s; its link is ended`;
      this.#warn(message, peerOf(worker.connection), 'GW_LINK_SILENT');
      this.workerLeft(worker);
      worker.connection.destroy();
    }
  }

  /** @internal */
  tooSilent(peer: InnerPeer): void {
    const missing = this.#options.secretKey === '' ? 'nothing was said' : 'the secret key was not shown';
    this.#refuse(peer, `${missing} within ${AUTHORIZATION_SECONDS} s`);
  }

  /** @internal Its asker does not read: without this answer it would take the next ones for the wrong questions. */
  answerLost(peer: InnerPeer): void {
    if (peer.connection.status !== 'established') return;
    this.lostAnswers++;
    this.#warn(
      'an asker does not read its answers; its connection is closed',
      peerOf(peer.connection),
      'GW_LINK_ANSWER_LOST',
    );
    peer.connection.destroy();
  }

  #refuse(peer: InnerPeer, reason: string): void {
    this.counters.protocolErrors++;
    this.refused++;
    this.#warn(`an inner connection was refused: ${reason}`, peerOf(peer.connection), 'GW_LINK_REFUSED');
    peer.connection.destroy();
  }

  /** Whoever reaches the inner port can make us say this, as often as it likes. */
  #warn(message: string, peer: string, code: string, alike = message): void {
    const fields = { code, peer };
    const passed = this.#throttle.pass(alike, performance.now(), fields);
    if (passed !== null) this.#options.logger.warn(message, passed);
  }
}

/** Whoever is connected to the inner port. */
class InnerPeer implements CommandSource, Expiring {
  readonly #mesh: GatewayMesh;
  readonly connection: TcpConnection;
  /** Kept here: when the connection has ended the socket no longer knows. */
  readonly remoteIp: string;
  authorized = false;
  worker: MeshWorkerPeer | null = null;

  constructor(mesh: GatewayMesh, connection: TcpConnection) {
    this.#mesh = mesh;
    this.connection = connection;
    this.remoteIp = connection.remoteAddress.replace(/^::ffff:/, '');
  }

  reply(payload: Buffer | string): void {
    const { arena } = turnWriter;
    const { buffer, offset } = arena;
    writeReply(arena, payload);
    const start = arena.buffer === buffer ? offset : 0;
    if (!this.connection.sendRange(arena.buffer, start, arena.offset)) this.#mesh.answerLost(this);
  }

  /** The secret key was not shown in time. */
  expire(): void {
    this.#mesh.tooSilent(this);
  }
}

class MeshWorkerPeer implements WorkerPeer {
  readonly #mesh: GatewayMesh;
  readonly key: string;
  readonly connection: TcpConnection;
  readonly extensions: ReadonlySet<Extension>;
  readonly unacknowledged: Unacknowledged | null;
  /** What it has not acknowledged has reached the limit, and it was not told yet that there is room. */
  wasFull = false;
  readonly #binary: boolean;
  readonly #bufferSize: number;
  readonly #silence = new Silence();
  /** Its answer to PING has not come. */
  #pinged = false;

  constructor(
    mesh: GatewayMesh,
    key: string,
    connection: TcpConnection,
    options: GatewayMeshOptions,
    extensions: ReadonlySet<Extension>,
  ) {
    this.#mesh = mesh;
    this.key = key;
    this.connection = connection;
    this.extensions = extensions;
    this.#binary = extensions.has('binary');
    this.#bufferSize = options.sendToWorkerBufferSize;
    this.unacknowledged = this.supports('acknowledgements') ? new Unacknowledged(options.maxUnacknowledgedBytes) : null;
  }

  get full(): boolean {
    if (this.unacknowledged?.full === true) {
      this.wasFull = true;
      return true;
    }
    return this.connection.isFull(this.#bufferSize);
  }

  get unacknowledgedBytes(): number {
    return this.unacknowledged?.bytes ?? 0;
  }

  supports(extension: Extension): boolean {
    // Asked for each event.
    return extension === 'binary' ? this.#binary : this.extensions.has(extension);
  }

  sendEvent(head: PacketHead, session: Buffer, body: Buffer, start: number, end: number): boolean {
    // The worker has hung up, but the connection is not gone yet: it would take nothing.
    if (this.connection.status !== 'established') {
      this.#mesh.workerLeft(this);
      return false;
    }
    const { unacknowledged } = this;
    if (unacknowledged !== null && isEvent(head.cmd)) {
      if (unacknowledged.overfull && !isTakenAlways(head)) return false;
      if (this.connection.sendQueueSize >= this.connection.limits.maxSendBufferSize && !isTakenAlways(head)) {
        // Offered what waits, the socket may drain, and clients are read whose events are sent before this one: they are
        // numbered as they leave, and the sender's head is filled anew for each.
        const own = { ...head };
        return this.connection.sendRange(NOTHING, 0, 0) && this.sendEvent(own, session, body, start, end);
      }
      const at = unacknowledged.write(head, session, body, start, end);
      this.connection.sendRangeAlways(unacknowledged.buffer, at, unacknowledged.offset);
      return true;
    }
    const { arena } = turnWriter;
    const { buffer, offset } = arena;
    writePacketRange(arena, head, session, body, start, end);
    return this.connection.sendRange(arena.buffer, arena.buffer === buffer ? offset : 0, arena.offset);
  }

  takeUnacknowledged(show: (event: PacketView) => void): void {
    this.unacknowledged?.take(show);
  }

  ping(): void {
    this.write(packetHead({ cmd: Command.PING }), '');
    this.#pinged = this.unacknowledged !== null;
  }

  answered(): void {
    this.#pinged = false;
  }

  /** Milliseconds in which it owed us an acknowledgement or an answer and not a byte came. */
  silentMs(): number {
    return this.#silence.tick(this.connection.bytesRead, this.#pinged || this.unacknowledged?.awaitsAck === true);
  }

  tell(head: PacketHead, ext: Buffer): void {
    const { arena } = turnWriter;
    const { buffer, offset } = arena;
    writePacket(arena, head, ext, '');
    this.connection.sendRangeAlways(arena.buffer, arena.buffer === buffer ? offset : 0, arena.offset);
  }

  write(head: PacketHead, body: string): void {
    const { arena } = turnWriter;
    const { buffer, offset } = arena;
    writePacket(arena, head, '', body);
    this.connection.sendRange(arena.buffer, arena.buffer === buffer ? offset : 0, arena.offset);
  }
}

function peerOf({ remoteAddress, remotePort }: TcpConnection): string {
  return hostPort(remoteAddress, remotePort);
}

/** What a peer announced and we know too. */
export function knownExtensions(fields: Readonly<Record<string, unknown>>): ReadonlySet<Extension> {
  const announced = fields.extensions;
  return new Set(Array.isArray(announced) ? OUR_EXTENSIONS.filter((extension) => announced.includes(extension)) : []);
}
