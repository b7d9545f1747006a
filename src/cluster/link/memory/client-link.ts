import type { Buffer } from 'node:buffer';
import { type PacketHead, PHP_MAX_PACKET_SIZE } from '../../protocol/mod.js';
import type { ClientLink, Extension, GatewayPeer } from '../contracts.js';
import { clientClosed, LinkError, notDrained } from '../errors.js';
import type { MemoryGatewayLink } from './gateway-link.js';
import { MemoryGatewayPeer } from './gateway-peer.js';
import type { MemoryHub, Seeker } from './hub.js';

export interface MemoryClientOptions {
  /** Seconds a gateway has to answer a question. */
  readonly queryTimeout: number;
  /** Seconds `ready` waits. */
  readonly readyTimeout: number;
  /** Bytes waiting for one gateway from which on further commands are refused. */
  readonly sendBufferSize: number;
  /** Questions that may wait for the answers of one gateway. */
  readonly maxPendingQuestions: number;
  /** The extension `binary` is used; as in the mesh, where nothing can be agreed on. */
  readonly binary: boolean;
}

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: LinkError) => void;
  readonly timer: NodeJS.Timeout;
}

/** The end of a link in memory of a program that is no worker. */
export class MemoryClientLink implements ClientLink, Seeker {
  readonly options: MemoryClientOptions;
  readonly #hub: MemoryHub;
  readonly #gateways = new Map<string, KnownGateway>();
  readonly #waiters = new Set<Waiter>();
  /** Gateways that left before they had taken everything: the next drain says so. */
  readonly #lost = new Set<string>();
  #closing: Promise<void> | null = null;

  constructor(hub: MemoryHub, options: MemoryClientOptions) {
    this.#hub = hub;
    this.options = options;
  }

  get gateways(): Iterable<GatewayPeer> {
    return this.#gateways.values();
  }

  /** `close` was called. */
  get closing(): boolean {
    return this.#closing !== null;
  }

  gateway(localIp: number, localPort: number): GatewayPeer | undefined {
    for (const peer of this.#gateways.values()) {
      if (peer.localIp === localIp && peer.localPort === localPort) return peer;
    }
    return undefined;
  }

  open(): void {
    this.#hub.seek(this);
  }

  ready(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.closing) {
        reject(clientClosed());
      } else if (this.#gateways.size > 0) {
        resolve();
      } else {
        const late = () => {
          this.#waiters.delete(waiter);
          reject(this.#noGateway());
        };
        const waiter = { resolve, reject, timer: setTimeout(late, this.options.readyTimeout * 1000) };
        this.#waiters.add(waiter);
      }
    });
  }

  /** A gateway in memory takes everything in the next turn, or has left. */
  async drain(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    const lost = [...this.#lost];
    this.#lost.clear();
    if (lost.length > 0) throw notDrained(lost, []);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** @internal */
  found(gateway: MemoryGatewayLink): void {
    const peer = new KnownGateway(this, gateway);
    this.#gateways.set(peer.address, peer);
    gateway.visit(peer);
    for (const { timer, resolve } of this.#waiters) {
      clearTimeout(timer);
      resolve();
    }
    this.#waiters.clear();
  }

  /** @internal A gateway has left. @param lost it had not taken everything */
  left({ address }: KnownGateway, lost: boolean): void {
    this.#gateways.delete(address);
    if (lost) this.#lost.add(address);
  }

  async #close(): Promise<void> {
    this.#hub.rest(this);
    for (const { timer, reject } of this.#waiters) {
      clearTimeout(timer);
      reject(clientClosed());
    }
    this.#waiters.clear();
    try {
      await this.drain();
    } finally {
      for (const peer of this.#gateways.values()) peer.hangUp();
      this.#gateways.clear();
    }
  }

  #noGateway(): LinkError {
    const text = `no gateway has announced itself within ${this.options.readyTimeout} s`;
    return new LinkError('GW_LINK_NO_GATEWAY', text, { registers: [] });
  }
}

class KnownGateway extends MemoryGatewayPeer {
  readonly process = null;
  readonly #client: MemoryClientLink;

  constructor(client: MemoryClientLink, gateway: MemoryGatewayLink) {
    const { queryTimeout, sendBufferSize, maxPendingQuestions } = client.options;
    super(gateway, {
      queryTimeout,
      sendBufferSize,
      maxPacketSize: PHP_MAX_PACKET_SIZE,
      maxQuestions: maxPendingQuestions,
    });
    this.#client = client;
  }

  override get live(): boolean {
    return !this.#client.closing && !this.commands.isCut;
  }

  supports(extension: Extension): boolean {
    return extension === 'binary' && this.#client.options.binary;
  }

  override ask(head: PacketHead, ext: string | Buffer, body: string | Buffer): Promise<Buffer> {
    return this.#client.closing ? Promise.reject(clientClosed()) : super.ask(head, ext, body);
  }

  override gatewayLeaves(): void {
    this.commands.cut();
    this.endQuestions('it closed the connection');
    this.gateway.leave(this);
    this.#client.left(this, this.commandsWait);
  }

  hangUp(): void {
    this.endQuestions('the link is closed');
    this.gateway.leave(this);
  }
}
