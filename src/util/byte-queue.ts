import { Buffer } from 'node:buffer';

const MIN_BYTES = 512;
const EMPTY = Buffer.alloc(0);

/**
 * A buffer for bytes whose sum was announced grows by this. Doubling copies a message of 1 MB that comes in 64 KiB pieces
 * twice over; what is not written of a new buffer is no memory yet.
 */
export const ANNOUNCED_GROWTH = 8;

/**
 * Bytes that came in and are not used up yet, always in one piece.
 *
 * Appending costs amortized O(n) however small the pieces (the buffer doubles); consuming is O(1). Memory is held only
 * while bytes are: an emptied queue lets its buffer go.
 */
export class ByteQueue {
  #buffer: Buffer = EMPTY;
  #start = 0;
  #end = 0;

  get length(): number {
    return this.#end - this.#start;
  }

  /** The buffer the bytes stand in, from `start` to `end`. Valid until the next append or consume. */
  get buffer(): Buffer {
    return this.#buffer;
  }

  get start(): number {
    return this.#start;
  }

  get end(): number {
    return this.#end;
  }

  /** @param announced how many bytes the queue will hold in all, as far as that is known: with them the buffer is made to fit */
  append(bytes: Buffer, from = 0, to = bytes.length, announced = 0): void {
    const added = to - from;
    if (added === 0) return;
    if (this.#end + added > this.#buffer.length) this.#makeRoom(added, announced);
    bytes.copy(this.#buffer, this.#end, from, to);
    this.#end += added;
  }

  /** Drops the first `bytes`. */
  consume(bytes: number): void {
    this.#start += bytes;
    if (this.#start >= this.#end) this.clear();
  }

  clear(): void {
    this.#buffer = EMPTY;
    this.#start = 0;
    this.#end = 0;
  }

  #makeRoom(added: number, announced: number): void {
    const length = this.length;
    const needed = length + added;
    const size = announced > needed ? Math.min(needed * ANNOUNCED_GROWTH, announced) : Math.max(MIN_BYTES, needed * 2);
    // Moving down inside the buffer is enough while at least half of it is free.
    const target = needed <= this.#buffer.length / 2 ? this.#buffer : Buffer.allocUnsafeSlow(size);
    this.#buffer.copy(target, 0, this.#start, this.#end);
    this.#buffer = target;
    this.#start = 0;
    this.#end = length;
  }
}
