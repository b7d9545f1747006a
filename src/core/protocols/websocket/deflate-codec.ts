import { Buffer } from 'node:buffer';
import { constants, deflateRawSync } from 'node:zlib';
import type { Arena } from '../../../util/mod.js';
import type { Codec } from '../codec.js';
import type { PerMessageDeflateOptions } from './deflate-options.js';
import { DeflateReader, type DeflateSide } from './deflate-reader.js';
import type { DeflateTerms } from './deflate-terms.js';
import { headerBytes, type Opcode, RSV1, writeHeader } from './frames.js';
import { websocketCodec } from './websocket.js';

/** What zlib puts at the end of a flush and a sender leaves out: RFC 7692 section 7.2.1. */
const TAIL_BYTES = 4;

/** Largest frame that is remembered, of which there is one for each window that clients have asked for: as much as zlib takes. */
const MAX_REMEMBERED_BYTES = 256 * 1024;

/**
 * WebSocket with permessage-deflate for the clients that offer it. The codec of a port encodes for those that do not; a
 * reader that has agreed with its client names the one that encodes for it (`Reader.codec`).
 */
export function websocketDeflateCodec(options: Readonly<PerMessageDeflateOptions>): Codec {
  const codecs = new Map<number, Codec>();
  const open: Codec['open'] = (limits) => new DeflateReader(limits, side);
  const side: DeflateSide = {
    serverMaxWindowBits: options.serverMaxWindowBits,
    codecFor({ windowBits }: DeflateTerms): Codec {
      let codec = codecs.get(windowBits);
      if (codec === undefined) {
        codec = new DeflatingCodec(options, windowBits, open);
        codecs.set(windowBits, codec);
      }
      return codec;
    },
  };
  return { ...websocketCodec, open, negotiates: true };
}

/** Encodes for all clients that have agreed to the same. */
class DeflatingCodec implements Codec {
  readonly name = websocketCodec.name;
  readonly open: Codec['open'];
  readonly encodeClose = websocketCodec.encodeClose;
  readonly encodePing = websocketCodec.encodePing;
  readonly decode = websocketCodec.decode;
  readonly #options: Readonly<PerMessageDeflateOptions>;
  readonly #windowBits: number;
  /** The last frame that was compressed, and what became of it. */
  #plain: Buffer | null = null;
  #deflated: Buffer | null = null;

  /** @param open that of the port, where its connections begin */
  constructor(options: Readonly<PerMessageDeflateOptions>, windowBits: number, open: Codec['open']) {
    this.#options = options;
    this.#windowBits = windowBits;
    this.open = open;
  }

  encode(out: Arena, data: unknown, binary: boolean): void {
    const { buffer, offset } = out;
    websocketCodec.encode(out, data, binary);
    const start = out.buffer === buffer ? offset : 0;
    const deflated = this.#deflate(out.buffer, start, out.offset);
    if (deflated === null) return;
    out.buffer.set(deflated, start);
    out.offset = start + deflated.length;
  }

  recode(out: Arena, buffer: Buffer, start: number, end: number): boolean {
    const deflated = this.#deflate(buffer, start, end);
    if (deflated === null) return false;
    out.reserve(deflated.length);
    out.buffer.set(deflated, out.offset);
    out.offset += deflated.length;
    return true;
  }

  /** The frame with its payload compressed; null: it leaves as it is. */
  #deflate(buffer: Buffer, start: number, end: number): Buffer | null {
    const payload = start + unmaskedHeaderBytes(buffer, start);
    if (end - payload < this.#options.threshold) return null;
    const plain = buffer.subarray(start, end);
    // Sent to one after the other, as applications do, a broadcast is compressed once too. Comparing costs a hundredth.
    if (this.#plain?.equals(plain)) return this.#deflated;
    const frame = this.#deflatedFrame(buffer, payload, end, (buffer[start] & 0x0f) as Opcode);
    const deflated = frame.length < plain.length ? frame : null;
    if (plain.length <= MAX_REMEMBERED_BYTES) {
      this.#plain = Buffer.from(plain);
      this.#deflated = deflated;
    }
    return deflated;
  }

  #deflatedFrame(buffer: Buffer, start: number, end: number, opcode: Opcode): Buffer {
    const { level, memLevel } = this.#options;
    const flushed = deflateRawSync(buffer.subarray(start, end), {
      finishFlush: constants.Z_SYNC_FLUSH,
      windowBits: this.#windowBits,
      level,
      memLevel,
    });
    const length = flushed.length - TAIL_BYTES;
    const header = headerBytes(length);
    const frame = Buffer.allocUnsafe(header + length);
    writeHeader(frame, 0, opcode, length);
    frame[0] |= RSV1;
    flushed.copy(frame, header, 0, length);
    return frame;
  }
}

function unmaskedHeaderBytes(frame: Buffer, start: number): number {
  const small = frame[start + 1];
  if (small < 126) return 2;
  return small === 126 ? 4 : 10;
}
