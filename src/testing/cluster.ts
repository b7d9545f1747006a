import type { GatewayApi } from '../cluster/api/mod.js';
import { BusinessWorker, type BusinessWorkerOptions, type EventsSource } from '../cluster/business/mod.js';
import { Gateway, type GatewayOptions } from '../cluster/gateway/mod.js';
import { Register } from '../cluster/register/mod.js';
import { type BaseWorker, type Service, startService } from '../core/process/mod.js';
import { type Logger, OptionsError, silentLogger } from '../util/mod.js';
import { eventually } from './eventually.js';

export interface TestClusterOptions {
  /** The events module, for all workers. */
  readonly events: EventsSource;
  /** Public addresses, a gateway for each; default one of `text://127.0.0.1:0`. */
  readonly gateways?: readonly string[];
  /** Workers, at least one; default 1. */
  readonly workers?: number;
  readonly secretKey?: string;
  readonly gatewayOptions?: Partial<GatewayOptions>;
  readonly workerOptions?: Partial<BusinessWorkerOptions>;
  /** Default: says nothing. */
  readonly logger?: Logger;
}

/** A whole cluster in this process, on real sockets of the loopback interface. */
export interface TestCluster extends AsyncDisposable {
  readonly register: Register;
  readonly registerAddress: string;
  readonly gateways: readonly Gateway[];
  readonly workers: readonly BusinessWorker[];
  /** The gateway API of the first worker. */
  readonly api: GatewayApi;
  stop(): Promise<void>;
}

/**
 * Starts a Register, gateways and workers, each on ports the system chooses, and resolves when all are linked.
 *
 * @throws OptionsError, StartError, TestTimeoutError with nothing left running
 *
 * ```ts
 * await using cluster = await startCluster({ events: { onMessage: (client, message) => client.send(message) } });
 * const socket = net.connect(cluster.gateways[0].port);
 * ```
 */
export async function startCluster(options: TestClusterOptions): Promise<TestCluster> {
  const { gateways: addresses = ['text://127.0.0.1:0'], workers: workerCount = 1, secretKey = '' } = options;
  if (workerCount < 1) {
    throw new OptionsError('GW_OPTION_INVALID', `startCluster: workers must be at least 1, got ${workerCount}`, {
      option: 'workers',
    });
  }
  const services: Service[] = [];
  const start = async (workers: readonly BaseWorker[]) => {
    const logger = options.logger ?? silentLogger;
    services.push(await startService({ workers, processes: 'single', ownsProcess: false, logger }));
  };
  const stopAll = async () => {
    for (const service of services.reverse()) await service.stop();
  };
  let stopped: Promise<void> | undefined;
  const stop = () => {
    stopped ??= stopAll();
    return stopped;
  };
  try {
    const register = new Register('text://127.0.0.1:0', { secretKey });
    await start([register]);
    const registerAddress = `127.0.0.1:${register.port}`;
    const shared = { registerAddress, secretKey };
    const workers = Array.from({ length: workerCount }, (_, index) => {
      const { events } = options;
      return new BusinessWorker({ name: `TestWorker${index}`, events, ...shared, ...options.workerOptions });
    });
    await start(workers);
    const gateways = addresses.map((address, index) => {
      return new Gateway(address, { name: `TestGateway${index}`, startPort: 0, ...shared, ...options.gatewayOptions });
    });
    await start(gateways);
    await eventually('all links of the cluster', () =>
      gateways.every((gateway) => gateway.workerCount === workerCount),
    );
    const { gateway: api } = workers[0] as BusinessWorker;
    return { register, registerAddress, gateways, workers, api, stop, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
