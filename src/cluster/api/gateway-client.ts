import { checkLinkTls, type LinkTlsOptions } from '../../core/net/mod.js';
import {
  type Checks,
  flag,
  integer,
  type Logger,
  loggerMethods,
  object,
  orNull,
  processLogger,
  readOptions,
  seconds,
  text,
} from '../../util/mod.js';
import {
  type ClientLink,
  ClientMesh,
  type ClientMeshOptions,
  checkRegisterAddresses,
  registerAddressCheck,
} from '../link/mod.js';
import { GatewayApi } from './gateway-api.js';

/** Options of a GatewayClient. Times in seconds, sizes in bytes. */
export interface GatewayClientOptions {
  /** `host:port` of the Register, or a list of them; default `127.0.0.1:1236`. */
  registerAddress: string | readonly string[];
  /** Shared by everything in the cluster; default empty. */
  secretKey: string;
  /**
   * TLS on links and to the Register, both sides with a certificate: `{ ca, cert, key }`, the same kind in the whole cluster;
   * default null: none. Not with peers of the original.
   */
  linkTls: LinkTlsOptions | null;
  /** Seconds a gateway has to answer a question; default 5. */
  queryTimeout: number;
  /** Seconds a connection to a Register or gateway may take to be made; default 3, as the original. */
  connectTimeout: number;
  /** Seconds `ready` waits for a Register and a gateway; default 10. */
  readyTimeout: number;
  /** Seconds `drain` and `close` wait for gateways that do not read; default 10. */
  drainTimeout: number;
  /** Bytes waiting for one gateway from which on sends to it are refused; default 10,240,000. */
  sendBufferSize: number;
  /** Questions that may wait for the answers of one gateway; what is asked beyond rejects. Default 10,000. */
  maxPendingQuestions: number;
  /**
   * All gateways are of this package: a Buffer leaves as a binary frame. Default false: as text, which is all that a gateway
   * of the original has. Here a gateway can't say which it is, because its answers carry no header.
   */
  binary: boolean;
  /** Where messages go; default null: lines on standard error, from level info on. */
  logger: Logger | null;
}

export const GATEWAY_CLIENT_DEFAULTS: Readonly<GatewayClientOptions> = Object.freeze({
  registerAddress: '127.0.0.1:1236',
  secretKey: '',
  linkTls: null,
  queryTimeout: 5,
  connectTimeout: 3,
  readyTimeout: 10,
  drainTimeout: 10,
  sendBufferSize: 10_240_000,
  maxPendingQuestions: 10_000,
  binary: false,
  logger: null,
});

export const GATEWAY_CLIENT_CHECKS: Checks<GatewayClientOptions> = {
  registerAddress: registerAddressCheck,
  secretKey: text,
  linkTls: orNull(object),
  queryTimeout: seconds(0.1),
  connectTimeout: seconds(0.1),
  readyTimeout: seconds(),
  drainTimeout: seconds(),
  sendBufferSize: integer(1),
  maxPendingQuestions: integer(1),
  binary: flag,
  logger: orNull(loggerMethods),
};

/**
 * The gateway API for any other program: a web app that pushes, a script. Every function of GatewayApi, and `ready`, `drain`
 * and `close`. It begins to look for gateways at once, and keeps the process alive until `close`.
 *
 * Commands and questions to one gateway share one connection and are carried out in the order of the calls: a question sees
 * what the commands before it did. (The original opens a connection for each call, and promises no order.)
 *
 * ```ts
 * const push = new GatewayClient({ registerAddress: '10.0.0.1:1236', secretKey });
 * await push.ready();
 * push.sendToUid(user.id, 'your parcel has left');
 * ```
 */
export class GatewayClient extends GatewayApi implements AsyncDisposable {
  readonly #link: ClientLink;

  /**
   * @param makeLink for tests: what links it to the gateways
   * @throws OptionsError, AddressError
   */
  constructor(
    options: Partial<GatewayClientOptions> = {},
    makeLink: (options: ClientMeshOptions) => ClientLink = meshLink,
  ) {
    const {
      registerAddress,
      logger: given,
      ...rest
    } = readOptions('GatewayClient', GATEWAY_CLIENT_DEFAULTS, GATEWAY_CLIENT_CHECKS, options);
    if (rest.linkTls !== null) checkLinkTls('GatewayClient', rest.linkTls);
    const registerAddresses = [...new Set(checkRegisterAddresses(registerAddress))];
    const link = makeLink({ ...rest, registerAddresses, logger: given ?? processLogger() });
    super(link);
    this.#link = link;
    link.open();
  }

  /**
   * Resolves when a Register has answered and there is at least one gateway, at once when that is so already.
   *
   * @throws LinkError (rejects) `GW_LINK_NO_REGISTER`, `GW_LINK_REGISTER_REFUSED`, `GW_LINK_NO_GATEWAY` after `readyTimeout`,
   *   `GW_LINK_CLOSED`; `fields.registers` says of each Register what came of it. It goes on looking: ask again
   */
  ready(): Promise<void> {
    return this.#link.ready();
  }

  /**
   * Resolves when everything handed over so far has been written to the gateways' sockets.
   *
   * @throws LinkError (rejects) `GW_LINK_NOT_DRAINED`: `fields.lost` names the gateways whose connection ended with bytes
   *   unwritten since the last `drain`, `fields.waiting` those that have not taken everything within `drainTimeout`
   */
  drain(): Promise<void> {
    return this.#link.drain();
  }

  /**
   * Takes no further call, drains, and closes all connections: nothing keeps the process alive afterwards. Once; later calls
   * get the same promise.
   *
   * @throws LinkError (rejects, with everything closed) `GW_LINK_NOT_DRAINED`
   */
  close(): Promise<void> {
    return this.#link.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function meshLink(options: ClientMeshOptions): ClientLink {
  return new ClientMesh(options);
}
