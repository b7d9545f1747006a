import type { Socket } from 'node:net';
import { BusinessWorker, type BusinessWorkerOptions } from '../cluster/business/mod.js';
import { Gateway, type GatewayOptions } from '../cluster/gateway/mod.js';
import {
  type GatewayLink,
  type GatewayMeshOptions,
  MemoryHub,
  type WorkerLink,
  type WorkerMeshOptions,
} from '../cluster/link/mod.js';
import { type AcceptWire, type Door, hostPort, ListenError, type NetAddress, SocketWire } from '../core/net/mod.js';
import type { PlannedListen } from '../core/process/mod.js';
import { memorySockets } from './memory-socket.js';

/** Where ports begin that the net chooses: those of listeners, and those of clients. */
const FIRST_PORT = 8282;
const FIRST_CLIENT_PORT = 49_152;
const LAST_PORT = 65_535;

/** Longest interval that the platform's timers know, in milliseconds. */
const FOR_EVER_MS = 2 ** 31 - 1;

/** What a cluster in memory has in place of a network: links, and ports that exist nowhere else. */
export class MemoryNet {
  readonly hub = new MemoryHub();
  /** `host:port` of those that listen. */
  readonly #claimed = new Set<string>();
  #clientPort = FIRST_CLIENT_PORT;

  /** @internal @returns the port: a free one where 0 was asked for. @throws ListenError `GW_LISTEN_FAILED` */
  claim({ host, port, text }: NetAddress): number {
    let claimed = port === 0 ? FIRST_PORT : port;
    while (port === 0 && this.#claimed.has(hostPort(host, claimed))) claimed++;
    const address = hostPort(host, claimed);
    if (this.#claimed.has(address)) {
      throw new ListenError('GW_LISTEN_FAILED', `cannot listen on ${text}: another gateway does`, { address: text });
    }
    this.#claimed.add(address);
    return claimed;
  }

  /** @internal */
  release(host: string, port: number): void {
    this.#claimed.delete(hostPort(host, port));
  }

  /** @internal A port for a client; used again only after all others. */
  clientPort(): number {
    const port = this.#clientPort;
    this.#clientPort = port === LAST_PORT ? FIRST_CLIENT_PORT : port + 1;
    return port;
  }
}

/** Where the clients of a gateway in memory come in. */
class MemoryListener {
  readonly #net: MemoryNet;
  readonly #address: NetAddress;
  readonly #accept: AcceptWire;
  readonly #door: Door;
  #port = 0;
  #alive: NodeJS.Timeout | null = null;

  constructor(net: MemoryNet, address: NetAddress, accept: AcceptWire, door: Door) {
    this.#net = net;
    this.#address = address;
    this.#accept = accept;
    this.#door = door;
  }

  get port(): number {
    return this.#port === 0 ? this.#address.port : this.#port;
  }

  async listen(): Promise<void> {
    this.#port = this.#net.claim(this.#address);
    // As an open port does: a program that waits for what this cluster does must not end meanwhile.
    this.#alive = setInterval(() => {}, FOR_EVER_MS);
  }

  close(): void {
    if (this.#alive === null) return;
    clearInterval(this.#alive);
    this.#alive = null;
    this.#net.release(this.#address.host, this.#port);
  }

  dial(): Socket {
    const { client, server } = memorySockets({
      localAddress: '127.0.0.1',
      localPort: this.#net.clientPort(),
      remoteAddress: '127.0.0.1',
      remotePort: this.port,
    });
    setImmediate(() => {
      if (this.#alive === null) {
        client.destroy(new Error('connect ECONNREFUSED: the gateway does not listen'));
        return;
      }
      const { localAddress = '', localPort = 0 } = client;
      if (this.#door.enter(localAddress, hostPort(localAddress, localPort))) this.#accept(new SocketWire(server), null);
      else server.destroy();
      client.emit('connect');
    });
    return client;
  }
}

/** A gateway that opens no port. */
export class MemoryGateway extends Gateway {
  readonly #net: MemoryNet;
  #listener: MemoryListener | null = null;

  constructor(address: string, options: Partial<GatewayOptions>, net: MemoryNet) {
    super(address, options);
    this.#net = net;
  }

  override plannedListens(): readonly PlannedListen[] {
    return [];
  }

  /** Once it was started: a client's end of a new connection, which says `connect` or fails. */
  dial(): Socket {
    return this.#listener!.dial();
  }

  protected override makeLink(options: GatewayMeshOptions): GatewayLink {
    return this.#net.hub.gatewayLink(options);
  }

  protected override readonly makeListener = (address: NetAddress, accept: AcceptWire, door: Door) => {
    this.#listener = new MemoryListener(this.#net, address, accept, door);
    return this.#listener;
  };
}

/** A worker that looks for its gateways in memory. */
export class MemoryWorker extends BusinessWorker {
  readonly #net: MemoryNet;

  constructor(options: Partial<BusinessWorkerOptions>, net: MemoryNet) {
    super(options);
    this.#net = net;
  }

  protected override makeLink(options: WorkerMeshOptions): WorkerLink {
    return this.#net.hub.workerLink(options);
  }
}
