import { CONNECTION_LIMITS, type ConnectionLimits } from '../../core/net/mod.js';
import { LIMIT_CHECKS, protocolCheck } from '../../core/process/mod.js';
import type { Protocol } from '../../core/protocols/mod.js';
import { type Check, type Checks, integer, nonEmptyText, oneOf, orNull, seconds, text } from '../../util/mod.js';
import { registerAddressCheck } from '../link/mod.js';
import { ipToNumber } from '../protocol/mod.js';
import type { BalanceMode } from './router.js';

/** Options of a Gateway. Times in seconds, sizes in bytes. Names and defaults are the original's where it has them. */
export interface GatewayOptions extends Omit<ConnectionLimits, 'maxSendBufferSize'> {
  /** Shown in logs and status; default `Gateway`. */
  name: string;
  /** Processes; default 1. They share the public port; each has an inner port of its own. */
  count: number;
  /** IPv4 address under which workers reach this host; default `127.0.0.1`. Part of every client id. */
  lanIp: string;
  /** Inner port of the first process, the next has the next; default 2000. 0 lets the system choose. */
  startPort: number;
  /** Where the inner port listens; default: `lanIp`. */
  innerTcpWorkerListen: string;
  /** `host:port` of the Register, or a list of them; default `127.0.0.1:1236`. */
  registerAddress: string | readonly string[];
  /** Shared by everything in the cluster; default empty: whoever reaches the inner port may command. */
  secretKey: string;
  /** Seconds between heartbeats; default 0: none. */
  pingInterval: number;
  /** How many heartbeats a client may leave unanswered; default 0: any number. */
  pingNotResponseLimit: number;
  /** What is sent as heartbeat; default empty: clients are expected to send, and are sent nothing. */
  pingData: string;
  /** How a worker is chosen for a new client; default `leastConnections`. */
  router: BalanceMode;
  /** Bytes waiting for one worker from which on its clients are not read; default 10,240,000. */
  sendToWorkerBufferSize: number;
  /** Bytes waiting for one client from which on messages for it are dropped; default 1,024,000. */
  sendToClientBufferSize: number;
  /** Bytes of events that may wait while no worker is there; default 10,240,000. */
  maxWaitingBytes: number;
  /** Seconds an event may wait for a worker until its client is closed with code 1013; default 10. */
  maxWaitingTime: number;
  /** A protocol of your own for the clients, over `tcp://`; default none. */
  protocol: Protocol | null;
}

export const GATEWAY_DEFAULTS: Readonly<GatewayOptions> = Object.freeze({
  name: 'Gateway',
  count: 1,
  lanIp: '127.0.0.1',
  startPort: 2000,
  innerTcpWorkerListen: '',
  registerAddress: '127.0.0.1:1236',
  secretKey: '',
  pingInterval: 0,
  pingNotResponseLimit: 0,
  pingData: '',
  router: 'leastConnections',
  sendToWorkerBufferSize: 10_240_000,
  sendToClientBufferSize: 1_024_000,
  maxWaitingBytes: 10_240_000,
  maxWaitingTime: 10,
  maxPackageSize: CONNECTION_LIMITS.maxPackageSize,
  handshakeTimeout: CONNECTION_LIMITS.handshakeTimeout,
  closeTimeout: CONNECTION_LIMITS.closeTimeout,
  protocol: null,
});

const ipv4: Check = (value) =>
  typeof value === 'string' && ipToNumber(value) !== undefined ? undefined : 'an IPv4 address such as 192.168.0.10';

const { maxPackageSize, handshakeTimeout, closeTimeout } = LIMIT_CHECKS;

export const GATEWAY_CHECKS: Checks<GatewayOptions> = {
  name: nonEmptyText,
  count: integer(1, 1024),
  lanIp: ipv4,
  startPort: integer(0, 65_535),
  innerTcpWorkerListen: text,
  registerAddress: registerAddressCheck,
  secretKey: text,
  pingInterval: seconds(),
  pingNotResponseLimit: integer(0, 1_000_000),
  pingData: text,
  router: oneOf('leastConnections', 'random'),
  sendToWorkerBufferSize: integer(1),
  sendToClientBufferSize: integer(1),
  maxWaitingBytes: integer(0),
  maxWaitingTime: seconds(),
  maxPackageSize,
  handshakeTimeout,
  closeTimeout,
  protocol: orNull(protocolCheck),
};
