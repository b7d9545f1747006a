import { Buffer } from 'node:buffer';

/** Large enough that a turn of the loop rarely needs two, small enough to stay in the processor's cache. */
const SLAB_BYTES = 256 * 1024;

/**
 * A large buffer that frames are built in, one behind the other, without a Buffer object for each.
 *
 * A writer calls `reserve(n)`, writes at most n bytes at `buffer[offset…]` and moves `offset` on. `reserve` may replace
 * `buffer`: a range is (buffer, start, end), and who keeps a range keeps its buffer.
 *
 * `rewind()` makes the present slab free again from its beginning; call it only when nobody holds a range of it.
 */
export class Arena {
  buffer: Buffer = Buffer.allocUnsafeSlow(SLAB_BYTES);
  offset = 0;

  /** Makes room for `bytes` more in one piece. */
  reserve(bytes: number): void {
    if (this.offset + bytes > this.buffer.length) {
      this.buffer = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, bytes));
      this.offset = 0;
    }
  }

  rewind(): void {
    // A slab made for one large message is not kept: it would never be filled again.
    if (this.buffer.length > SLAB_BYTES) this.buffer = Buffer.allocUnsafeSlow(SLAB_BYTES);
    this.offset = 0;
  }

  /** Gives the slab up to whoever holds ranges of it; the next write goes to a new one. */
  abandon(): void {
    this.buffer = Buffer.allocUnsafeSlow(SLAB_BYTES);
    this.offset = 0;
  }
}
