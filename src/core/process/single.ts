import process from 'node:process';
import type { Logger } from '../../util/mod.js';
import { messageOf, stackOf } from '../../util/mod.js';
import { checkAddresses } from './addresses.js';
import { connectionParts, figuresOf } from './answers.js';
import type { BaseWorker } from './base-worker.js';
import type { Engine, ProcessState } from './engine.js';
import { ReloadError, StartError } from './errors.js';
import { LoopDelay } from './loop-delay.js';
import { codeOf } from './messages.js';
import type { ConnectionRow, ServiceStatus } from './status.js';
import { stopPlan } from './stop-plan.js';

export interface SingleOptions {
  /** Speaks for the service itself. */
  readonly logger: Logger;
  /** A logger that speaks as `name:id`. */
  readonly loggerFor: (source: string) => Logger;
  /** Milliseconds. */
  readonly stopTimeout: number;
}

/**
 * Runs all workers in this process, one instance of each.
 *
 * They start in the reverse order of a stop, so that the register is there before who asks it, and no client comes in
 * before there is a worker for it.
 */
export class Single implements Engine {
  readonly #workers: readonly BaseWorker[];
  readonly #options: SingleOptions;
  readonly #started = new Set<BaseWorker>();
  readonly #delay = new LoopDelay();
  readonly #startedAt = Date.now();
  #stop: Promise<void> | undefined;

  constructor(workers: readonly BaseWorker[], options: SingleOptions) {
    this.#workers = workers;
    this.#options = options;
  }

  async start(): Promise<void> {
    await checkAddresses(this.#workers);
    const phases = stopPlan(this.#workers, 0).map(({ phase }) => phase);
    for (const phase of phases.reverse()) {
      if (this.#stop !== undefined) break;
      const workers = this.#workers.filter((worker) => worker.stopPhase === phase);
      const results = await Promise.allSettled(workers.map((worker) => this.#startOne(worker)));
      const failure = results.find((result) => result.status === 'rejected');
      if (failure !== undefined && this.#stop === undefined) {
        await this.stop();
        throw failure.reason;
      }
    }
    if (this.#stop !== undefined) return new Promise<never>(() => {});
  }

  stop(): Promise<void> {
    this.#stop ??= this.#stopInOrder();
    return this.#stop;
  }

  async reload(): Promise<never> {
    const text = "a service that runs in one process can't replace it; restart it, or run it with processes: 'many'";
    throw new ReloadError('GW_RELOAD_IMPOSSIBLE', text);
  }

  /** Nothing to end but this process, which is up to the caller. */
  kill(): void {}

  processes(): readonly ProcessState[] {
    return this.#workers.map((worker) => ({
      worker: worker.name,
      id: worker.id,
      pid: process.pid,
      state: this.#started.has(worker) ? 'ready' : this.#stop === undefined ? 'starting' : 'ended',
      restarts: 0,
      crashLoop: null,
    }));
  }

  async status(): Promise<ServiceStatus> {
    return {
      mode: 'single',
      pid: process.pid,
      startedAt: this.#startedAt,
      processes: this.processes().map((state, index) => {
        const worker = this.#workers[index];
        return {
          ...state,
          listens: worker?.plannedListens().map(({ address }) => address) ?? [],
          figures: worker !== undefined && this.#started.has(worker) ? figuresOf(worker, this.#delay) : null,
          blocked: null,
        };
      }),
      exits: [],
    };
  }

  async *connections(): AsyncIterable<readonly ConnectionRow[]> {
    for (const worker of this.#started) {
      for (const { answer } of connectionParts(worker)) yield answer;
    }
  }

  async #startOne(worker: BaseWorker): Promise<void> {
    worker.id = 0;
    try {
      await worker.start({ logger: this.#options.loggerFor(`${worker.name}:0`), single: true });
    } catch (error) {
      throw new StartError(
        'GW_START_WORKER_FAILED',
        `${worker.name}:0 could not start: ${messageOf(error)}`,
        { worker: worker.name, id: 0, reason: codeOf(error), stack: stackOf(error) },
        error,
      );
    }
    this.#started.add(worker);
  }

  async #stopInOrder(): Promise<void> {
    const begun = performance.now();
    const stopping: Promise<void>[] = [];
    for (const { phase, until } of stopPlan(this.#workers, this.#options.stopTimeout)) {
      for (const worker of this.#started) {
        if (worker.stopPhase === phase) stopping.push(this.#stopOne(worker));
      }
      await settledWithin(Promise.all(stopping), begun + until - performance.now());
    }
    this.#delay.close();
    for (const worker of this.#started) {
      this.#options.logger.warn(`${worker.name}:0 did not stop within ${this.#options.stopTimeout / 1000} s`);
    }
  }

  async #stopOne(worker: BaseWorker): Promise<void> {
    try {
      await worker.stop(AbortSignal.abort());
    } catch (error) {
      this.#options.loggerFor(`${worker.name}:0`).error(`stop failed: ${stackOf(error)}`);
    }
    this.#started.delete(worker);
  }
}

/** Waits for the promise, which does not reject, but no longer than so many milliseconds. */
export async function settledWithin(promise: Promise<unknown>, milliseconds: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, Math.max(0, milliseconds));
  });
  await Promise.race([promise, late]);
  clearTimeout(timer);
}
