#!/usr/bin/env node
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import { partsOf, readArguments } from './arguments.js';
import { COMMANDS } from './commands.js';
import { EXIT_OK } from './exit-codes.js';
import { print } from './output.js';
import { exitMisused } from './usage.js';
import { packageVersion } from './version.js';

const CALL = 'gatewayworker <command> <entry script>';

await main(process.argv.slice(2));

/** `gatewayworker stop start.js -g` is `node start.js stop -g`. */
async function main(given: readonly string[]): Promise<void> {
  const { words, options } = partsOf(given);
  if (options.includes('--version')) {
    await print(`${packageVersion()}\n`);
    return process.exit(EXIT_OK);
  }
  const [, entry] = words;
  const rest = given.filter((_, index) => entry === undefined || index !== given.indexOf(entry));
  const args = readArguments(rest, COMMANDS, 'start');
  if ('problem' in args) return exitMisused(args, CALL);
  if (entry === undefined) return exitMisused({ problem: 'Which entry script?', showUsage: true }, CALL);
  const file = fileOf(entry);
  if (file === undefined) return exitMisused({ problem: `There is no script ${entry}`, showUsage: false }, CALL);
  process.argv.splice(1, process.argv.length, resolve(entry), ...rest);
  await import(pathToFileURL(file).href);
}

/** The script as Node.js finds it: also without its ending, or by its folder. */
function fileOf(entry: string): string | undefined {
  try {
    return createRequire(import.meta.url).resolve(resolve(entry));
  } catch {
    return undefined;
  }
}
