import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Collects garbage every second, so that what a process holds is what it needs. Only while memory is measured. */
export function collectOften() {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc');
  setInterval(() => collect(), 1000).unref();
}
