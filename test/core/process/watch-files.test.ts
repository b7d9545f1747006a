import { appendFileSync, chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { watchFiles } from '../../../src/core/process/watch-files.js';
import { eventually } from '../../support/eventually.js';

let directory: string;
let end: () => void = () => {};
let told: string[][];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'gatewayworker-watch-'));
  write('events.js', 'export const version = 1;');
  told = [];
});

afterEach(() => {
  end();
  rmSync(directory, { recursive: true, force: true });
});

test('a changed file is told once, however many steps its writing took', async () => {
  begin();
  for (let i = 0; i < 5; i++) appendFileSync(path('events.js'), '// more\n');
  await tells(['events.js']);
  // What comes behind has been told, so there was no more before.
  write('last.js', 'export {};');
  await tells(['last.js']);
});

test('files that change together are told together', async () => {
  begin();
  write('events.js', 'export const version = 2;');
  write('helper.mjs', 'export {};');
  await tells(['events.js', 'helper.mjs']);
});

test('a file that replaces another, as editors save, is a change', async () => {
  begin();
  write('events.js.tmp', 'export const version = 2;');
  renameSync(path('events.js.tmp'), path('events.js'));
  await tells(['events.js']);
});

test('a deleted file is a change', async () => {
  begin();
  rmSync(path('events.js'));
  await tells(['events.js']);
});

test('a directory that is made later is watched, with what is in it by then', async () => {
  begin();
  mkdirSync(path('rooms'));
  write('rooms/lobby.js', 'export {};');
  await tells(['rooms/lobby.js']);
  write('rooms/lobby.js', 'export const size = 2;');
  await tells(['rooms/lobby.js']);
});

test('a directory that is deleted takes its files along, and the rest is watched on', async () => {
  mkdirSync(path('rooms'));
  write('rooms/lobby.js', 'export {};');
  begin();
  rmSync(path('rooms'), { recursive: true });
  await tells(['rooms/lobby.js']);
  write('events.js', 'export const version = 2;');
  await tells(['events.js']);
});

test('logs, pid files, packages and what begins with a dot are no sources', async () => {
  mkdirSync(path('node_modules/other'), { recursive: true });
  mkdirSync(path('.git'));
  begin();
  write('gatewayworker.log', 'a line');
  write('gatewayworker.start.js.pid', '1');
  write('node_modules/other/index.js', 'export {};');
  write('.git/config.json', '{}');
  chmodSync(path('events.js'), 0o600);
  // What comes behind all of these has been told, so they would have been, too.
  write('last.js', 'export {};');
  await tells(['last.js']);
});

test('a directory that is not there is an error, with nothing watched', () => {
  expect(() => watchFiles([directory, path('absent')], () => {})).toThrow(/ENOENT/);
});

test('nothing is told once it has ended', async () => {
  begin();
  write('events.js', 'export const version = 2;');
  end();
  let control = 0;
  end = watchFiles([directory], () => control++);
  write('events.js', 'export const version = 3;');
  await eventually('a change for the other watch', () => control > 0);
  expect(told).toEqual([]);
});

function begin(): void {
  end = watchFiles([directory], (files) => told.push(files.map((file) => file.slice(directory.length + 1))));
}

function path(name: string): string {
  return join(directory, name);
}

function write(name: string, text: string): void {
  writeFileSync(path(name), text);
}

/** Until these have been told of, by one call or several. */
async function tells(files: readonly string[]): Promise<void> {
  await eventually(`a change of ${files}`, () => told.flat().length >= files.length);
  expect(told.splice(0).flat()).toEqual(files);
}
