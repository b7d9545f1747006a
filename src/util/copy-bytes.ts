import type { Buffer } from 'node:buffer';

/** Up to this length a loop beats the call into native code. */
const LOOP_BYTES = 32;

/** Copies from[start…end) to to[at…]. @returns bytes written */
export function copyBytes(to: Buffer, at: number, from: Buffer, start: number, end: number): number {
  const length = end - start;
  if (length > LOOP_BYTES) {
    from.copy(to, at, start, end);
  } else {
    for (let index = 0; index < length; index++) to[at + index] = from[start + index]!;
  }
  return length;
}
