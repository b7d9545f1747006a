import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { LogFile } from '../../src/util/mod.js';

let folder: string;
let path: string;
const open = new Set<LogFile>();

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gatewayworker-'));
  path = join(folder, 'some.log');
});

afterEach(() => {
  for (const file of open) file.close();
  open.clear();
  rmSync(folder, { recursive: true });
});

function logFile(at = path): LogFile {
  const file = new LogFile(at);
  open.add(file);
  return file;
}

const read = (at = path) => readFileSync(at, 'utf8');

test('the file and the folders before it are made, and nobody but the owner may write', () => {
  const before = process.umask(0);
  try {
    logFile(join(folder, 'a/b/some.log'));
  } finally {
    process.umask(before);
  }
  expect(statSync(join(folder, 'a/b/some.log')).mode & 0o777).toBe(0o640);
  expect(statSync(join(folder, 'a/b')).mode & 0o777).toBe(0o750);
});

test('what can not be opened is the error of the system', () => {
  writeFileSync(path, '');
  expect(() => logFile(join(path, 'below-a-file.log'))).toThrow(/ENOTDIR|EEXIST/);
  expect(() => logFile(folder)).toThrow(/EISDIR/);
});

test('lines are added, by several writers in turn', () => {
  writeFileSync(path, 'before\n');
  const one = logFile();
  const other = logFile();
  one.write('1\n');
  other.write('2\n');
  one.write('3\n');
  expect(read()).toBe('before\n1\n2\n3\n');
  expect(one.size).toBe(13);
});

test('a file that is put aside is written to until it is reopened', () => {
  const one = logFile();
  const other = logFile();
  one.write('1\n');
  one.putAside();
  expect(one.moved).toBe(true);
  other.write('2\n');
  expect(one.reopen()).toBe(true);
  expect(one.moved).toBe(false);
  expect(other.moved).toBe(true);
  one.write('3\n');
  other.write('4\n');
  other.reopen();
  other.write('5\n');
  expect(read(`${path}.1`)).toBe('1\n2\n4\n');
  expect(read()).toBe('3\n5\n');
});

test('it is noticed that another program renamed the file, deleted it, or put another in its place', () => {
  const file = logFile();
  expect(file.moved).toBe(false);
  renameSync(path, `${path}.old`);
  expect(file.moved).toBe(true);
  renameSync(`${path}.old`, path);
  expect(file.moved).toBe(false);
  rmSync(path);
  expect(file.moved).toBe(true);
  writeFileSync(path, '');
  expect(file.moved).toBe(true);
});

test('where it can not be reopened, the former file goes on', () => {
  const file = logFile();
  renameSync(path, `${path}.old`);
  mkdirSync(path);
  expect(file.reopen()).toBe(false);
  file.write('1\n');
  expect(read(`${path}.old`)).toBe('1\n');
});

test('a full disk costs lines, which are counted and told once lines can be written again', () => {
  symlinkSync('/dev/full', path);
  const file = logFile();
  const told: string[] = [];
  file.onLost = (lines, reason) => told.push(`${lines} ${reason}`);
  file.write('1\n');
  file.write('2\n');
  expect(told).toEqual([]);
  rmSync(path);
  file.reopen();
  file.write('3\n');
  file.write('4\n');
  expect(told).toEqual([expect.stringMatching(/^2 ENOSPC/)]);
  expect(read()).toBe('3\n4\n');
});

test('what is written after the end is lost, and goes into no other file', () => {
  const file = new LogFile(path);
  file.close();
  const next = logFile(join(folder, 'next.log'));
  file.write('1\n');
  expect(read(next.path)).toBe('');
  expect(existsSync(path)).toBe(true);
});
