import { Buffer } from 'node:buffer';

const MIN_BYTES = 512;
const EMPTY = Buffer.alloc(0);

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

  append(bytes: Buffer, from = 0, to = bytes.length): void {
    const added = to - from;
    if (added === 0) return;
    if (this.#end + added > this.#buffer.length) this.#makeRoom(added);
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

  #makeRoom(added: number): void {
    const length = this.length;
    const needed = length + added;
    // Moving down inside the buffer is enough while at least half of it is free; otherwise double.
    const target =
      needed <= this.#buffer.length / 2 ? this.#buffer : Buffer.allocUnsafeSlow(Math.max(MIN_BYTES, needed * 2));
    this.#buffer.copy(target, 0, this.#start, this.#end);
    this.#buffer = target;
    this.#start = 0;
    this.#end = length;
  }
}
