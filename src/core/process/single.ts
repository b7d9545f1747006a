import process from 'node:process';
import type { Logger } from '../../util/mod.js';
import { messageOf, stackOf } from '../../util/mod.js';
import { checkAddresses } from './addresses.js';
import { connectionParts, figuresOf } from './answers.js';
import type { BaseWorker, StopPhase } from './base-worker.js';
import { callBack, type ServiceCallbacks } from './callbacks.js';
import type { Engine, ProcessState } from './engine.js';
import { ReloadError, StartError } from './errors.js';
import { LoopDelay } from './loop-delay.js';
import { codeOf } from './messages.js';
import { settledWithin } from './settled-within.js';
import type { ConnectionRow, ServiceStatus } from './status.js';
import { stopPlan } from './stop-plan.js';

export interface SingleOptions {
  /** Speaks for the service itself. */
  readonly logger: Logger;
  /** A logger that speaks as `name:id`. */
  readonly loggerFor: (source: string) => Logger;
  /** Milliseconds. */
  readonly stopTimeout: number;
  /** Of a stop that is graceful, in milliseconds. */
  readonly gracefulTimeout: number;
  readonly callbacks: ServiceCallbacks;
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
  readonly #stops = new Map<BaseWorker, Promise<void>>();
  /** Aborted: connections are not left to end by themselves. */
  readonly #hurry = new AbortController();
  #ready = false;
  #stop: Promise<void> | undefined;
  #stopping = false;

  constructor(workers: readonly BaseWorker[], options: SingleOptions) {
    this.#workers = workers;
    this.#options = options;
  }

  async start(): Promise<void> {
    await checkAddresses(this.#workers);
    const phases = stopPlan(this.#workers, 0).map(({ phase }) => phase);
    for (const phase of phases.reverse()) {
      if (this.#stopping) break;
      const workers = this.#workers.filter((worker) => worker.stopPhase === phase);
      const results = await Promise.allSettled(workers.map((worker) => this.#startOne(worker)));
      const failure = results.find((result) => result.status === 'rejected');
      if (failure !== undefined && !this.#stopping) {
        await this.stop();
        throw failure.reason;
      }
    }
    if (this.#stopping) return new Promise<never>(() => {});
    this.#ready = true;
  }

  stop(graceful = false): Promise<void> {
    // To what has not started yet nobody is connected.
    if (!graceful || !this.#ready) this.#hurry.abort();
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
      state: this.#started.has(worker)
        ? this.#stops.has(worker)
          ? 'leaving'
          : 'ready'
        : this.#stopping
          ? 'ended'
          : 'starting',
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
      await worker.start({ logger: this.#options.loggerFor(`${worker.name}:0`), single: true, generation: 0 });
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
    this.#stopping = true;
    const { callbacks, logger, stopTimeout } = this.#options;
    await this.#stopGracefully();
    const begun = performance.now();
    for (const { phase, until } of stopPlan(this.#workers, stopTimeout)) {
      await settledWithin(this.#stopPhase(phase), begun + until - performance.now());
    }
    this.#delay.close();
    for (const worker of this.#started) {
      logger.warn(`${worker.name}:0 did not stop within ${stopTimeout / 1000} s`);
    }
    if (this.#ready) await settledWithin(callBack(logger, 'onMasterStop', callbacks.onMasterStop), stopTimeout);
  }

  /** Until all have stopped, or somebody hurries. */
  async #stopGracefully(): Promise<void> {
    const { gracefulTimeout, logger } = this.#options;
    const { signal } = this.#hurry;
    const begun = performance.now();
    for (const { phase } of stopPlan(this.#workers, 0)) {
      if (signal.aborted) return;
      await settledWithin(this.#stopPhase(phase), begun + gracefulTimeout - performance.now(), signal);
      if (signal.aborted || ![...this.#started].some((worker) => worker.stopPhase <= phase)) continue;
      logger.warn(`not all have stopped within ${gracefulTimeout / 1000} s; closing the connections that remain`);
      this.#hurry.abort();
    }
  }

  /** Resolves when all of this phase and of those before have stopped. */
  #stopPhase(phase: StopPhase): Promise<unknown> {
    for (const worker of this.#started) {
      if (worker.stopPhase === phase && !this.#stops.has(worker)) this.#stops.set(worker, this.#stopOne(worker));
    }
    return Promise.all(this.#stops.values());
  }

  async #stopOne(worker: BaseWorker): Promise<void> {
    try {
      await worker.stop(this.#hurry.signal);
    } catch (error) {
      this.#options.loggerFor(`${worker.name}:0`).error(`stop failed: ${stackOf(error)}`);
    }
    this.#started.delete(worker);
  }
}
