import cluster from 'node:cluster';
import process from 'node:process';
import type { LogFile, Logger } from '../../util/mod.js';
import { setProcessLogger, stackOf } from '../../util/mod.js';
import { takeAccount } from './account.js';
import { answersOf } from './answers.js';
import type { BaseWorker } from './base-worker.js';
import { StartError } from './errors.js';
import { sayWhatIsLost } from './log-keeper.js';
import type { ChildLogs } from './logs.js';
import { LoopDelay } from './loop-delay.js';
import type { AnswerMessage, AskMessage, FromMaster, ReopenedMessage, ReopenMessage } from './messages.js';
import { failed, fromMaster, LEAVE, READY, SLOT_VARIABLE } from './messages.js';
import { GRACEFUL_RELOAD_SIGNAL, STOP_SIGNALS, surviveLostOutput } from './signals.js';
import { onStopAll } from './stop-all.js';
import { startWatchdog } from './watchdog.js';

/** As Workerman's: an uncaught error, which the master logs as `exit code 250`. */
export const EXIT_UNCAUGHT = 250;

/** `stopAll` asks the master once in this time; code that counts its requests may call it at each further one. Milliseconds. */
const ASK_EVERY = 1000;

/** How long a process that failed to start waits for its last words to reach the master. Milliseconds. */
const LAST_WORDS = 1000;

/** How long a process that could not reopen the log file, for want of file descriptors, waits. Milliseconds. */
const REOPEN_AGAIN = 1000;

/** Which process of which worker this one is. */
export interface Slot {
  /** Of the worker, in the order the entry script made them. */
  readonly index: number;
  /** Of the process within the worker. */
  readonly id: number;
  /** See ProcessContext. */
  readonly generation: number;
  /** Of the worker. */
  readonly name: string;
}

export interface ChildOptions extends ChildLogs {
  /** Milliseconds. */
  readonly stopTimeout: number;
  /** Milliseconds; 0: nobody watches whether the event loop turns. */
  readonly blockedTimeout: number;
}

let ownSlot: Slot | undefined;

/** What the master wants this process to be; undefined in the master and in any other program. */
export function assignedSlot(): Slot | undefined {
  const text = process.env[SLOT_VARIABLE];
  if (text !== undefined) {
    // Programs that user code starts are not to take themselves for this process.
    delete process.env[SLOT_VARIABLE];
    const parts = /^(\d+):(\d+):(\d+):(.*)$/s.exec(text);
    if (cluster.isWorker && parts !== null) {
      const [index = 0, id = 0, generation = 0] = parts.slice(1, 4).map(Number);
      ownSlot = { index, id, generation, name: parts[4] ?? '' };
    }
  }
  return ownSlot;
}

/** Starts the one worker this process is for, and obeys the master from then on. Never settles. */
export function startChild(workers: readonly BaseWorker[], slot: Slot, options: ChildOptions): Promise<never> {
  const child = new Child(slot, options);
  child.listen(options);
  const worker = workers[slot.index];
  if (worker === undefined || worker.name !== slot.name) child.fail(missing(workers, slot));
  else void child.start(worker);
  return new Promise<never>(() => {});
}

class Child {
  readonly #slot: Slot;
  readonly #stopTimeout: number;
  readonly #logger: Logger;
  readonly #logFile: LogFile | null;
  readonly #delay = new LoopDelay();
  #worker: BaseWorker | undefined;
  #state: 'starting' | 'ready' | 'failed' | 'stopping' = 'starting';
  #exitCode = 0;
  /** Aborted: connections are not left to end by themselves any longer. */
  readonly #hurry = new AbortController();
  #reloading: Promise<void> | undefined;
  #askedAt = Number.NEGATIVE_INFINITY;
  #deadline: NodeJS.Timeout | undefined;

  constructor(slot: Slot, options: ChildOptions) {
    this.#slot = slot;
    this.#stopTimeout = options.stopTimeout;
    this.#logger = options.loggerFor(`${slot.name}:${slot.id}`);
    this.#logFile = options.logFile;
    if (this.#logFile !== null) sayWhatIsLost(this.#logFile, this.#logger);
    setProcessLogger(this.#logger);
  }

  listen({ blockedTimeout: blockedAfter }: ChildOptions): void {
    surviveLostOutput();
    if (blockedAfter > 0) startWatchdog({ blockedAfter, orphanedAfter: this.#stopTimeout, logger: this.#logger });
    process.title = `gatewayworker: ${this.#slot.name}:${this.#slot.id}`;
    // Ctrl+C and a closed terminal reach the whole foreground group; the master decides what follows from them.
    for (const signal of STOP_SIGNALS) {
      process.on(signal, signal === 'SIGTERM' ? () => this.#stopWithin('SIGTERM') : ignore);
    }
    process.on(GRACEFUL_RELOAD_SIGNAL, ignore);
    onStopAll((code, log) => this.#askToLeave(code, log));
    // A cluster process whose channel breaks exits at once, unless it believes that to be its own wish.
    if (cluster.worker !== undefined) cluster.worker.exitedAfterDisconnect = true;
    process.once('disconnect', () => this.#stopWithin('the master is gone'));
    process.on('message', (message) => {
      this.#onMessage(fromMaster(message));
    });
    process.on('uncaughtException', (error, origin) => this.#onUncaught(error, origin));
  }

  async start(worker: BaseWorker): Promise<void> {
    worker.id = this.#slot.id;
    try {
      takeAccount(worker);
      await worker.start({ logger: this.#logger, single: false, generation: this.#slot.generation });
    } catch (error) {
      this.fail(error);
      return;
    }
    if (this.#state !== 'starting') return;
    this.#worker = worker;
    this.#state = 'ready';
    process.send?.(READY);
  }

  /** The start failed: tells the master why, and exits. */
  fail(error: unknown): void {
    if (this.#state !== 'starting') return;
    this.#state = 'failed';
    const exit = () => process.exit(EXIT_UNCAUGHT);
    setTimeout(exit, LAST_WORDS);
    if (process.connected) process.send?.(failed(error), undefined, undefined, exit);
    else exit();
  }

  #onMessage(message: FromMaster | undefined): void {
    // No deadline here: the master keeps it, for all of its processes together.
    if (message?.gatewayworker === 'stop') {
      if (!message.graceful) this.#hurry.abort();
      void this.#stop();
    } else if (message?.gatewayworker === 'reload') this.#reloading ??= this.#reload();
    else if (message?.gatewayworker === 'ask') this.#answer(message);
    else if (message?.gatewayworker === 'reopen') this.#reopenLog(message);
  }

  /** The answer says that nothing is written to the former file any more. */
  #reopenLog(message: ReopenMessage): void {
    if (this.#logFile?.reopen() === false) {
      setTimeout(() => this.#reopenLog(message), REOPEN_AGAIN).unref();
    } else {
      process.send?.({ gatewayworker: 'reopened', number: message.number } satisfies ReopenedMessage, ignore);
    }
  }

  #answer({ question, number }: AskMessage): void {
    if (this.#worker === undefined) return;
    for (const { answer, more } of answersOf(question, this.#worker, this.#delay)) {
      process.send?.({ gatewayworker: 'answer', number, answer, more } satisfies AnswerMessage, ignore);
    }
  }

  /** As `stopAll` asks for. */
  #askToLeave(code: number, log: string): void {
    const asked = log === '' ? 'stopAll was called' : log;
    if (this.#state === 'starting') this.fail(new Error(asked));
    const now = performance.now();
    if (this.#state !== 'ready' || now - this.#askedAt < ASK_EVERY) return;
    this.#askedAt = now;
    this.#exitCode = code;
    this.#logger.info(asked);
    process.send?.(LEAVE, ignore);
  }

  async #reload(): Promise<void> {
    try {
      await this.#worker?.reloading();
    } catch (error) {
      this.#logger.error(`onWorkerReload threw: ${stackOf(error)}`);
    }
    this.#reloading = undefined;
  }

  #stopWithin(reason: string): void {
    this.#logger.debug(`stopping: ${reason}`);
    this.#hurry.abort();
    this.#deadline ??= setTimeout(() => {
      this.#logger.warn(`did not stop within ${this.#stopTimeout / 1000} s`);
      process.exit(this.#exitCode);
    }, this.#stopTimeout);
    void this.#stop();
  }

  async #stop(): Promise<void> {
    if (this.#state === 'stopping' || this.#state === 'failed') return;
    this.#state = 'stopping';
    try {
      await this.#reloading;
      await this.#worker?.stop(this.#hurry.signal);
    } catch (error) {
      this.#logger.error(`stop failed: ${stackOf(error)}`);
    }
    process.exit(this.#exitCode);
  }

  #onUncaught(error: unknown, origin: NodeJS.UncaughtExceptionOrigin): void {
    const what = origin === 'unhandledRejection' ? 'unhandled rejection' : 'uncaught exception';
    if (this.#state === 'starting') {
      this.fail(error);
      return;
    }
    this.#logger.error(`${what}: ${stackOf(error)}`);
    this.#exitCode = EXIT_UNCAUGHT;
    this.#stopWithin(what);
  }
}

function missing(workers: readonly BaseWorker[], { index, name }: Slot): StartError {
  const found = workers.map((worker) => worker.name).join(', ') || 'none';
  return new StartError(
    'GW_START_WORKER_MISSING',
    `the entry script did not make ${name} as its worker number ${index} in the worker process (it made: ${found}); it must make the same workers each time it runs`,
    { worker: name, index },
  );
}

function ignore(): void {}
