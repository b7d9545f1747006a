import type { ProcessState } from './engine.js';

/** What a worker knows of its work in this process. Counts are since the process started. */
export interface WorkerFigures {
  /** Connections of clients that exist now; of a worker that has no clients, those to other processes. */
  readonly connections: number;
  /** Messages for peers that were dropped. */
  readonly sendFail: number;
  /** Messages taken from peers. */
  readonly totalRequest: number;
  /** Bytes that wait in this process: for clients, for other processes of the cluster, for handlers. */
  readonly queuedBytes: number;
  /** To other processes of the cluster, with `down` for those that should be there; null: this kind of worker has none. */
  readonly links: { readonly up: number; readonly down: number } | null;
  /** What was lost or refused, by reason; a reason that never came is left out. */
  readonly dropped: Readonly<Record<string, number>>;
}

/** A worker that has nothing to say about itself. */
export const NO_FIGURES: WorkerFigures = Object.freeze({
  connections: 0,
  sendFail: 0,
  totalRequest: 0,
  queuedBytes: 0,
  links: null,
  dropped: Object.freeze({}),
});

/** Counts by reason, without those that never came. */
export function counted(counts: Readonly<Record<string, number>>): Readonly<Record<string, number>> {
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0));
}

/** What a process says of itself when it is asked. */
export interface ProcessFigures extends WorkerFigures {
  /** Resident memory of the process, in bytes. */
  readonly memory: number;
  /** Timers of `Timer` that are pending. */
  readonly timers: number;
  /** How late the event loop came to what was due, in milliseconds: the longest of the last seconds. */
  readonly delay: number;
}

/** A process that does not come to its messages. */
export interface Blocked {
  /** Seconds since its event loop last turned. */
  readonly seconds: number;
  /** Where it is, one frame a line; null: not known (it is inside the system, or in code that is not JavaScript). */
  readonly stack: string | null;
}

/** One process of a service, as `status` shows it. */
export interface ProcessStatus extends ProcessState {
  /** The addresses of its worker, as a banner shows them. */
  readonly listens: readonly string[];
  /** null: it is not ready, or did not answer in time because it is busy. */
  readonly figures: ProcessFigures | null;
  readonly blocked: Blocked | null;
}

/** How often processes of one worker have ended in one way. */
export interface ExitCount {
  readonly worker: string;
  /** `0`, `250`, the name of a signal (`SIGKILL`), or `no process` where the system could not make one. */
  readonly status: string;
  readonly count: number;
}

/** What `status` shows. */
export interface ServiceStatus {
  readonly mode: 'many' | 'single';
  /** Of the master. */
  readonly pid: number;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  /** By worker and id. */
  readonly processes: readonly ProcessStatus[];
  readonly exits: readonly ExitCount[];
}

/** One connection, as `connections` shows it. */
export interface ConnectionRow {
  readonly pid: number;
  /** Name of its worker. */
  readonly worker: string;
  /** Number of the connection within its process. */
  readonly id: number;
  readonly transport: 'tcp' | 'ssl' | 'unix';
  /** `websocket`, `text`, `tcp` …; `custom` for one of the user's own. */
  readonly protocol: string;
  readonly ipv6: boolean;
  /** Bytes that have come and are not a whole message yet, and bytes that wait for the peer. */
  readonly receiveQueue: number;
  readonly sendQueue: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  readonly status: 'connecting' | 'established' | 'closing' | 'closed';
  /** `host:port` */
  readonly localAddress: string;
  readonly foreignAddress: string;
}
