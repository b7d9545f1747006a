import type { Service } from '../../core/process/mod.js';
import { isControlError } from '../../core/process/mod.js';
import type { ExitCode } from '../exit-codes.js';
import { print } from '../output.js';
import { scriptName } from '../script-name.js';
import type { CommandContext } from './command.js';
import { start } from './start.js';
import { stop } from './stop.js';

/** `restart`: stops what runs, and is a `start` from then on. */
export async function restart(context: CommandContext): Promise<Service | ExitCode> {
  try {
    await stop(context);
  } catch (error) {
    if (!isControlError(error, 'GW_CONTROL_NOT_RUNNING')) throw error;
    await print(`${scriptName()} is not running; starting it\n`);
  }
  return start(context);
}
