import { basename } from 'node:path';
import process from 'node:process';

/** The entry script, as messages name the service: `start.js`. */
export function scriptName(): string {
  return basename(process.argv[1] ?? 'start.js');
}
