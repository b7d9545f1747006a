import { ListenError } from '../../../core/net/mod.js';
import { ipToNumber } from '../../protocol/mod.js';
import type { ClientLink, GatewayIdentity, GatewayLink, WorkerLink } from '../contracts.js';
import { MemoryClientLink, type MemoryClientOptions } from './client-link.js';
import { MemoryGatewayLink, type MemoryGatewayOptions } from './gateway-link.js';
import { MemoryWorkerLink, type MemoryWorkerOptions } from './worker-link.js';

/** Where ports begin that the hub chooses: as the `startPort` of a Gateway. */
const FIRST_PORT = 2000;

/** @internal Who looks for gateways. */
export interface Seeker {
  found(gateway: MemoryGatewayLink): void;
}

/**
 * Where the ends of links in memory find each other, in place of Registers and sockets: the gateways, workers and programs
 * of one hub are one cluster, in one process. Whoever has the hub belongs to it, so there is no secret key.
 */
export class MemoryHub {
  readonly #claimed = new Set<string>();
  /** Address → gateway, once it has announced itself. */
  readonly #gateways = new Map<string, MemoryGatewayLink>();
  readonly #seekers = new Set<Seeker>();
  #nextPort = FIRST_PORT;

  gatewayLink(options: MemoryGatewayOptions): GatewayLink {
    return new MemoryGatewayLink(this, options);
  }

  workerLink(options: MemoryWorkerOptions): WorkerLink {
    return new MemoryWorkerLink(this, options);
  }

  clientLink(options: MemoryClientOptions): ClientLink {
    return new MemoryClientLink(this, options);
  }

  // ---- below: for the links ----

  /** @internal @throws ListenError `GW_LISTEN_FAILED` */
  claim(lanIp: string, lanPort: number): GatewayIdentity {
    let localPort = lanPort;
    if (localPort === 0) {
      while (this.#claimed.has(`${lanIp}:${this.#nextPort}`)) this.#nextPort++;
      localPort = this.#nextPort++;
    }
    const address = `${lanIp}:${localPort}`;
    if (this.#claimed.has(address)) {
      throw new ListenError('GW_LISTEN_FAILED', `another gateway of this hub is ${address}`, { address });
    }
    this.#claimed.add(address);
    return { localIp: ipToNumber(lanIp) ?? 0, localPort };
  }

  /** @internal */
  announce(gateway: MemoryGatewayLink): void {
    this.#gateways.set(gateway.address, gateway);
    for (const seeker of this.#seekers) this.#introduce(seeker, gateway);
  }

  /** @internal */
  leave({ address }: MemoryGatewayLink): void {
    this.#claimed.delete(address);
    this.#gateways.delete(address);
  }

  /** @internal */
  announces(address: string): boolean {
    return this.#gateways.has(address);
  }

  /** @internal */
  seek(seeker: Seeker): void {
    this.#seekers.add(seeker);
    for (const gateway of this.#gateways.values()) this.#introduce(seeker, gateway);
  }

  /** @internal */
  rest(seeker: Seeker): void {
    this.#seekers.delete(seeker);
  }

  #introduce(seeker: Seeker, gateway: MemoryGatewayLink): void {
    setImmediate(() => {
      // Either may have left meanwhile.
      if (this.#seekers.has(seeker) && this.#gateways.get(gateway.address) === gateway) seeker.found(gateway);
    });
  }
}
