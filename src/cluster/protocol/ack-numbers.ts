import { Buffer } from 'node:buffer';

const NUMBER_BYTES = 4;
const NONE: Buffer = Buffer.alloc(0);

/** Numbers of events, 4 bytes each, as ACK carries them in ext_data and in its body. */
export function ackNumbers(numbers: Iterable<number>, count: number): Buffer {
  if (count === 0) return NONE;
  const bytes = Buffer.allocUnsafe(count * NUMBER_BYTES);
  let at = 0;
  for (const number of numbers) at = bytes.writeUInt32BE(number, at);
  return bytes;
}

/** The number at the place `index` of those that begin at `start`. */
export function readAckNumber(buffer: Buffer, start: number, index: number): number {
  return buffer.readUInt32BE(start + index * NUMBER_BYTES);
}

/** How many numbers there are in buffer[start…end); undefined when these are no whole ones. */
export function countAckNumbers(start: number, end: number): number | undefined {
  const count = (end - start) / NUMBER_BYTES;
  return Number.isInteger(count) ? count : undefined;
}
