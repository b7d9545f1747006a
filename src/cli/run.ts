import { basename } from 'node:path';
import process from 'node:process';
import type { Service, ServiceOptions } from '../core/process/mod.js';
import { assignedSlot, startService } from '../core/process/mod.js';
import { GatewayWorkerError, nearest } from '../util/mod.js';
import { readArguments } from './arguments.js';
import type { Command } from './commands/command.js';
import { notThereYet } from './commands/not-there-yet.js';
import { start, startOptions } from './commands/start.js';
import { inBackground, reportFailed } from './daemon.js';
import { EXIT_FAILED, EXIT_USAGE } from './exit-codes.js';

export type RunOptions = Partial<ServiceOptions>;

interface Row {
  readonly does: string;
  readonly command: Command;
}

/** Adding a command is adding a row. */
const COMMANDS = {
  start: { does: 'start in the foreground, until Ctrl+C; with -d in the background', command: start },
  stop: { does: 'stop in order (not there yet)', command: notThereYet },
  restart: { does: 'stop and start (not there yet)', command: notThereYet },
  reload: { does: 'replace the processes one by one (not there yet)', command: notThereYet },
  status: { does: 'show the processes (not there yet)', command: notThereYet },
  connections: { does: 'show the connections (not there yet)', command: notThereYet },
} as const satisfies Readonly<Record<string, Row>>;

/**
 * The last line of an entry script: does what its command line says, `node start.js start` or no command at all being to
 * start all workers made above it.
 *
 * Resolves when every process is ready, once, in the master; the code behind it does not run in worker processes. A
 * start that fails prints one line (with the stack when `logLevel` is `'debug'`) and exits with code 1; a command that is
 * not there exits with code 2. Ctrl+C stops in order and exits with code 0.
 *
 * With `-d`, or `daemonize`, the entry script runs once more in the background; there this resolves, and in the command
 * that was given it never does.
 */
export async function run(options: RunOptions = {}): Promise<Service> {
  const names = Object.keys(COMMANDS);
  const args = readArguments(process.argv.slice(2), names);
  if (assignedSlot() !== undefined) return startService(startOptions({ args, options }));
  // The arguments are those of the command that starts it there, which may be a restart.
  const command = inBackground() ? 'start' : args.command;
  if (!isCommand(command)) {
    console.error(usage(command, names));
    return process.exit(EXIT_USAGE);
  }
  try {
    return await COMMANDS[command].command({ args, options });
  } catch (error) {
    // What is not an error of ours is a bug, of ours or of the entry script's: it keeps its stack.
    if (!(error instanceof GatewayWorkerError)) throw error;
    const text = options.logLevel === 'debug' ? withStack(error) : error.message;
    if (inBackground()) reportFailed(text);
    console.error(text);
    return process.exit(EXIT_FAILED);
  }
}

function isCommand(name: string): name is keyof typeof COMMANDS {
  return Object.hasOwn(COMMANDS, name);
}

function usage(unknown: string, names: readonly string[]): string {
  const meant = nearest(unknown, names);
  const hint = meant === undefined ? '' : `; did you mean '${meant}'?`;
  const width = Math.max(...names.map((name) => name.length));
  return [
    `Unknown command '${unknown}'${hint}`,
    '',
    `Usage: node ${basename(process.argv[1] ?? 'start.js')} <command>`,
    '',
    ...Object.entries(COMMANDS).map(([name, { does }]) => `  ${name.padEnd(width)}  ${does}`),
  ].join('\n');
}

/** The stack of the process in which the start failed, where that is another one. */
function withStack(error: GatewayWorkerError): string {
  const inner = error.fields.stack;
  return [`${error.code}: ${error.message}`, typeof inner === 'string' ? inner : error.stack].join('\n');
}
