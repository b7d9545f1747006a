import { nearest } from '../util/mod.js';

/** What an option of the command line asks for. */
export type Option = 'daemon' | 'graceful' | 'live' | 'quiet' | 'json' | 'watch';

/** Options of all commands that have a value: `--only=gateway`. */
const ONLY = '--only=';

/** How a command is called. */
export interface CommandLine {
  /** By what is typed: `-g`. */
  readonly options: Readonly<Record<string, Option>>;
  /** What further words name; null: there can be none. */
  readonly names: string | null;
  /** For the usage. */
  readonly does: string;
}

/** What was asked for on the command line. */
export interface Arguments<Name extends string = string> extends Readonly<Record<Option, boolean>> {
  readonly command: Name;
  /** What `--only` lists: the workers that this host has; null: all. */
  readonly only: readonly string[] | null;
  /** The words beside the command, in order. */
  readonly names: readonly string[];
}

/** A command line that makes no sense, or asks for help. */
export interface Misuse {
  /** One line; null: it only asks for help. */
  readonly problem: string | null;
  readonly showUsage: boolean;
}

/** Ends what is meant for this package; the rest is left to the program. */
const END = '--';

/**
 * Reads what follows the name of the script. The order is free, as in Workerman: `-g stop` is `stop -g`.
 *
 * @param byDefault the command when there is no word at all
 */
export function readArguments<Name extends string>(
  given: readonly string[],
  commands: Readonly<Record<Name, CommandLine>>,
  byDefault: NoInfer<Name>,
): Arguments<Name> | Misuse {
  const { words, options } = partsOf(given);
  if (options.includes('--help')) return { problem: null, showUsage: true };
  const place = words.findIndex((word) => Object.hasOwn(commands, word));
  if (place === -1 && words[0] !== undefined) return unknownCommand(words[0], Object.keys(commands));
  const command = place === -1 ? byDefault : (words[place] as Name);
  const names = words.filter((_, index) => index !== place);
  const line = commands[command];
  if (line.names === null && names[0] !== undefined) return misuse(`${command} takes no '${names[0]}'`);
  const flags = { daemon: false, graceful: false, live: false, quiet: false, json: false, watch: false };
  let only: string[] | null = null;
  for (const option of options) {
    if (option.startsWith(ONLY)) {
      only = listed(option.slice(ONLY.length));
      if (only.length === 0) return misuse(`${command}: ${ONLY} lists nothing`);
      continue;
    }
    const meaning = Object.hasOwn(line.options, option) ? line.options[option] : undefined;
    if (meaning === undefined) return unknownOption(command, option, Object.keys(line.options));
    flags[meaning] = true;
  }
  return { command, names, only, ...flags };
}

/** What comes before `--`: options begin with a hyphen. */
export function partsOf(given: readonly string[]): { words: readonly string[]; options: readonly string[] } {
  const end = given.indexOf(END);
  const ours = end === -1 ? given : given.slice(0, end);
  return {
    words: ours.filter((argument) => !argument.startsWith('-')),
    options: ours.filter((argument) => argument.startsWith('-')),
  };
}

function listed(names: string): string[] {
  return names.split(',').filter((name) => name !== '');
}

function unknownCommand(word: string, known: readonly string[]): Misuse {
  const meant = nearest(word, known);
  const hint = meant === undefined ? '' : `; did you mean '${meant}'?`;
  return { problem: `Unknown command '${word}'${hint}`, showUsage: true };
}

function unknownOption(command: string, option: string, known: readonly string[]): Misuse {
  return misuse(`${command} has no option '${option}'; it has ${[...known, `${ONLY}…`].join(', ')} and --help`);
}

function misuse(problem: string): Misuse {
  return { problem, showUsage: false };
}
