import { Buffer } from 'node:buffer';
import { expect, it } from 'vitest';
import { BufferPool } from '../../src/util/mod.js';

it('gives a buffer again that was given back, for any length that it has room for', () => {
  const pool = new BufferPool();
  const first = pool.take(70_000);
  expect(first.length).toBe(131_072);
  pool.give(first);
  expect(pool.bytes).toBe(131_072);
  expect(pool.take(65_536)).not.toBe(first);
  expect(pool.take(131_072)).toBe(first);
  expect(pool.bytes).toBe(0);
  expect(pool.take(131_072)).not.toBe(first);
});

it('makes none smaller than 64 KiB', () => {
  expect(new BufferPool().take(1).length).toBe(65_536);
});

it('keeps no more than its limit', () => {
  const pool = new BufferPool(200_000);
  for (let count = 0; count < 5; count++) pool.give(Buffer.alloc(65_536));
  expect(pool.bytes).toBe(196_608);
});
