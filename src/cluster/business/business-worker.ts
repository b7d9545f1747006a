import { checkLinkTls, type LinkTlsOptions, type TcpConnection } from '../../core/net/mod.js';
import {
  ACCOUNT_CHECKS,
  ACCOUNT_DEFAULTS,
  type AccountOptions,
  BaseWorker,
  type PlannedListen,
  type ProcessContext,
  type WorkerFigures,
} from '../../core/process/mod.js';
import {
  type Checks,
  flag,
  integer,
  type Logger,
  nonEmptyText,
  OptionsError,
  object,
  orNull,
  orZero,
  readOptions,
  seconds,
  silentLogger,
  stackOf,
  text,
} from '../../util/mod.js';
import { ApiError, apiStarted, apiStopped, enterDispatch, leaveDispatch, type WorkerGatewayApi } from '../api/mod.js';
import {
  checkRegisterAddresses,
  registerAddressCheck,
  type WorkerLink,
  WorkerMesh,
  type WorkerMeshOptions,
} from '../link/mod.js';
import { MAX_PACKET_SIZE } from '../protocol/mod.js';
import { BusinessProcess } from './business-process.js';
import { type Events, type EventsSource, loadEvents } from './events.js';

/** Options of a BusinessWorker. Times in seconds, sizes in bytes. Names and defaults are the original's where it has them. */
export interface BusinessWorkerOptions extends AccountOptions {
  /** Shown in logs and status, and part of the key gateways know it by; default `BusinessWorker`. */
  name: string;
  /** Processes; default 1. */
  count: number;
  /** A reload replaces its processes; default true. False: it keeps them, and calls `onWorkerReload` in them. */
  reloadable: boolean;
  /** The events module, or a function that imports it: `() => import('./events.js')`. Required. */
  events: EventsSource | null;
  /** `host:port` of the Register, or a list of them; default `127.0.0.1:1236`. */
  registerAddress: string | readonly string[];
  /** Shared by everything in the cluster; default empty. */
  secretKey: string;
  /**
   * TLS on links and to the Register, both sides with a certificate: `{ ca, cert, key }`, the same kind in the whole cluster;
   * default null: none. Not with peers of the original.
   */
  linkTls: LinkTlsOptions | null;
  /** Bytes waiting for one gateway from which on sends to it are refused; default 10,240,000. */
  sendToGatewayBufferSize: number;
  /** Every message comes as a Buffer, also text; default false: text comes as a string. */
  binary: boolean;
  /** Seconds a gateway has to answer a question; default 5. */
  queryTimeout: number;
  /** Bytes of events that may wait for one client's handler; a client that sends more is closed. Default 1,048,576. */
  maxPendingBytesPerClient: number;
  /** Bytes of events that may wait for handlers in all; above it no more is read from the gateways. Default 67,108,864. */
  maxPendingBytes: number;
  /**
   * Seconds after which an event whose handler has not settled counts as handled, and the client's next one is handled; default
   * 300, 0: never.
   */
  handlerTimeout: number;
  /**
   * Seconds in which not a byte comes from a gateway that pings (those on other hosts do, every 25 s) until the link to it is
   * ended; at least 30, default 60, 0: never.
   */
  gatewayTimeout: number;
  /** Seconds after which the clients of a gateway that is gone and that no Register lists any more are gone too; default 10. */
  lostGatewayTimeout: number;
}

export const BUSINESS_WORKER_DEFAULTS: Readonly<BusinessWorkerOptions> = Object.freeze({
  ...ACCOUNT_DEFAULTS,
  name: 'BusinessWorker',
  count: 1,
  reloadable: true,
  events: null,
  registerAddress: '127.0.0.1:1236',
  secretKey: '',
  linkTls: null,
  sendToGatewayBufferSize: 10_240_000,
  binary: false,
  queryTimeout: 5,
  maxPendingBytesPerClient: 1_048_576,
  maxPendingBytes: 67_108_864,
  handlerTimeout: 300,
  gatewayTimeout: 60,
  lostGatewayTimeout: 10,
});

export const BUSINESS_WORKER_CHECKS: Checks<BusinessWorkerOptions> = {
  ...ACCOUNT_CHECKS,
  name: nonEmptyText,
  count: integer(1, 1024),
  reloadable: flag,
  events: (value) =>
    typeof value === 'function' || (typeof value === 'object' && value !== null)
      ? undefined
      : "a module or a function that imports it, () => import('./events.js')",
  registerAddress: registerAddressCheck,
  secretKey: text,
  linkTls: orNull(object),
  sendToGatewayBufferSize: integer(1),
  binary: flag,
  queryTimeout: seconds(0.1),
  maxPendingBytesPerClient: integer(1),
  maxPendingBytes: integer(1),
  handlerTimeout: seconds(),
  // Pings come every 25 s: with less, all that live would be taken for gone.
  gatewayTimeout: orZero(seconds(30)),
  lostGatewayTimeout: seconds(),
};

/** Runs your events module: finds the gateways through the Register, links to each, and handles what clients do. */
export class BusinessWorker extends BaseWorker {
  override readonly kind = 'BusinessWorker';
  readonly name: string;
  readonly count: number;
  override readonly user: string;
  override readonly group: string;
  override readonly reloadable: boolean;
  /** Gateways know a worker by its host and name: of two that share both, each would push the other one out. */
  override readonly identity: string;
  readonly #options: Readonly<BusinessWorkerOptions>;
  readonly #events: EventsSource;
  readonly #registerAddresses: readonly string[];
  #running: { readonly link: WorkerLink; readonly process: BusinessProcess } | null = null;
  #handlers: Events = {};
  #logger: Logger = silentLogger;

  /** @throws OptionsError, AddressError */
  constructor(options: Partial<BusinessWorkerOptions>) {
    super();
    this.#options = readOptions('BusinessWorker', BUSINESS_WORKER_DEFAULTS, BUSINESS_WORKER_CHECKS, options);
    if (this.#options.events === null) {
      throw new OptionsError(
        'GW_OPTION_MISSING',
        "BusinessWorker: option 'events' is required: the module with your handlers, events: () => import('./events.js')",
        { option: 'events' },
      );
    }
    if (this.#options.linkTls !== null) checkLinkTls('BusinessWorker', this.#options.linkTls);
    this.#events = this.#options.events;
    this.#registerAddresses = checkRegisterAddresses(this.#options.registerAddress);
    this.name = this.#options.name;
    this.count = this.#options.count;
    this.user = this.#options.user;
    this.group = this.#options.group;
    this.reloadable = this.#options.reloadable;
    this.identity = `BusinessWorker '${this.name}' at ${this.#registerAddresses.join()}`;
  }

  /** The gateway API of this worker. @throws ApiError `GW_API_NOT_RUNNING` before it has started and once it has stopped */
  get gateway(): WorkerGatewayApi {
    if (this.#running === null) {
      throw new ApiError('GW_API_NOT_RUNNING', `${this.name} does not run in this process`, { worker: this.name });
    }
    return this.#running.process.api;
  }

  plannedListens(): readonly PlannedListen[] {
    return [];
  }

  override figures(): WorkerFigures {
    return this.#running?.process.figures() ?? super.figures();
  }

  override openConnections(): Iterable<TcpConnection> {
    return this.#running?.link.openConnections() ?? [];
  }

  /** @throws EventsError; LinkError, for a process that is to replace another; and whatever `onWorkerStart` throws */
  async start(context: ProcessContext): Promise<void> {
    this.#logger = context.logger;
    this.#handlers = await loadEvents(this.#events, (message) => context.logger.warn(message));
    const { secretKey, linkTls, sendToGatewayBufferSize, queryTimeout, gatewayTimeout } = this.#options;
    const link = this.makeLink({
      workerKey: workerKey(this.name, this.id, context.generation),
      registerAddresses: this.#registerAddresses,
      secretKey,
      linkTls,
      sendToGatewayBufferSize,
      maxPacketSize: MAX_PACKET_SIZE,
      queryTimeout,
      gatewayTimeout,
      logger: context.logger,
    });
    const process = new BusinessProcess(this.#options, this.#handlers, link, context.logger);
    const { api } = process;
    this.#running = { link, process };
    apiStarted(api, this.#registerAddresses.join());
    try {
      await this.#callUser('onWorkerStart');
    } catch (thrown) {
      apiStopped(api);
      this.#running = null;
      throw thrown;
    }
    link.open(process);
    // Its forerunner leaves as soon as this one is ready, and the gateways are to have somebody then.
    if (context.generation > 0) await this.#linked(link);
  }

  async #linked(link: WorkerLink): Promise<void> {
    try {
      await link.linked();
    } catch (thrown) {
      if (this.#running !== null) apiStopped(this.#running.process.api);
      this.#running = null;
      await link.close();
      throw thrown;
    }
  }

  async stop(): Promise<void> {
    if (this.#running === null) return;
    const { link, process } = this.#running;
    await process.stop();
    try {
      await this.#callUser('onWorkerStop');
    } catch (thrown) {
      this.#logger.error(`onWorkerStop threw: ${stackOf(thrown)}`);
    }
    await link.close();
    apiStopped(process.api);
    this.#running = null;
  }

  /** @internal What links it to the gateways; a cluster in memory has its own. */
  protected makeLink(options: WorkerMeshOptions): WorkerLink {
    return new WorkerMesh(options);
  }

  override async reloading(): Promise<void> {
    await this.#callUser('onWorkerReload');
  }

  async #callUser(name: 'onWorkerStart' | 'onWorkerReload' | 'onWorkerStop'): Promise<void> {
    if (this.#running === null) return;
    const outer = enterDispatch({ api: this.#running.process.api, client: null });
    let result: unknown;
    try {
      result = this.#handlers[name]?.(this);
    } finally {
      leaveDispatch(outer);
    }
    await result;
  }
}

/** Two processes of one place are there at a time while one replaces the other, so its successors have a number more. */
function workerKey(name: string, id: number, generation: number): string {
  return generation === 0 ? `${name}:${id}` : `${name}:${id}:${generation}`;
}
