import type { Buffer } from 'node:buffer';
import type { Arena, ByteQueue } from '../../util/mod.js';
import type { Codec, CodecLimits, ReaderSink } from './codec.js';
import { ProtocolError, packageTooLarge } from './errors.js';
import { HoldingReader } from './holding-reader.js';
import { append, bufferOrString, capacityOf, requireTextOrBytes } from './values.js';

const HEADER_BYTES = 4;

/**
 * A total length (4 bytes, big-endian, counting itself) before each message. The body may be any bytes, so it comes in
 * as a Buffer.
 */
export const frameCodec: Codec = {
  name: 'frame',
  open: (limits) => new FrameReader(limits),
  encode: encodeFrame,
  decode: bufferOrString,
};

class FrameReader extends HoldingReader {
  readonly #limit: number;

  constructor(limits: CodecLimits) {
    super();
    this.#limit = limits.maxPackageSize;
  }

  protected override parse(buffer: Buffer, start: number, end: number, sink: ReaderSink): number {
    let at = start;
    while (this.reading && end - at >= HEADER_BYTES) {
      const size = buffer.readUInt32BE(at);
      // The original waits for ever on 0 and loses step with the stream on 1 to 3.
      if (size < HEADER_BYTES) this.fail(sink, impossibleLength(size));
      else if (size > this.#limit) this.fail(sink, packageTooLarge('frame', this.#limit));
      else if (size > end - at) break;
      else {
        this.goOn(sink.message(buffer, at + HEADER_BYTES, at + size, true));
        at += size;
      }
    }
    return at;
  }

  protected override wanted(held: ByteQueue): number {
    if (held.length < HEADER_BYTES) return HEADER_BYTES - held.length;
    return held.buffer.readUInt32BE(held.start) - held.length;
  }
}

function encodeFrame(out: Arena, data: unknown): void {
  const value = requireTextOrBytes('frame', data);
  out.reserve(HEADER_BYTES + capacityOf(value));
  // There is room, so the body goes right behind the header.
  const { buffer, offset } = out;
  out.offset += HEADER_BYTES;
  append(out, value);
  buffer.writeUInt32BE(out.offset - offset, offset);
}

function impossibleLength(size: number): ProtocolError {
  return new ProtocolError(
    'GW_FRAME_LENGTH',
    `frame: a package can't be ${size} bytes long; its length counts itself`,
    {
      size,
    },
  );
}
