import type { Buffer } from 'node:buffer';
import { type Arena, type ByteQueue, copyBytes } from '../../util/mod.js';
import type { Codec, CodecLimits, ReaderSink } from './codec.js';
import { packageTooLarge } from './errors.js';
import { HoldingReader } from './holding-reader.js';
import { append, bufferOrString, capacityOf, requireTextOrBytes } from './values.js';

const LF = 0x0a;
const CR = 0x0d;
/** Most lines are short: a loop finds their end before a call into the runtime has come back (bench/micro/hot-path.ts). */
const NEAR_BYTES = 160;

/**
 * Lines: a message ends with `\n`. All CRs and LFs at its end are stripped when it comes in, one `\n` is added when it
 * goes out. Text is UTF-8, not validated.
 */
export const textCodec: Codec = {
  name: 'text',
  open: (limits) => new TextReader(limits),
  encode: encodeLine,
  encodeRange: encodeLineOf,
  decode: bufferOrString,
};

class TextReader extends HoldingReader {
  readonly #limit: number;
  /** Bytes at the beginning of the unfinished line that hold no newline, so that a slow peer's line is searched once. */
  #scanned = 0;

  constructor(limits: CodecLimits) {
    super();
    this.#limit = limits.maxPackageSize;
  }

  protected override parse(buffer: Buffer, start: number, end: number, sink: ReaderSink): number {
    let at = start;
    while (this.reading && at < end) {
      const newline = indexOfLf(buffer, at + this.#scanned, end);
      // The limit is one package's: the original refuses many small ones that happen to be buffered together.
      const size = (newline < 0 ? end : newline + 1) - at;
      if (size > this.#limit) this.fail(sink, packageTooLarge('text', this.#limit));
      else if (newline < 0) {
        this.#scanned = size;
        break;
      } else {
        this.#scanned = 0;
        this.goOn(sink.message(buffer, at, stripped(buffer, at, newline), false));
        at += size;
      }
    }
    return at;
  }

  /** Up to the next newline. What is held has none, but after a pause it had. */
  protected override wanted(_held: ByteQueue, chunk: Buffer, at: number): number {
    const newline = chunk.indexOf(LF, at);
    return (newline < 0 ? chunk.length : newline + 1) - at;
  }
}

function encodeLine(out: Arena, data: unknown): void {
  const value = requireTextOrBytes('text', data);
  out.reserve(capacityOf(value) + 1);
  append(out, value);
  out.buffer[out.offset++] = LF;
}

function encodeLineOf(out: Arena, buffer: Buffer, start: number, end: number): void {
  out.reserve(end - start + 1);
  out.offset += copyBytes(out.buffer, out.offset, buffer, start, end);
  out.buffer[out.offset++] = LF;
}

/** Where the message of buffer[start…end) ends when its trailing CRs and LFs are left out. */
function stripped(buffer: Buffer, start: number, end: number): number {
  let at = end;
  // Between two newlines there is no other, so only CRs can be left.
  while (at > start && buffer[at - 1] === CR) at--;
  return at;
}

function indexOfLf(buffer: Buffer, start: number, end: number): number {
  const near = Math.min(end, start + NEAR_BYTES);
  for (let at = start; at < near; at++) if (buffer[at] === LF) return at;
  if (near >= end) return -1;
  const found = buffer.subarray(near, end).indexOf(LF);
  return found < 0 ? -1 : near + found;
}
