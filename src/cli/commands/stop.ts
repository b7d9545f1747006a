import type { Progress, ServiceOptions } from '../../core/process/mod.js';
import { isControlError, openControl } from '../../core/process/mod.js';
import type { ExitCode } from '../exit-codes.js';
import { EXIT_OK } from '../exit-codes.js';
import { print } from '../output.js';
import { scriptName } from '../script-name.js';
import type { CommandContext } from './command.js';

/** How long a process may take to exit once all is stopped. Milliseconds. */
const EXIT_WITHIN = 2000;

/** `stop`: waits until it is over; with `-g` for as long as connections are open. */
export async function stop({ args: { graceful }, options }: CommandContext): Promise<ExitCode> {
  const client = await openControl(options);
  const who = `${scriptName()} (pid ${client.hello.pid})`;
  const how = graceful ? 'is stopping once its connections have ended; Ctrl+C leaves it to that' : 'is stopping';
  let shown = 0;
  const show = (progress: Progress) => {
    const left = processesLeft(progress);
    if (left !== shown) void print(`waiting for ${left === 1 ? 'one process' : `${left} processes`}\n`);
    shown = left;
  };
  try {
    // In this order: whoever reads it may leave it to the service from then on.
    await Promise.all([client.ask({ command: 'stop', graceful }, show), print(`${who} ${how}\n`)]);
    await client.closed(EXIT_WITHIN);
  } catch (error) {
    // The last word of a process may be cut off by its exit, which is what was asked for.
    if (!isControlError(error, 'GW_CONTROL_LOST') || (await isRunning(options))) throw error;
  } finally {
    client.close();
  }
  await print(`${who} has stopped\n`);
  return EXIT_OK;
}

function processesLeft({ processes }: Progress): number {
  return processes.filter(({ state }) => state !== 'ended').length;
}

async function isRunning(options: Partial<ServiceOptions>): Promise<boolean> {
  try {
    (await openControl(options)).close();
    return true;
  } catch (error) {
    if (isControlError(error, 'GW_CONTROL_NOT_RUNNING')) return false;
    throw error;
  }
}
