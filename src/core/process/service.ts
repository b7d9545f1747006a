import { resolve } from 'node:path';
import process from 'node:process';
import type { Check, Checks, LogFormat, Logger, LogLevel } from '../../util/mod.js';
import {
  flag,
  integer,
  loggerMethods,
  messageOf,
  nonEmptyText,
  OptionsError,
  oneOf,
  orNull,
  readOptions,
  seconds,
  setProcessLogger,
  stackOf,
} from '../../util/mod.js';
import type { AccountOptions } from './account.js';
import { ACCOUNT_DEFAULTS, commonAccount, keepsAccount, takeAccount } from './account.js';
import { BaseWorker } from './base-worker.js';
import type { Slot } from './child.js';
import { assignedSlot, EXIT_UNCAUGHT, startChild } from './child.js';
import type { Engine, ProcessState, ReloadOptions, ReloadResult } from './engine.js';
import { StartError } from './errors.js';
import type { ServiceLogs } from './logs.js';
import { childLogs, openLogs } from './logs.js';
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
  /** Takes all messages, each with its source in front, in place of lines; it knows its own level, format and files. */
  readonly logger: Logger | null;
  /** Lines below it are not written. */
  readonly logLevel: LogLevel;
  /** `text`: lines for people. `json`: an object a line, for machines. */
  readonly logFormat: LogFormat;
  /**
   * Where lines go besides standard error; null: nowhere, and in the background `gatewayworker.log` beside the entry
   * script. In the background they go nowhere else.
   */
  readonly logFile: string | null;
  /** Bytes of the log file from which on it is put aside as `<logFile>.1`, in place of the one before; 0: never. */
  readonly logFileMaxSize: number;
  /** Start in the background, as with `-d`. */
  readonly daemonize: boolean;
  /** What the program's own output (`console.log`) is added to in the background; null: it is thrown away. */
  readonly stdoutFile: string | null;
  /** Seconds that an orderly stop may take in all; what is left then is killed. Ctrl+C is over within two seconds. */
  readonly stopTimeout: number;
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
  logFormat: 'text',
  logFile: null,
  logFileMaxSize: 10_485_760,
  daemonize: false,
  stdoutFile: null,
  stopTimeout: 1.5,
  ownsProcess: true,
});

export const SERVICE_CHECKS: Checks<ServiceOptions> = {
  processes: oneOf('many', 'single'),
  workers: orNull(workerList),
  logger: orNull(loggerMethods),
  logLevel: oneOf('debug', 'info', 'warn', 'error'),
  logFormat: oneOf('text', 'json'),
  logFile: orNull(nonEmptyText),
  logFileMaxSize: integer(0),
  daemonize: flag,
  stdoutFile: orNull(nonEmptyText),
  stopTimeout: seconds(),
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

/** What goes with the start of an engine. */
interface Launch {
  readonly workers: readonly BaseWorker[];
  readonly options: ServiceOptions;
  readonly logs: ServiceLogs;
  /** To be called once nothing runs any more. */
  readonly over: () => void;
}

/** @throws OptionsError */
export function readServiceOptions(given: Partial<ServiceOptions>): Readonly<ServiceOptions> {
  const options = readOptions('run', SERVICE_DEFAULTS, SERVICE_CHECKS, given);
  const { logger, logFile, stdoutFile, daemonize, ownsProcess } = options;
  const ofLines = (['logFormat', 'logFile', 'logFileMaxSize'] as const).find((name) => given[name] != null);
  if (logger !== null && ofLines !== undefined) {
    throw impossible(`option '${ofLines}' goes with the lines that 'logger' replaces; give one of them`);
  }
  if (daemonize && !ownsProcess) {
    throw impossible("'daemonize' starts the whole program in the background; without 'ownsProcess' it can't be used");
  }
  // Put aside with its log file, the program's output would go to a file that the next rotation deletes.
  if (logFile !== null && stdoutFile !== null && resolve(logFile) === resolve(stdoutFile)) {
    throw impossible("'logFile' and 'stdoutFile' must be two files");
  }
  return options;
}

/**
 * Starts the workers and resolves when each process is ready. Never resolves in a worker process, so what follows it in
 * the entry script runs once.
 *
 * @throws StartError `GW_START_…`, with nothing left running
 * @throws OptionsError
 */
export async function startService(given: Partial<ServiceOptions> = {}): Promise<Service> {
  const options = readServiceOptions(given);
  const workers = options.workers ?? takeAll();
  forget(workers);
  const slot = assignedSlot();
  if (slot !== undefined) return startSlot(workers, slot, options);

  if (workers.length === 0) {
    throw new StartError(
      'GW_START_NO_WORKERS',
      'there is nothing to start; make a Gateway, BusinessWorker, Register or Worker before run()',
    );
  }
  refuseNamesakes(workers);
  if (options.processes === 'single') return startEngine(workers, options, accountOfAll(workers, options), ignore);
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
    running = await startEngine(workers, options, ACCOUNT_DEFAULTS, stopped);
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
  return startChild(workers, slot, { ...logs, stopTimeout: options.stopTimeout * 1000 });
}

/** @param account what this process is to become before it starts anything */
async function startEngine(
  workers: readonly BaseWorker[],
  options: ServiceOptions,
  account: AccountOptions,
  stopped: () => void,
): Promise<Service> {
  const stopTimeout = options.stopTimeout * 1000;
  const many = options.processes === 'many';
  const logs = openLogs(options, many ? 'master' : 'service');
  const { log, loggerFor, keeper } = logs;
  if (!many) setProcessLogger(log);
  try {
    takeAccount(account);
    const engine = many
      ? new Master(workers, { logger: log, stopTimeout, logKeeper: keeper })
      : new Single(workers, { logger: log, loggerFor, stopTimeout });
    const over = () => {
      stopped();
      keeper?.close();
    };
    const service = await launch(engine, { workers, options, logs, over });
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

async function launch(engine: Engine, plan: Launch): Promise<Service> {
  const { workers, options, over } = plan;
  const release = options.ownsProcess ? own(engine, plan) : ignore;
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
      over();
    },
  };
}

/** Ties the life of this process to the service; returns what unties them. */
function own(engine: Engine, { options, logs: { log, lastWords } }: Launch): () => void {
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
  if (options.processes === 'many') {
    const report = (error: unknown, origin: NodeJS.UncaughtExceptionOrigin) =>
      lastWords?.error(uncaughtText(error, origin));
    process.on('uncaughtExceptionMonitor', report);
    return () => {
      releaseSignals();
      process.off('uncaughtExceptionMonitor', report);
    };
  }
  const onUncaught = async (error: unknown, origin: NodeJS.UncaughtExceptionOrigin) => {
    log.error(uncaughtText(error, origin));
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

function uncaughtText(error: unknown, origin: NodeJS.UncaughtExceptionOrigin): string {
  return `${origin === 'unhandledRejection' ? 'unhandled rejection' : 'uncaught exception'}: ${stackOf(error)}`;
}

function impossible(text: string): OptionsError {
  return new OptionsError('GW_OPTION_INVALID', `run: ${text}`);
}

function workerList(value: unknown): ReturnType<Check> {
  return Array.isArray(value) && value.every((entry) => entry instanceof BaseWorker) ? undefined : 'a list of workers';
}

function ignore(): void {}
