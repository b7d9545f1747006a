import type { Worker as ClusterWorker } from 'node:cluster';
import cluster from 'node:cluster';
import process from 'node:process';
import type { Logger } from '../../util/mod.js';
import { messageOf } from '../../util/mod.js';
import { checkAddresses } from './addresses.js';
import { restartAfter } from './backoff.js';
import type { BaseWorker } from './base-worker.js';
import { BlockedReports } from './blocked-reports.js';
import type { Engine, ProcessState, ReloadOptions, ReloadResult } from './engine.js';
import { ReloadError, StartError } from './errors.js';
import type { AnswerMessage, Answers, AskMessage, FailedMessage, Question } from './messages.js';
import { fromChild, SLOT_VARIABLE, stopMessage } from './messages.js';
import { STOP_SIGNALS } from './signals.js';
import type { ConnectionRow, ExitCount, ProcessFigures, ServiceStatus } from './status.js';
import { stopPlan } from './stop-plan.js';
import { CHILD_STDIO, pipeOf } from './watchdog.js';

/** How long the system may take to bury a process after SIGKILL. Milliseconds. */
const BURIAL = 400;

/**
 * Ctrl+C reaches all processes of the foreground group, in no particular order. A process that such a signal ends
 * before it could choose to ignore it may be seen here before the master's own copy of the signal. Milliseconds.
 */
const OWN_SIGNAL_WITHIN = 100;

/** A process that has not answered by then is busy. Milliseconds. */
const ANSWER_WITHIN = 1000;

export interface MasterOptions {
  readonly logger: Logger;
  /** Milliseconds. */
  readonly stopTimeout: number;
  /** What becomes of a process whose event loop stands still. */
  readonly blockedPolicy: 'report' | 'replace';
}

/** A place for one process; whoever fills it has the same worker and id. */
interface Place {
  readonly worker: BaseWorker;
  readonly index: number;
  readonly id: number;
  state: ProcessState['state'];
  child: ClusterWorker | undefined;
  /** What the present process says when it is blocked. */
  reports: BlockedReports | undefined;
  /** When the present process became ready. */
  readyAt: number | undefined;
  /** A first start that fails ends the service; a later one is repeated. */
  wasReady: boolean;
  /** What the present process said about its failed start. */
  failure: FailedMessage | undefined;
  shortLives: number;
  restarts: number;
  timer: NodeJS.Timeout | undefined;
  /** Its ends so far, by exit code or signal. */
  readonly exits: Map<string, number>;
}

interface Ending {
  /** Completes the sentence `ChatWorker:0 (pid 123) …`. */
  readonly text: string;
  readonly code: number | null;
  readonly signal: string | null;
}

interface Waiter {
  readonly condition: () => boolean;
  readonly done: () => void;
}

/**
 * Keeps `count` processes alive for each worker. Runs no user code and reads no byte of any client.
 *
 * Each process runs the entry script again and is told by its environment which worker it is.
 */
export class Master implements Engine {
  readonly #workers: readonly BaseWorker[];
  readonly #logger: Logger;
  readonly #stopTimeout: number;
  readonly #blockedPolicy: MasterOptions['blockedPolicy'];
  readonly #places: readonly Place[];
  readonly #waiters = new Set<Waiter>();
  readonly #startedAt = Date.now();
  /** Takes the parts of an answer, by the number of the question. */
  readonly #asked = new Map<number, (message: AnswerMessage) => void>();
  #questions = 0;
  #failure: StartError | undefined;
  #stop: Promise<void> | undefined;

  constructor(workers: readonly BaseWorker[], options: MasterOptions) {
    this.#workers = workers;
    this.#logger = options.logger;
    this.#stopTimeout = options.stopTimeout;
    this.#blockedPolicy = options.blockedPolicy;
    this.#places = workers.flatMap((worker, index) =>
      Array.from({ length: worker.count }, (_, id) => emptyPlace(worker, index, id)),
    );
  }

  async start(): Promise<void> {
    const entry = process.argv[1];
    if (cluster.isWorker) {
      throw new StartError(
        'GW_START_NESTED',
        "a process made by node:cluster cannot have processes of its own; use run({ processes: 'single' }) there",
      );
    }
    if (entry === undefined) {
      throw new StartError(
        'GW_START_NO_ENTRY',
        "there is no entry script to run in the worker processes; put the code in a file, or use run({ processes: 'single' })",
      );
    }
    await checkAddresses(this.#workers);
    // A connection lives long here, so it matters where it goes: the master accepts and deals them out in turn. Left to
    // the system (SCHED_NONE), whoever wakes first takes most of them, and keeps them. The hand-over costs a message
    // to the process, once per connection.
    cluster.schedulingPolicy = cluster.SCHED_RR;
    cluster.setupPrimary({ exec: entry, args: process.argv.slice(2), stdio: [...CHILD_STDIO] });
    for (const place of this.#places) {
      if (this.#stop === undefined) this.#fork(place);
    }
    await this.#until(
      () => this.#failure !== undefined || this.#stop !== undefined || this.#places.every((place) => place.wasReady),
    );
    if (this.#failure !== undefined) {
      await this.stop();
      throw this.#failure;
    }
    if (this.#stop !== undefined) return new Promise<never>(() => {});
  }

  stop(): Promise<void> {
    this.#stop ??= this.#stopInOrder();
    this.#changed();
    return this.#stop;
  }

  async reload(_options: ReloadOptions = {}): Promise<ReloadResult> {
    throw new ReloadError('GW_RELOAD_IMPOSSIBLE', 'reloading is not there yet');
  }

  kill(): void {
    for (const place of this.#places) place.child?.process.kill('SIGKILL');
  }

  processes(): readonly ProcessState[] {
    return this.#places.map(({ worker, id, child, state, restarts }) => ({
      worker: worker.name,
      id,
      pid: child?.process.pid,
      state,
      restarts,
      crashLoop: null,
    }));
  }

  async status(): Promise<ServiceStatus> {
    const figures = await Promise.all(this.#places.map((place) => this.#figures(place)));
    const states = this.processes();
    return {
      mode: 'many',
      pid: process.pid,
      startedAt: this.#startedAt,
      processes: states.map((state, index) => ({
        ...state,
        listens: this.#places[index]?.worker.plannedListens().map(({ address }) => address) ?? [],
        figures: figures[index] ?? null,
        // One that has answered goes on, whatever is still to be read of it.
        blocked: figures[index] == null ? (this.#places[index]?.reports?.blocked ?? null) : null,
      })),
      exits: exitCounts(this.#places),
    };
  }

  async *connections(): AsyncIterable<readonly ConnectionRow[]> {
    // One process at a time: their answers are long, and whoever reads them may be slow.
    for (const place of this.#places) yield* this.#ask(place, 'connections');
  }

  async #figures(place: Place): Promise<ProcessFigures | null> {
    for await (const figures of this.#ask(place, 'figures')) return figures;
    return null;
  }

  /** The parts of an answer, as they come; none when the process does not answer in time. */
  async *#ask<Asked extends Question>(place: Place, question: Asked): AsyncIterable<Answers[Asked]> {
    if (place.child === undefined || place.state !== 'ready') return;
    const number = ++this.#questions;
    const parts: AnswerMessage[] = [];
    this.#asked.set(number, (part) => {
      parts.push(part);
      this.#changed();
    });
    try {
      place.child.send({ gatewayworker: 'ask', question, number } satisfies AskMessage, ignore);
      for (let more = true; more; ) {
        await this.#until(() => parts.length > 0 || place.state !== 'ready', ANSWER_WITHIN);
        const part = parts.shift();
        if (part === undefined) return;
        yield part.answer as Answers[Asked];
        more = part.more;
      }
    } finally {
      this.#asked.delete(number);
    }
  }

  #fork(place: Place): void {
    place.state = 'starting';
    place.readyAt = undefined;
    place.failure = undefined;
    let child: ClusterWorker;
    try {
      child = cluster.fork({ [SLOT_VARIABLE]: `${place.index}:${place.id}:${place.worker.name}` });
    } catch (error) {
      setImmediate(() => this.#ended(place, notForked(error)));
      return;
    }
    place.child = child;
    place.reports = this.#watch(place, child);
    child.on('message', (message) => this.#onMessage(place, message));
    child.on('error', (error) => {
      // Besides a failed fork this is a message to a process that has just died, whose exit is reported anyway.
      if (child.process.pid === undefined) this.#ended(place, notForked(error));
    });
    // The exit may be reported before the last message has been read; the channel's end comes behind that one.
    let ending: Ending | undefined;
    let disconnected = false;
    const bothSeen = () => {
      if (ending !== undefined && disconnected) this.#ended(place, ending);
    };
    child.once('exit', (code: number | null, signal: string | null) => {
      ending = { text: signal ? `ended by signal ${signal}` : `ended with exit code ${code}`, code, signal };
      bothSeen();
    });
    child.once('disconnect', () => {
      disconnected = true;
      bothSeen();
    });
  }

  /** Undefined: the system made no process, of which we are told elsewhere. */
  #watch(place: Place, child: ClusterWorker): BlockedReports | undefined {
    const pipe = pipeOf(child.process);
    if (pipe === undefined) return undefined;
    const who = describe(place);
    const onBlocked = () => {
      // One that is still starting may have much to load, and another would have just as much.
      if (this.#blockedPolicy !== 'replace' || place.state !== 'ready') return;
      this.#logger.warn(`killing worker ${who}, which is blocked`);
      child.process.kill('SIGKILL');
    };
    return new BlockedReports(pipe, { who, logger: this.#logger, onBlocked });
  }

  #onMessage(place: Place, received: unknown): void {
    const message = fromChild(received);
    if (message?.gatewayworker === 'ready') {
      place.state = 'ready';
      place.wasReady = true;
      place.readyAt = performance.now();
      this.#logger.debug(`worker ${describe(place)} is ready`);
      this.#changed();
    } else if (message?.gatewayworker === 'failed') {
      place.failure = message;
    } else if (message?.gatewayworker === 'answer') {
      this.#asked.get(message.number)?.(message);
    }
  }

  #ended(place: Place, ending: Ending): void {
    const who = describe(place);
    const status = ending.signal ?? (ending.code === null ? 'no process' : String(ending.code));
    place.exits.set(status, (place.exits.get(status) ?? 0) + 1);
    place.child = undefined;
    place.reports?.close();
    place.reports = undefined;
    place.state = 'ended';
    this.#changed();
    if (this.#stop !== undefined) return;
    if (place.readyAt === undefined && ending.signal !== null && isStopSignal(ending.signal)) {
      place.timer = setTimeout(() => this.#replace(place, who, ending), OWN_SIGNAL_WITHIN);
    } else {
      this.#replace(place, who, ending);
    }
  }

  #replace(place: Place, who: string, ending: Ending): void {
    if (!place.wasReady) {
      this.#failure ??= startFailure(place, who, ending);
      this.#changed();
      return;
    }
    const { delay, shortLives } = restartAfter(place.shortLives, place.readyAt, performance.now());
    place.shortLives = shortLives;
    place.restarts += 1;
    place.state = 'waiting';
    place.timer = setTimeout(() => this.#fork(place), delay);
    const what = place.failure === undefined ? ending.text : `could not start: ${place.failure.message}`;
    const when = delay === 0 ? 'at once' : `in ${delay / 1000} s`;
    const level = ending.code === 0 ? 'info' : 'warn';
    this.#logger[level](`worker ${who} ${what}; starting it again ${when}`);
    if (place.failure !== undefined) this.#logger.debug(place.failure.stack);
  }

  async #stopInOrder(): Promise<void> {
    const begun = performance.now();
    for (const place of this.#places) {
      clearTimeout(place.timer);
      if (place.child === undefined) place.state = 'ended';
    }
    for (const { phase, until } of stopPlan(this.#workers, this.#stopTimeout)) {
      // With those that an earlier phase has left over: they have until the end.
      const places = this.#places.filter((place) => place.worker.stopPhase <= phase);
      for (const place of places) {
        if (place.worker.stopPhase === phase) tellToStop(place);
      }
      await this.#until(() => places.every(hasEnded), begun + until - performance.now());
    }
    const left = this.#places.filter((place) => !hasEnded(place));
    if (left.length === 0) return;
    for (const place of left) {
      this.#logger.warn(`worker ${describe(place)} did not stop within ${this.#stopTimeout / 1000} s; killing it`);
    }
    this.kill();
    await this.#until(() => this.#places.every(hasEnded), BURIAL);
  }

  /** Resolves when the condition holds, or after so many milliseconds. Asked again whenever a place has changed. */
  #until(condition: () => boolean, milliseconds?: number): Promise<void> {
    if (condition()) return Promise.resolve();
    return new Promise((resolve) => {
      let timer: NodeJS.Timeout | undefined;
      const done = () => {
        clearTimeout(timer);
        this.#waiters.delete(waiter);
        resolve();
      };
      const waiter: Waiter = { condition, done };
      this.#waiters.add(waiter);
      if (milliseconds !== undefined) timer = setTimeout(done, Math.max(0, milliseconds));
    });
  }

  #changed(): void {
    for (const waiter of this.#waiters) {
      if (waiter.condition()) waiter.done();
    }
  }
}

function emptyPlace(worker: BaseWorker, index: number, id: number): Place {
  return {
    worker,
    index,
    id,
    state: 'starting',
    child: undefined,
    reports: undefined,
    readyAt: undefined,
    wasReady: false,
    failure: undefined,
    shortLives: 0,
    restarts: 0,
    timer: undefined,
    exits: new Map(),
  };
}

function startFailure(place: Place, who: string, ending: Ending): StartError {
  const { worker, id, failure } = place;
  if (failure !== undefined) {
    return new StartError('GW_START_WORKER_FAILED', `${worker.name}:${id} could not start: ${failure.message}`, {
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

/** By worker, in the order they were first seen. */
function exitCounts(places: readonly Place[]): readonly ExitCount[] {
  const counts = new Map<string, ExitCount>();
  for (const { worker, exits } of places) {
    for (const [status, count] of exits) {
      const key = `${worker.name} ${status}`;
      counts.set(key, { worker: worker.name, status, count: count + (counts.get(key)?.count ?? 0) });
    }
  }
  return [...counts.values()];
}

function describe({ worker, id, child }: Place): string {
  const pid = child?.process.pid;
  return pid === undefined ? `${worker.name}:${id}` : `${worker.name}:${id} (pid ${pid})`;
}

function tellToStop({ child, state }: Place): void {
  if (state === 'ready') child?.send(stopMessage(false), ignore);
  // One that still loads its modules could not read a message in time; the signal ends it, or finds its handler.
  else child?.process.kill('SIGTERM');
}

function hasEnded(place: Place): boolean {
  return place.state === 'ended';
}

function isStopSignal(signal: string): boolean {
  return (STOP_SIGNALS as readonly string[]).includes(signal);
}

function notForked(error: unknown): Ending {
  return { text: `could not be made a process: ${messageOf(error)}`, code: null, signal: null };
}

function ignore(): void {}
