import process from 'node:process';
import type { Service, ServiceOptions } from '../core/process/mod.js';
import { assignedSlot, isControlError, startService } from '../core/process/mod.js';
import { GatewayWorkerError } from '../util/mod.js';
import { readArguments } from './arguments.js';
import { startOptions } from './commands/start.js';
import { COMMANDS } from './commands.js';
import { inBackground, reportFailed } from './daemon.js';
import { EXIT_FAILED, EXIT_NOT_RUNNING } from './exit-codes.js';
import { scriptName } from './script-name.js';
import { exitMisused } from './usage.js';

export type RunOptions = Partial<ServiceOptions>;

/**
 * The last line of an entry script: does what its command line says, `node start.js start` or no command at all being to
 * start all workers made above it. `docs/reference/cli.md` has all commands, their options and exit codes.
 *
 * Resolves when every process is ready, once, in the master; the code behind it does not run in worker processes, nor for
 * a command that starts nothing. What goes wrong is one line (with the stack when `logLevel` is `'debug'`) and an exit
 * code. Ctrl+C stops in order and exits with code 0.
 *
 * With `-d`, or `daemonize`, the entry script runs once more in the background; there this resolves, and in the command
 * that was given it never does.
 */
export async function run(given: RunOptions = {}): Promise<Service> {
  const args = readArguments(process.argv.slice(2), COMMANDS, 'start');
  if ('problem' in args) return exitMisused(args, `node ${scriptName()} <command>`);
  const options = args.only === null ? given : { ...given, only: args.only };
  if (assignedSlot() !== undefined) return startService(startOptions({ args, options }));
  // The arguments are those of the command that starts it there, which may be a restart.
  const command = inBackground() ? 'start' : args.command;
  try {
    const result = await COMMANDS[command].command({ args, options });
    return typeof result === 'number' ? process.exit(result) : result;
  } catch (error) {
    // What is not an error of ours is a bug, of ours or of the entry script's: it keeps its stack.
    if (!(error instanceof GatewayWorkerError)) throw error;
    const notRunning = isControlError(error, 'GW_CONTROL_NOT_RUNNING');
    const text = notRunning ? `${scriptName()} is not running` : textOf(error, options);
    if (inBackground()) reportFailed(text);
    // The exit code says it all.
    const silent = command === 'status' && args.quiet;
    if (!silent) console.error(text);
    return process.exit(notRunning ? EXIT_NOT_RUNNING : EXIT_FAILED);
  }
}

/** At `debug` with the stack, of the process in which a start failed where that is another one. */
function textOf(error: GatewayWorkerError, { logLevel }: RunOptions): string {
  if (logLevel !== 'debug') return error.message;
  const inner = error.fields.stack;
  return [`${error.code}: ${error.message}`, typeof inner === 'string' ? inner : error.stack].join('\n');
}
