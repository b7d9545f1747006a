import { Buffer } from 'node:buffer';
import { expect, test } from 'vitest';
import { ByteQueue } from '../../src/util/mod.js';
import { seededRandom } from '../support/recording-sink.js';

const bytesOf = (queue: ByteQueue) => queue.buffer.toString('latin1', queue.start, queue.end);

test('holds what a plain array would hold, whatever is appended and consumed', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = seededRandom(seed);
    const queue = new ByteQueue();
    let model = '';
    for (let step = 0; step < 400; step++) {
      if (random(3) > 0) {
        const chunk = Buffer.from(Array.from({ length: random(700) }, () => random(256)));
        const from = random(chunk.length + 1);
        const to = from + random(chunk.length - from + 1);
        queue.append(chunk, from, to);
        model += chunk.toString('latin1', from, to);
      } else {
        const used = random(model.length + 1);
        queue.consume(used);
        model = model.slice(used);
      }
      expect(queue.length).toBe(model.length);
      if (bytesOf(queue) !== model) throw new Error(`seed ${seed}, step ${step}: the bytes differ`);
    }
  }
});

test('does not keep what is appended by reference', () => {
  const queue = new ByteQueue();
  const chunk = Buffer.from('abc');
  queue.append(chunk);
  chunk.fill(0);
  expect(bytesOf(queue)).toBe('abc');
});

test('holds no memory once it is empty', () => {
  const queue = new ByteQueue();
  queue.append(Buffer.alloc(100_000));
  queue.consume(100_000);
  expect(queue.buffer.length).toBe(0);
  queue.append(Buffer.alloc(10));
  queue.clear();
  expect(queue.buffer.length).toBe(0);
  expect(queue.length).toBe(0);
});

test('a steady stream through a queue that is never empty does not grow it', () => {
  const queue = new ByteQueue();
  queue.append(Buffer.alloc(10));
  for (let step = 0; step < 10_000; step++) {
    queue.append(Buffer.alloc(100));
    queue.consume(100);
  }
  expect(queue.length).toBe(10);
  expect(queue.buffer.length).toBeLessThanOrEqual(512);
});

test('copies a large message that comes byte by byte only a few times', () => {
  const queue = new ByteQueue();
  const one = Buffer.of(1);
  const slabs = new Set<Buffer>();
  for (let step = 0; step < 100_000; step++) {
    queue.append(one);
    slabs.add(queue.buffer);
  }
  expect(queue.length).toBe(100_000);
  expect(slabs.size).toBeLessThan(12);
});
