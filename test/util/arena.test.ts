import { expect, test } from 'vitest';
import { Arena } from '../../src/util/mod.js';

const SLAB = 256 * 1024;

test('what fits goes into the same slab, to its last byte', () => {
  const arena = new Arena();
  const { buffer } = arena;
  arena.reserve(SLAB);
  arena.offset = SLAB;
  arena.reserve(0);
  expect(arena.buffer === buffer).toBe(true);
  expect(arena.offset).toBe(SLAB);
});

test('one byte more goes to the beginning of a new slab, and the old one keeps its bytes', () => {
  const arena = new Arena();
  const { buffer } = arena;
  buffer.fill(7);
  arena.offset = SLAB;
  arena.reserve(1);
  expect(arena.buffer === buffer).toBe(false);
  expect(arena.offset).toBe(0);
  arena.buffer[0] = 9;
  expect(buffer.every((byte) => byte === 7)).toBe(true);
});

test('a message larger than a slab gets one of its own, which a rewind does not keep', () => {
  const arena = new Arena();
  arena.reserve(SLAB + 1);
  expect(arena.buffer.length).toBeGreaterThan(SLAB);
  arena.offset = SLAB + 1;
  arena.rewind();
  expect(arena.buffer.length).toBe(SLAB);
  expect(arena.offset).toBe(0);
});

test('a rewind gives the same slab again, giving it up does not', () => {
  const arena = new Arena();
  const { buffer } = arena;
  arena.offset = 100;
  arena.rewind();
  expect(arena.buffer === buffer).toBe(true);
  expect(arena.offset).toBe(0);
  arena.abandon();
  expect(arena.buffer === buffer).toBe(false);
  expect(arena.offset).toBe(0);
});
