import { Buffer } from 'node:buffer';
import type { Codec } from '../../src/core/protocols/mod.js';
import { Arena } from '../../src/util/mod.js';

/** What a codec makes of a value, standing behind something else in the arena. */
export function encoded(codec: Codec, value: unknown, binary = false): Buffer {
  return written((out) => codec.encode(out, value, binary));
}

/** What is appended to an arena, and nothing before it changed. */
export function written(write: (out: Arena) => void): Buffer {
  const out = new Arena();
  out.reserve(3);
  out.buffer.write('???', 0);
  out.offset = 3;
  const slab = out.buffer;
  write(out);
  if (slab.toString('latin1', 0, 3) !== '???') throw new Error('what stood before was overwritten');
  return Buffer.from(out.buffer.subarray(out.buffer === slab ? 3 : 0, out.offset));
}
