import { loadavg } from 'node:os';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Hello, ProcessStatus, ServiceOptions, ServiceStatus } from '../../core/process/mod.js';
import { isControlError, openControl } from '../../core/process/mod.js';
import type { ExitCode } from '../exit-codes.js';
import { EXIT_FAILED, EXIT_OK } from '../exit-codes.js';
import { print } from '../output.js';
import { statusScreen } from '../screens/status.js';
import type { CommandContext } from './command.js';

/** Milliseconds. */
const REFRESH_EVERY = 1000;

/** The cursor to the corner, and nothing behind it. */
const CLEAR = '\x1b[H\x1b[J';

/** What a service said of itself at a time. */
export interface Reading {
  readonly hello: Hello;
  readonly status: ServiceStatus;
  /** On a steady clock, milliseconds. */
  readonly at: number;
}

/** `status`: whether every place has a process that is ready, and what each does; with `-d` again and again until Ctrl+C. */
export async function status({ args, options }: CommandContext): Promise<ExitCode> {
  if (args.live && !args.quiet) return showLive(options, args.json);
  const reading = await read(options);
  if (!args.quiet) await print(shown(reading, args.json));
  return isReady(reading.status) ? EXIT_OK : EXIT_FAILED;
}

/** Whether each place has a process that is ready: in a reload another one may start beside it, or leave. */
function isReady({ processes }: ServiceStatus): boolean {
  // By its addresses too: several workers may go without a name.
  const placeOf = ({ worker, id, listens }: ProcessStatus) => JSON.stringify([worker, id, listens]);
  const ready = new Set(processes.filter(({ state }) => state === 'ready').map(placeOf));
  return processes.every((process) => ready.has(placeOf(process)));
}

/** Requests per second of each process between two readings, in the order of the later; null: not known. */
export function ratesOf(before: Reading, after: Reading): (number | null)[] {
  const seconds = (after.at - before.at) / 1000;
  return after.status.processes.map(({ worker, id, pid, figures }) => {
    const earlier = before.status.processes.find((other) => other.worker === worker && other.id === id);
    // Another process in its place has counted from the beginning.
    if (figures === null || earlier?.pid !== pid || !earlier?.figures) return null;
    return (figures.totalRequest - earlier.figures.totalRequest) / seconds;
  });
}

async function read(options: Partial<ServiceOptions>): Promise<Reading> {
  const client = await openControl(options);
  const status = await client.ask({ command: 'status' });
  client.close();
  return { hello: client.hello, status, at: performance.now() };
}

/** Again where the service ends or is restarted in the middle: the next connection shows which of the two it is. */
async function readWhole(options: Partial<ServiceOptions>): Promise<Reading> {
  for (;;) {
    try {
      return await read(options);
    } catch (error) {
      if (!isControlError(error, 'GW_CONTROL_LOST')) throw error;
    }
  }
}

/** Ctrl+C ends the process, a reader that has gone the command. A service that is restarted meanwhile is another one under the same files. */
async function showLive(options: Partial<ServiceOptions>, json: boolean): Promise<ExitCode> {
  process.once('SIGINT', () => process.exit(EXIT_OK));
  let before: Reading | undefined;
  for (;;) {
    const reading = await readWhole(options);
    const screen = shown(reading, json, before && ratesOf(before, reading));
    const text = json || !process.stdout.isTTY ? screen : `${CLEAR}${screen}\nPress Ctrl+C to end.\n`;
    if (!(await print(text))) return EXIT_OK;
    before = reading;
    await sleep(REFRESH_EVERY);
  }
}

function shown({ hello, status }: Reading, json: boolean, qps?: readonly (number | null)[]): string {
  const { version, node, system, daemon } = hello;
  const facts = { version, node, system, daemon };
  if (!json) return `${statusScreen(status, { ...facts, loadAverage: loadavg(), now: Date.now(), qps })}\n`;
  const processes = status.processes.map((process, index) => ({ ...process, qps: qps?.[index] ?? null }));
  return `${JSON.stringify({ ...facts, ...status, processes })}\n`;
}
