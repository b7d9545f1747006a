import process from 'node:process';

/** Facts beside a message, for machines: printed as `key=value` by the console logger. */
export type LogFields = Readonly<Record<string, unknown>>;

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** The seam to the user's own logging. Methods must not throw. */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

const RANK: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };

/**
 * A logger that writes one readable line per call: `2026-11-21 12:00:00 pid:4711 warn ChatWorker:0 text key=value`.
 *
 * @param source who speaks, e.g. `ChatWorker:0`
 * @param level messages below it are not written
 */
export function lineLogger(
  source: string,
  level: LogLevel = 'info',
  write: (line: string) => void = writeToStandardError,
): Logger {
  const log = (messageLevel: LogLevel, message: string, fields?: LogFields) => {
    if (RANK[messageLevel] < RANK[level]) return;
    const mark = messageLevel === 'info' ? '' : `${messageLevel} `;
    write(`${timestamp(new Date())} pid:${process.pid} ${mark}${source} ${message}${fieldsText(fields)}\n`);
  };
  return {
    debug: (message, fields) => log('debug', message, fields),
    info: (message, fields) => log('info', message, fields),
    warn: (message, fields) => log('warn', message, fields),
    error: (message, fields) => log('error', message, fields),
  };
}

/** A logger that says nothing. */
export const silentLogger: Logger = { debug: ignore, info: ignore, warn: ignore, error: ignore };

let current: Logger | undefined;

/** The logger of this process, for what belongs to no worker (a timer's callback). */
export function processLogger(): Logger {
  current ??= lineLogger('gatewayworker');
  return current;
}

/** Set by whoever starts the process. */
export function setProcessLogger(logger: Logger): void {
  current = logger;
}

function ignore(): void {}

function writeToStandardError(line: string): void {
  process.stderr.write(line);
}

/** Local time, as the original's log shows it. */
function timestamp(now: Date): string {
  const two = (value: number) => String(value).padStart(2, '0');
  const day = `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}`;
  return `${day} ${two(now.getHours())}:${two(now.getMinutes())}:${two(now.getSeconds())}`;
}

function fieldsText(fields: LogFields | undefined): string {
  if (fields === undefined) return '';
  let out = '';
  for (const [key, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    out += ` ${key}=${typeof value === 'string' ? quoted(value) : plain(value)}`;
  }
  return out;
}

/** Peers choose some of the texts: none of them may begin a line of its own or colour a terminal. */
function quoted(text: string): string {
  return /[\s"\p{Cc}]/u.test(text) ? JSON.stringify(text) : text;
}

/** JSON, or what there is where it has none (a function, a circle, a bigint). */
function plain(value: unknown): string {
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return typeof value === 'bigint' ? String(value) : '[object]';
  }
}
