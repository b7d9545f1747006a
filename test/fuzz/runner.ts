import { Buffer } from 'node:buffer';
import { Script } from 'node:vm';
import { collectGarbage } from '../support/collect-garbage.js';
import { seededRandom } from '../support/recording-sink.js';
import { mutated } from './mutate.js';
import { type Target, within } from './target.js';

/** A case takes microseconds; a machine that others keep busy is granted the rest. Milliseconds. */
const LONGEST_CASE_MS = 20_000;
/** Cases between two looks at the clock and turns of the event loop. */
const BATCH = 50;
/** Cases before the heap is looked at first: by then what is compiled and cached is there. */
const WARM_UP = 2000;
/** Beyond this a target holds on to what it was fed. Bytes. */
const MOST_GROWTH = 24 * 1024 * 1024;

/** A case that broke a promise; what runs it again stands in the message. */
export class FuzzFailure extends Error {
  readonly hex: string;

  constructor(target: Target, seed: number, number: number, bytes: Buffer, cause: unknown) {
    const hex = bytes.toString('hex');
    const again = `npm run fuzz -- --only ${target.name} --seed ${seed} --case ${number}`;
    const reason = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
    super(`${target.name}, seed ${seed}, case ${number}: ${reason}\nagain: ${again}\ninput: ${hex}`, { cause });
    this.name = 'FuzzFailure';
    this.hex = hex;
  }
}

/** What one target has been through. */
export interface Run {
  readonly cases: number;
  readonly seconds: number;
  /** Bytes of heap and buffers after the run beyond those after the warm-up; null: the run was too short to tell. */
  readonly growth: number | null;
  readonly slowest: Slowest;
}

/** The case that took longest. */
export interface Slowest {
  readonly number: number;
  readonly ms: number;
}

/** Until when a target is fed: so many cases, or so long. */
export interface Budget {
  readonly cases?: number;
  readonly seconds?: number;
}

/** The input of a case: the same for the same target, seed and number. */
export function inputOf(target: Target, seed: number, number: number) {
  let hash = (seed ^ Math.imul(number + 1, 0x9e37_79b1)) >>> 0;
  for (let at = 0; at < target.name.length; at++)
    hash = Math.imul(hash ^ target.name.charCodeAt(at), 0x0100_0193) >>> 0;
  const random = seededRandom(hash);
  return { bytes: mutated(target.seeds, random), random };
}

/** Runs one case. @throws FuzzFailure */
export async function runCase(
  target: Target,
  seed: number,
  number: number,
  longestMs = LONGEST_CASE_MS,
): Promise<void> {
  await runCases(target, seed, number, number + 1, longestMs);
}

/** Feeds a target until the budget is used up. @throws FuzzFailure at the first broken promise */
export async function fuzz(
  target: Target,
  seed: number,
  { cases = Infinity, seconds = Infinity }: Budget,
): Promise<Run> {
  const begun = performance.now();
  const due = begun + seconds * 1000;
  let warm: number | null = null;
  let slowest: Slowest = { number: 0, ms: 0 };
  let number = 0;
  try {
    while (number < cases && performance.now() < due) {
      const to = Math.min(number + BATCH, cases);
      const slow = await runCases(target, seed, number, to, LONGEST_CASE_MS);
      number = to;
      if (warm === null && number >= WARM_UP) warm = await heldBytes();
      // What is compiled in the first ones takes its time.
      if (slow.ms > slowest.ms && number > BATCH) slowest = slow;
    }
  } finally {
    await target.end?.();
  }
  const growth = warm === null ? null : (await heldBytes()) - warm;
  if (growth !== null && growth > MOST_GROWTH) {
    throw new Error(`${target.name}, seed ${seed}: ${growth} bytes more are held after ${number} cases`);
  }
  return { cases: number, seconds: (performance.now() - begun) / 1000, growth, slowest };
}

/** What the script below runs: an endless loop in a parser is ended by its time limit. */
const slot = globalThis as { fuzzStep?: () => void };
const step = new Script('fuzzStep()');

async function runCases(target: Target, seed: number, from: number, to: number, longestMs: number): Promise<Slowest> {
  let number = from;
  let bytes: Buffer = Buffer.alloc(0);
  let began = 0;
  let pending: Promise<void> | undefined;
  let slowest: Slowest = { number: from, ms: 0 };
  const done = () => {
    const ms = performance.now() - began;
    if (ms > longestMs) throw new Error(`took ${Math.round(ms)} ms`);
    if (ms > slowest.ms) slowest = { number, ms };
    number++;
  };
  slot.fuzzStep = () => {
    while (number < to) {
      const input = inputOf(target, seed, number);
      bytes = input.bytes;
      began = performance.now();
      pending = target.run(Buffer.from(bytes), input.random) ?? undefined;
      if (pending !== undefined) return;
      done();
    }
  };
  const strays = new Strays();
  try {
    while (number < to) {
      step.runInThisContext({ timeout: longestMs, displayErrors: false });
      if (pending === undefined) break;
      await within('the end of the case', pending, longestMs);
      done();
    }
    await strays.turn();
  } catch (error) {
    throw new FuzzFailure(target, seed, Math.min(number, to - 1), bytes, error);
  } finally {
    strays.end();
  }
  if (strays.first === undefined) return slowest;
  // Nobody knows whose it was: one by one they tell.
  if (to - from > 1) for (let one = from; one < to; one++) await runCases(target, seed, one, one + 1, longestMs);
  throw new FuzzFailure(target, seed, to - 1, bytes, strays.first.error);
}

/** Rejections that nobody handles and exceptions that nobody catches, from when it is made to its end. */
class Strays {
  first: { readonly error: unknown } | undefined;
  readonly #take = (error: unknown) => {
    this.first ??= { error };
  };

  constructor() {
    process.on('unhandledRejection', this.#take);
    process.on('uncaughtException', this.#take);
  }

  /** What is on its way shows within a turn. */
  async turn(): Promise<void> {
    await new Promise(setImmediate);
  }

  end(): void {
    process.off('unhandledRejection', this.#take);
    process.off('uncaughtException', this.#take);
  }
}

async function heldBytes(): Promise<number> {
  await new Promise(setImmediate);
  collectGarbage();
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
