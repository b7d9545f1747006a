import { Buffer } from 'node:buffer';
import { ANNOUNCED_GROWTH } from '../../../util/mod.js';
import { Utf8Check } from './utf8-check.js';

const MIN_BYTES = 512;
const EMPTY = Buffer.alloc(0);

/** A message that comes in pieces: fragments, or a frame longer than what one read returns. */
export class MessageAssembly {
  buffer: Buffer = EMPTY;
  length = 0;
  /** Frames begun. */
  fragments = 0;
  readonly #utf8: Utf8Check | null;

  /** @param text its bytes have to be UTF-8 */
  constructor(text: boolean) {
    this.#utf8 = text ? new Utf8Check() : null;
  }

  /**
   * Adds bytes[start…end).
   *
   * @param ascii all of them are ASCII
   * @param expected bytes that complete the message, 0 while that is not known: with them the buffer is made to fit
   * @returns false when a text is no UTF-8
   */
  append(bytes: Buffer, start: number, end: number, ascii: boolean, expected: number): boolean {
    if (this.#utf8 !== null && !(ascii && this.#utf8.complete) && !this.#utf8.push(bytes, start, end)) return false;
    const needed = this.length + end - start;
    if (needed > this.buffer.length) this.#grow(needed, needed + expected);
    bytes.copy(this.buffer, this.length, start, end);
    this.length = needed;
    return true;
  }

  /** Whether the message may end here. */
  get complete(): boolean {
    return this.#utf8 === null || this.#utf8.complete;
  }

  /** Memory follows what has come and not what a header announces. */
  #grow(needed: number, announced: number): void {
    // Fitting is for the last frame alone: done for each of many small fragments, it would copy quadratically.
    const grown = Buffer.allocUnsafeSlow(
      announced > needed ? Math.min(needed * ANNOUNCED_GROWTH, announced) : Math.max(MIN_BYTES, needed * 2),
    );
    this.buffer.copy(grown, 0, 0, this.length);
    this.buffer = grown;
  }
}
