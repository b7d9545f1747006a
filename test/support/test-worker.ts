import type { PlannedListen, ProcessContext, StopPhase } from '../../src/core/process/mod.js';
import { BaseWorker, STOP_PHASE } from '../../src/core/process/mod.js';

export interface TestWorkerOptions {
  readonly name?: string;
  readonly count?: number;
  readonly stopPhase?: StopPhase;
  readonly listens?: readonly PlannedListen[];
  readonly onStart?: (context: ProcessContext) => unknown;
  readonly onStop?: (hurry: AbortSignal) => unknown;
}

/** A worker that does what the test says. */
export class TestWorker extends BaseWorker {
  readonly name: string;
  readonly count: number;
  override readonly stopPhase: StopPhase;
  readonly #options: TestWorkerOptions;

  constructor(options: TestWorkerOptions = {}) {
    super();
    this.name = options.name ?? 'TestWorker';
    this.count = options.count ?? 1;
    this.stopPhase = options.stopPhase ?? STOP_PHASE.worker;
    this.#options = options;
  }

  plannedListens(): readonly PlannedListen[] {
    return this.#options.listens ?? [];
  }

  async start(context: ProcessContext): Promise<void> {
    await this.#options.onStart?.(context);
  }

  async stop(hurry: AbortSignal): Promise<void> {
    await this.#options.onStop?.(hurry);
  }
}

export function listenOn(host: string, port: number): PlannedListen {
  return { address: `tcp://${host}:${port}`, host, port };
}
