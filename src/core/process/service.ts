import { messageOf, setProcessLogger } from '../../util/mod.js';
import type { AccountOptions } from './account.js';
import { ACCOUNT_DEFAULTS, commonAccount, keepsAccount, takeAccount } from './account.js';
import type { BaseWorker } from './base-worker.js';
import type { Slot } from './child.js';
import { assignedSlot, startChild } from './child.js';
import { chosenOf } from './chosen.js';
import type { ProcessState, ReloadOptions, ReloadResult } from './engine.js';
import { StartError } from './errors.js';
import type { ControlFacts } from './launch.js';
import { launch } from './launch.js';
import { childLogs, openLogs } from './logs.js';
import { Master } from './master.js';
import { forget, takeAll } from './registry.js';
import type { ServiceOptions } from './service-options.js';
import { impossible, readServiceOptions } from './service-options.js';
import { Single } from './single.js';
import type { ConnectionRow, ServiceStatus } from './status.js';
/** A service that has started. */
export interface Service {
  /** The workers it was started with. */
  readonly workers: readonly BaseWorker[];
  readonly mode: 'many' | 'single';
  /** All processes, by worker and id; one for each worker in `single` mode. */
  processes(): readonly ProcessState[];
  /** All processes with their figures; over after a second, also when one is busy. */
  status(): Promise<ServiceStatus>;
  /** All connections of all processes, in parts. */
  connections(): AsyncIterable<readonly ConnectionRow[]>;
  /** Replaces processes by new ones that run the code as it is now. @throws ReloadError */
  reload(options?: ReloadOptions): Promise<ReloadResult>;
  /**
   * Stops in order and resolves when nothing runs any more. The program goes on.
   *
   * @param graceful default false: over after the `stopTimeout`; true: connections are left to end by themselves, within
   *   the `gracefulTimeout`
   */
  stop(graceful?: boolean): Promise<void>;
}

let running: Service | 'starting' | undefined;

/**
 * Starts the workers and resolves when each process is ready. Never resolves in a worker process, so what follows it in
 * the entry script runs once.
 *
 * @param control null, the default: without pid file and control socket. They belong to the program: a service that is a
 *   guest has none in any case
 * @throws StartError `GW_START_…`, with nothing left running
 * @throws OptionsError
 */
export async function startService(
  given: Partial<ServiceOptions> = {},
  control: ControlFacts | null = null,
): Promise<Service> {
  const options = readServiceOptions(given);
  const made = options.workers ?? takeAll();
  forget(made);
  const slot = assignedSlot();
  if (slot !== undefined) return startSlot(made, slot, options);

  const workers = chosenOf(made, options.only);
  if (workers.length === 0) {
    throw new StartError(
      'GW_START_NO_WORKERS',
      'there is nothing to start; make a Gateway, BusinessWorker, Register or Worker before run()',
    );
  }
  refuseNamesakes(workers);
  const plan = { made, workers, options, control };
  if (options.processes === 'single')
    return startEngine({ ...plan, account: accountOfAll(workers, options), stopped: ignore });
  if (running !== undefined) {
    throw new StartError(
      'GW_START_TWICE',
      'this program has started its workers already; make all of them before run()',
    );
  }
  running = 'starting';
  const stopped = () => {
    running = undefined;
  };
  try {
    running = await startEngine({ ...plan, account: ACCOUNT_DEFAULTS, stopped });
    return running;
  } catch (error) {
    stopped();
    throw error;
  }
}

/** In a worker process: starts the worker that it is for. */
function startSlot(workers: readonly BaseWorker[], slot: Slot, options: ServiceOptions): Promise<never> {
  const worker = workers[slot.index];
  const logs = childLogs(options, worker === undefined || keepsAccount(worker));
  return startChild(workers, slot, {
    ...logs,
    stopTimeout: options.stopTimeout * 1000,
    blockedTimeout: options.blockedTimeout * 1000,
  });
}

interface Plan {
  /** All that the entry script makes, in its order. */
  readonly made: readonly BaseWorker[];
  /** Those of them that are to run. */
  readonly workers: readonly BaseWorker[];
  readonly options: ServiceOptions;
  readonly control: ControlFacts | null;
  /** What this process is to become before it starts anything. */
  readonly account: AccountOptions;
  readonly stopped: () => void;
}

async function startEngine({ made, workers, options, control, account, stopped }: Plan): Promise<Service> {
  const many = options.processes === 'many';
  const logs = openLogs(options, many ? 'master' : 'service');
  const { log, loggerFor, keeper } = logs;
  if (!many) setProcessLogger(log);
  try {
    takeAccount(account);
    const common = {
      logger: log,
      stopTimeout: options.stopTimeout * 1000,
      gracefulTimeout: options.gracefulTimeout * 1000,
      callbacks: options,
    };
    const engine = many
      ? new Master(made, workers, {
          ...common,
          startTimeout: options.startTimeout * 1000,
          logKeeper: keeper,
          blockedPolicy: options.blockedPolicy,
        })
      : new Single(workers, { ...common, loggerFor });
    const over = () => {
      stopped();
      keeper?.close();
    };
    const service = await launch(engine, { workers, options, logs, control, over });
    if (options.daemonize) log.info('started');
    return service;
  } catch (error) {
    if (options.daemonize) log.error(messageOf(error));
    keeper?.close();
    throw error;
  }
}

/** What a process that is to run all workers has to become. @throws StartError, OptionsError */
function accountOfAll(workers: readonly BaseWorker[], { ownsProcess }: ServiceOptions): AccountOptions {
  const account = commonAccount(workers);
  if (!ownsProcess && !keepsAccount(account)) {
    throw impossible("a worker's 'user' and 'group' would change those of a program that is not its own");
  }
  return account;
}

function refuseNamesakes(workers: readonly BaseWorker[]): void {
  const known = new Set<string>();
  for (const { identity, name } of workers) {
    if (identity === null) continue;
    if (known.has(identity)) {
      throw new StartError('GW_START_NAME_TWICE', `there are two of ${identity}; give one of them another name`, {
        worker: name,
      });
    }
    known.add(identity);
  }
}

function ignore(): void {}
