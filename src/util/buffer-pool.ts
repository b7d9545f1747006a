import { Buffer } from 'node:buffer';

/** What is kept for later in all. */
const KEPT_BYTES = 16 * 1024 * 1024;

/**
 * Large buffers that are used again. A fresh one costs a page fault for every 4 KiB that is written to it, and counts towards
 * the memory for which the collector is called: measured with echoes of 16 KiB, half of their time was spent on that.
 *
 * Sizes are powers of two, at least 64 KiB. What nobody gives back is garbage like any other.
 */
export class BufferPool {
  readonly #spare = new Map<number, Buffer[]>();
  readonly #limit: number;
  #bytes = 0;

  /** @param limit bytes that are kept at most */
  constructor(limit = KEPT_BYTES) {
    this.#limit = limit;
  }

  /** Bytes that are kept. */
  get bytes(): number {
    return this.#bytes;
  }

  /** A buffer of at least so many bytes, with anything in it. */
  take(bytes: number): Buffer {
    const size = sizeFor(bytes);
    const found = this.#spare.get(size)?.pop();
    if (found === undefined) return Buffer.allocUnsafeSlow(size);
    this.#bytes -= size;
    return found;
  }

  /** One that was taken, and that nobody has any range of. */
  give(buffer: Buffer): void {
    const size = buffer.length;
    if (this.#bytes + size > this.#limit) return;
    this.#bytes += size;
    const spare = this.#spare.get(size);
    if (spare === undefined) this.#spare.set(size, [buffer]);
    else spare.push(buffer);
  }
}

/** That of the process. */
export const bufferPool = new BufferPool();

const SMALLEST = 64 * 1024;

function sizeFor(bytes: number): number {
  return bytes <= SMALLEST ? SMALLEST : 2 ** Math.ceil(Math.log2(bytes));
}
