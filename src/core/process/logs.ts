import process from 'node:process';
import type { LogFormat, Logger, LogLevel } from '../../util/mod.js';
import { LogFile, lineLogger, messageOf, writeToStandardError } from '../../util/mod.js';
import { besideEntry } from './entry.js';
import { StartError } from './errors.js';
import { LogKeeper } from './log-keeper.js';
import type { LogMessage } from './messages.js';
import { codeOf } from './messages.js';

/** What says where messages go; documented with ServiceOptions. */
export interface LogOptions {
  readonly logger: Logger | null;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
  readonly logFile: string | null;
  readonly logFileMaxSize: number;
  readonly daemonize: boolean;
}

/** The logging of the process that starts a service. */
export interface ServiceLogs {
  /** Speaks for the service. */
  readonly log: Logger;
  /** Makes a logger that says who speaks. */
  readonly loggerFor: (source: string) => Logger;
  /** null: there is no log file. */
  readonly keeper: LogKeeper | null;
  /**
   * Where the error that ends a master is to be found afterwards, besides standard error, to which Node writes it; null:
   * nowhere.
   */
  readonly lastWords: Logger | null;
}

/** The logging of a worker process. */
export interface ChildLogs {
  readonly loggerFor: (source: string) => Logger;
  /** What this process writes lines to itself; null: nothing. */
  readonly logFile: LogFile | null;
}

type Append = (line: string) => void;

/** @throws StartError `GW_START_FILE_UNWRITABLE` */
export function openLogs(options: LogOptions, source: string): ServiceLogs {
  const file = openLogFile(options);
  const append = file === null ? null : (line: string) => file.write(line);
  const loggerFor = loggersOf(options, append);
  const log = loggerFor(source);
  const toFileOnly = file === null ? null : loggersOf({ ...options, daemonize: true }, append)(source);
  return {
    log,
    loggerFor,
    keeper: file === null ? null : new LogKeeper(file, options.logFileMaxSize, log),
    lastWords: options.daemonize ? log : toFileOnly,
  };
}

/**
 * One that gives up the rights of the master has the master write its lines: it could not reopen a file in a folder
 * that is not its own, and whoever takes it over can't change what was logged. So does one that can't open the file,
 * which is no reason not to work.
 */
export function childLogs(options: LogOptions, ownRights: boolean): ChildLogs {
  const path = logFilePath(options);
  let logFile: LogFile | null = null;
  let append: Append | null = null;
  if (path !== null) {
    try {
      if (ownRights) logFile = new LogFile(path);
    } catch {}
    const file = logFile;
    append = file === null ? appendThroughMaster : (line) => file.write(line);
  }
  return { loggerFor: loggersOf(options, append), logFile };
}

/** @param option `logFile` or `stdoutFile` */
export function unwritable(option: string, file: string, error: unknown): StartError {
  return new StartError(
    'GW_START_FILE_UNWRITABLE',
    `the ${option} ${file} can't be written to: ${messageOf(error)}`,
    { option, file, reason: codeOf(error) },
    error,
  );
}

function openLogFile(options: LogOptions): LogFile | null {
  const path = logFilePath(options);
  if (path === null) return null;
  try {
    return new LogFile(path);
  } catch (error) {
    throw unwritable('logFile', path, error);
  }
}

/** The log file that the options lead to, as an absolute path; null: there is none. */
export function logFilePath({ logger, logFile, daemonize }: Partial<LogOptions>): string | null {
  if (typeof logFile === 'string') return besideEntry(logFile);
  if (daemonize !== true || (logger ?? null) !== null) return null;
  return besideEntry('gatewayworker.log');
}

function appendThroughMaster(line: string): void {
  process.send?.({ gatewayworker: 'log', line } satisfies LogMessage, ignore);
}

function loggersOf(options: LogOptions, append: Append | null): (source: string) => Logger {
  const { logger: own, logLevel, logFormat, daemonize } = options;
  if (own !== null) return (source) => prefixed(own, source);
  let write = append ?? writeToStandardError;
  if (append !== null && !daemonize) {
    write = (line) => {
      writeToStandardError(line);
      append(line);
    };
  }
  return (source) => lineLogger(source, logLevel, write, logFormat);
}

function prefixed(own: Logger, source: string): Logger {
  return {
    debug: (message, fields) => own.debug(`${source} ${message}`, fields),
    info: (message, fields) => own.info(`${source} ${message}`, fields),
    warn: (message, fields) => own.warn(`${source} ${message}`, fields),
    error: (message, fields) => own.error(`${source} ${message}`, fields),
  };
}

function ignore(): void {}
