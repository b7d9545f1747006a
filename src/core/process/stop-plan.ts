import type { BaseWorker, StopPhase } from './base-worker.js';

export interface StopStep {
  readonly phase: StopPhase;
  /** Milliseconds after the stop began; the next step begins then at the latest. */
  readonly until: number;
}

/**
 * The phases of an orderly stop, first to last.
 *
 * Each has an equal share of the time, and what it leaves over goes to the later ones: a gateway that hangs does not
 * take from the workers their chance to stop in order.
 */
export function stopPlan(workers: readonly BaseWorker[], timeout: number): readonly StopStep[] {
  const phases = [...new Set(workers.map((worker) => worker.stopPhase))].sort((a, b) => a - b);
  return phases.map((phase, index) => ({ phase, until: (timeout * (index + 1)) / phases.length }));
}
