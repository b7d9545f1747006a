import type { Buffer } from 'node:buffer';
import type { Codec, CodecLimits, HandshakeRequest } from '../codec.js';
import type { ProtocolError } from '../errors.js';
import { agree, type DeflateTerms } from './deflate-terms.js';
import { parseExtensions } from './extensions.js';
import { OPCODE, RESERVED_BITS, RSV1 } from './frames.js';
import { malformed } from './handshake.js';
import { inflate } from './inflate.js';
import { WebSocketReader } from './websocket-reader.js';

/** What the readers of a port need to agree with their clients. */
export interface DeflateSide {
  readonly serverMaxWindowBits: number;
  /** What encodes for clients of these terms. */
  codecFor(terms: DeflateTerms): Codec;
}

/** A reader that agrees to permessage-deflate (RFC 7692) where it is offered. */
export class DeflateReader extends WebSocketReader {
  readonly #side: DeflateSide;
  readonly #maxBytes: number;
  #codec: Codec | undefined;

  constructor(limits: CodecLimits, side: DeflateSide) {
    super(limits);
    this.#side = side;
    this.#maxBytes = limits.maxPackageSize;
  }

  override get codec(): Codec | undefined {
    return this.#codec;
  }

  protected override negotiate({ headers }: HandshakeRequest): string | null | ProtocolError {
    const header = headers['sec-websocket-extensions'];
    if (header === undefined) return null;
    const offers = parseExtensions(header);
    if (offers === null) return malformed('the Sec-WebSocket-Extensions header is malformed');
    const terms = agree(offers, this.#side.serverMaxWindowBits);
    if (terms === null) return null;
    this.#codec = this.#side.codecFor(terms);
    return terms.answer;
  }

  /** RSV1 on the first frame of a message says that it is compressed: RFC 7692 section 6. */
  protected override takesReserved(first: number): boolean {
    const opcode = first & 0x0f;
    const beginsMessage = opcode === OPCODE.text || opcode === OPCODE.binary;
    return this.#codec !== undefined && beginsMessage && (first & RESERVED_BITS) === RSV1;
  }

  protected override inflate(buffer: Buffer, start: number, end: number): Buffer | ProtocolError {
    return inflate(buffer, start, end, this.#maxBytes);
  }
}
