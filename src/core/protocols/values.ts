import { Buffer } from 'node:buffer';
import type { Arena } from '../../util/mod.js';
import { ProtocolError } from './errors.js';

/** Below it a loop over char codes beats the call into the runtime. */
const SHORT_TEXT = 24;
/** Up to it, room for the worst case costs less than counting bytes first. */
const UNCOUNTED_TEXT = 4096;

/**
 * Text or bytes of a value that user code sends, or undefined when it is neither bytes nor a scalar.
 * Numbers, bigints and booleans become text, as the original's scalars do.
 */
export function textOrBytes(data: unknown): string | Uint8Array | undefined {
  switch (typeof data) {
    case 'string':
      return data;
    case 'number':
    case 'bigint':
    case 'boolean':
      return String(data);
    default:
      if (data instanceof Uint8Array) return data;
      if (data instanceof ArrayBuffer) return new Uint8Array(data);
      if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
      return undefined;
  }
}

/** @throws ProtocolError `GW_VALUE_UNSENDABLE` */
export function requireTextOrBytes(protocol: string, data: unknown): string | Uint8Array {
  const value = textOrBytes(data);
  if (value === undefined) throw unsendable(protocol, data);
  return value;
}

export function unsendable(protocol: string, data: unknown, cause?: unknown): ProtocolError {
  const type = data === null ? 'null' : typeof data;
  return new ProtocolError(
    'GW_VALUE_UNSENDABLE',
    `${protocol} can't send a value of type ${type}; expected a string or a Buffer`,
    { protocol, type },
    null,
    cause,
  );
}

/** How many bytes to reserve for a value: at least what it takes, as UTF-8 if it is text. */
export function capacityOf(value: string | Uint8Array): number {
  if (typeof value !== 'string') return value.length;
  return value.length <= UNCOUNTED_TEXT ? value.length * 3 : Buffer.byteLength(value);
}

/** Writes text as UTF-8 at buffer[at…], where `capacityOf` has been reserved; returns how many bytes it took. */
export function writeText(buffer: Buffer, at: number, text: string): number {
  const length = text.length;
  if (length > SHORT_TEXT) return buffer.write(text, at);
  for (let index = 0; index < length; index++) {
    const code = text.charCodeAt(index);
    if (code > 0x7f) return buffer.write(text, at);
    buffer[at + index] = code;
  }
  return length;
}

/** Appends text or bytes as they are. */
export function append(out: Arena, value: string | Uint8Array): void {
  out.reserve(capacityOf(value));
  if (typeof value === 'string') {
    out.offset += writeText(out.buffer, out.offset, value);
  } else {
    out.buffer.set(value, out.offset);
    out.offset += value.length;
  }
}

/**
 * To be called after user code that ran in the middle of an encoder. What it may have sent to others stands where the frame
 * was to begin: the frame then begins in a slab of its own, so that no receiver gets another's bytes.
 */
export function stepAside(out: Arena, buffer: Buffer, offset: number): void {
  if (out.buffer !== buffer || out.offset !== offset) out.abandon();
}

/** A message as a string, or as a Buffer when it is binary. */
export function bufferOrString(buffer: Buffer, start: number, end: number, binary: boolean): string | Buffer {
  return binary ? Buffer.from(buffer.subarray(start, end)) : buffer.toString('utf8', start, end);
}
