import type { Service, ServiceOptions } from '../../core/process/mod.js';
import type { Arguments } from '../arguments.js';

export interface CommandContext {
  readonly args: Arguments;
  readonly options: Partial<ServiceOptions>;
}

/** Carries out one command; what it returns, `run()` returns. One that has nothing to return exits. */
export type Command = (context: CommandContext) => Promise<Service>;
