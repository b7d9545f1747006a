import type { Buffer } from 'node:buffer';
import { bufferPool } from './buffer-pool.js';

/** Large enough that a turn of the loop rarely needs two, small enough to stay in the processor's cache. */
const SLAB_BYTES = 256 * 1024;

/** Slabs of one turn that are used again. */
const MAX_BEFORE = 16;

/**
 * A large buffer that frames are built in, one behind the other, without a Buffer object for each.
 *
 * A writer calls `reserve(n)`, writes at most n bytes at `buffer[offset…]` and moves `offset` on. `reserve` may replace
 * `buffer`: a range is (buffer, start, end), and who keeps a range keeps its buffer.
 *
 * `rewind()` makes the slabs free again; call it only when nobody holds a range of them.
 */
export class Arena {
  buffer: Buffer = bufferPool.take(SLAB_BYTES);
  offset = 0;
  /** Slabs that were full, or too small, since the last `rewind`. */
  readonly #before: Buffer[] = [];

  /** Makes room for `bytes` more in one piece. */
  reserve(bytes: number): void {
    if (this.offset + bytes > this.buffer.length) {
      // Where broadcasts overlap without end no rewind comes: then they are garbage once nobody has a range of them.
      if (this.#before.length < MAX_BEFORE) this.#before.push(this.buffer);
      this.buffer = bufferPool.take(Math.max(SLAB_BYTES, bytes));
      this.offset = 0;
    }
  }

  rewind(): void {
    for (const slab of this.#before) bufferPool.give(slab);
    this.#before.length = 0;
    // A slab made for one large message is not kept: it would never be filled again.
    if (this.buffer.length > SLAB_BYTES) {
      bufferPool.give(this.buffer);
      this.buffer = bufferPool.take(SLAB_BYTES);
    }
    this.offset = 0;
  }

  /** Gives the slabs up to whoever holds ranges of them; the next write goes to a new one. */
  abandon(): void {
    this.#before.length = 0;
    this.buffer = bufferPool.take(SLAB_BYTES);
    this.offset = 0;
  }
}
