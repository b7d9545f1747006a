import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Several collections go by until code that no longer runs is let go of as well. */
const EVERY_MS = 250;

/** Collects garbage all the time, so that what a process holds is what it needs. Only while memory is measured. */
export function collectOften() {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc');
  setInterval(() => collect(), EVERY_MS).unref();
}
