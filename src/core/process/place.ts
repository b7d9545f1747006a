import type { Worker as ClusterWorker } from 'node:cluster';
import type { BaseWorker } from './base-worker.js';
import type { BlockedReports } from './blocked-reports.js';
import { ReloadError, StartError } from './errors.js';
import type { FailedMessage } from './messages.js';
import type { ExitCount } from './status.js';

/** A place for one process; whoever fills it has the same worker and id. */
export interface Place {
  readonly worker: BaseWorker;
  /** Of the worker, in the order the entry script made them. */
  readonly index: number;
  readonly id: number;
  /** Whose place it is. */
  process: WorkerProcess | undefined;
  /** Is being started to take the place over. */
  successor: WorkerProcess | undefined;
  /** The last that was given to a process; see ProcessContext. */
  generation: number;
  /** A first start that fails ends the service; a later one is repeated. */
  wasReady: boolean;
  shortLives: number;
  /** What the last process died of. */
  lastEnd: string;
  restarts: number;
  /** Until it is started again. */
  timer: NodeJS.Timeout | undefined;
  /** Ends so far, by exit code or signal. */
  readonly exits: Map<string, number>;
}

/** One process, from its fork until it has gone. */
export interface WorkerProcess {
  readonly place: Place;
  /** Undefined where the system could not make one. */
  child: ClusterWorker | undefined;
  /** What it says when it is blocked. */
  reports: BlockedReports | undefined;
  /** `leaving`: somebody else has its place, or it will not be replaced because the service stops. */
  state: 'starting' | 'ready' | 'leaving' | 'ended';
  /** When it became ready. */
  readyAt: number | undefined;
  /** What it said about its failed start. */
  failure: FailedMessage | undefined;
  /** How it ended. */
  ending: Ending | undefined;
  /** It has asked to be replaced. */
  asked: boolean;
}

export interface Ending {
  /** Completes the sentence `ChatWorker:0 (pid 123) …`. */
  readonly text: string;
  readonly code: number | null;
  readonly signal: string | null;
}

export function emptyPlace(worker: BaseWorker, index: number, id: number): Place {
  return {
    worker,
    index,
    id,
    process: undefined,
    successor: undefined,
    generation: 0,
    wasReady: false,
    shortLives: 0,
    lastEnd: '',
    restarts: 0,
    timer: undefined,
    exits: new Map(),
  };
}

/** `ChatWorker:0 (pid 123)` */
export function describe({ place, child }: WorkerProcess): string {
  const pid = child?.process.pid;
  return pid === undefined ? nameOf(place) : `${nameOf(place)} (pid ${pid})`;
}

/** `ChatWorker:0` */
export function nameOf({ worker, id }: Place): string {
  return `${worker.name}:${id}`;
}

export function startFailure({ place, failure }: WorkerProcess, who: string, ending: Ending): StartError {
  const { worker, id } = place;
  if (failure !== undefined) {
    return new StartError('GW_START_WORKER_FAILED', `${nameOf(place)} could not start: ${failure.message}`, {
      worker: worker.name,
      id,
      reason: failure.code,
      stack: failure.stack,
    });
  }
  return new StartError('GW_START_WORKER_ENDED', `${who} ${ending.text} before it was ready`, {
    worker: worker.name,
    id,
    exitCode: ending.code,
    signal: ending.signal,
  });
}

/** @param reason of a process that said none */
export function reloadFailure({ place, failure }: WorkerProcess, reason: string, replaced: number): ReloadError {
  const kept = place.process === undefined ? 'it is started again as after a crash' : 'the old process goes on';
  return new ReloadError(
    'GW_RELOAD_FAILED',
    `${nameOf(place)} could not be replaced: ${failure?.message ?? reason}; ${kept}`,
    { worker: place.worker.name, id: place.id, reason: failure?.code, stack: failure?.stack, replaced },
  );
}

/** By worker, in the order they were first seen. */
export function exitCounts(places: readonly Place[]): readonly ExitCount[] {
  const counts = new Map<string, ExitCount>();
  for (const { worker, exits } of places) {
    for (const [status, count] of exits) {
      const key = `${worker.name} ${status}`;
      counts.set(key, { worker: worker.name, status, count: count + (counts.get(key)?.count ?? 0) });
    }
  }
  return [...counts.values()];
}
