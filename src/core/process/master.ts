import type { Worker as ClusterWorker } from 'node:cluster';
import cluster from 'node:cluster';
import process from 'node:process';
import type { Logger } from '../../util/mod.js';
import { messageOf, nearest } from '../../util/mod.js';
import { checkAddresses } from './addresses.js';
import { BACKOFF, isCrashLoop, restartAfter } from './backoff.js';
import type { BaseWorker, StopPhase } from './base-worker.js';
import { BlockedReports } from './blocked-reports.js';
import { callBack, type ServiceCallbacks } from './callbacks.js';
import type { Engine, ProcessState, ReloadOptions, ReloadResult } from './engine.js';
import { ReloadError, StartError } from './errors.js';
import type { LogKeeper } from './log-keeper.js';
import type { AnswerMessage, Answers, AskMessage, Question } from './messages.js';
import { fromChild, RELOAD, SLOT_VARIABLE, stopMessage } from './messages.js';
import {
  describe,
  type Ending,
  emptyPlace,
  exitCounts,
  nameOf,
  type Place,
  reloadFailure,
  startFailure,
  type WorkerProcess,
} from './place.js';
import { settledWithin } from './settled-within.js';
import { STOP_SIGNALS } from './signals.js';
import type { ConnectionRow, ProcessFigures, ServiceStatus } from './status.js';
import { stopPlan } from './stop-plan.js';
import { Turns } from './turns.js';
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

/** Times in milliseconds. */
export interface MasterOptions {
  readonly logger: Logger;
  readonly stopTimeout: number;
  /** null: there is no log file. */
  readonly logKeeper: LogKeeper | null;
  /** A process that leaves while others go on, and a stop that is graceful. */
  readonly gracefulTimeout: number;
  /** A process that is to replace another. */
  readonly startTimeout: number;
  readonly callbacks: ServiceCallbacks;
  /** What becomes of a process whose event loop stands still. */
  readonly blockedPolicy: 'report' | 'replace';
}

interface Waiter {
  readonly condition: () => boolean;
  readonly done: () => void;
}

/** A process, or the place of one that is not there at the moment. */
interface Row {
  readonly place: Place;
  readonly process: WorkerProcess | undefined;
}

/**
 * Keeps `count` processes alive for each worker. Runs no user code but the service's callbacks, and reads no byte of any
 * client.
 *
 * Each process runs the entry script again and is told by its environment which worker it is.
 */
export class Master implements Engine {
  readonly #workers: readonly BaseWorker[];
  readonly #options: MasterOptions;
  readonly #logger: Logger;
  readonly #places: readonly Place[];
  /** Processes whose place is somebody else's. */
  readonly #leaving = new Set<WorkerProcess>();
  readonly #waiters = new Set<Waiter>();
  readonly #reloads = new Turns<ReloadResult>();
  readonly #startedAt = Date.now();
  /** Takes the parts of an answer, by the number of the question. */
  readonly #asked = new Map<number, (message: AnswerMessage) => void>();
  #questions = 0;
  #failure: StartError | undefined;
  #started = false;
  #stop: Promise<void> | undefined;
  #stopping = false;
  /** Connections are not left to end by themselves any longer. */
  #hurry = false;
  /** Processes of these phases are told to stop, and are not started again. */
  #stopsUpTo = -1;

  /**
   * @param made all that the entry script makes, in its order
   * @param workers those of them that are to run
   */
  constructor(made: readonly BaseWorker[], workers: readonly BaseWorker[], options: MasterOptions) {
    this.#workers = workers;
    this.#options = options;
    this.#logger = options.logger;
    this.#places = workers.flatMap((worker) =>
      Array.from({ length: worker.count }, (_, id) => emptyPlace(worker, made.indexOf(worker), id)),
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
    // to the process for each connection, and half of the connects a second: where no port is shared there is none.
    const shared = this.#workers.some((worker) => worker.count > 1 && worker.plannedListens().length > 0);
    cluster.schedulingPolicy = shared ? cluster.SCHED_RR : cluster.SCHED_NONE;
    cluster.setupPrimary({ exec: entry, args: process.argv.slice(2), stdio: [...CHILD_STDIO] });
    for (const place of this.#places) {
      if (!this.#stopping) place.process = this.#fork(place);
    }
    await this.#until(
      () => this.#failure !== undefined || this.#stopping || this.#places.every((place) => place.wasReady),
    );
    if (this.#failure !== undefined) {
      await this.stop();
      throw this.#failure;
    }
    if (this.#stopping) return new Promise<never>(() => {});
    this.#started = true;
  }

  stop(graceful = false): Promise<void> {
    // To what has not started yet nobody is connected.
    if (!graceful || !this.#started) this.#hurry = true;
    this.#stop ??= this.#stopInOrder();
    this.#changed();
    return this.#stop;
  }

  async reload(options: ReloadOptions = {}): Promise<ReloadResult> {
    // A program that puts logs aside (logrotate) asks for a reload afterwards; kept processes are to notice as well.
    this.#options.logKeeper?.reopen();
    const { graceful = false, workers = null } = options;
    if (!this.#started) throw new ReloadError('GW_RELOAD_IMPOSSIBLE', 'the service has not started yet');
    const names = this.#workers.map(({ name }) => name);
    for (const name of workers ?? []) if (!names.includes(name)) throw unknownWorker(name, names);
    const key = JSON.stringify([graceful, workers === null ? null : [...workers].sort()]);
    return this.#reloads.take(key, async () => {
      try {
        return await this.#reload(graceful, workers);
      } catch (error) {
        this.#logger[this.#stopping ? 'info' : 'error'](`the reload has ended: ${messageOf(error)}`);
        throw error;
      }
    });
  }

  kill(): void {
    for (const { child } of this.#living()) child?.process.kill('SIGKILL');
  }

  processes(): readonly ProcessState[] {
    return this.#rows().map((row) => this.#stateOf(row));
  }

  async status(): Promise<ServiceStatus> {
    const rows = this.#rows();
    const figures = await Promise.all(rows.map(({ process }) => this.#figures(process)));
    return {
      mode: 'many',
      pid: process.pid,
      startedAt: this.#startedAt,
      processes: rows.map((row, index) => ({
        ...this.#stateOf(row),
        listens: row.place.worker.plannedListens().map(({ address }) => address),
        figures: figures[index] ?? null,
        // One that has answered goes on, whatever is still to be read of it.
        blocked: figures[index] == null ? (row.process?.reports?.blocked ?? null) : null,
      })),
      exits: exitCounts(this.#places),
    };
  }

  async *connections(): AsyncIterable<readonly ConnectionRow[]> {
    // One process at a time: their answers are long, and whoever reads them may be slow.
    for (const { process } of this.#rows()) yield* this.#ask(process, 'connections');
  }

  /** By worker and id; those that are to take a place over, and those that leave, stand behind whose it is. */
  #rows(): readonly Row[] {
    return this.#places.flatMap((place) => {
      const leaving = [...this.#leaving].filter((process) => process.place === place);
      const present = [place.process, place.successor].filter((process) => process !== undefined);
      return [...(present.length > 0 ? present : [undefined]), ...leaving].map((process) => ({ place, process }));
    });
  }

  #stateOf({ place, process }: Row): ProcessState {
    const { worker, id, restarts, shortLives, lastEnd } = place;
    return {
      worker: worker.name,
      id,
      pid: process?.child?.process.pid,
      state: process?.state ?? (this.#stops(place) ? 'ended' : 'waiting'),
      restarts,
      crashLoop:
        process === place.process && isCrashLoop(shortLives, process?.readyAt, performance.now()) ? lastEnd : null,
    };
  }

  #living(): readonly WorkerProcess[] {
    return this.#rows().flatMap(({ process }) => process ?? []);
  }

  async #figures(process: WorkerProcess | undefined): Promise<ProcessFigures | null> {
    for await (const figures of this.#ask(process, 'figures')) return figures;
    return null;
  }

  /** The parts of an answer, as they come; none when the process does not answer in time. */
  async *#ask<Asked extends Question>(
    process: WorkerProcess | undefined,
    question: Asked,
  ): AsyncIterable<Answers[Asked]> {
    if (process?.child === undefined || process.readyAt === undefined) return;
    const number = ++this.#questions;
    const parts: AnswerMessage[] = [];
    this.#asked.set(number, (part) => {
      parts.push(part);
      this.#changed();
    });
    try {
      process.child.send({ gatewayworker: 'ask', question, number } satisfies AskMessage, ignore);
      for (let more = true; more; ) {
        await this.#until(() => parts.length > 0 || process.state === 'ended', ANSWER_WITHIN);
        const part = parts.shift();
        if (part === undefined) return;
        yield part.answer as Answers[Asked];
        more = part.more;
      }
    } finally {
      this.#asked.delete(number);
    }
  }

  // ---- a process comes, and goes ----

  #fork(place: Place): WorkerProcess {
    const fresh: WorkerProcess = {
      place,
      child: undefined,
      reports: undefined,
      state: 'starting',
      readyAt: undefined,
      failure: undefined,
      ending: undefined,
      asked: false,
    };
    let child: ClusterWorker;
    try {
      const slot = `${place.index}:${place.id}:${place.generation}:${place.worker.name}`;
      child = cluster.fork({ [SLOT_VARIABLE]: slot });
    } catch (error) {
      setImmediate(() => this.#ended(fresh, notForked(error)));
      return fresh;
    }
    fresh.child = child;
    fresh.reports = this.#watch(fresh, child);
    this.#options.logKeeper?.add(child);
    child.on('message', (message) => this.#onMessage(fresh, message));
    child.on('error', (error) => {
      // Besides a failed fork this is a message to a process that has just died, whose exit is reported anyway.
      if (child.process.pid === undefined) this.#ended(fresh, notForked(error));
    });
    // The exit may be reported before the last message has been read; the channel's end comes behind that one.
    let ending: Ending | undefined;
    let disconnected = false;
    const bothSeen = () => {
      if (ending !== undefined && disconnected) this.#ended(fresh, ending);
    };
    child.once('exit', (code: number | null, signal: string | null) => {
      ending = { text: signal ? `ended by signal ${signal}` : `ended with exit code ${code}`, code, signal };
      bothSeen();
    });
    child.once('disconnect', () => {
      disconnected = true;
      bothSeen();
    });
    return fresh;
  }

  /** Undefined: the system made no process, of which we are told elsewhere. */
  #watch(process: WorkerProcess, child: ClusterWorker): BlockedReports | undefined {
    const pipe = pipeOf(child.process);
    if (pipe === undefined) return undefined;
    const who = describe(process);
    const onBlocked = () => {
      // One that is still starting may have much to load, and another would have just as much.
      if (this.#options.blockedPolicy !== 'replace' || process.state !== 'ready') return;
      this.#logger.warn(`killing worker ${who}, which is blocked`);
      child.process.kill('SIGKILL');
    };
    return new BlockedReports(pipe, { who, logger: this.#logger, onBlocked });
  }

  #onMessage(from: WorkerProcess, received: unknown): void {
    const message = fromChild(received);
    if (message?.gatewayworker === 'ready') this.#onReady(from);
    else if (message?.gatewayworker === 'failed') from.failure = message;
    else if (message?.gatewayworker === 'leave') this.#onLeave(from);
    else if (message?.gatewayworker === 'answer') this.#asked.get(message.number)?.(message);
  }

  #onReady(fresh: WorkerProcess): void {
    if (fresh.state !== 'starting') return;
    const { place } = fresh;
    fresh.state = 'ready';
    fresh.readyAt = performance.now();
    place.wasReady = true;
    this.#logger.debug(`worker ${describe(fresh)} is ready`);
    if (place.successor === fresh) {
      const old = place.process;
      if (old !== undefined) this.#retire(old);
      place.successor = undefined;
      place.process = fresh;
      place.shortLives = 0;
      this.#logger.info(`worker ${describe(fresh)} takes over${old === undefined ? '' : ` from pid ${pidOf(old)}`}`);
    }
    this.#changed();
  }

  #ended(gone: WorkerProcess, ending: Ending): void {
    const { place } = gone;
    const who = describe(gone);
    const { code, signal } = ending;
    const status = signal ?? (code === null ? 'no process' : String(code));
    place.exits.set(status, (place.exits.get(status) ?? 0) + 1);
    const { onWorkerExit } = this.#options.callbacks;
    const exit = { id: place.id, pid: pidOf(gone), code, signal };
    void callBack(this.#logger, 'onWorkerExit', onWorkerExit, place.worker, exit);
    gone.child = undefined;
    gone.reports?.close();
    gone.reports = undefined;
    gone.state = 'ended';
    gone.ending = ending;
    if (this.#leaving.delete(gone)) {
      this.#logger[code === 0 || this.#stopping ? 'debug' : 'warn'](`worker ${who}, which was leaving, ${ending.text}`);
    }
    if (place.successor === gone) place.successor = undefined;
    if (place.process === gone) {
      place.process = undefined;
      // Who is to take over comes anyway.
      if (!this.#stops(place) && place.successor === undefined) {
        const replace = () => this.#replace(gone, who, ending);
        const mayBeOurs = gone.readyAt === undefined && signal !== null && isStopSignal(signal);
        if (mayBeOurs) place.timer = setTimeout(replace, OWN_SIGNAL_WITHIN);
        else replace();
      }
    }
    this.#changed();
  }

  #replace(gone: WorkerProcess, who: string, ending: Ending): void {
    const { place, failure } = gone;
    if (!place.wasReady) {
      this.#failure ??= startFailure(gone, who, ending);
      this.#changed();
      return;
    }
    const what = failure === undefined ? ending.text : `could not start: ${failure.message}`;
    const delay = this.#startAgain(place, gone.readyAt, what);
    const when = delay === 0 ? 'at once' : `in ${delay / 1000} s`;
    const level = ending.code === 0 ? 'info' : 'warn';
    this.#logger[level](`worker ${who} ${what}; starting it again ${when}`);
    if (failure !== undefined) this.#logger.debug(failure.stack);
  }

  /** @returns when, in milliseconds */
  #startAgain(place: Place, readyAt: number | undefined, lastEnd: string): number {
    const { delay, shortLives } = restartAfter(place.shortLives, readyAt, performance.now());
    place.shortLives = shortLives;
    place.lastEnd = lastEnd;
    place.restarts += 1;
    place.timer = setTimeout(() => {
      place.process = this.#fork(place);
    }, delay);
    if (shortLives === BACKOFF.loop) {
      this.#logger.error(
        `crash loop: worker ${nameOf(place)} has ended shortly after its start ${shortLives} times in a row; the last one ${lastEnd}`,
      );
    }
    return delay;
  }

  // ---- reload ----

  async #reload(graceful: boolean, names: readonly string[] | null): Promise<ReloadResult> {
    this.#refuseWhenStopping();
    this.#logger.info(`reloading${graceful ? ' gracefully' : ''}${names === null ? '' : `: ${names.join(', ')}`}`);
    const { callbacks, startTimeout } = this.#options;
    await settledWithin(callBack(this.#logger, 'onMasterReload', callbacks.onMasterReload), startTimeout);
    this.#refuseWhenStopping();
    const chosen = ({ worker }: Place) => (names === null ? worker.reloadable : names.includes(worker.name));
    let kept = 0;
    for (const place of names === null ? this.#places : []) {
      if (chosen(place) || place.process?.state !== 'ready') continue;
      place.process.child?.send(RELOAD, ignore);
      kept++;
    }
    let replaced = 0;
    for (const place of this.#places.filter(chosen)) {
      await this.#renew(place, graceful, replaced);
      replaced++;
    }
    this.#logger.info(`reloaded: ${replaced} replaced, ${kept} kept`);
    return { replaced, kept };
  }

  /** A process has asked to be replaced. */
  #onLeave(from: WorkerProcess): void {
    const { place } = from;
    if (from.asked || place.process !== from || this.#stopping) return;
    from.asked = true;
    const who = describe(from);
    this.#logger.info(`worker ${who} asks to be replaced`);
    const renew = async () => {
      this.#refuseWhenStopping();
      // A reload may have come before.
      if (place.process !== from) return { replaced: 0, kept: 0 };
      await this.#renew(place, false, 0);
      return { replaced: 1, kept: 0 };
    };
    this.#reloads.take(`leave ${who}`, renew).catch((error) => {
      from.asked = false;
      if (!this.#stopping) this.#logger.error(messageOf(error));
    });
  }

  /** Puts a new process in this place. @throws ReloadError */
  async #renew(place: Place, graceful: boolean, replaced: number): Promise<void> {
    const { startTimeout } = this.#options;
    // One that is being started anyway has to show first whether there is one to replace.
    await this.#until(() => this.#stopping || place.process?.state !== 'starting', startTimeout);
    this.#refuseWhenStopping();
    const old = place.process;
    if (old !== undefined && !place.worker.overlaps) {
      this.#retire(old);
      await this.#leave(old, graceful);
      this.#refuseWhenStopping();
    }
    clearTimeout(place.timer);
    place.generation++;
    const fresh = this.#fork(place);
    place.successor = fresh;
    await this.#until(() => this.#stopping || fresh.state !== 'starting', startTimeout);
    this.#refuseWhenStopping();
    if (fresh.readyAt === undefined) throw await this.#giveUp(fresh, replaced);
    if (old === undefined || !place.worker.overlaps) return;
    const left = this.#leave(old, graceful);
    if (!graceful) await left;
    this.#refuseWhenStopping();
  }

  /** A new process that did not become ready. */
  async #giveUp(fresh: WorkerProcess, replaced: number): Promise<ReloadError> {
    const { place } = fresh;
    const reason = fresh.ending?.text ?? `was not ready within ${this.#options.startTimeout / 1000} s`;
    fresh.child?.process.kill('SIGKILL');
    await this.#until(() => fresh.state === 'ended', BURIAL);
    place.successor = undefined;
    const error = reloadFailure(fresh, `the new process ${reason}`, replaced);
    if (fresh.failure !== undefined) this.#logger.debug(fresh.failure.stack);
    // The old one had to leave first, or has died meanwhile.
    if (place.process === undefined && !this.#stops(place)) {
      this.#startAgain(place, undefined, `could not start: ${fresh.failure?.message ?? reason}`);
    }
    return error;
  }

  /** Its place is not its own any more. */
  #retire(old: WorkerProcess): void {
    if (old.place.process === old) old.place.process = undefined;
    old.state = 'leaving';
    this.#leaving.add(old);
  }

  /** Tells a retired process to leave; resolves when it has. */
  async #leave(old: WorkerProcess, graceful: boolean): Promise<void> {
    const { gracefulTimeout, stopTimeout } = this.#options;
    const gone = () => old.state === 'ended';
    if (gone()) return;
    old.child?.send(RELOAD, ignore);
    tellToStop(old, graceful);
    await this.#until(gone, gracefulTimeout);
    if (gone()) return;
    const late = `worker ${describe(old)} has not left within ${gracefulTimeout / 1000} s`;
    if (graceful) {
      this.#logger.warn(`${late}; closing its connections`);
      tellToStop(old, false);
      await this.#until(gone, stopTimeout);
      if (gone()) return;
    }
    this.#logger.warn(`${late}; killing it`);
    old.child?.process.kill('SIGKILL');
    await this.#until(gone, BURIAL);
  }

  #refuseWhenStopping(): void {
    if (this.#stopping) throw new ReloadError('GW_RELOAD_STOPPED', 'the service is being stopped');
  }

  // ---- stop ----

  async #stopInOrder(): Promise<void> {
    this.#stopping = true;
    // A reload ends with it.
    for (const { successor } of this.#places) if (successor !== undefined) tellToStop(successor, false);
    if (!this.#hurry) await this.#stopGracefully();
    await this.#stopInTime();
    if (!this.#started) return;
    const { callbacks, stopTimeout } = this.#options;
    await settledWithin(callBack(this.#logger, 'onMasterStop', callbacks.onMasterStop), stopTimeout);
  }

  /** Until all have left, or somebody hurries. */
  async #stopGracefully(): Promise<void> {
    const { gracefulTimeout } = this.#options;
    const begun = performance.now();
    for (const { phase } of stopPlan(this.#workers, 0)) {
      this.#stopPhase(phase, true);
      const done = () => this.#hurry || this.#left(phase).length === 0;
      await this.#until(done, begun + gracefulTimeout - performance.now());
      if (!done()) {
        this.#logger.warn(
          `not all have stopped within ${gracefulTimeout / 1000} s; closing the connections that remain`,
        );
        this.#hurry = true;
      }
      if (this.#hurry) return;
    }
  }

  async #stopInTime(): Promise<void> {
    const { stopTimeout } = this.#options;
    const begun = performance.now();
    this.#stopsUpTo = Number.POSITIVE_INFINITY;
    for (const place of this.#places) clearTimeout(place.timer);
    for (const { phase, until } of stopPlan(this.#workers, stopTimeout)) {
      this.#stopPhase(phase, false);
      // With those that an earlier phase has left over: they have until the end.
      await this.#until(() => this.#left(phase).length === 0, begun + until - performance.now());
    }
    const left = this.#living();
    if (left.length === 0) return;
    for (const process of left) {
      this.#logger.warn(`worker ${describe(process)} did not stop within ${stopTimeout / 1000} s; killing it`);
    }
    this.kill();
    await this.#until(() => this.#living().length === 0, BURIAL);
  }

  #stopPhase(phase: StopPhase, graceful: boolean): void {
    this.#stopsUpTo = Math.max(this.#stopsUpTo, phase);
    for (const place of this.#places) if (place.worker.stopPhase === phase) clearTimeout(place.timer);
    for (const process of this.#living()) {
      if (process.place.worker.stopPhase === phase) tellToStop(process, graceful);
    }
  }

  /** Those of this phase and the ones before that have not ended. */
  #left(phase: StopPhase): readonly WorkerProcess[] {
    return this.#living().filter(({ place }) => place.worker.stopPhase <= phase);
  }

  /** Its processes are not started any more. */
  #stops({ worker }: Place): boolean {
    return worker.stopPhase <= this.#stopsUpTo;
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

function unknownWorker(name: string, names: readonly string[]): ReloadError {
  const meant = nearest(name, names);
  const hint = meant === undefined ? `there are ${names.join(', ')}` : `did you mean '${meant}'?`;
  return new ReloadError('GW_RELOAD_UNKNOWN_WORKER', `there is no worker '${name}'; ${hint}`, { worker: name });
}

function tellToStop(process: WorkerProcess, graceful: boolean): void {
  const { child, readyAt } = process;
  if (readyAt === undefined) {
    // It still loads its modules and could not read a message in time; the signal ends it, or finds its handler.
    child?.process.kill('SIGTERM');
    return;
  }
  process.state = 'leaving';
  child?.send(stopMessage(graceful), ignore);
}

function pidOf({ child }: WorkerProcess): number {
  return child?.process.pid ?? 0;
}

function isStopSignal(signal: string): boolean {
  return (STOP_SIGNALS as readonly string[]).includes(signal);
}

function notForked(error: unknown): Ending {
  return { text: `could not be made a process: ${messageOf(error)}`, code: null, signal: null };
}

function ignore(): void {}
