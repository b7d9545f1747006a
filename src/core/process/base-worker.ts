import type { Logger } from '../../util/mod.js';
import type { TcpConnection } from '../net/mod.js';
import { register } from './registry.js';
import { NO_FIGURES, type WorkerFigures } from './status.js';

/** What a worker process is given when it starts. */
export interface ProcessContext {
  /** Speaks as `name:id`. */
  readonly logger: Logger;
  /** True when all workers share this process: `run({ processes: 'single' })`. */
  readonly single: boolean;
  /**
   * 0, or a number that this process alone has of all that had its place, its id: it is started while its forerunner, which
   * it is to replace, is still there.
   */
  readonly generation: number;
}

/** An address that a process of a worker will listen on. */
export interface PlannedListen {
  /** As a banner shows it: `websocket://0.0.0.0:8283`. */
  readonly address: string;
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** For the workers of the cluster, not for clients: a banner leaves it out. */
  readonly inner?: boolean;
}

/**
 * The order of an orderly stop: a phase begins when every process of the one before has ended, or when that one has
 * used up its share of the time. Gateways go first, so that the workers still hear of each client that leaves;
 * registers go last.
 */
export const STOP_PHASE = { gateway: 0, worker: 1, register: 2 } as const;

export type StopPhase = (typeof STOP_PHASE)[keyof typeof STOP_PHASE];

/**
 * What the master knows of a kind of worker. Gateway, BusinessWorker, Register and Worker are such kinds.
 *
 * The object is made by the entry script in the master and again in each worker process; `start` is called only in the
 * process that is to do the work, once. Making one is enough to have `run()` start it.
 */
export abstract class BaseWorker {
  /** `Gateway`, `BusinessWorker`, `Register`, `Worker`: what the class is called, also where it is derived from. */
  readonly kind: string = 'Worker';
  abstract readonly name: string;
  /** Processes of this worker; one in single-process mode. */
  abstract readonly count: number;
  readonly stopPhase: StopPhase = STOP_PHASE.worker;
  /** A reload replaces its processes; false: it keeps and tells them. */
  readonly reloadable: boolean = true;
  /** A process that replaces another can be ready while that one still works. False: the old one has to leave first. */
  readonly overlaps: boolean = true;
  /** What no other worker of the service may have, with its name in it; null: nothing. */
  readonly identity: string | null = null;
  /** The system's user and group that its processes take before `start`; empty: as they are. */
  readonly user: string = '';
  readonly group: string = '';
  /** Number of this process within the worker, 0 … count − 1; kept by the process that replaces a dead one. */
  id = 0;

  constructor() {
    register(this);
  }

  /** All addresses its processes will listen on; the master tries each before it starts anything. */
  abstract plannedListens(): readonly PlannedListen[];

  /**
   * Begins the work; resolves when it is ready (listening, events module loaded).
   *
   * A rejection is a failed start: what had been begun is undone by then, `stop` is not called. When the service is to
   * stop while this is pending, the process exits without calling `stop`.
   */
  abstract start(context: ProcessContext): Promise<void>;

  /**
   * Ends the work in order: user callbacks run, what is queued is written. Called at most once, after `start` resolved.
   * The process exits once this settles, or when its time is over.
   *
   * @param hurry until it is aborted, connections are served and left to end by themselves; from then on they are closed.
   *   In a stop that is not graceful it is aborted from the start
   */
  abstract stop(hurry: AbortSignal): Promise<void>;

  /**
   * The service is being reloaded: in a process that is to be replaced this is called before `stop`, in one that is kept it
   * is all that happens. What it throws is reported.
   */
  reloading(): unknown {
    return undefined;
  }

  /** What `status` shows of this process. */
  figures(): WorkerFigures {
    return NO_FIGURES;
  }

  /** The connections that this process has now, for `connections`. */
  openConnections(): Iterable<TcpConnection> {
    return [];
  }
}
