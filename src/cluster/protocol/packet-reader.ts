import { Buffer } from 'node:buffer';
import { ByteQueue } from '../../util/mod.js';
import { LinkProtocolError } from './errors.js';
import { PACKET_HEAD_BYTES, type PacketHead } from './packet-writer.js';

/** What workerman accepts on any connection: a larger packet makes a peer of the original drop its link. */
export const PHP_MAX_PACKET_SIZE = 10_485_760;
/** What our own peers accept: a client's largest message with its session and header fits. */
export const MAX_PACKET_SIZE = 33_554_432;
/** The original sets no limit to answers, and the sessions of all clients of a gateway may well pass 10 MiB. */
export const DEFAULT_MAX_REPLY_SIZE = 104_857_600;

const LENGTH_BYTES = 4;

/**
 * One packet as it stands in a buffer. A reader has a single view and fills it anew for every packet: it and its ranges
 * are valid only during the sink's call. `extText`, `extBytes`, `bodyText` and `bodyBytes` give values to keep.
 */
export class PacketView implements PacketHead {
  cmd = 0;
  localIp = 0;
  localPort = 0;
  clientIp = 0;
  clientPort = 0;
  connectionId = 0;
  flag = 0;
  gatewayPort = 0;
  buffer: Buffer = Buffer.alloc(0);
  extStart = 0;
  extEnd = 0;
  bodyStart = 0;
  bodyEnd = 0;

  /** ext_data as UTF-8. */
  extText(): string {
    return this.extStart === this.extEnd ? '' : this.buffer.toString('utf8', this.extStart, this.extEnd);
  }

  /** A copy of ext_data. */
  extBytes(): Buffer {
    return Buffer.from(this.buffer.subarray(this.extStart, this.extEnd));
  }

  /** The body as UTF-8. */
  bodyText(): string {
    return this.bodyStart === this.bodyEnd ? '' : this.buffer.toString('utf8', this.bodyStart, this.bodyEnd);
  }

  /** A copy of the body. */
  bodyBytes(): Buffer {
    return Buffer.from(this.buffer.subarray(this.bodyStart, this.bodyEnd));
  }
}

/** Told of packets in order. Must not throw, and must not push into the reader that calls it. */
export interface PacketSink {
  /** A complete packet. On `false` the reader holds what is left until `resume`. */
  packet(view: PacketView): boolean;
  /** The peer broke the format or a limit. The reader takes nothing more. */
  fail(error: LinkProtocolError): void;
}

/** Told of answers in order; the rules are PacketSink's. */
export interface ReplySink {
  /** The payload of one answer, a PHP-serialized value, as buffer[start…end). */
  reply(buffer: Buffer, start: number, end: number): boolean;
  fail(error: LinkProtocolError): void;
}

/**
 * What packets and answers have in common: a length in front, and units that may come in any pieces.
 *
 * A unit that lies complete in a chunk is handed out in place. Of an incomplete one the bytes are copied, each once
 * (the queue doubles), and only up to its end: what follows it in the chunk is read in place again.
 */
abstract class LengthReader<Sink extends { fail(error: LinkProtocolError): void }> {
  readonly #held = new ByteQueue();
  #paused = false;
  #failed = false;

  /** Bytes held: an incomplete unit, or complete ones behind a pause. */
  get held(): number {
    return this.#held.length;
  }

  /** Takes what one read returned. The chunk is not kept. */
  push(chunk: Buffer, sink: Sink): void {
    if (this.#failed) return;
    if (this.#paused) {
      this.#held.append(chunk);
      return;
    }
    let at = 0;
    // While not paused, the queue holds the beginning of one unit at most.
    while (this.#held.length > 0) {
      const total = this.measure(this.#held.buffer, this.#held.start, this.#held.end);
      if (typeof total !== 'number') {
        this.#fail(total, sink);
        return;
      }
      const upTo = total === 0 ? this.#nextMeasure() : total;
      const take = Math.min(upTo - this.#held.length, chunk.length - at);
      if (take === 0 && upTo > this.#held.length) return;
      if (take > 0) {
        this.#held.append(chunk, at, at + take, upTo);
        at += take;
        continue;
      }
      const goOn = this.deliver(this.#held.buffer, this.#held.start, this.#held.start + total, sink);
      this.#held.consume(total);
      if (!goOn) {
        this.#pause(chunk, at);
        return;
      }
    }
    if (at < chunk.length) this.#read(chunk, at, sink);
  }

  /** Goes on behind a `false` of the sink with the bytes held. */
  resume(sink: Sink): void {
    if (this.#failed || !this.#paused) return;
    this.#paused = false;
    const queue = this.#held;
    while (queue.length > 0) {
      const total = this.measure(queue.buffer, queue.start, queue.end);
      if (typeof total !== 'number') {
        this.#fail(total, sink);
        return;
      }
      if (total === 0 || total > queue.length) return;
      const goOn = this.deliver(queue.buffer, queue.start, queue.start + total, sink);
      queue.consume(total);
      if (!goOn) {
        this.#paused = true;
        return;
      }
    }
  }

  /**
   * The length of the unit that begins at `start`, prefix included; 0 while too few bytes are there to know; or what is
   * wrong with it.
   */
  protected abstract measure(buffer: Buffer, start: number, end: number): number | LinkProtocolError;
  /** How many bytes `measure` wants to see before it has said everything it can. */
  protected abstract readonly prefixBytes: number;
  protected abstract deliver(buffer: Buffer, start: number, end: number, sink: Sink): boolean;

  #read(chunk: Buffer, from: number, sink: Sink): void {
    const end = chunk.length;
    let at = from;
    while (at < end) {
      const total = this.measure(chunk, at, end);
      if (typeof total !== 'number') {
        this.#fail(total, sink);
        return;
      }
      if (total === 0 || total > end - at) {
        this.#held.append(chunk, at, end, total);
        return;
      }
      at += total;
      if (!this.deliver(chunk, at - total, at, sink)) {
        this.#pause(chunk, at);
        return;
      }
    }
  }

  /** The queue length at which `measure` can say more. */
  #nextMeasure(): number {
    return this.#held.length < LENGTH_BYTES ? LENGTH_BYTES : this.prefixBytes;
  }

  #pause(chunk: Buffer, from: number): void {
    this.#paused = true;
    this.#held.append(chunk, from);
  }

  #fail(error: LinkProtocolError, sink: Sink): void {
    this.#failed = true;
    this.#held.clear();
    sink.fail(error);
  }
}

/** Limits a PacketReader holds its peer to. */
export interface PacketReaderLimits {
  /** Largest packet with its header, in bytes; default 10,485,760. */
  readonly maxPacketSize?: number;
}

/** The reading side of a link: bytes to packets. */
export class PacketReader extends LengthReader<PacketSink> {
  protected readonly prefixBytes = PACKET_HEAD_BYTES;
  /** Counts from the next packet on. */
  maxPacketSize: number;
  readonly #view = new PacketView();

  constructor(limits: PacketReaderLimits = {}) {
    super();
    this.maxPacketSize = limits.maxPacketSize ?? PHP_MAX_PACKET_SIZE;
  }

  protected measure(buffer: Buffer, start: number, end: number): number | LinkProtocolError {
    if (end - start < LENGTH_BYTES) return 0;
    const total = readUint32(buffer, start);
    // The original waits for ever at 0, and reads 1 to 27 as packets and loses its place.
    if (total < PACKET_HEAD_BYTES) return lengthError(total);
    if (total > this.maxPacketSize) return packetTooLarge(total, this.maxPacketSize);
    if (end - start < PACKET_HEAD_BYTES) return 0;
    const extLength = readUint32(buffer, start + 24);
    if (extLength > total - PACKET_HEAD_BYTES) return extError(extLength, total);
    return total;
  }

  protected deliver(buffer: Buffer, start: number, end: number, sink: PacketSink): boolean {
    const view = this.#view;
    const extStart = start + PACKET_HEAD_BYTES;
    view.cmd = buffer[start + 4]!;
    view.localIp = readUint32(buffer, start + 5);
    view.localPort = readUint16(buffer, start + 9);
    view.clientIp = readUint32(buffer, start + 11);
    view.clientPort = readUint16(buffer, start + 15);
    view.connectionId = readUint32(buffer, start + 17);
    view.flag = buffer[start + 21]!;
    view.gatewayPort = readUint16(buffer, start + 22);
    view.buffer = buffer;
    view.extStart = extStart;
    view.extEnd = extStart + readUint32(buffer, start + 24);
    view.bodyStart = view.extEnd;
    view.bodyEnd = end;
    return sink.packet(view);
  }
}

/** Limits a ReplyReader holds its peer to. */
export interface ReplyReaderLimits {
  /** Largest payload of an answer, in bytes; default 104,857,600. */
  readonly maxReplySize?: number;
}

/** The reading side of a connection for queries: bytes to the payloads of answers. */
export class ReplyReader extends LengthReader<ReplySink> {
  protected readonly prefixBytes = LENGTH_BYTES;
  readonly #maxReplySize: number;

  constructor(limits: ReplyReaderLimits = {}) {
    super();
    this.#maxReplySize = limits.maxReplySize ?? DEFAULT_MAX_REPLY_SIZE;
  }

  protected measure(buffer: Buffer, start: number, end: number): number | LinkProtocolError {
    if (end - start < LENGTH_BYTES) return 0;
    const payload = readUint32(buffer, start);
    return payload > this.#maxReplySize ? replyTooLarge(payload, this.#maxReplySize) : LENGTH_BYTES + payload;
  }

  protected deliver(buffer: Buffer, start: number, end: number, sink: ReplySink): boolean {
    return sink.reply(buffer, start + LENGTH_BYTES, end);
  }
}

function readUint32(buffer: Buffer, at: number): number {
  return ((buffer[at]! << 24) | (buffer[at + 1]! << 16) | (buffer[at + 2]! << 8) | buffer[at + 3]!) >>> 0;
}

function readUint16(buffer: Buffer, at: number): number {
  return (buffer[at]! << 8) | buffer[at + 1]!;
}

function lengthError(length: number): LinkProtocolError {
  return new LinkProtocolError('GW_LINK_PACKET_LENGTH', `packet length ${length} is less than its header`, { length });
}

function packetTooLarge(length: number, limit: number): LinkProtocolError {
  return new LinkProtocolError('GW_LINK_PACKET_TOO_LARGE', `packet of ${length} bytes exceeds the limit of ${limit}`, {
    length,
    limit,
  });
}

function extError(extLength: number, length: number): LinkProtocolError {
  return new LinkProtocolError(
    'GW_LINK_EXT_LENGTH',
    `ext_data of ${extLength} bytes does not fit into a packet of ${length}`,
    { extLength, length },
  );
}

function replyTooLarge(length: number, limit: number): LinkProtocolError {
  return new LinkProtocolError('GW_LINK_REPLY_TOO_LARGE', `answer of ${length} bytes exceeds the limit of ${limit}`, {
    length,
    limit,
  });
}
