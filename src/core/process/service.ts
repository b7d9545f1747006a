import cluster from 'node:cluster';
import process from 'node:process';
import { isMainThread } from 'node:worker_threads';
import type { Check, Checks, Logger, LogLevel } from '../../util/mod.js';
import {
  flag,
  lineLogger,
  loggerMethods,
  nonEmptyText,
  oneOf,
  orNull,
  readOptions,
  seconds,
  setProcessLogger,
  stackOf,
} from '../../util/mod.js';
import { BaseWorker } from './base-worker.js';
import { assignedSlot, EXIT_UNCAUGHT, startChild } from './child.js';
import { chosenOf } from './chosen.js';
import type { Claim } from './control/claim.js';
import { claim } from './control/claim.js';
import { ControlClient } from './control/client.js';
import { ControlError } from './control/errors.js';
import { controlPaths } from './control/paths.js';
import type { Hello } from './control/protocol.js';
import { PROTOCOL } from './control/protocol.js';
import type { Engine, ProcessState, ReloadOptions, ReloadResult } from './engine.js';
import { ReloadError, StartError } from './errors.js';
import { Master } from './master.js';
import { forget, takeAll } from './registry.js';
import { onStopSignals, surviveLostOutput } from './signals.js';
import { Single } from './single.js';
import type { ConnectionRow, ServiceStatus } from './status.js';

const SYSTEM = Object.freeze({ node: process.version, system: `${process.platform} ${process.arch}` });

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
  /**
   * Names of workers, or their kinds (`register`, `gateway`, `businessworker`, `worker`): what runs on this host, of a
   * cluster that is spread over several by the same entry script. null: all. On the command line `--only=gateway,register`.
   */
  readonly only: readonly string[] | null;
  /** Where messages go, each with its source in front; null writes lines to standard error. */
  readonly logger: Logger | null;
  /** What is not written to standard error; a logger of your own has its own level. */
  readonly logLevel: LogLevel;
  /** Seconds that an orderly stop may take in all; what is left then is killed. Ctrl+C is over within two seconds. */
  readonly stopTimeout: number;
  /**
   * This process belongs to the service: SIGINT, SIGTERM and SIGHUP stop it in order, and an uncaught error in `single`
   * mode ends it with exit code 250. Switch it off where the service is a guest in another program.
   */
  readonly ownsProcess: boolean;
  /**
   * Holds the pid of the running service; the control socket, by which the commands find it, lies beside it. Relative to
   * the folder of the entry script; null: `gatewayworker.<entry script>.pid` there, or `….<only>.pid` where `only` is
   * given. Two services of one entry script need one each.
   */
  readonly pidFile: string | null;
}

export const SERVICE_DEFAULTS: Readonly<ServiceOptions> = Object.freeze({
  processes: 'many',
  workers: null,
  only: null,
  logger: null,
  logLevel: 'info',
  stopTimeout: 1.5,
  ownsProcess: true,
  pidFile: null,
});

const CHECKS: Checks<ServiceOptions> = {
  processes: oneOf('many', 'single'),
  workers: orNull(workerList),
  only: orNull(textList),
  logger: orNull(loggerMethods),
  logLevel: oneOf('debug', 'info', 'warn', 'error'),
  stopTimeout: seconds(),
  ownsProcess: flag,
  pidFile: orNull(nonEmptyText),
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

/** What a service that commands can reach says of itself. */
export type ControlFacts = Pick<Hello, 'version' | 'daemon'>;

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
  const options = readOptions('run', SERVICE_DEFAULTS, CHECKS, given);
  const made = options.workers ?? takeAll();
  forget(made);
  const stopTimeout = options.stopTimeout * 1000;
  const loggerFor = (source: string) => sourceLogger(options, source);

  const slot = assignedSlot();
  if (slot !== undefined) return startChild(made, slot, { loggerFor, stopTimeout });

  const workers = chosenOf(made, options.only);
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
    return launch(new Single(workers, { logger: log, loggerFor, stopTimeout }), workers, { options, log, control });
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
    const engine = new Master(made, workers, { logger: log, stopTimeout });
    running = await launch(engine, workers, { options, log, control, stopped });
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

/**
 * Connects to the service that runs under the same options.
 *
 * @throws ControlError `GW_CONTROL_NOT_RUNNING`, `GW_CONTROL_NO_ANSWER`, `GW_CONTROL_FORBIDDEN`, `GW_CONTROL_UNREACHABLE`
 * @throws OptionsError
 */
export async function openControl(given: Partial<ServiceOptions> = {}): Promise<ControlClient> {
  const { pidFile, only } = readOptions('run', SERVICE_DEFAULTS, CHECKS, given);
  const paths = controlPaths(pidFile, only);
  if (paths === undefined) throw new ControlError('GW_CONTROL_NOT_RUNNING', 'not running');
  return ControlClient.open(paths);
}

interface Launch {
  readonly options: ServiceOptions;
  readonly log: Logger;
  readonly control: ControlFacts | null;
  readonly stopped?: () => void;
}

async function launch(engine: Engine, workers: readonly BaseWorker[], how: Launch): Promise<Service> {
  const { options, log, control, stopped = ignore } = how;
  let state: Hello['state'] = 'starting';
  let claimed: Claim | undefined;
  const stop = async (graceful = false) => {
    state = 'stopping';
    await engine.stop(graceful);
    claimed?.release();
  };
  const leave = async (why: string, graceful = false) => {
    log.info(`stopping on ${why}`);
    await stop(graceful);
    log.info('stopped');
    // Not at once: whoever asked for it gets the answer; and when a failed start is what was being stopped, its error
    // comes first, with its own exit code.
    setImmediate(() => process.exit(0));
  };
  if (control !== null && options.ownsProcess && isOwnProgram()) {
    const hello = () => ({ protocol: PROTOCOL, pid: process.pid, state, ...control, ...SYSTEM });
    claimed = await claimFor(engine, options, hello, leave);
  }
  const release = options.ownsProcess ? own(engine, options, log, leave) : ignore;
  try {
    await engine.start();
  } catch (error) {
    release();
    claimed?.release();
    throw error;
  }
  if (state === 'starting') state = 'running';
  return {
    workers,
    mode: options.processes,
    processes: () => engine.processes(),
    status: () => engine.status(),
    connections: () => engine.connections(),
    reload: (reloadOptions) => engine.reload(reloadOptions),
    stop: async (graceful) => {
      await stop(graceful);
      release();
      stopped();
    },
  };
}

/** undefined: there is no entry script to be found by. @throws StartError */
async function claimFor(
  engine: Engine,
  { pidFile, only }: ServiceOptions,
  hello: () => Hello,
  leave: (why: string, graceful: boolean) => Promise<void>,
): Promise<Claim | undefined> {
  const paths = controlPaths(pidFile, only);
  if (paths === undefined) return undefined;
  return claim(paths, {
    hello,
    stop: (graceful) => leave(graceful ? 'stop -g' : 'stop', graceful),
    reload: async (reloadOptions) => {
      const { state } = hello();
      if (state === 'running') return engine.reload(reloadOptions);
      throw new ReloadError('GW_RELOAD_IMPOSSIBLE', `the service is still ${state}; it can be reloaded while it runs`);
    },
    processes: () => engine.processes(),
    status: () => engine.status(),
    connections: () => engine.connections(),
  });
}

/** Neither a thread nor a process of another program's cluster: those are found and stopped by what made them. */
function isOwnProgram(): boolean {
  return isMainThread && !cluster.isWorker;
}

/** Ties the life of this process to the service; returns what unties them. */
function own(engine: Engine, options: ServiceOptions, log: Logger, leave: (why: string) => Promise<void>): () => void {
  surviveLostOutput();
  if (options.processes === 'many') process.title = 'gatewayworker: master';
  const releaseSignals = onStopSignals(
    (signal) => void leave(signal),
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

function textList(value: unknown): ReturnType<Check> {
  return Array.isArray(value) && value.every((entry) => nonEmptyText(entry) === undefined)
    ? undefined
    : 'a list of names';
}

function ignore(): void {}
