import { createRequire } from 'node:module';
import { dirname, isAbsolute, resolve } from 'node:path';
import process from 'node:process';

/**
 * The file that Node.js runs, also where its ending or a link's target was left to Node to find; undefined where there is
 * none.
 */
export function entryFile(): string | undefined {
  const [, named] = process.argv;
  if (named === undefined || !isAbsolute(named)) return undefined;
  try {
    return createRequire(import.meta.url).resolve(named);
  } catch {
    return named;
  }
}

/**
 * A file that an option names. Relative ones are taken from the folder of the entry script, so that a start, a command and
 * a worker process mean the same one wherever they are called from.
 */
export function besideEntry(file: string): string {
  const entry = entryFile();
  return resolve(entry === undefined ? process.cwd() : dirname(entry), file);
}
