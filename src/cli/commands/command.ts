import type { Service, ServiceOptions } from '../../core/process/mod.js';
import type { Arguments } from '../arguments.js';
import type { ExitCode } from '../exit-codes.js';

export interface CommandContext {
  readonly args: Arguments;
  readonly options: Partial<ServiceOptions>;
}

/** Carries out one command. One that starts nothing returns the code that the process is to exit with. */
export type Command = (context: CommandContext) => Promise<Service | ExitCode>;
