/** Stops what runs in this process, with an exit code and a last word. */
type Stopper = (code: number, log: string) => void;

const stoppers = new Set<Stopper>();

/** @returns forgets it again */
export function onStopAll(stopper: Stopper): () => void {
  stoppers.add(stopper);
  return () => void stoppers.delete(stopper);
}

/**
 * As the original's `Worker::stopAll`; returns at once.
 *
 * In a worker process: the process leaves in order and is replaced, where it can be with the new one ready first, and
 * within the `gracefulTimeout`. When the new one can't be started this one goes on, and may ask again. Before the process
 * is ready it is a failed start.
 * In the master, and where all run in one process: the service stops in order, and the process with it when it is the
 * service's own.
 *
 * @param code exit code of the process
 * @param log is logged, unless it is empty
 */
export function stopAll(code = 0, log = ''): void {
  for (const stopper of stoppers) stopper(code, log);
}
