import type { Buffer } from 'node:buffer';
import { ByteQueue } from '../../util/mod.js';
import type { Reader, ReaderSink } from './codec.js';
import type { ProtocolError } from './errors.js';

const FLOW = {
  /** Bytes are parsed as they come. */
  reading: 0,
  /** The sink has said `false`: bytes are held. */
  paused: 1,
  /** Failed or closed: bytes are dropped. */
  over: 2,
} as const;

type Flow = (typeof FLOW)[keyof typeof FLOW];

/**
 * What all readers share: holding bytes that can't be used yet, stopping, and going on.
 *
 * A chunk is parsed in place. What it leaves over is copied; the next chunk gives only as much as completes that, so a
 * steady stream is not copied as a whole because its messages straddle chunks.
 */
export abstract class HoldingReader implements Reader {
  readonly #bytes = new ByteQueue();
  #flow: Flow = FLOW.reading;

  get held(): number {
    return this.#bytes.length;
  }

  get open(): boolean {
    return true;
  }

  push(chunk: Buffer, sink: ReaderSink): void {
    let at = 0;
    if (this.#flow === FLOW.reading) {
      while (this.#bytes.length > 0 && at < chunk.length) {
        const to = Math.min(chunk.length, at + this.wanted(this.#bytes, chunk, at));
        this.#bytes.append(chunk, at, to);
        at = to;
        this.#parseHeld(sink);
        if (!this.reading) break;
      }
      if (this.reading && at < chunk.length) at = this.parse(chunk, at, chunk.length, sink);
    }
    if (this.#flow !== FLOW.over) this.#bytes.append(chunk, at);
  }

  resume(sink: ReaderSink): void {
    if (this.#flow !== FLOW.paused) return;
    this.#flow = FLOW.reading;
    if (this.#bytes.length > 0) this.#parseHeld(sink);
  }

  /** Whether to parse on; looked at after every call of the sink. */
  protected get reading(): boolean {
    return this.#flow === FLOW.reading;
  }

  /** Parses buffer[start…end) as far as it can while `reading`; returns where the bytes begin that are not used up. */
  protected abstract parse(buffer: Buffer, start: number, end: number, sink: ReaderSink): number;

  /**
   * How many bytes of chunk[at…] to put behind the held ones before these are parsed again, at least 1. More than
   * needed costs a copy, less costs another round.
   */
  protected abstract wanted(held: ByteQueue, chunk: Buffer, at: number): number;

  /** Takes the sink's answer. */
  protected goOn(answer: boolean): void {
    if (!answer && this.#flow === FLOW.reading) this.#flow = FLOW.paused;
  }

  /** Nothing is parsed any more. */
  protected finish(): void {
    this.#flow = FLOW.over;
  }

  protected fail(sink: ReaderSink, error: ProtocolError): void {
    this.finish();
    sink.fail(error);
  }

  #parseHeld(sink: ReaderSink): void {
    const bytes = this.#bytes;
    const used = this.parse(bytes.buffer, bytes.start, bytes.end, sink) - bytes.start;
    if (this.#flow === FLOW.over) bytes.clear();
    else bytes.consume(used);
  }
}
