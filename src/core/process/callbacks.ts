import { type Logger, stackOf } from '../../util/mod.js';
import type { BaseWorker } from './base-worker.js';

/** How a process of a worker ended. */
export interface WorkerExit {
  /** Number of the process within its worker. */
  readonly id: number;
  /** 0 where the system could not make a process. */
  readonly pid: number;
  /** Null: a signal ended it. */
  readonly code: number | null;
  readonly signal: string | null;
}

/**
 * The original's static callbacks, called in the process that holds the service together. What they throw, or their promise
 * rejects with, is reported and changes nothing.
 */
export interface ServiceCallbacks {
  /**
   * A reload begins; a promise is waited for, no longer than the `startTimeout`. Not called in `single` mode, where there is
   * none.
   */
  readonly onMasterReload: (() => unknown) | null;
  /** The service that had started has stopped; a promise is waited for, no longer than the `stopTimeout`. */
  readonly onMasterStop: (() => unknown) | null;
  /** A process has ended, for whatever reason, also in a stop. Not called in `single` mode. */
  readonly onWorkerExit: ((worker: BaseWorker, exit: WorkerExit) => unknown) | null;
}

/** Resolves when the callback is done, whatever came of it. */
export async function callBack<Args extends unknown[]>(
  logger: Logger,
  name: keyof ServiceCallbacks,
  callback: ((...args: Args) => unknown) | null,
  ...args: Args
): Promise<void> {
  try {
    await callback?.(...args);
  } catch (thrown) {
    logger.error(`${name} threw: ${stackOf(thrown)}`);
  }
}
