import process from 'node:process';
import type { ProcessFigures, ProcessStatus, ServiceStatus } from '../../src/core/process/mod.js';

/** A process that is ready and has done nothing. */
export function figuresSample(given: Partial<ProcessFigures> = {}): ProcessFigures {
  return {
    connections: 0,
    sendFail: 0,
    totalRequest: 0,
    queuedBytes: 0,
    links: null,
    dropped: {},
    memory: 57_000_000,
    timers: 0,
    delay: 0,
    ...given,
  };
}

export function processSample(worker: string, id: number, given: Partial<ProcessStatus> = {}): ProcessStatus {
  return {
    worker,
    id,
    pid: 4711 + id,
    state: 'ready',
    restarts: 0,
    crashLoop: null,
    listens: [],
    figures: figuresSample(),
    blocked: null,
    ...given,
  };
}

/** What the function gives where the clocks show UTC. */
export function inUtc<Result>(call: () => Result): Result {
  const zone = process.env.TZ;
  process.env.TZ = 'UTC';
  try {
    return call();
  } finally {
    if (zone === undefined) delete process.env.TZ;
    else process.env.TZ = zone;
  }
}

/** 2026-11-21 12:00:00 UTC */
export const NOON = Date.UTC(2026, 10, 21, 12);

export function statusSample(
  processes: readonly ProcessStatus[],
  given: Partial<Omit<ServiceStatus, 'processes'>> = {},
): ServiceStatus {
  return { mode: 'many', pid: 4700, startedAt: NOON, processes, exits: [], ...given };
}
