import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { LogKeeper } from '../../../src/core/process/log-keeper.js';
import { LogFile } from '../../../src/util/mod.js';
import { testFolders } from '../../support/folder.js';
import { RecordingLogger } from '../../support/recording-logger.js';

const newFolder = testFolders();
const keepers: LogKeeper[] = [];
let path: string;

beforeEach(() => {
  vi.useFakeTimers();
  path = join(newFolder(), 'some.log');
});

afterEach(() => {
  for (const keeper of keepers.splice(0)) keeper.close();
  vi.useRealTimers();
});

function keep(maxSize: number): { file: LogFile; logger: RecordingLogger } {
  const file = new LogFile(path);
  const logger = new RecordingLogger();
  keepers.push(new LogKeeper(file, maxSize, logger));
  return { file, logger };
}

const look = () => vi.advanceTimersByTime(1000);
const read = (name: string) => readFileSync(name, 'utf8');

test('a file of the largest size stays, and one of a byte more is put aside whole', () => {
  const { file } = keep(10);
  file.write('123456789\n');
  look();
  expect(read(path)).toBe('123456789\n');
  file.write('\n');
  look();
  expect(read(`${path}.1`)).toBe('123456789\n\n');
  expect(read(path)).toBe('');
});

test('the next one takes the place of the one before', () => {
  const { file } = keep(1);
  for (const line of ['first\n', 'second\n']) {
    file.write(line);
    look();
  }
  expect(read(`${path}.1`)).toBe('second\n');
});

test('with size 0 it grows', () => {
  const { file } = keep(0);
  file.write('1'.repeat(100_000));
  look();
  expect(file.size).toBe(100_000);
});

test('two services that share a file do not delete what the other one has just put aside', () => {
  const one = keep(10);
  const other = keep(10);
  one.file.write('a line of the first\n');
  look();
  other.file.write('a line of the second\n');
  expect(read(`${path}.1`) + read(path)).toBe('a line of the first\na line of the second\n');
});

test('a file that can not be put aside is one warning, and goes on', () => {
  const { file, logger } = keep(1);
  mkdirSync(join(`${path}.1`, 'full'), { recursive: true });
  file.write('first\n');
  for (let times = 0; times < 3; times++) look();
  expect(logger.warnings).toEqual([expect.stringMatching(/^the log file can't be rotated: .*some\.log\.1/)]);
  file.write('second\n');
  expect(read(path)).toBe('first\nsecond\n');
});

test('what a full disk has cost is told', () => {
  writeFileSync(path, '');
  const { file, logger } = keep(0);
  file.onLost(3, 'ENOSPC');
  expect(logger.of('warn')).toEqual([
    { level: 'warn', message: 'log lines were lost', fields: { lines: 3, reason: 'ENOSPC' } },
  ]);
});
