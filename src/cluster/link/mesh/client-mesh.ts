import type { Buffer } from 'node:buffer';
import { type LinkTlsOptions, turnWriter } from '../../../core/net/mod.js';
import { type GatewayWorkerError, type Logger, LogThrottle, messageOf } from '../../../util/mod.js';
import { type PacketHead, PHP_MAX_PACKET_SIZE } from '../../protocol/mod.js';
import { AbsentGroups } from '../absent-groups.js';
import type { ClientLink, Extension, GatewayPeer } from '../contracts.js';
import { clientClosed, LinkError, notDrained } from '../errors.js';
import { AnnouncedGateways, type GatewayAddress } from './announced-gateways.js';
import { QueryConnection, type QueryConnectionEvents } from './query-connection.js';

/** How often those who wait for bytes to be written look; only while somebody waits. */
const DRAIN_POLL_MS = 10;

/** A gateway that has been written everything has so long to hang up, then we do. */
const HANGUP_MS = 500;

/** One number for a gateway: address and port. */
const PORTS = 65_536;

export interface ClientMeshOptions {
  readonly registerAddresses: readonly string[];
  readonly secretKey: string;
  /** TLS between the processes of the cluster; default null: none. */
  readonly linkTls?: LinkTlsOptions | null;
  /** Seconds a gateway has to answer a question. */
  readonly queryTimeout: number;
  /** Seconds a connection may take to be made. */
  readonly connectTimeout: number;
  /** Seconds `ready` waits. */
  readonly readyTimeout: number;
  /** Seconds `drain` waits. */
  readonly drainTimeout: number;
  /** Bytes waiting for one gateway from which on further commands are refused. */
  readonly sendBufferSize: number;
  /** Questions that may wait for the answers of one gateway. */
  readonly maxPendingQuestions: number;
  /** All gateways are of this package, and know the extension `binary`. */
  readonly binary: boolean;
  readonly logger: Logger;
}

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: LinkError) => void;
  readonly timer: NodeJS.Timeout;
}

interface Drain {
  readonly resolve: () => void;
  readonly reject: (error: LinkError) => void;
  /** Milliseconds. */
  readonly due: number;
  /** What each gateway that had bytes waiting is to have taken. */
  readonly targets: Map<ClientPeer, number>;
  readonly lost: Set<string>;
}

/**
 * The end of the mesh of a program that is no worker: hears from the Registers which gateways there are, as a worker does,
 * so that no call has to ask; and keeps one connection to each gateway that it needs.
 *
 * Only what a Register has announced is ever dialled. (The original dials whatever address stands in a client id.)
 */
export class ClientMesh implements ClientLink {
  readonly options: ClientMeshOptions;
  readonly #announced: AnnouncedGateways;
  readonly #peers = new Map<number, ClientPeer>();
  readonly #waiters = new Set<Waiter>();
  readonly #drains = new Set<Drain>();
  /** Gateways whose bytes were lost while nobody waited for them: the next drain says so. */
  readonly #lost = new Set<string>();
  #poll: NodeJS.Timeout | null = null;
  #closing: Promise<void> | null = null;

  constructor(options: ClientMeshOptions) {
    this.options = options;
    const { registerAddresses, secretKey, linkTls, connectTimeout, logger } = options;
    const onChange = (all: ReadonlyMap<string, GatewayAddress>) => this.#take(all);
    this.#announced = new AnnouncedGateways({
      registerAddresses,
      secretKey,
      linkTls,
      connectTimeout,
      onChange,
      logger,
    });
  }

  get gateways(): Iterable<GatewayPeer> {
    return this.#peers.values();
  }

  gateway(localIp: number, localPort: number): GatewayPeer | undefined {
    return this.#peers.get(localIp * PORTS + localPort);
  }

  /** `close` was called. */
  get closing(): boolean {
    return this.#closing !== null;
  }

  open(): void {
    this.#announced.start();
  }

  ready(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.closing) {
        reject(clientClosed());
      } else if (this.#peers.size > 0) {
        resolve();
      } else {
        const late = () => {
          this.#waiters.delete(waiter);
          reject(this.#notReady());
        };
        const waiter = { resolve, reject, timer: setTimeout(late, this.options.readyTimeout * 1000) };
        this.#waiters.add(waiter);
      }
    });
  }

  drain(): Promise<void> {
    // What was sent in this very turn nearly always leaves at once.
    turnWriter.flush();
    return new Promise((resolve, reject) => {
      const targets = new Map<ClientPeer, number>();
      for (const peer of this.#peers.values())
        if (peer.connection.unwritten > 0) targets.set(peer, peer.connection.taken);
      const due = performance.now() + this.options.drainTimeout * 1000;
      const drain = { resolve, reject, due, targets, lost: new Set(this.#lost) };
      this.#lost.clear();
      if (this.#settled(drain, performance.now())) return;
      this.#drains.add(drain);
      this.#poll ??= setInterval(() => this.#pollDrains(), DRAIN_POLL_MS);
    });
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** @internal Bytes for it will never be carried out. */
  lost(address: string): void {
    for (const drain of this.#drains) drain.lost.add(address);
    if (this.#drains.size === 0) this.#lost.add(address);
  }

  /** @internal A connection has ended: an address that is listed nowhere any more is forgotten. */
  forgetUnlisted(peer: ClientPeer): boolean {
    if (peer.listed || this.closing) return false;
    this.#forget(peer);
    return true;
  }

  #take(all: ReadonlyMap<string, GatewayAddress>): void {
    if (this.closing) return;
    for (const peer of this.#peers.values()) {
      peer.listed = all.has(peer.address);
      // One we are connected to lives, whatever a register has forgotten.
      if (!peer.listed && !peer.connection.connected) this.#forget(peer);
    }
    for (const announced of all.values()) {
      const key = announced.localIp * PORTS + announced.localPort;
      if (!this.#peers.has(key)) this.#peers.set(key, new ClientPeer(this, announced));
    }
    if (this.#peers.size === 0) return;
    for (const waiter of this.#waiters) {
      clearTimeout(waiter.timer);
      waiter.resolve();
    }
    this.#waiters.clear();
  }

  #forget(peer: ClientPeer): void {
    this.#peers.delete(peer.localIp * PORTS + peer.localPort);
    peer.connection.close();
  }

  async #close(): Promise<void> {
    this.#announced.stop();
    for (const waiter of this.#waiters) {
      clearTimeout(waiter.timer);
      waiter.reject(clientClosed());
    }
    this.#waiters.clear();
    try {
      await this.drain();
    } finally {
      const connections = [...this.#peers.values()].map(({ connection }) => connection);
      for (const connection of connections) connection.close();
      turnWriter.flush();
      const deadline = performance.now() + HANGUP_MS;
      while (connections.some(({ connected }) => connected) && performance.now() < deadline) {
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      for (const connection of connections) connection.destroy();
    }
  }

  #pollDrains(): void {
    const now = performance.now();
    for (const drain of this.#drains) if (this.#settled(drain, now)) this.#drains.delete(drain);
    if (this.#drains.size > 0 || this.#poll === null) return;
    clearInterval(this.#poll);
    this.#poll = null;
  }

  /** Whether it is over; whoever waits has been told then. */
  #settled({ targets, lost, due, resolve, reject }: Drain, now: number): boolean {
    for (const [peer, target] of targets) {
      const { taken, unwritten } = peer.connection;
      // Questions that were taken back lower what was taken.
      if (taken - unwritten >= Math.min(target, taken)) targets.delete(peer);
    }
    if (targets.size > 0 && now < due) return false;
    const waiting = [...targets.keys()].map(({ address }) => address);
    if (waiting.length === 0 && lost.size === 0) resolve();
    else reject(notDrained([...lost], waiting));
    return true;
  }

  #notReady(): LinkError {
    const outcomes = [...this.#announced.outcomes];
    const registers = outcomes.map(([register, { state, text }]) => ({ register, state, text }));
    const story = registers.map(({ register, text }) => `${register}: ${text}`).join('; ');
    const within = `within ${this.options.readyTimeout} s`;
    if (this.#announced.answered) {
      return new LinkError('GW_LINK_NO_GATEWAY', `no gateway has registered ${within} (${story})`, { registers });
    }
    if (registers.some(({ state }) => state === 'refused')) {
      return new LinkError('GW_LINK_REGISTER_REFUSED', `no register took us ${within} (${story})`, { registers });
    }
    return new LinkError('GW_LINK_NO_REGISTER', `no register answered ${within} (${story})`, { registers });
  }
}

class ClientPeer implements GatewayPeer, QueryConnectionEvents {
  readonly process = null;
  readonly address: string;
  readonly localIp: number;
  readonly localPort: number;
  readonly connection: QueryConnection;
  readonly absentGroups = new AbsentGroups();
  listed = true;
  readonly #mesh: ClientMesh;
  readonly #throttle = new LogThrottle();
  #reported = '';

  constructor(mesh: ClientMesh, { address, host, localIp, localPort }: GatewayAddress) {
    this.#mesh = mesh;
    this.address = address;
    this.localIp = localIp;
    this.localPort = localPort;
    const { secretKey, linkTls, queryTimeout, connectTimeout, sendBufferSize, maxPendingQuestions } = mesh.options;
    this.connection = new QueryConnection({
      host,
      port: localPort,
      secretKey,
      linkTls,
      queryTimeout,
      connectTimeout,
      sendBufferSize,
      maxQuestions: maxPendingQuestions,
      // A gateway does not say on this connection whether it is one of ours: what any takes.
      maxPacketSize: PHP_MAX_PACKET_SIZE,
      events: this,
    });
  }

  /** The connection is made when it is needed, and what is sent until then waits. */
  get live(): boolean {
    return !this.#mesh.closing;
  }

  /** Nothing can be agreed on here: answers carry no header. So it is off, unless the program says what its gateways are. */
  supports(extension: Extension): boolean {
    return extension === 'binary' && this.#mesh.options.binary;
  }

  get undecided(): boolean {
    return false;
  }

  send(head: PacketHead, ext: string | Buffer, body: string | Buffer): boolean {
    return !this.#mesh.closing && this.connection.send(head, ext, body);
  }

  ask(head: PacketHead, ext: string | Buffer, body: string | Buffer): Promise<Buffer> {
    return this.#mesh.closing ? Promise.reject(clientClosed()) : this.connection.ask(head, ext, body);
  }

  ended(error: Error | null, remarkable: boolean): void {
    if (this.#mesh.closing || this.#mesh.forgetUnlisted(this) || !remarkable) return;
    this.#report(
      'warn',
      error === null
        ? 'the gateway closed the connection (if this repeats: is the secretKey the same?); trying again'
        : `the gateway can't be reached: ${messageOf(error)}; trying again`,
    );
  }

  steady(): void {
    this.#report('info', 'connected to the gateway');
  }

  lost(): void {
    this.#mesh.lost(this.address);
    const passed = this.#throttle.pass('lost', performance.now(), { gateway: this.address });
    const message = 'what waited for the gateway is lost with its connection';
    if (passed !== null) this.#mesh.options.logger.warn(message, passed);
  }

  dropped(error: GatewayWorkerError): void {
    const passed = this.#throttle.pass(error.code, performance.now(), { code: error.code, gateway: this.address });
    if (passed !== null) this.#mesh.options.logger.warn(error.message, passed);
  }

  #report(level: 'info' | 'warn', message: string): void {
    if (this.#reported === message) return;
    this.#reported = message;
    this.#mesh.options.logger[level](message, { gateway: this.address });
  }
}
