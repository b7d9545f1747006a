import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { GatewayClient, type GatewayClientOptions } from '../cluster/api/mod.js';
import { BusinessWorker, type BusinessWorkerOptions } from '../cluster/business/mod.js';
import { Gateway, type GatewayOptions } from '../cluster/gateway/mod.js';
import { Register } from '../cluster/register/mod.js';
import type { BaseWorker } from '../core/process/mod.js';
import { OptionsError } from '../util/mod.js';
import { MemoryGateway, MemoryNet, MemoryWorker } from './memory-net.js';

/** What differs between a cluster on ports and one in memory. */
export interface Transport {
  readonly register: Register | null;
  readonly registerAddress: string;
  makeWorker(options: Partial<BusinessWorkerOptions>): BusinessWorker;
  makeGateway(address: string, options: Partial<GatewayOptions>): Gateway;
  makeClient(options: Partial<GatewayClientOptions>): GatewayClient;
  /** A connection to a gateway, being made. @param host where the gateway listens */
  dial(gateway: Gateway, host: string): Socket;
}

export interface TransportOptions {
  readonly secretKey: string;
  readonly gatewayOptions: Partial<GatewayOptions>;
}

/** How to reach who listens on all addresses. */
const REACHABLE: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };

let memoryClusters = 0;

/** Real sockets, and a Register, which is started here. */
export async function onPorts(
  { secretKey, gatewayOptions: { tls, linkTls } }: TransportOptions,
  start: (workers: readonly BaseWorker[]) => Promise<void>,
): Promise<Transport> {
  const register = new Register('text://127.0.0.1:0', { secretKey, linkTls });
  await start([register]);
  return {
    register,
    registerAddress: `127.0.0.1:${register.port}`,
    makeWorker: (options) => new BusinessWorker(options),
    makeGateway: (address, options) => new Gateway(address, options),
    makeClient: (options) => new GatewayClient(options),
    dial: ({ port }, listenHost) => {
      const target = { host: REACHABLE[listenHost] ?? listenHost, port, noDelay: true };
      // Whose certificate it is, is not what is tested.
      if (tls !== null && tls !== undefined) return connectTls({ ...target, rejectUnauthorized: false });
      return connect({ ...target, allowHalfOpen: true });
    },
  };
}

/** @throws OptionsError where TLS or the PROXY protocol is asked for: they are a matter of sockets */
export function inMemory({ gatewayOptions: { tls, proxyProtocol } }: TransportOptions): Transport {
  if (tls !== null && tls !== undefined) throw onPortsOnly('TLS', 'tls');
  if (proxyProtocol !== false && proxyProtocol !== undefined) throw onPortsOnly('PROXY protocol', 'proxyProtocol');
  const net = new MemoryNet();
  return {
    register: null,
    // The clusters of one process are told apart by it.
    registerAddress: `memory-${++memoryClusters}:1`,
    makeWorker: (options) => new MemoryWorker(options, net),
    makeGateway: (address, options) => new MemoryGateway(address, options, net),
    makeClient: (options) => new GatewayClient(options, (linkOptions) => net.hub.clientLink(linkOptions)),
    dial: (gateway) => (gateway as MemoryGateway).dial(),
  };
}

function onPortsOnly(what: string, option: string): OptionsError {
  const message = `startCluster: there is no ${what} in memory; leave '${option}' out, or take transport: 'ports'`;
  return new OptionsError('GW_OPTION_INVALID', message, { option });
}
