import { Buffer } from 'node:buffer';
import type { Arena } from '../../util/mod.js';
import type { Codec, ReaderSink } from './codec.js';
import { HoldingReader } from './holding-reader.js';
import { append, requireTextOrBytes } from './values.js';

/** No framing: what one read returns is a message, as a Buffer; what is sent goes out as it is. */
export const tcpCodec: Codec = {
  name: 'tcp',
  open: () => new TcpReader(),
  encode: encodeRaw,
  decode: copyOf,
};

class TcpReader extends HoldingReader {
  protected override parse(buffer: Buffer, start: number, end: number, sink: ReaderSink): number {
    this.goOn(sink.message(buffer, start, end, true));
    return end;
  }

  protected override wanted(): number {
    return Number.POSITIVE_INFINITY;
  }
}

function encodeRaw(out: Arena, data: unknown): void {
  append(out, requireTextOrBytes('tcp', data));
}

function copyOf(buffer: Buffer, start: number, end: number): Buffer {
  return Buffer.from(buffer.subarray(start, end));
}
