import type { GatewayApi, GatewayClient, GatewayClientOptions } from '../cluster/api/mod.js';
import type { BusinessWorker, BusinessWorkerOptions, EventsSource } from '../cluster/business/mod.js';
import type { Gateway, GatewayOptions } from '../cluster/gateway/mod.js';
import type { Register } from '../cluster/register/mod.js';
import { hostPort, parseAddress } from '../core/net/mod.js';
import { type BaseWorker, LISTEN_SCHEMES, type Service, startService } from '../core/process/mod.js';
import {
  type Check,
  type Checks,
  integer,
  type Logger,
  loggerMethods,
  OptionsError,
  object,
  oneOf,
  readOptions,
  silentLogger,
  text,
} from '../util/mod.js';
import { eventually } from './eventually.js';
import { type ConnectOptions, speechOf, TestClient } from './test-client.js';
import { inMemory, onPorts } from './transports.js';

export interface TestClusterOptions {
  /** The events module, for all workers. Required. */
  readonly events: EventsSource;
  /** Public addresses, a gateway for each; default one of `text://127.0.0.1:0`. */
  readonly gateways?: readonly string[];
  /** Workers, at least one; default 1. */
  readonly workers?: number;
  /**
   * `ports`, the default: a Register, and real sockets of the loopback interface. `memory`: no port is opened and no Register
   * runs; everybody is linked in memory, and clients come by `connect`.
   */
  readonly transport?: 'ports' | 'memory';
  readonly secretKey?: string;
  readonly gatewayOptions?: Partial<GatewayOptions>;
  readonly workerOptions?: Partial<BusinessWorkerOptions>;
  /** Default: says nothing. */
  readonly logger?: Logger;
}

/** A whole cluster in this process. */
export interface TestCluster extends AsyncDisposable {
  /** null in memory. */
  readonly register: Register | null;
  /** In memory it names the cluster, and nobody listens there. */
  readonly registerAddress: string;
  readonly gateways: readonly Gateway[];
  readonly workers: readonly BusinessWorker[];
  /** The gateway API of the first worker. */
  readonly api: GatewayApi;
  /**
   * A client of one of the gateways; it is destroyed when the cluster has stopped.
   *
   * @param gateway its place in `gateways`; default 0
   * @throws OptionsError; TestClientError `GW_TEST_CONNECT` (rejects)
   */
  connect(gateway?: number, options?: ConnectOptions): Promise<TestClient>;
  /** A GatewayClient of this cluster; it is closed when the cluster stops. @throws OptionsError */
  client(options?: Partial<GatewayClientOptions>): GatewayClient;
  stop(): Promise<void>;
}

/** All of them; what is required is missing until a BusinessWorker asks for it. */
type AllOptions = Required<Omit<TestClusterOptions, 'events'>> & { readonly events: EventsSource | null };

const DEFAULTS: Readonly<AllOptions> = Object.freeze({
  events: null,
  gateways: ['text://127.0.0.1:0'],
  workers: 1,
  transport: 'ports',
  secretKey: '',
  gatewayOptions: {},
  workerOptions: {},
  logger: silentLogger,
});

const CHECKS: Checks<AllOptions> = {
  // The workers look at it.
  events: () => undefined,
  gateways: listOfTexts,
  workers: integer(1),
  transport: oneOf('ports', 'memory'),
  secretKey: text,
  gatewayOptions: object,
  workerOptions: object,
  logger: loggerMethods,
};

/**
 * Starts gateways and workers, each on ports the system chooses or all in memory, and resolves when all are linked.
 *
 * @throws OptionsError, StartError, TestTimeoutError with nothing left running
 *
 * ```ts
 * await using cluster = await startCluster({ events: { onMessage: (client, message) => client.send(message) } });
 * const client = await cluster.connect();
 * client.send('hello');
 * await client.next(); // 'hello'
 * ```
 */
export async function startCluster(given: TestClusterOptions): Promise<TestCluster> {
  const options = readOptions('startCluster', DEFAULTS, CHECKS, given);
  const { gateways: addresses, workers: workerCount, secretKey, logger } = options;
  const services: Service[] = [];
  const programs = new Set<GatewayClient>();
  const clients = new Set<TestClient>();
  const start = async (workers: readonly BaseWorker[]) => {
    services.push(await startService({ workers, processes: 'single', ownsProcess: false, logger }));
  };
  const stopAll = async () => {
    // What they have not written yet is their own affair: a test that wants to know closes them itself.
    await Promise.allSettled(Array.from(programs, (program) => program.close()));
    for (const service of services.reverse()) await service.stop();
    await Promise.all(Array.from(clients, (client) => client[Symbol.asyncDispose]()));
  };
  let stopped: Promise<void> | undefined;
  const stop = () => {
    stopped ??= stopAll();
    return stopped;
  };
  try {
    const transport = await (options.transport === 'memory' ? inMemory(options) : onPorts(options, start));
    const { register, registerAddress } = transport;
    const shared = { registerAddress, secretKey };
    const workers = Array.from({ length: workerCount }, (_, index) => {
      const { events } = options;
      return transport.makeWorker({ name: `TestWorker${index}`, events, ...shared, ...options.workerOptions });
    });
    await start(workers);
    const gateways = addresses.map((address, index) => {
      const own = { name: `TestGateway${index}`, startPort: 0 };
      return transport.makeGateway(address, { ...own, ...shared, ...options.gatewayOptions });
    });
    await start(gateways);
    await eventually('all links of the cluster', () =>
      gateways.every((gateway) => gateway.workerCount === workerCount),
    );
    const { gateway: api } = workers[0] as BusinessWorker;

    const connect = async (index = 0, wishes: ConnectOptions = {}) => {
      const address = addresses[index];
      const gateway = gateways[index];
      if (address === undefined || gateway === undefined) throw noSuchGateway(index, gateways.length);
      const { scheme, host } = parseAddress(address, LISTEN_SCHEMES);
      const speech = speechOf(scheme, hostPort(host, gateway.port), wishes);
      const client = await TestClient.open(transport.dial(gateway, host), speech);
      clients.add(client);
      client.closed.then(() => clients.delete(client));
      return client;
    };
    const client = (wishes: Partial<GatewayClientOptions> = {}) => {
      const program = transport.makeClient({ ...shared, logger, ...wishes });
      programs.add(program);
      return program;
    };
    return { register, registerAddress, gateways, workers, api, connect, client, stop, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function noSuchGateway(index: number, count: number): OptionsError {
  return new OptionsError('GW_OPTION_INVALID', `connect: there is no gateway ${index}, only ${count}`, {
    index,
    count,
  });
}

function listOfTexts(value: unknown): ReturnType<Check> {
  return Array.isArray(value) && value.every((entry) => text(entry) === undefined) ? undefined : 'a list of addresses';
}
