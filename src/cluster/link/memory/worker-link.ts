import type { Buffer } from 'node:buffer';
import type { TcpConnection } from '../../../core/net/mod.js';
import { Command, MAX_PACKET_SIZE, type PacketView } from '../../protocol/mod.js';
import {
  type CommandSource,
  type Extension,
  type GatewayPeer,
  type LinkFigures,
  OUR_EXTENSIONS,
  type WorkerLink,
  type WorkerLinkEvents,
} from '../contracts.js';
import type { MemoryGatewayLink, MemoryWorkerPeer } from './gateway-link.js';
import { MemoryGatewayPeer } from './gateway-peer.js';
import type { MemoryHub, Seeker } from './hub.js';
import { Lane } from './lane.js';
import { showPacket } from './packets.js';

export interface MemoryWorkerOptions {
  /** `name:number` */
  readonly workerKey: string;
  /** Bytes waiting for one gateway from which on further commands are refused. */
  readonly sendToGatewayBufferSize: number;
  /** Seconds a gateway has to answer a question. */
  readonly queryTimeout: number;
  /** What it announces; default: all of ours, as any gateway in memory can do. None, as a PHP worker: `[]`. */
  readonly extensions?: readonly Extension[];
}

/** A worker's end of a link in memory. */
export class MemoryWorkerLink implements WorkerLink, Seeker {
  readonly options: MemoryWorkerOptions;
  readonly #hub: MemoryHub;
  readonly #gateways = new Map<string, LinkedGateway>();
  events!: WorkerLinkEvents;
  #paused = false;

  constructor(hub: MemoryHub, options: MemoryWorkerOptions) {
    this.#hub = hub;
    this.options = options;
  }

  get gateways(): Iterable<GatewayPeer> {
    return this.#gateways.values();
  }

  gateway(localIp: number, localPort: number): GatewayPeer | undefined {
    for (const peer of this.#gateways.values()) {
      if (peer.localIp === localIp && peer.localPort === localPort) return peer;
    }
    return undefined;
  }

  figures(): LinkFigures {
    const peers = [...this.#gateways.values()];
    const up = peers.filter(({ live }) => live).length;
    const queuedBytes = peers.reduce((sum, peer) => sum + peer.queuedBytes, 0);
    return { up, down: peers.length - up, queuedBytes, sendFail: 0, dropped: {} };
  }

  openConnections(): Iterable<TcpConnection> {
    return [];
  }

  open(events: WorkerLinkEvents): void {
    this.events = events;
    this.#hub.seek(this);
  }

  /** Who seeks is introduced to all that are there in the next turn. */
  linked(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }

  announces(address: string): boolean {
    return this.#hub.announces(address);
  }

  leave(): void {
    this.#hub.rest(this);
  }

  pause(): void {
    this.#paused = true;
    for (const { absentGroups, events } of this.#gateways.values()) {
      absentGroups.forget();
      events.pause();
    }
  }

  resume(): void {
    this.#paused = false;
    for (const { absentGroups, events } of this.#gateways.values()) {
      absentGroups.forget();
      events.resume();
    }
  }

  async close(): Promise<void> {
    this.#hub.rest(this);
    const ended = Array.from(this.#gateways.values(), (gateway) => gateway.hangUp());
    await Promise.all(ended);
  }

  /** @internal */
  found(gateway: MemoryGatewayLink): void {
    const peer = new LinkedGateway(this, gateway);
    this.#gateways.set(peer.address, peer);
    if (this.#paused) peer.events.pause();
    peer.join();
  }

  /** @internal */
  left(peer: LinkedGateway): void {
    if (this.#gateways.get(peer.address) === peer) this.#gateways.delete(peer.address);
    this.events.gatewayLeft(peer);
  }
}

/** The link between one worker and one gateway, as the worker sees it. */
export class LinkedGateway extends MemoryGatewayPeer {
  readonly workerKey: string;
  live = false;
  /** What the gateway hands to the worker. */
  readonly events: Lane;
  readonly #worker: MemoryWorkerLink;
  readonly #extensions: readonly Extension[];
  readonly #ended: Promise<void>;
  #settleEnded!: () => void;
  /** How the gateway sees the worker, once that has joined. */
  #seen: MemoryWorkerPeer | null = null;

  constructor(worker: MemoryWorkerLink, gateway: MemoryGatewayLink) {
    const { workerKey, sendToGatewayBufferSize, queryTimeout, extensions = OUR_EXTENSIONS } = worker.options;
    super(gateway, {
      queryTimeout,
      sendBufferSize: sendToGatewayBufferSize,
      maxPacketSize: MAX_PACKET_SIZE,
      maxQuestions: Number.POSITIVE_INFINITY,
    });
    this.#worker = worker;
    this.#extensions = extensions;
    this.workerKey = workerKey;
    this.events = new Lane(() => this.#seen?.drained());
    this.#ended = new Promise((resolve) => {
      this.#settleEnded = resolve;
    });
  }

  protected override get source(): CommandSource {
    return { worker: this.#seen, reply: () => {} };
  }

  /** Neither end has begun to leave. */
  get whole(): boolean {
    return !this.commands.isCut && !this.events.isCut;
  }

  supports(extension: Extension): boolean {
    return this.#extensions.includes(extension);
  }

  get process(): string | null {
    return this.supports('acknowledgements') ? this.gateway.process : null;
  }

  join(): void {
    this.live = true;
    this.gateway.visit(this);
    this.commands.push(0, () => {
      this.#seen = this.gateway.workerJoins(this);
    });
    this.#worker.events.gatewayJoined(this);
    if (this.process !== null) this.#worker.events.gatewayIdentified(this);
  }

  event(packet: Buffer): void {
    this.events.push(packet.length, () => showPacket(packet, (view) => this.#take(view)));
  }

  /** The worker is handed what is queued, and then hears of it. What it sends until then is lost. */
  override gatewayLeaves(): void {
    if (this.commands.isCut) return;
    this.commands.cut();
    this.endQuestions('it closed the connection');
    if (this.events.isCut) setImmediate(() => this.#end());
    else this.events.push(0, () => this.#end());
  }

  /** The gateway is handed what is queued, and then hears of it. Resolves then. */
  hangUp(): Promise<void> {
    if (!this.events.isCut) {
      this.live = false;
      this.absentGroups.forget();
      this.events.cut();
      this.endQuestions('the link is closed');
      if (this.commands.isCut) setImmediate(() => this.#end());
      else this.commands.push(0, () => this.#end());
    }
    return this.#ended;
  }

  #take(packet: PacketView): void {
    if (packet.cmd === Command.ABSENT || packet.cmd === Command.PRESENT) this.absentGroups.told(packet);
    else this.#worker.events.event(packet, this);
  }

  #end(): void {
    this.live = false;
    this.absentGroups.forget();
    this.gateway.leave(this);
    if (this.#seen !== null) this.gateway.workerLeft(this.#seen);
    this.#worker.left(this);
    this.#settleEnded();
  }
}
