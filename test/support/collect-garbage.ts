import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');

/** Collects what nobody holds, so that what is left tells what is held. */
export const collectGarbage = runInNewContext('gc') as () => void;
