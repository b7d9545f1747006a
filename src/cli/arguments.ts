/** What was asked for on the command line. */
export interface Arguments {
  /** The first word that names a command; `start` when there is no word; else the word that names none. */
  readonly command: string;
  /** `-d`: in the background. */
  readonly daemon: boolean;
}

/**
 * Reads what follows the name of the script. The order is free, as in Workerman: `-d start` is `start -d`.
 *
 * Options other than `-d`, and words behind the command, are left to the program.
 */
export function readArguments(given: readonly string[], commands: readonly string[]): Arguments {
  const first = given[0];
  const word = first === undefined || first.startsWith('-') ? 'start' : first;
  return {
    command: given.find((argument) => commands.includes(argument)) ?? word,
    daemon: given.includes('-d'),
  };
}
