import { nearest } from '../../util/mod.js';
import type { BaseWorker } from './base-worker.js';
import { StartError } from './errors.js';

/**
 * Those of the workers that are to run here: on a host that has only a part of a cluster.
 *
 * @param only names and kinds, kinds in any case (`gateway`, `Register`); null is all
 * @throws StartError `GW_START_ONLY_UNKNOWN`
 */
export function chosenOf(workers: readonly BaseWorker[], only: readonly string[] | null): readonly BaseWorker[] {
  if (only === null) return workers;
  for (const wanted of only) {
    if (!workers.some((worker) => isMeant(worker, wanted))) throw unknown(wanted, workers);
  }
  return workers.filter((worker) => only.some((wanted) => isMeant(worker, wanted)));
}

function isMeant({ name, kind }: BaseWorker, wanted: string): boolean {
  return name === wanted || kind.toLowerCase() === wanted.toLowerCase();
}

function unknown(wanted: string, workers: readonly BaseWorker[]): StartError {
  const known = [...new Set(workers.flatMap(({ kind, name }) => [kind.toLowerCase(), name]))];
  const meant = nearest(wanted, known);
  const hint = meant === undefined ? `there are ${known.join(', ')}` : `did you mean '${meant}'?`;
  return new StartError('GW_START_ONLY_UNKNOWN', `there is no worker '${wanted}' to start; ${hint}`, { only: wanted });
}
