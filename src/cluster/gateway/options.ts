import {
  CONNECTION_LIMITS,
  type ConnectionLimits,
  DOOR_LIMITS,
  type DoorLimits,
  ENTRANCE_DEFAULTS,
  type EntranceOptions,
  type LinkTlsOptions,
  type TlsListenOptions,
} from '../../core/net/mod.js';
import {
  ACCOUNT_CHECKS,
  ACCOUNT_DEFAULTS,
  type AccountOptions,
  LIMIT_CHECKS,
  protocolCheck,
} from '../../core/process/mod.js';
import {
  type HandshakeRequest,
  type HandshakeResponse,
  type PerMessageDeflateOptions,
  type Protocol,
  perMessageDeflateCheck,
} from '../../core/protocols/mod.js';
import {
  type Check,
  type Checks,
  callback,
  flag,
  integer,
  nonEmptyText,
  object,
  oneOf,
  orNull,
  seconds,
  text,
} from '../../util/mod.js';
import { registerAddressCheck } from '../link/mod.js';
import { ipToNumber, MAX_REDELIVERIES } from '../protocol/mod.js';
import type { Authenticate } from './admission.js';
import type { GatewayConnection } from './gateway-connection.js';
import type { ConnectedWorker, Router } from './own-router.js';
import type { BalanceMode } from './router.js';

/**
 * Code of yours inside a gateway process, as the original's callbacks. It must be short: all clients of the process wait for
 * it. What it throws, or its promise rejects with, is reported, and the process goes on.
 */
export interface GatewayHooks {
  /** A client was accepted; workers have not heard of it, and do not if it is closed here. */
  onConnect: ((client: GatewayConnection) => unknown) | null;
  /** A client is gone and its workers have been told; it has no uid and no groups any more. */
  onClose: ((client: GatewayConnection) => unknown) | null;
  /**
   * A WebSocket handshake is right and not yet answered. Returning false, throwing or closing the client refuses it with
   * status 403. Header lines may be added to `response`.
   */
  onWebSocketConnect:
    | ((client: GatewayConnection, request: HandshakeRequest, response: HandshakeResponse) => unknown)
    | null;
  /** A BusinessWorker is there; events that waited for one have been handed over. */
  onBusinessWorkerConnected: ((worker: ConnectedWorker) => unknown) | null;
  /** A BusinessWorker has left. */
  onBusinessWorkerClose: ((worker: ConnectedWorker) => unknown) | null;
}

/** What workers may keep of one client in a gateway. 0: any amount. */
export interface ClientLimits {
  /** Groups a client may be in at a time; default 10,000. Beyond it `joinGroup` does nothing but be counted and logged. */
  maxGroupsPerClient: number;
  /**
   * Bytes of a client's session as PHP serializes it; default 1,048,576. It travels with every event of the client. A change
   * beyond it is refused, counted and logged, and the session stays as it was.
   */
  maxSessionSize: number;
}

/** Options of a Gateway. Times in seconds, sizes in bytes. Names and defaults are the original's where it has them. */
export interface GatewayOptions
  extends Omit<ConnectionLimits, 'maxSendBufferSize'>,
    DoorLimits,
    EntranceOptions,
    ClientLimits,
    GatewayHooks,
    AccountOptions {
  /** Shown in logs and status; default `Gateway`. */
  name: string;
  /** Processes; default 1. They share the public port; each has an inner port of its own. */
  count: number;
  /** A reload replaces its processes, and with that closes its clients; default false: it keeps them. */
  reloadable: boolean;
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
  /**
   * TLS on links and to the Register, both sides with a certificate: `{ ca, cert, key }`, the same kind in the whole cluster;
   * default null: none. Not with peers of the original.
   */
  linkTls: LinkTlsOptions | null;
  /**
   * Where there is no heartbeat (`pingInterval` 0), seconds between pings of the WebSocket protocol, which browsers answer by
   * themselves; default 25, 0: none. A client from whom not a byte comes for an interval after a ping is cut off.
   */
  webSocketPingInterval: number;
  /**
   * Asked at the WebSocket handshake, before `onWebSocketConnect`: true lets the client in, false or an object with a status
   * refuses it; may be async. Throwing refuses with status 500. Default null: nobody is asked.
   */
  authenticate: Authenticate | null;
  /** Seconds between heartbeats; default 0: none. */
  pingInterval: number;
  /** How many heartbeats a client may leave unanswered; default 0: any number. */
  pingNotResponseLimit: number;
  /** What is sent as heartbeat; default empty: clients are expected to send, and are sent nothing. */
  pingData: string;
  /** How a worker is chosen for a new client, or a function that is asked for every event; default `leastConnections`. */
  router: BalanceMode | Router;
  /**
   * Seconds after which a client that was never bound to a uid is closed, with code 1008 where there are codes; default 0:
   * never.
   */
  signInTimeout: number;
  /** Bytes waiting for one worker from which on its clients are not read; default 10,240,000. */
  sendToWorkerBufferSize: number;
  /** Bytes of events that one worker has not acknowledged from which on its clients are not read; default 16,777,216. */
  maxUnacknowledgedBytes: number;
  /**
   * Seconds in which not a byte comes from a worker that owes an acknowledgement until its link is ended and its events go to
   * others; default 60, 0: never. One that has too much waiting for handlers sends a sign of life every 2 s.
   */
  workerTimeout: number;
  /** How many workers may die, or break their link, while at an event until it is dropped; at most 15, default 10. */
  maxRedeliveries: number;
  /** Bytes waiting for one client from which on messages for it are dropped; default 1,024,000. */
  sendToClientBufferSize: number;
  /** Bytes of events that may wait while no worker is there; default 10,240,000. */
  maxWaitingBytes: number;
  /** Seconds an event may wait for a worker until its client is closed with code 1013; default 10. */
  maxWaitingTime: number;
  /** A protocol of your own for the clients, over `tcp://`; default none. */
  protocol: Protocol | null;
  /**
   * TLS on the public port: what `node:tls` takes (`cert`, `key`, `ca`, `SNICallback` …), and `serverNames` for several
   * certificates; default none. A client exists once its TLS handshake is done.
   */
  tls: TlsListenOptions | null;
  /**
   * Compression of WebSocket messages (permessage-deflate, RFC 7692) with clients that offer it; default false. True: with
   * the defaults of its options.
   */
  perMessageDeflate: boolean | Partial<PerMessageDeflateOptions>;
}

const { maxSendBufferSize: _sendToClient, ...limitDefaults } = CONNECTION_LIMITS;
const { maxSendBufferSize: _checkOfIt, ...limitChecks } = LIMIT_CHECKS;

export const GATEWAY_DEFAULTS: Readonly<GatewayOptions> = Object.freeze({
  ...limitDefaults,
  ...DOOR_LIMITS,
  ...ENTRANCE_DEFAULTS,
  ...ACCOUNT_DEFAULTS,
  name: 'Gateway',
  count: 1,
  reloadable: false,
  lanIp: '127.0.0.1',
  startPort: 2000,
  innerTcpWorkerListen: '',
  registerAddress: '127.0.0.1:1236',
  secretKey: '',
  linkTls: null,
  webSocketPingInterval: 25,
  pingInterval: 0,
  pingNotResponseLimit: 0,
  pingData: '',
  router: 'leastConnections',
  signInTimeout: 0,
  sendToWorkerBufferSize: 10_240_000,
  maxUnacknowledgedBytes: 16_777_216,
  workerTimeout: 60,
  maxRedeliveries: 10,
  sendToClientBufferSize: 1_024_000,
  maxWaitingBytes: 10_240_000,
  maxWaitingTime: 10,
  maxGroupsPerClient: 10_000,
  maxSessionSize: 1_048_576,
  protocol: null,
  tls: null,
  perMessageDeflate: false,
  authenticate: null,
  onConnect: null,
  onClose: null,
  onWebSocketConnect: null,
  onBusinessWorkerConnected: null,
  onBusinessWorkerClose: null,
});

const ipv4: Check = (value) =>
  typeof value === 'string' && ipToNumber(value) !== undefined ? undefined : 'an IPv4 address such as 192.168.0.10';

const routerCheck: Check = (value) => {
  const expected = typeof value === 'function' ? undefined : oneOf('leastConnections', 'random')(value);
  return expected === undefined ? undefined : `${expected} or a function`;
};

export const GATEWAY_CHECKS: Checks<GatewayOptions> = {
  ...ACCOUNT_CHECKS,
  ...limitChecks,
  name: nonEmptyText,
  count: integer(1, 1024),
  reloadable: flag,
  lanIp: ipv4,
  startPort: integer(0, 65_535),
  innerTcpWorkerListen: text,
  registerAddress: registerAddressCheck,
  secretKey: text,
  linkTls: orNull(object),
  webSocketPingInterval: seconds(),
  pingInterval: seconds(),
  pingNotResponseLimit: integer(0, 1_000_000),
  pingData: text,
  router: routerCheck,
  signInTimeout: seconds(),
  sendToWorkerBufferSize: integer(1),
  maxUnacknowledgedBytes: integer(1),
  workerTimeout: seconds(),
  maxRedeliveries: integer(0, MAX_REDELIVERIES),
  sendToClientBufferSize: integer(1),
  maxWaitingBytes: integer(0),
  maxWaitingTime: seconds(),
  maxGroupsPerClient: integer(0),
  maxSessionSize: integer(0),
  protocol: orNull(protocolCheck),
  tls: orNull(object),
  perMessageDeflate: perMessageDeflateCheck,
  authenticate: orNull(callback),
  onConnect: orNull(callback),
  onClose: orNull(callback),
  onWebSocketConnect: orNull(callback),
  onBusinessWorkerConnected: orNull(callback),
  onBusinessWorkerClose: orNull(callback),
};
