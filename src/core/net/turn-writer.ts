import { Buffer } from 'node:buffer';
import { Arena } from '../../util/mod.js';
import type { Codec } from '../protocols/mod.js';

/**
 * The coalescing writer: what is sent to a socket during one turn of the event loop leaves in one write.
 *
 * Frames are built in one arena for the whole process. A socket's pending bytes are a FrameRun: ranges of the arena, one
 * after the other. Frames that follow each other in the arena are one range, so an echo of ten messages to one client is
 * a single range and is written without another copy.
 *
 * A broadcast is framed once and its range is shared. Runs are shared too: sockets that were sent the same frames in the
 * same order during a turn hold the very same FrameRun object, which joins its bytes once for all of them.
 *
 *   frame A ── run {A} ── next ── run {A, B}      500 sockets, each pointing at run {A, B}: one joined buffer
 *
 * Measured on two cores with 64-byte messages (DESIGN 5): one write per message costs 2.6 µs a delivery; collecting a
 * turn's frames takes it to about 0.3 µs under load.
 */

/** A frame many sockets are sent. It stands in the arena and is good for the present turn only. */
export class SharedFrame {
  readonly buffer: Buffer;
  readonly start: number;
  readonly end: number;
  /** The run of sockets for which this frame is the first of the turn. */
  alone: FrameRun | null = null;
  /** What it is for the receivers of codecs that were agreed on, made when the first is sent it; null: the same for all. */
  readonly variants: Map<Codec, SharedFrame> | null;

  constructor(buffer: Buffer, start: number, end: number, variants: Map<Codec, SharedFrame> | null = null) {
    this.buffer = buffer;
    this.start = start;
    this.end = end;
    this.variants = variants;
  }
}

/** What one or more sockets have been sent during this turn. */
export class FrameRun {
  readonly before: FrameRun | null;
  readonly shared: SharedFrame | null;
  readonly buffer: Buffer;
  readonly start: number;
  end: number;
  /** Bytes of this run, all that came before included. */
  length: number;
  /** The run of sockets that were sent the same and then one more shared frame. */
  next: FrameRun | null = null;
  #joined: Buffer | null = null;
  #copy: Buffer | null = null;

  constructor(before: FrameRun | null, shared: SharedFrame | null, buffer: Buffer, start: number, end: number) {
    this.before = before;
    this.shared = shared;
    this.buffer = buffer;
    this.start = start;
    this.end = end;
    this.length = end - start + (before === null ? 0 : before.length);
  }

  /** All bytes of the run in one piece; made once, however many sockets write it. */
  bytes(arena: Arena): Buffer {
    this.#joined ??= this.before === null ? this.buffer.subarray(this.start, this.end) : this.#join(arena);
    return this.#joined;
  }

  /**
   * The same bytes in memory of their own, made once too. For a socket that is behind already: a piece of a slab would keep
   * the whole slab, and one peer that does not read would keep one for each turn.
   */
  copy(arena: Arena): Buffer {
    this.#copy ??= Buffer.from(this.bytes(arena));
    return this.#copy;
  }

  #join(arena: Arena): Buffer {
    arena.reserve(this.length);
    const target = arena.buffer;
    const start = arena.offset;
    let end = start + this.length;
    arena.offset = end;
    const joined = target.subarray(start, end);
    for (let run: FrameRun | null = this; run !== null; run = run.before) {
      end -= run.end - run.start;
      run.buffer.copy(target, end, run.start, run.end);
    }
    return joined;
  }
}

/** The run a socket holds after its own bytes buffer[start…end) were added to what it held. */
export function appendOwn(run: FrameRun | null, buffer: Buffer, start: number, end: number): FrameRun {
  if (run !== null && run.shared === null && run.end === start && run.buffer === buffer) {
    run.length += end - start;
    run.end = end;
    return run;
  }
  return new FrameRun(run, null, buffer, start, end);
}

/** The run a socket holds after a shared frame was added to what it held. */
export function appendShared(run: FrameRun | null, frame: SharedFrame): FrameRun {
  if (run === null) {
    frame.alone ??= new FrameRun(null, frame, frame.buffer, frame.start, frame.end);
    return frame.alone;
  }
  if (run.next?.shared !== frame) run.next = new FrameRun(run, frame, frame.buffer, frame.start, frame.end);
  return run.next as FrameRun;
}

/** A socket with something to write at the end of the turn. */
export interface TurnFlushed {
  /**
   * Writes what is pending, if anything is; returns true when the bytes are still needed afterwards (the kernel did not take
   * all).
   */
  flushTurn(): boolean;
}

/**
 * So long a turn writes what only broadcasts have brought, in milliseconds, before the loop goes on. A write costs some
 * 3 µs: a broadcast to 50,000 in one go would hold up everybody else for 150 ms.
 */
const BULK_SLICE_MS = 2;
/** Where turns are long for other reasons it is this share of the turn, or broadcasts would fall behind without end. */
const BULK_SHARE = 0.25;
/** Sockets between two looks at the clock. */
const BULK_STEP = 64;

/**
 * Collects the sockets that have something to write and flushes them once per turn of the loop.
 *
 * Sockets that were sent shared frames and nothing else come behind the others, and a great many of them over several
 * turns. One that is sent something of its own meanwhile is written at the end of that turn, all it has in order.
 */
export class TurnWriter {
  /** Where frames are built. Ranges of it are good until they are flushed, unless a flush says it still needs them. */
  readonly arena = new Arena();
  readonly #sliceMs: number;
  #dirty: TurnFlushed[] = [];
  #flushing: TurnFlushed[] = [];
  /** Those with shared frames only, and how many of them were flushed. */
  #bulk: TurnFlushed[] = [];
  #bulkDone = 0;
  /** When the last turn stopped writing them, in milliseconds; 0: it was done with all. */
  #sliceEnd = 0;
  #scheduled = false;
  #retained = false;

  constructor(sliceMs = BULK_SLICE_MS) {
    this.#sliceMs = sliceMs;
  }

  /** Has `target.flushTurn()` called at the end of this turn; to be called once per turn and target. */
  schedule(target: TurnFlushed): void {
    this.#dirty.push(target);
    this.#endThisTurn();
  }

  /** Has `target.flushTurn()` called soon: at the end of this turn, or of a later one when there are very many. */
  scheduleBulk(target: TurnFlushed): void {
    this.#bulk.push(target);
    this.#endThisTurn();
  }

  /** Places taken by those of `scheduleBulk`. */
  get bulkLength(): number {
    return this.#bulk.length;
  }

  /** To be called by a socket that wrote before the end of the turn and whose bytes the kernel did not all take. */
  retain(): void {
    this.#retained = true;
  }

  /** Writes everything now; for a process that is about to exit or to leave somebody. */
  flush(): void {
    this.#flushDirty();
    this.#flushBulk(Number.POSITIVE_INFINITY);
    this.#releaseArena();
  }

  /** @internal Runs at the end of the turn. */
  endTurn(): void {
    this.#scheduled = false;
    this.#flushDirty();
    this.#flushBulk(this.#slice());
    if (this.#bulk.length > 0) {
      this.#sliceEnd = performance.now();
      this.#endThisTurn();
    } else {
      this.#sliceEnd = 0;
    }
    this.#releaseArena();
  }

  #endThisTurn(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    // The check phase comes when every socket that was readable in this turn has been read: later than a microtask,
    // which runs after each socket's read and would write once per read.
    setImmediate(endTurn, this);
  }

  #slice(): number {
    if (this.#sliceEnd === 0) return this.#sliceMs;
    return Math.max(this.#sliceMs, (performance.now() - this.#sliceEnd) * BULK_SHARE);
  }

  #flushDirty(): void {
    const flushing = this.#dirty;
    this.#dirty = this.#flushing;
    this.#flushing = flushing;
    for (const target of flushing) this.#retained = target.flushTurn() || this.#retained;
    flushing.length = 0;
  }

  #flushBulk(sliceMs: number): void {
    const bulk = this.#bulk;
    if (bulk.length === 0) return;
    const until = bulk.length > BULK_STEP ? performance.now() + sliceMs : 0;
    while (this.#bulkDone < bulk.length) {
      const step = this.#bulkDone + BULK_STEP;
      // A handler that is told of a drain may flush, and have done all of this when it returns.
      while (this.#bulkDone < step && this.#bulkDone < bulk.length) {
        const target = bulk[this.#bulkDone++] as TurnFlushed;
        this.#retained = target.flushTurn() || this.#retained;
      }
      if (this.#bulkDone < bulk.length && performance.now() >= until) break;
    }
    // Broadcasts may come as fast as they are written: the end is never reached then, and what is done must go all the same.
    if (this.#bulkDone * 2 >= bulk.length) {
      bulk.splice(0, this.#bulkDone);
      this.#bulkDone = 0;
    }
  }

  /**
   * A write the kernel took whole has left no reader of the arena: the same, cache-warm memory serves the next turn.
   * A handler that was told of a drain may have sent already: then the turn goes on.
   */
  #releaseArena(): void {
    if (this.#dirty.length > 0 || this.#bulk.length > 0) return;
    if (this.#retained) this.arena.abandon();
    else this.arena.rewind();
    this.#retained = false;
  }
}

/** The writer of this process. */
export const turnWriter = new TurnWriter();

function endTurn(writer: TurnWriter): void {
  writer.endTurn();
}
