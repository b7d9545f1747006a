import process from 'node:process';
import type { CommandLine, Misuse } from './arguments.js';
import { COMMANDS } from './commands.js';
import { EXIT_OK, EXIT_USAGE } from './exit-codes.js';
import { print } from './output.js';

/**
 * Ends a command line that makes no sense, or asks for help.
 *
 * @param call how commands are called here: `node start.js <command>`
 */
export async function exitMisused({ problem, showUsage }: Misuse, call: string): Promise<never> {
  if (problem === null) {
    await print(`${usage(call)}\n`);
    return process.exit(EXIT_OK);
  }
  console.error(showUsage ? `${problem}\n\n${usage(call)}` : problem);
  return process.exit(EXIT_USAGE);
}

function usage(call: string): string {
  const rows = Object.entries(COMMANDS).map(([name, line]) => [formOf(name, line), line.does] as const);
  const width = Math.max(...rows.map(([form]) => form.length));
  return [
    `Usage: ${call} [options]`,
    '',
    ...rows.map(([form, does]) => `  ${form.padEnd(width)}  ${does}`),
    '',
    'Every command takes --only=<names or kinds>, for a host that has a part of the cluster: --only=register,gateway',
  ].join('\n');
}

function formOf(name: string, { options, names }: CommandLine): string {
  const optional = [...Object.keys(options), ...(names === null ? [] : [`${names} …`])];
  return [name, ...optional.map((part) => `[${part}]`)].join(' ');
}
