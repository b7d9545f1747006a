import type { Check, Checks, LogFormat, Logger, LogLevel } from '../../util/mod.js';
import {
  callback,
  flag,
  integer,
  loggerMethods,
  nonEmptyText,
  OptionsError,
  object,
  oneOf,
  orNull,
  readOptions,
  seconds,
} from '../../util/mod.js';
import { BaseWorker } from './base-worker.js';
import type { ServiceCallbacks } from './callbacks.js';
import { besideEntry } from './entry.js';
import type { WatchOptions } from './watch-options.js';
import { readWatchOptions } from './watch-options.js';

export interface ServiceOptions extends ServiceCallbacks {
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
   * Seconds that a process may take to leave which a reload replaces, and a graceful stop in all: handlers finish what they
   * have, and connections end by themselves where they are left to. What is left then is closed, or killed.
   */
  readonly gracefulTimeout: number;
  /** Seconds until a process that is to replace another has to be ready; else the reload is given up. */
  readonly startTimeout: number;
  /**
   * Seconds that the event loop of a worker process may stand still until the process is reported as blocked, in the log
   * and in `status`, with the place in the code where that can be seen; 0: nobody looks. A process whose master is gone
   * ends when it is blocked for longer than `stopTimeout`. Not in `single` mode, and not while a debugger is attached.
   */
  readonly blockedTimeout: number;
  /** A process that is ready and blocked is only reported, or is killed and replaced too. */
  readonly blockedPolicy: 'report' | 'replace';
  /**
   * This process belongs to the service: SIGINT, SIGTERM and SIGHUP stop it in order, SIGQUIT stops it gracefully, SIGUSR1
   * and SIGUSR2 reload it, the second gracefully, where the system has them. An uncaught error in `single` mode ends it
   * with exit code 250. Switch it off where the service is a guest in another program.
   */
  readonly ownsProcess: boolean;
  /**
   * Holds the pid of the running service; the control socket, by which the commands find it, lies beside it. Relative to
   * the folder of the entry script; null: `gatewayworker.<entry script>.pid` there, or `….<only>.pid` where `only` is
   * given. Two services of one entry script need one each.
   */
  readonly pidFile: string | null;
  /**
   * For development: reloads the workers that are `reloadable` whenever source files change; `{}` as `--watch` does, with
   * the folder of the entry script. null: no. Not in `single` mode.
   */
  readonly watch: Partial<WatchOptions> | null;
}

export const SERVICE_DEFAULTS: Readonly<ServiceOptions> = Object.freeze({
  processes: 'many',
  workers: null,
  only: null,
  logger: null,
  logLevel: 'info',
  logFormat: 'text',
  logFile: null,
  logFileMaxSize: 10_485_760,
  daemonize: false,
  stdoutFile: null,
  stopTimeout: 1.5,
  gracefulTimeout: 60,
  startTimeout: 30,
  blockedTimeout: 5,
  blockedPolicy: 'report',
  ownsProcess: true,
  pidFile: null,
  watch: null,
  onMasterReload: null,
  onMasterStop: null,
  onWorkerExit: null,
});

export const SERVICE_CHECKS: Checks<ServiceOptions> = {
  processes: oneOf('many', 'single'),
  workers: orNull(workerList),
  only: orNull(textList),
  logger: orNull(loggerMethods),
  logLevel: oneOf('debug', 'info', 'warn', 'error'),
  logFormat: oneOf('text', 'json'),
  logFile: orNull(nonEmptyText),
  logFileMaxSize: integer(0),
  daemonize: flag,
  stdoutFile: orNull(nonEmptyText),
  stopTimeout: seconds(),
  gracefulTimeout: seconds(),
  startTimeout: seconds(0.1),
  blockedTimeout: seconds(),
  blockedPolicy: oneOf('report', 'replace'),
  ownsProcess: flag,
  pidFile: orNull(nonEmptyText),
  watch: orNull(object),
  onMasterReload: orNull(callback),
  onMasterStop: orNull(callback),
  onWorkerExit: orNull(callback),
};

/** @throws OptionsError */
export function readServiceOptions(given: Partial<ServiceOptions>): Readonly<ServiceOptions> {
  const options = readOptions('run', SERVICE_DEFAULTS, SERVICE_CHECKS, given);
  const { logger, logFile, stdoutFile, daemonize, ownsProcess, processes, watch } = options;
  const ofLines = (['logFormat', 'logFile', 'logFileMaxSize'] as const).find((name) => given[name] != null);
  if (logger !== null && ofLines !== undefined) {
    throw impossible(`option '${ofLines}' goes with the lines that 'logger' replaces; give one of them`);
  }
  if (daemonize && !ownsProcess) {
    throw impossible("'daemonize' starts the whole program in the background; without 'ownsProcess' it can't be used");
  }
  // Put aside with its log file, the program's output would go to a file that the next rotation deletes.
  if (logFile !== null && stdoutFile !== null && besideEntry(logFile) === besideEntry(stdoutFile)) {
    throw impossible("'logFile' and 'stdoutFile' must be two files");
  }
  if (watch !== null) {
    readWatchOptions(watch);
    if (processes === 'single') {
      throw impossible(
        "'watch' replaces processes by new ones; one process can't replace itself, use processes: 'many'",
      );
    }
  }
  return options;
}

export function impossible(text: string): OptionsError {
  return new OptionsError('GW_OPTION_INVALID', `run: ${text}`);
}

function workerList(value: unknown): ReturnType<Check> {
  return Array.isArray(value) && value.every((entry) => entry instanceof BaseWorker) ? undefined : 'a list of workers';
}

function textList(value: unknown): ReturnType<Check> {
  return Array.isArray(value) && value.every((entry) => nonEmptyText(entry) === undefined)
    ? undefined
    : 'a list of names';
}
