import process from 'node:process';

import { EXIT_USAGE } from '../exit-codes.js';

import type { CommandContext } from './command.js';

/** A command of the originals that has no row of its own yet. */
export async function notThereYet({ args }: CommandContext): Promise<never> {
  const command = args.daemon ? `${args.command} -d` : args.command;
  console.error(`The command '${command}' is not there yet; 'start' runs in the foreground until Ctrl+C.`);
  return process.exit(EXIT_USAGE);
}
