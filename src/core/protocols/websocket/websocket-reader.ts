import { type Buffer, isUtf8 } from 'node:buffer';
import type { ByteQueue } from '../../../util/mod.js';
import type { Codec, CodecLimits, HandshakeRequest, HandshakeResponse, ReaderSink } from '../codec.js';
import { ProtocolError } from '../errors.js';
import { HoldingReader } from '../holding-reader.js';
import { CLOSE_CODE, isSendableCloseCode } from './close-codes.js';
import { closing, messageTooLarge, notUtf8, violation } from './failures.js';
import { closeFrame, controlFrame, FIN, MAX_CONTROL_BYTES, OPCODE, RESERVED_BITS, RSV1 } from './frames.js';
import {
  acceptReply,
  checkRequest,
  END_OF_HEAD,
  malformed,
  mayBeGet,
  parseRequest,
  requestTooLarge,
} from './handshake.js';
import { MessageAssembly } from './message-assembly.js';
import { readMask, rotateMask, unmask } from './unmask.js';

const MAX_HANDSHAKE_BYTES = 16 * 1024;
const MAX_FRAGMENTS = 128 * 1024;

const STATE = {
  /** The HTTP request is not complete, or the owner has yet to say what becomes of it. */
  handshake: 0,
  /** At the beginning of a frame. Control frames are taken whole here. */
  header: 1,
  /** In the payload of a data frame. */
  payload: 2,
} as const;

type State = (typeof STATE)[keyof typeof STATE];

/** What a step returns instead of a position. */
const NEED_MORE = -1;

const MASKED = 0x80;
const CONTROL = 0x08;
const MASK_BYTES = 4;

/**
 * The server's side of RFC 6455: the handshake, then frames. A step per state; each returns where the next one begins.
 *
 * A message that lies in one chunk is unmasked there and handed over as a range of it. Only what straddles chunks or
 * comes in fragments is copied, into an assembly that exists no longer than it is needed.
 */
export class WebSocketReader extends HoldingReader {
  readonly #limits: CodecLimits;
  #state: State = STATE.handshake;
  /** Bytes of the request that have been searched for its end. */
  #scanned = 0;
  #fin = false;
  /** First byte of the message's first frame. */
  #first = 0;
  #mask = 0;
  /** Payload bytes of the present frame that are to come. */
  #remaining = 0;
  /** The request that the owner has to decide about. */
  #asked: Asked | null = null;
  /** The message in progress, if it does not come in one piece. */
  #message: MessageAssembly | null = null;

  constructor(limits: CodecLimits) {
    super();
    this.#limits = limits;
  }

  override get held(): number {
    return super.held + (this.#message === null ? 0 : this.#message.length);
  }

  override get open(): boolean {
    return this.#state !== STATE.handshake;
  }

  /** What encodes for this peer, where it has agreed to an extension. */
  get codec(): Codec | undefined {
    return undefined;
  }

  /** The extensions agreed on, as the answer has them; null: none. */
  protected negotiate(_request: HandshakeRequest): string | null | ProtocolError {
    return null;
  }

  /** Whether the reserved bits of a frame's first byte mean something that was agreed on. */
  protected takesReserved(_first: number): boolean {
    return false;
  }

  /** The message that buffer[start…end) stands for; only asked where `takesReserved` has said yes. */
  protected inflate(buffer: Buffer, start: number, end: number): Buffer | ProtocolError {
    return buffer.subarray(start, end);
  }

  override resume(sink: ReaderSink): void {
    if (this.#asked === null) super.resume(sink);
  }

  admit(sink: ReaderSink): void {
    const asked = this.#asked;
    this.#asked = null;
    if (asked !== null) this.#accept(asked, sink);
  }

  protected override parse(buffer: Buffer, start: number, end: number, sink: ReaderSink): number {
    let at = start;
    while (this.reading) {
      const next = this.#step(buffer, at, end, sink);
      if (next === NEED_MORE) break;
      at = next;
    }
    return at;
  }

  protected override wanted(held: ByteQueue, chunk: Buffer, at: number): number {
    if (this.#state === STATE.handshake) return chunk.length - at;
    const { buffer, start, length } = held;
    if (length < 2) return 2 - length;
    const small = buffer[start + 1] & 0x7f;
    const isControl = (buffer[start] & CONTROL) !== 0;
    // At least 1: a header that is complete has been taken already.
    return Math.max(1, 2 + extendedBytes(small) + MASK_BYTES + (isControl ? small : 0) - length);
  }

  protected override finish(): void {
    super.finish();
    this.#message = null;
  }

  #step(buffer: Buffer, at: number, end: number, sink: ReaderSink): number {
    switch (this.#state) {
      case STATE.header:
        return this.#readHeader(buffer, at, end, sink);
      case STATE.payload:
        return this.#readPayload(buffer, at, end, sink);
      case STATE.handshake:
        return this.#readHandshake(buffer, at, end, sink);
    }
  }

  #readHandshake(buffer: Buffer, at: number, end: number, sink: ReaderSink): number {
    if (!mayBeGet(buffer, at, end)) {
      this.fail(sink, malformed('not a GET request'));
      return end;
    }
    const limit = this.#limits.maxHandshakeSize ?? MAX_HANDSHAKE_BYTES;
    const searchEnd = Math.min(end, at + limit);
    const searchStart = Math.max(at, at + this.#scanned - (END_OF_HEAD.length - 1));
    const found = buffer.subarray(searchStart, searchEnd).indexOf(END_OF_HEAD);
    if (found < 0) {
      this.#scanned = searchEnd - at;
      if (end - at < limit) return NEED_MORE;
      this.fail(sink, requestTooLarge(limit));
      return end;
    }
    const requestEnd = searchStart + found + END_OF_HEAD.length;
    this.#answer(buffer, at, requestEnd, sink);
    return requestEnd;
  }

  #answer(buffer: Buffer, start: number, end: number, sink: ReaderSink): void {
    const request = checkedRequest(buffer, start, end);
    if (request instanceof ProtocolError) {
      this.fail(sink, request);
      return;
    }
    const extensions = this.negotiate(request);
    if (extensions instanceof ProtocolError) {
      this.fail(sink, extensions);
      return;
    }
    const asked: Asked = { request, extensions, response: { headers: Object.create(null) } };
    const verdict = sink.handshake(request, asked.response);
    if (verdict === 'later') {
      this.#asked = asked;
      this.goOn(false);
    } else if (verdict) {
      this.#accept(asked, sink);
    } else {
      this.finish();
    }
  }

  #accept({ request, extensions, response }: Asked, sink: ReaderSink): void {
    const reply = acceptOrError(request, extensions, response);
    if (reply instanceof ProtocolError) {
      this.fail(sink, reply);
      return;
    }
    sink.write(reply);
    this.#state = STATE.header;
    this.goOn(sink.opened());
  }

  #readHeader(buffer: Buffer, at: number, end: number, sink: ReaderSink): number {
    if (end - at < 2) return NEED_MORE;
    const first = buffer[at];
    const second = buffer[at + 1];
    const error = this.#checkHeader(first, second);
    if (error !== null) return this.#refuse(sink, error, end);

    const small = second & 0x7f;
    const maskAt = at + 2 + extendedBytes(small);
    if (end < maskAt) return NEED_MORE;
    const length = small < 126 ? small : small === 126 ? buffer.readUInt16BE(at + 2) : readUInt64(buffer, at + 2);
    const payloadAt = maskAt + MASK_BYTES;
    const opcode = first & 0x0f;
    const isControl = (opcode & CONTROL) !== 0;
    const lengthError = checkLength(small, length) ?? (isControl ? null : this.#checkSize(payloadAt - at + length));
    if (lengthError !== null) return this.#refuse(sink, lengthError, end);
    if (isControl) {
      if (end < payloadAt + length) return NEED_MORE;
      unmask(buffer, payloadAt, payloadAt + length, readMask(buffer, maskAt));
      this.#control(opcode, buffer, payloadAt, payloadAt + length, sink);
      return payloadAt + length;
    }
    if (end < payloadAt) return NEED_MORE;
    this.#mask = readMask(buffer, maskAt);
    this.#fin = (first & FIN) !== 0;
    this.#remaining = length;
    if (opcode !== OPCODE.continuation) this.#first = first;
    if (this.#message !== null) this.#message.fragments++;
    this.#state = STATE.payload;
    return payloadAt;
  }

  #readPayload(buffer: Buffer, at: number, end: number, sink: ReaderSink): number {
    const length = this.#remaining;
    const isWhole = this.#message === null && this.#fin && end - at >= length;
    if (isWhole) return this.#readWhole(buffer, at, at + length, sink);
    const taken = Math.min(length, end - at);
    if (taken === 0 && length > 0) return NEED_MORE;

    const to = at + taken;
    const ascii = unmask(buffer, at, to, this.#mask);
    this.#mask = rotateMask(this.#mask, taken);
    this.#remaining -= taken;
    if (this.#message === null) {
      this.#message = new MessageAssembly(!this.#binary() && !this.#compressed());
      this.#message.fragments = 1;
    }
    const expected = this.#fin ? this.#remaining : 0;
    if (!this.#message.append(buffer, at, to, ascii, expected)) return this.#refuse(sink, notUtf8(), end);
    if (this.#remaining > 0) return to;
    this.#state = STATE.header;
    if (this.#fin) this.#deliver(this.#message, sink);
    return to;
  }

  /** An unfragmented message that lies in one piece. */
  #readWhole(buffer: Buffer, at: number, to: number, sink: ReaderSink): number {
    const ascii = unmask(buffer, at, to, this.#mask);
    this.#state = STATE.header;
    if (this.#compressed()) {
      this.#deliverInflated(buffer, at, to, sink);
      return to;
    }
    if (!ascii && !this.#binary() && !isUtf8(buffer.subarray(at, to))) return this.#refuse(sink, notUtf8(), to);
    this.goOn(sink.message(buffer, at, to, this.#binary()));
    return to;
  }

  #deliver(message: MessageAssembly, sink: ReaderSink): void {
    // Let go first: the sink may ask what is held.
    this.#message = null;
    if (this.#compressed()) this.#deliverInflated(message.buffer, 0, message.length, sink);
    else if (!message.complete) this.fail(sink, notUtf8());
    else this.goOn(sink.message(message.buffer, 0, message.length, this.#binary()));
  }

  #deliverInflated(buffer: Buffer, start: number, end: number, sink: ReaderSink): void {
    const message = this.inflate(buffer, start, end);
    if (message instanceof ProtocolError) this.fail(sink, message);
    else if (!this.#binary() && !isUtf8(message)) this.fail(sink, notUtf8());
    else this.goOn(sink.message(message, 0, message.length, this.#binary()));
  }

  #binary(): boolean {
    return (this.#first & 0x0f) === OPCODE.binary;
  }

  #compressed(): boolean {
    return (this.#first & RSV1) !== 0;
  }

  /** What the first two bytes of a frame can break. */
  #checkHeader(first: number, second: number): ProtocolError | null {
    if ((first & RESERVED_BITS) !== 0 && !this.takesReserved(first)) {
      return violation('GW_WEBSOCKET_RESERVED_BITS', 'a reserved bit is set that was not agreed on');
    }
    if ((second & MASKED) === 0) return violation('GW_WEBSOCKET_UNMASKED', 'a frame of a client must be masked');
    switch (first & 0x0f) {
      case OPCODE.continuation:
        if (this.#message === null) return violation('GW_WEBSOCKET_FRAGMENT', 'there is no message to continue');
        return this.#checkFragments(this.#message.fragments);
      case OPCODE.text:
      case OPCODE.binary:
        if (this.#message !== null) return violation('GW_WEBSOCKET_FRAGMENT', 'the message before is not complete');
        return null;
      case OPCODE.close:
      case OPCODE.ping:
      case OPCODE.pong:
        if ((first & FIN) === 0) return violation('GW_WEBSOCKET_CONTROL', 'a control frame must not be fragmented');
        if ((second & 0x7f) > MAX_CONTROL_BYTES)
          return violation('GW_WEBSOCKET_CONTROL', 'a control frame is too long');
        return null;
      default:
        return violation('GW_WEBSOCKET_OPCODE', 'an opcode is unknown');
    }
  }

  #checkFragments(begun: number): ProtocolError | null {
    const limit = this.#limits.maxFragments ?? MAX_FRAGMENTS;
    if (begun < limit) return null;
    return closing('GW_WEBSOCKET_FRAGMENTS', CLOSE_CODE.policyViolation, 'a message has too many fragments', { limit });
  }

  /** @param frame bytes of the present frame; as in the original its header counts */
  #checkSize(frame: number): ProtocolError | null {
    const before = this.#message === null ? 0 : this.#message.length;
    const limit = this.#limits.maxPackageSize;
    return before + frame <= limit ? null : messageTooLarge(limit);
  }

  #control(opcode: number, buffer: Buffer, start: number, end: number, sink: ReaderSink): void {
    if (opcode === OPCODE.ping) sink.write(controlFrame(OPCODE.pong, buffer.subarray(start, end)));
    else if (opcode === OPCODE.pong) this.goOn(sink.pong(buffer.subarray(start, end)));
    else this.#close(buffer.subarray(start, end), sink);
  }

  #close(payload: Buffer, sink: ReaderSink): void {
    const code = payload.length >= 2 ? payload.readUInt16BE(0) : CLOSE_CODE.noStatus;
    const error = checkClose(payload, code);
    if (error !== null) {
      this.fail(sink, error);
      return;
    }
    this.finish();
    sink.write(closeFrame(payload.length === 0 ? CLOSE_CODE.normal : code, ''));
    sink.ended(code, payload.toString('utf8', 2));
  }

  /** Fails; the rest of the bytes is of no interest. */
  #refuse(sink: ReaderSink, error: ProtocolError, end: number): number {
    this.fail(sink, error);
    return end;
  }
}

interface Asked {
  readonly request: HandshakeRequest;
  readonly extensions: string | null;
  readonly response: HandshakeResponse;
}

function checkedRequest(buffer: Buffer, start: number, end: number): HandshakeRequest | ProtocolError {
  const request = parseRequest(buffer, start, end);
  return request instanceof ProtocolError ? request : (checkRequest(request) ?? request);
}

/** The owner's headers are the owner's fault, but a reader does not throw. */
function acceptOrError(
  request: HandshakeRequest,
  extensions: string | null,
  response: HandshakeResponse,
): Buffer | ProtocolError {
  try {
    return acceptReply(request, extensions, response.headers);
  } catch (thrown) {
    if (thrown instanceof ProtocolError) return thrown;
    throw thrown;
  }
}

function checkClose(payload: Buffer, code: number): ProtocolError | null {
  if (payload.length === 0) return null;
  if (payload.length === 1 || !isSendableCloseCode(code)) {
    return violation('GW_WEBSOCKET_CLOSE', 'a close frame has no valid code');
  }
  return isUtf8(payload.subarray(2)) ? null : notUtf8();
}

/** @param small the length as the second byte has it */
function checkLength(small: number, length: number): ProtocolError | null {
  if (length === Number.POSITIVE_INFINITY) return violation('GW_WEBSOCKET_LENGTH', 'a length has its top bit set');
  if ((small === 126 && length < 126) || (small === 127 && length <= 0xffff)) {
    return violation('GW_WEBSOCKET_LENGTH', 'a length is not in its shortest form');
  }
  return null;
}

function extendedBytes(small: number): number {
  if (small < 126) return 0;
  return small === 126 ? 2 : 8;
}

/** Infinity when the top bit is set, which RFC 6455 section 5.2 forbids; beyond 2^53 not exact, but beyond any limit. */
function readUInt64(buffer: Buffer, at: number): number {
  const high = buffer.readUInt32BE(at);
  if (high >= 0x8000_0000) return Number.POSITIVE_INFINITY;
  return high * 0x1_0000_0000 + buffer.readUInt32BE(at + 4);
}
