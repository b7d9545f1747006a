import { Buffer } from 'node:buffer';
import { randomBytes } from 'node:crypto';
import type { TcpConnection } from '../../../core/net/mod.js';
import { Command, isEvent, type PacketHead, type PacketView } from '../../protocol/mod.js';
import type {
  CommandSource,
  Extension,
  GatewayIdentity,
  GatewayLink,
  GatewayLinkEvents,
  LinkFigures,
  WorkerPeer,
} from '../contracts.js';
import { isTakenAlways, Unacknowledged } from '../unacknowledged.js';
import type { MemoryGatewayPeer } from './gateway-peer.js';
import type { MemoryHub } from './hub.js';
import { packetOf, packetOfRange, showPacket } from './packets.js';
import type { LinkedGateway } from './worker-link.js';

/** As in the mesh: what clients that are paused had sent already may still come, up to this many times the limit. */
const HARD_LIMIT_FACTOR = 4;

/** A worker that does not read must not hold a gateway that leaves; as in the mesh. */
const LEAVE_MS = 500;

export interface MemoryGatewayOptions {
  /** IPv4 address that stands in client ids. */
  readonly lanIp: string;
  /** 0 lets the hub choose. */
  readonly lanPort: number;
  /** Bytes waiting for one worker from which on its clients are paused. */
  readonly sendToWorkerBufferSize: number;
  /** Bytes of events that one worker has not acknowledged from which on its clients are paused. */
  readonly maxUnacknowledgedBytes: number;
}

/** A gateway's end of a link in memory. */
export class MemoryGatewayLink implements GatewayLink {
  /** As in the mesh. */
  readonly process = randomBytes(8).toString('hex');
  readonly #hub: MemoryHub;
  readonly #options: MemoryGatewayOptions;
  readonly #workers = new Map<string, MemoryWorkerPeer>();
  /** Everybody who has found it and has not left. */
  readonly #visitors = new Set<MemoryGatewayPeer>();
  #events!: GatewayLinkEvents;
  #identity: GatewayIdentity = { localIp: 0, localPort: 0 };
  #closing: Promise<void> | null = null;

  constructor(hub: MemoryHub, options: MemoryGatewayOptions) {
    this.#hub = hub;
    this.#options = options;
  }

  get identity(): GatewayIdentity {
    return this.#identity;
  }

  /** `lanIp:port` */
  get address(): string {
    return `${this.#options.lanIp}:${this.#identity.localPort}`;
  }

  figures(): LinkFigures {
    const queuedBytes = [...this.#workers.values()].reduce((sum, worker) => sum + worker.queuedBytes, 0);
    return { up: this.#workers.size, down: 0, queuedBytes, sendFail: 0, dropped: {} };
  }

  openConnections(): Iterable<TcpConnection> {
    return [];
  }

  async open(events: GatewayLinkEvents): Promise<GatewayIdentity> {
    this.#events = events;
    this.#identity = this.#hub.claim(this.#options.lanIp, this.#options.lanPort);
    return this.#identity;
  }

  announce(): void {
    this.#hub.announce(this);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  // ---- below: for those who have found it ----

  /** @internal */
  visit(visitor: MemoryGatewayPeer): void {
    this.#visitors.add(visitor);
  }

  /** @internal */
  leave(visitor: MemoryGatewayPeer): void {
    this.#visitors.delete(visitor);
  }

  /** @internal */
  command(packet: Buffer, from: CommandSource): void {
    showPacket(packet, (view) => {
      const { worker } = from;
      if (view.cmd === Command.ACK && worker instanceof MemoryWorkerPeer) worker.acknowledges(view);
      else this.#events.command(view, from);
    });
  }

  /** @internal @returns how it sees the worker */
  workerJoins(link: LinkedGateway): MemoryWorkerPeer {
    const worker = new MemoryWorkerPeer(this, link, this.#options);
    const old = this.#workers.get(worker.key);
    if (old !== undefined) {
      this.workerLeft(old);
      old.replaced();
    }
    this.#workers.set(worker.key, worker);
    this.#events.workerJoined(worker);
    return worker;
  }

  /** @internal Only while the entry is still this one: a worker that came back under its key must not be forgotten. */
  workerLeft(worker: MemoryWorkerPeer): void {
    if (this.#workers.get(worker.key) !== worker) return;
    this.#workers.delete(worker.key);
    this.#events.workerLeft(worker);
  }

  /** @internal */
  workerDrained(worker: MemoryWorkerPeer): void {
    if (this.#workers.get(worker.key) === worker) this.#events.workerDrained(worker);
  }

  async #close(): Promise<void> {
    this.#hub.leave(this);
    for (const visitor of [...this.#visitors]) visitor.gatewayLeaves();
    const deadline = performance.now() + LEAVE_MS;
    while (this.#visitors.size > 0 && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

/** A worker in the same process, as a gateway sees it. */
export class MemoryWorkerPeer implements WorkerPeer {
  readonly key: string;
  readonly #gateway: MemoryGatewayLink;
  readonly #link: LinkedGateway;
  readonly #bufferSize: number;
  readonly #unacknowledged: Unacknowledged | null;
  #wasFull = false;

  constructor(gateway: MemoryGatewayLink, link: LinkedGateway, options: MemoryGatewayOptions) {
    this.#gateway = gateway;
    this.#link = link;
    this.#bufferSize = options.sendToWorkerBufferSize;
    this.#unacknowledged = link.supports('acknowledgements')
      ? new Unacknowledged(options.maxUnacknowledgedBytes)
      : null;
    // The address is that of the worker's host, which is this one.
    this.key = `127.0.0.1:${link.workerKey}`;
  }

  get queuedBytes(): number {
    return this.#link.events.bytes;
  }

  get full(): boolean {
    return this.#link.events.bytes >= this.#bufferSize || this.#unacknowledged?.full === true;
  }

  get unacknowledgedBytes(): number {
    return this.#unacknowledged?.bytes ?? 0;
  }

  supports(extension: Extension): boolean {
    return this.#link.supports(extension);
  }

  sendEvent(head: PacketHead, session: Buffer, body: Buffer, start: number, end: number): boolean {
    if (!this.#link.whole) {
      this.#gateway.workerLeft(this);
      return false;
    }
    const kept = isEvent(head.cmd) ? this.#unacknowledged : null;
    const overfull = kept?.overfull === true || this.#link.events.bytes >= this.#bufferSize * HARD_LIMIT_FACTOR;
    if (overfull && (kept === null || !isTakenAlways(head))) return false;
    if (kept === null) {
      this.#link.event(packetOfRange(head, session, body, start, end));
    } else {
      const at = kept.write(head, session, body, start, end);
      this.#link.event(Buffer.from(kept.buffer.subarray(at, kept.offset)));
    }
    this.#wasFull ||= this.full;
    return true;
  }

  takeUnacknowledged(show: (event: PacketView) => void): void {
    this.#unacknowledged?.take(show);
  }

  /** @internal */
  acknowledges(ack: PacketView): void {
    if (this.#unacknowledged?.acknowledge(ack) === true) {
      if (!this.full) this.drained();
    } else {
      this.#gateway.workerLeft(this);
      this.#link.gatewayLeaves();
    }
  }

  tell(head: PacketHead, ext: Buffer): void {
    if (this.#link.whole) this.#link.event(packetOf(head, ext, ''));
  }

  /** @internal It was handed everything, or has acknowledged some. */
  drained(): void {
    if (!this.#wasFull || this.full) return;
    this.#wasFull = false;
    this.#gateway.workerDrained(this);
  }

  /** @internal Another worker has its key. */
  replaced(): void {
    this.#link.gatewayLeaves();
  }
}
