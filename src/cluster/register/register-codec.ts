import { Buffer } from 'node:buffer';
import {
  type Codec,
  type CodecLimits,
  ProtocolError,
  type Reader,
  type ReaderSink,
  textCodec,
} from '../../core/protocols/mod.js';

export const EXPLANATION =
  'This is the Register of a GatewayWorker cluster: it speaks newline-terminated JSON and serves no clients.\n';

/**
 * Lines, from those who can be meant: a connection that does not begin as a JSON object is none of ours. TLS may go on for
 * long without a newline.
 */
export const registerCodec: Codec = { ...textCodec, open: (limits) => new RegisterReader(limits) };

/** Blanks of JSON may stand in front, and empty lines are answered as ever. */
const BEGINNINGS = Buffer.from('{ \t\r\n');

class RegisterReader implements Reader {
  readonly open = true;
  readonly #lines: Reader;
  #begun = false;

  constructor(limits: CodecLimits) {
    this.#lines = textCodec.open(limits);
  }

  get held(): number {
    return this.#lines.held;
  }

  push(chunk: Buffer, sink: ReaderSink): void {
    if (!this.#begun && !BEGINNINGS.includes(chunk[0] as number)) {
      const text = 'a connection was refused: what it says is not of the Register protocol';
      sink.fail(new ProtocolError('GW_REGISTER_REFUSED', text, {}, Buffer.from(EXPLANATION)));
      return;
    }
    this.#begun = true;
    this.#lines.push(chunk, sink);
  }

  resume(sink: ReaderSink): void {
    this.#lines.resume(sink);
  }
}
