import type { Buffer } from 'node:buffer';

/** From here on a view of 32-bit words is made; for less, making it costs more than it saves. */
const WORDS_FROM_BYTES = 192;

/** Word views take the machine's byte order, masks here are little-endian. */
const LITTLE_ENDIAN = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

/** A masking key as a number whose lowest byte masks the first byte of the payload. */
export function readMask(buffer: Buffer, at: number): number {
  return buffer.readInt32LE(at);
}

/** The key for what comes after `bytes` of a payload. */
export function rotateMask(mask: number, bytes: number): number {
  const bits = (bytes & 3) * 8;
  return bits === 0 ? mask : (mask >>> bits) | (mask << (32 - bits));
}

/**
 * Unmasks buffer[start…end) in place.
 *
 * Returns whether all of it is ASCII, which falls out of the same pass and spares most texts their UTF-8 check.
 */
export function unmask(buffer: Buffer, start: number, end: number, mask: number): boolean {
  let at = start;
  let key = mask;
  let seen = 0;
  if (LITTLE_ENDIAN && end - start >= WORDS_FROM_BYTES) {
    const toAligned = -(buffer.byteOffset + start) & 3;
    for (let index = 0; index < toAligned; index++) seen |= buffer[at + index] ^= (key >>> (index * 8)) & 0xff;
    at += toAligned;
    key = rotateMask(key, toAligned);
    const words = new Int32Array(buffer.buffer, buffer.byteOffset + at, (end - at) >>> 2);
    for (let index = 0; index < words.length; index++) seen |= words[index] ^= key;
    at += words.length * 4;
  }
  const key0 = key & 0xff;
  const key1 = (key >>> 8) & 0xff;
  const key2 = (key >>> 16) & 0xff;
  const key3 = key >>> 24;
  for (const last = end - 3; at < last; at += 4) {
    seen |= buffer[at] ^= key0;
    seen |= buffer[at + 1] ^= key1;
    seen |= buffer[at + 2] ^= key2;
    seen |= buffer[at + 3] ^= key3;
  }
  if (at < end) seen |= buffer[at] ^= key0;
  if (at + 1 < end) seen |= buffer[at + 1] ^= key1;
  if (at + 2 < end) seen |= buffer[at + 2] ^= key2;
  return (seen & 0x80808080) === 0;
}
