import process from 'node:process';
import { messageOf } from './errors.js';

/** Facts beside a message, for machines: `key=value` in a text line, an object in a JSON line. */
export type LogFields = Readonly<Record<string, unknown>>;

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** `text`: lines for people. `json`: an object a line, for machines. */
export type LogFormat = 'text' | 'json';

/** The seam to the user's own logging. Methods must not throw. */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

const RANK: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };

const LINES = { text: textLine, json: jsonLine } as const;

/**
 * A logger that calls `write` once for each message, with its end of line.
 *
 * Text is `2026-11-21 12:00:00 pid:4711 warn ChatWorker:0 text key=value`, in local time, with further lines where the
 * message has any (a stack). JSON is one line always:
 * `{"time":"2026-11-21T12:00:00.000Z","level":"warn","pid":4711,"source":"ChatWorker:0","message":"text","fields":{"key":"value"}}`;
 * the fields stand apart, so that none of them can take another's place, and are left out where there are none.
 *
 * @param source who speaks, e.g. `ChatWorker:0`
 * @param level messages below it are not written
 */
export function lineLogger(
  source: string,
  level: LogLevel = 'info',
  write: (line: string) => void = writeToStandardError,
  format: LogFormat = 'text',
): Logger {
  const line = LINES[format];
  const log = (messageLevel: LogLevel, message: string, fields?: LogFields) => {
    if (RANK[messageLevel] >= RANK[level]) write(line(new Date(), messageLevel, source, message, fields));
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

export function writeToStandardError(line: string): void {
  process.stderr.write(line);
}

function textLine(now: Date, level: LogLevel, source: string, message: string, fields?: LogFields): string {
  const mark = level === 'info' ? '' : `${level} `;
  let line = `${timestamp(now)} pid:${process.pid} ${mark}${source} ${message}`;
  for (const [key, value] of known(fields)) line += ` ${plain(key)}=${plain(value)}`;
  return `${line}\n`;
}

function jsonLine(now: Date, level: LogLevel, source: string, message: string, fields?: LogFields): string {
  const facts = { time: now.toISOString(), level, pid: process.pid, source, message };
  const line = JSON.stringify(facts).slice(0, -1);
  // One by one: a value that can't be told leaves the others whole.
  const told = known(fields).map(([key, value]) => `${JSON.stringify(key)}:${json(value)}`);
  return told.length === 0 ? `${line}}\n` : `${line},"fields":{${told.join(',')}}}\n`;
}

/** Local time, as the original's log shows it. */
function timestamp(now: Date): string {
  const two = (value: number) => String(value).padStart(2, '0');
  const day = `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}`;
  return `${day} ${two(now.getHours())}:${two(now.getMinutes())}:${two(now.getSeconds())}`;
}

function known(fields: LogFields = {}): [string, unknown][] {
  return Object.entries(fields).filter(([, value]) => value !== undefined);
}

/** Peers choose some of the texts: none of them may begin a line of its own or colour a terminal. */
function plain(value: unknown): string {
  if (typeof value === 'bigint') return String(value);
  if (typeof value !== 'string') return json(value);
  return /[\s"\p{Cc}]/u.test(value) ? JSON.stringify(value) : value;
}

/** JSON of anything; a text about it where it has none (a function, a circle, an error). */
function json(value: unknown): string {
  if (value instanceof Error) return JSON.stringify(messageOf(value));
  try {
    const exact = (_key: string, inner: unknown) => (typeof inner === 'bigint' ? String(inner) : inner);
    return JSON.stringify(value, exact) ?? JSON.stringify(String(value));
  } catch {
    return '"[object]"';
  }
}
