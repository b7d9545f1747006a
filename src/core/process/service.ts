import process from 'node:process';
import type { Check, Checks, Logger, LogLevel } from '../../util/mod.js';
import {
  flag,
  lineLogger,
  loggerMethods,
  oneOf,
  orNull,
  readOptions,
  seconds,
  setProcessLogger,
  stackOf,
} from '../../util/mod.js';
import { BaseWorker } from './base-worker.js';
import { assignedSlot, EXIT_UNCAUGHT, startChild } from './child.js';
import type { Engine, ProcessState, ReloadOptions, ReloadResult } from './engine.js';
import { StartError } from './errors.js';
import { Master } from './master.js';
import { forget, takeAll } from './registry.js';
import { onStopSignals, surviveLostOutput } from './signals.js';
import { Single } from './single.js';
import type { ConnectionRow, ServiceStatus } from './status.js';

/** What the shell calls a program that Ctrl+C ended: 128 + SIGINT. */
const EXIT_KILLED = 130;

export interface ServiceOptions {
  /**
   * `many`: a master and `count` processes for each worker. `single`: all workers in this process, one instance of
   * each; for tests, for small machines, and for a service that is a guest in another program.
   */
  readonly processes: 'many' | 'single';
  /** The workers to start; null starts all that were made. The same ones each time the entry script runs. */
  readonly workers: readonly BaseWorker[] | null;
  /** Where messages go, each with its source in front; null writes lines to standard error. */
  readonly logger: Logger | null;
  /** What is not written to standard error; a logger of your own has its own level. */
  readonly logLevel: LogLevel;
  /** Seconds that an orderly stop may take in all; what is left then is killed. Ctrl+C is over within two seconds. */
  readonly stopTimeout: number;
  /**
   * Seconds that the event loop of a worker process may stand still until the process is reported as blocked, in the log
   * and in `status`, with the place in the code where that can be seen; 0: nobody looks. A process whose master is gone
   * ends when it is blocked for longer than `stopTimeout`. Not in `single` mode, and not while a debugger is attached.
   */
  readonly blockedTimeout: number;
  /** A process that is ready and blocked is only reported, or is killed and replaced too. */
  readonly blockedPolicy: 'report' | 'replace';
  /**
   * This process belongs to the service: SIGINT, SIGTERM and SIGHUP stop it in order, and an uncaught error in `single`
   * mode ends it with exit code 250. Switch it off where the service is a guest in another program.
   */
  readonly ownsProcess: boolean;
}

export const SERVICE_DEFAULTS: Readonly<ServiceOptions> = Object.freeze({
  processes: 'many',
  workers: null,
  logger: null,
  logLevel: 'info',
  stopTimeout: 1.5,
  blockedTimeout: 5,
  blockedPolicy: 'report',
  ownsProcess: true,
});

const CHECKS: Checks<ServiceOptions> = {
  processes: oneOf('many', 'single'),
  workers: orNull(workerList),
  logger: orNull(loggerMethods),
  logLevel: oneOf('debug', 'info', 'warn', 'error'),
  stopTimeout: seconds(),
  blockedTimeout: seconds(),
  blockedPolicy: oneOf('report', 'replace'),
  ownsProcess: flag,
};

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
   * @param graceful default false: over after the `stopTimeout`; true: connections are left to end by themselves
   */
  stop(graceful?: boolean): Promise<void>;
}

let running: Service | 'starting' | undefined;

/**
 * Starts the workers and resolves when each process is ready. Never resolves in a worker process, so what follows it in
 * the entry script runs once.
 *
 * @throws StartError `GW_START_…`, with nothing left running
 * @throws OptionsError
 */
export async function startService(given: Partial<ServiceOptions> = {}): Promise<Service> {
  const options = readOptions('run', SERVICE_DEFAULTS, CHECKS, given);
  const workers = options.workers ?? takeAll();
  forget(workers);
  const stopTimeout = options.stopTimeout * 1000;
  const loggerFor = (source: string) => sourceLogger(options, source);

  const slot = assignedSlot();
  if (slot !== undefined) {
    return startChild(workers, slot, { loggerFor, stopTimeout, blockedTimeout: options.blockedTimeout * 1000 });
  }

  if (workers.length === 0) {
    throw new StartError(
      'GW_START_NO_WORKERS',
      'there is nothing to start; make a Gateway, BusinessWorker, Register or Worker before run()',
    );
  }
  refuseNamesakes(workers);
  if (options.processes === 'single') {
    const log = loggerFor('service');
    setProcessLogger(log);
    return launch(new Single(workers, { logger: log, loggerFor, stopTimeout }), workers, options, log);
  }
  if (running !== undefined) {
    throw new StartError(
      'GW_START_TWICE',
      'this program has started its workers already; make all of them before run()',
    );
  }
  running = 'starting';
  try {
    const log = loggerFor('master');
    const stopped = () => {
      running = undefined;
    };
    running = await launch(
      new Master(workers, { logger: log, stopTimeout, blockedPolicy: options.blockedPolicy }),
      workers,
      options,
      log,
      stopped,
    );
    return running;
  } catch (error) {
    running = undefined;
    throw error;
  }
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

async function launch(
  engine: Engine,
  workers: readonly BaseWorker[],
  options: ServiceOptions,
  log: Logger,
  stopped: () => void = ignore,
): Promise<Service> {
  const release = options.ownsProcess ? own(engine, options, log) : ignore;
  try {
    await engine.start();
  } catch (error) {
    release();
    throw error;
  }
  return {
    workers,
    mode: options.processes,
    processes: () => engine.processes(),
    status: () => engine.status(),
    connections: () => engine.connections(),
    reload: (reloadOptions) => engine.reload(reloadOptions),
    stop: async (graceful) => {
      await engine.stop(graceful);
      release();
      stopped();
    },
  };
}

/** Ties the life of this process to the service; returns what unties them. */
function own(engine: Engine, options: ServiceOptions, log: Logger): () => void {
  surviveLostOutput();
  if (options.processes === 'many') process.title = 'gatewayworker: master';
  const releaseSignals = onStopSignals(
    async (signal) => {
      log.info(`stopping on ${signal}`);
      await engine.stop();
      log.info('stopped');
      // Not at once: when a failed start is what was being stopped, its error comes first, with its own exit code.
      setImmediate(() => process.exit(0));
    },
    () => {
      log.warn('killing what is left');
      engine.kill();
      process.exit(EXIT_KILLED);
    },
  );
  // The master runs no user code but the entry script, and Node's own way is right for that: the stack, and exit code 1.
  if (options.processes === 'many') return releaseSignals;
  const onUncaught = async (error: unknown, origin: NodeJS.UncaughtExceptionOrigin) => {
    log.error(`${origin === 'unhandledRejection' ? 'unhandled rejection' : 'uncaught exception'}: ${stackOf(error)}`);
    await engine.stop();
    process.exit(EXIT_UNCAUGHT);
  };
  process.on('uncaughtException', onUncaught);
  // A service that has nothing open at the moment is not over; the master of many has its processes to wait for.
  const alive = setInterval(ignore, 2 ** 30);
  return () => {
    clearInterval(alive);
    releaseSignals();
    process.off('uncaughtException', onUncaught);
  };
}

/** A logger that says who speaks. */
function sourceLogger(options: ServiceOptions, source: string): Logger {
  const { logger: own } = options;
  if (own === null) return lineLogger(source, options.logLevel);
  return {
    debug: (message, fields) => own.debug(`${source} ${message}`, fields),
    info: (message, fields) => own.info(`${source} ${message}`, fields),
    warn: (message, fields) => own.warn(`${source} ${message}`, fields),
    error: (message, fields) => own.error(`${source} ${message}`, fields),
  };
}

function workerList(value: unknown): ReturnType<Check> {
  return Array.isArray(value) && value.every((entry) => entry instanceof BaseWorker) ? undefined : 'a list of workers';
}

function ignore(): void {}
