import { Buffer } from 'node:buffer';
import { bufferPool } from '../../util/mod.js';
import {
  Command,
  countAckNumbers,
  type LinkProtocolError,
  type PacketHead,
  PacketReader,
  type PacketRoom,
  type PacketView,
  readAckNumber,
  redeliveries,
  writePacketRange,
} from '../protocol/mod.js';

/** Small enough that those in use stay in the processor's cache; a turn under load fills one or two. */
const SLAB_BYTES = 64 * 1024;

/** What an event that is set aside costs beside its bytes. */
const ASIDE_OVERHEAD_BYTES = 100;

/** What is kept may grow behind the limit, for what clients had sent before they were paused, up to this many times it. */
const HARD_LIMIT_FACTOR = 4;

const NOTHING: Buffer = Buffer.alloc(0);

/**
 * What is taken behind the hard limit too: what is sent once more, for as much was kept for another worker, and the one end
 * that each client has.
 */
export function isTakenAlways({ cmd, flag }: PacketHead): boolean {
  return cmd === Command.ON_CLOSE || redeliveries(flag) > 0;
}

/** Where events stand, one behind the other. */
interface Slab {
  readonly buffer: Buffer;
  /** The oldest that is not acknowledged. */
  at: number;
  /** Behind the last one; of the slab that is being written `offset` says it. */
  end: number;
}

/**
 * The events of one link that its worker has not acknowledged (extension `acknowledgements`).
 *
 * Events are written here once, and leave from here: no copy is made for keeping them. Both ends count them from 1 on, so
 * that no number travels with them. An ACK lets go of all up to its number but those it names, whose handlers are still at
 * work: they are set aside, and one slow handler holds up the place of its own event alone.
 *
 * A slab is used again when all in it are acknowledged: the worker had them, so no socket needs their bytes any more.
 */
export class Unacknowledged implements PacketRoom {
  buffer: Buffer = NOTHING;
  offset = 0;
  readonly #limit: number;
  /** Oldest first; the last is being written. */
  readonly #slabs: Slab[] = [];
  /** In the slabs. */
  #bytes = 0;
  #count = 0;
  /** Modulo 2^32. */
  #acknowledged = 0;
  /** By number, oldest first: their bytes, one character each. As texts they are no Buffers that hold on to others' memory. */
  readonly #aside = new Map<number, string>();
  #asideBytes = 0;

  /** @param limit bytes from which on it is full */
  constructor(limit: number) {
    this.#limit = limit;
  }

  get bytes(): number {
    return this.#bytes + this.#asideBytes;
  }

  get full(): boolean {
    return this.bytes >= this.#limit;
  }

  /** Not even what clients had sent before they were paused is taken any more. */
  get overfull(): boolean {
    return this.bytes >= this.#limit * HARD_LIMIT_FACTOR;
  }

  /** Events were sent that no ACK spoke of. */
  get awaitsAck(): boolean {
    return this.#count > 0;
  }

  reserve(bytes: number): void {
    if (this.offset + bytes <= this.buffer.length) return;
    const last = this.#slabs.at(-1);
    if (last !== undefined) last.end = this.offset;
    // Too small for this one, and nothing stands in it.
    if (last !== undefined && last.at === last.end) {
      this.#slabs.pop();
      bufferPool.give(last.buffer);
    }
    this.buffer = bufferPool.take(Math.max(SLAB_BYTES, bytes));
    this.offset = 0;
    this.#slabs.push({ buffer: this.buffer, at: 0, end: 0 });
  }

  /** Writes an event; it stands in `buffer` behind the place that is returned, up to `offset`. */
  write(head: PacketHead, session: Buffer, body: Buffer, start: number, end: number): number {
    const { buffer, offset } = this;
    writePacketRange(this, head, session, body, start, end);
    const at = this.buffer === buffer ? offset : 0;
    this.#bytes += this.offset - at;
    this.#count++;
    return at;
  }

  /** Carries out an ACK. @returns false when it makes no sense; nothing has changed then */
  acknowledge(ack: PacketView): boolean {
    const { connectionId: upTo, buffer, extStart, extEnd, bodyStart, bodyEnd } = ack;
    const count = (upTo - this.#acknowledged) >>> 0;
    const pending = countAckNumbers(extStart, extEnd);
    const settled = countAckNumbers(bodyStart, bodyEnd);
    if (count > this.#count || pending === undefined || settled === undefined) return false;
    let before = 0;
    for (let index = 0; index < pending; index++) {
      const place = (readAckNumber(buffer, extStart, index) - this.#acknowledged) >>> 0;
      if (place <= before || place > count) return false;
      before = place;
    }
    for (let index = 0; index < settled; index++) this.#settle(readAckNumber(buffer, bodyStart, index));
    let done = 0;
    for (let index = 0; index < pending; index++) {
      const number = readAckNumber(buffer, extStart, index);
      const place = (number - this.#acknowledged) >>> 0;
      this.#drop(place - done - 1);
      this.#setAside(number);
      done = place;
    }
    this.#drop(count - done);
    this.#acknowledged = upTo;
    return true;
  }

  /** Shows all that are kept, in the order in which they were sent, and keeps them no longer. */
  take(show: (event: PacketView) => void): void {
    const slabs = this.#slabs.splice(0);
    const last = slabs.at(-1);
    if (last !== undefined) last.end = this.offset;
    const aside = [...this.#aside.values()];
    this.#aside.clear();
    this.buffer = NOTHING;
    this.offset = 0;
    this.#bytes = 0;
    this.#asideBytes = 0;
    this.#count = 0;
    const reader = new PacketReader({ maxPacketSize: Number.MAX_SAFE_INTEGER });
    const sink = {
      packet: (event: PacketView) => {
        show(event);
        return true;
      },
      fail: (error: LinkProtocolError) => {
        throw error;
      },
    };
    for (const event of aside) reader.push(Buffer.from(event, 'latin1'), sink);
    for (const { buffer, at, end } of slabs) reader.push(buffer.subarray(at, end), sink);
  }

  #settle(number: number): void {
    const event = this.#aside.get(number);
    if (event === undefined) return;
    this.#aside.delete(number);
    this.#asideBytes -= event.length + ASIDE_OVERHEAD_BYTES;
  }

  #setAside(number: number): void {
    const { buffer, at } = this.#slabs[0] as Slab;
    const event = buffer.toString('latin1', at, at + buffer.readUInt32BE(at));
    this.#aside.set(number, event);
    this.#asideBytes += event.length + ASIDE_OVERHEAD_BYTES;
    this.#drop(1);
  }

  /** Lets go of the oldest. */
  #drop(events: number): void {
    let left = events;
    this.#count -= events;
    while (left > 0) {
      const slab = this.#slabs[0] as Slab;
      const { buffer } = slab;
      const last = this.#slabs.length === 1;
      const end = last ? this.offset : slab.end;
      let { at } = slab;
      while (left > 0 && at < end) {
        at += readLength(buffer, at);
        left--;
      }
      this.#bytes -= at - slab.at;
      slab.at = at;
      if (at < end) return;
      if (!last) this.#slabs.shift();
      else if (buffer.length > SLAB_BYTES) this.#startAnew();
      else slab.at = this.offset = 0;
      // The one that is being written is kept, unless it was made for a single large event.
      if (!last || buffer.length > SLAB_BYTES) bufferPool.give(buffer);
    }
  }

  #startAnew(): void {
    this.#slabs.length = 0;
    this.buffer = NOTHING;
    this.offset = 0;
  }
}

/** Of the packet that stands there; as the reader does, for the reason it has. */
function readLength(buffer: Buffer, at: number): number {
  return ((buffer[at]! << 24) | (buffer[at + 1]! << 16) | (buffer[at + 2]! << 8) | buffer[at + 3]!) >>> 0;
}
