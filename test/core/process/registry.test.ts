import { beforeEach, expect, test } from 'vitest';

import { forget, takeAll } from '../../../src/core/process/registry.js';
import { TestWorker } from '../../support/test-worker.js';

beforeEach(() => {
  takeAll();
});

test('workers are handed over in the order they were made, once', () => {
  const workers = [new TestWorker(), new TestWorker(), new TestWorker()];
  expect(takeAll()).toEqual(workers);
  expect(takeAll()).toEqual([]);
});

test('a worker that somebody starts by an explicit list is not handed over again', () => {
  const listed = new TestWorker();
  const other = new TestWorker();
  forget([listed]);
  expect(takeAll()).toEqual([other]);
});
