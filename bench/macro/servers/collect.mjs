import { existsSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Several collections go by until code that no longer runs is let go of as well. */
const EVERY_MS = 500;

/** Collects garbage again and again while there is a file of this name, so that what a process holds is what it needs. */
export function collectWhileThereIs(file) {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc');
  const again = () => {
    if (existsSync(file)) collect();
    setTimeout(again, EVERY_MS).unref();
  };
  again();
}
