import { mkdirSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { expect, onTestFinished, test } from 'vitest';
import { controlPaths, readPid, socketPlace } from '../../../../src/core/process/control/paths.js';
import { folder } from './support.js';

/** For the rest of the test. */
function set<Key extends 'argv' | 'platform'>(key: Key, value: (typeof process)[Key]): void {
  const before = Object.getOwnPropertyDescriptor(process, key) ?? {};
  Object.defineProperty(process, key, { ...before, value });
  onTestFinished(() => void Object.defineProperty(process, key, before));
}

function entry(path: string): void {
  set('argv', [process.execPath, path, 'start']);
}

test('the pid file lies beside the entry script, under its name, and the socket beside the pid file', () => {
  const place = folder();
  writeFileSync(join(place, 'start.js'), '');
  entry(join(place, 'start.js'));
  const pidFile = join(realpathSync(place), 'gatewayworker.start.js.pid');
  const socket = { path: join(realpathSync(place), 'gatewayworker.start.js.sock'), isPipe: false, privateFolder: null };
  expect(controlPaths(null)).toEqual({ pidFile, lock: `${pidFile}.lock`, own: socket, found: socket });
});

test('it is the same one however the entry script is named', () => {
  const place = folder();
  mkdirSync(join(place, 'app'));
  writeFileSync(join(place, 'app', 'index.js'), '');
  symlinkSync(join(place, 'app'), join(place, 'link'));
  entry(join(place, 'app', 'index.js'));
  const paths = controlPaths(null);
  for (const name of ['app', 'app/index', 'link/index.js']) {
    entry(join(place, name));
    expect(controlPaths(null)).toEqual(paths);
  }
});

test('parts of a cluster that run apart have one each, in whatever order and case they are named by', () => {
  const place = realpathSync(folder());
  entry(join(place, 'start.js'));
  const names = (only: readonly string[]) => controlPaths(null, only)?.pidFile;
  expect(names(['gateway'])).toBe(join(place, 'gatewayworker.start.js.gateway.pid'));
  expect(names(['Register', 'gateway'])).toBe(join(place, 'gatewayworker.start.js.gateway+register.pid'));
  expect(names(['gateway', 'register', 'gateway'])).toBe(names(['Register', 'gateway']));
  expect(names(['../a b*'])).toBe(join(place, 'gatewayworker.start.js...%2Fa%20b%2A.pid'));
  expect(controlPaths('x.pid', ['gateway'])?.pidFile).toBe(join(place, 'x.pid'));
});

test('one of your own is taken from the folder of the entry script', () => {
  const place = realpathSync(folder());
  entry(join(place, 'start.js'));
  expect(controlPaths('x.pid')?.pidFile).toBe(join(place, 'x.pid'));
  expect(controlPaths('../x.pid')?.pidFile).toBe(join(dirname(place), 'x.pid'));
  expect(controlPaths('/not/there/x.pid')?.pidFile).toBe('/not/there/x.pid');
  expect(controlPaths('/not/there/x.pid')?.own.path).toBe('/not/there/x.sock');
  expect(controlPaths('/not/there/x')?.own.path).toBe('/not/there/x.sock');
});

test('without an entry script there is none, but for one of your own', () => {
  set('argv', [process.execPath]);
  expect(controlPaths(null)).toBeUndefined();
  expect(controlPaths('/not/there/x.pid')?.pidFile).toBe('/not/there/x.pid');
  // As with `node -e … start`.
  set('argv', [process.execPath, 'start']);
  expect(controlPaths(null)).toBeUndefined();
});

test('a socket path of 99 bytes lies beside the pid file, a longer one in a folder of its user', () => {
  const pidFile = (bytes: number) => `/${'ü'.repeat(5)}${'x'.repeat(bytes - 15)}.pid`;
  expect(socketPlace(pidFile(98), 1000)).toEqual({
    path: pidFile(98).replace('.pid', '.sock'),
    isPipe: false,
    privateFolder: null,
  });
  const other = socketPlace(pidFile(99), 1000);
  expect(Buffer.byteLength(other.path)).toBeLessThan(96);
  expect(other.privateFolder).toEqual({ path: join(tmpdir(), 'gatewayworker-1000'), uid: 1000 });
  expect(dirname(other.path)).toBe(other.privateFolder?.path);
  expect(socketPlace(pidFile(100), 1000).path).not.toBe(other.path);
});

test('on Windows it is a pipe, named after the pid file', () => {
  set('platform', 'win32');
  const place = socketPlace('C:\\app\\start.pid', -1);
  expect(place).toEqual({
    path: expect.stringMatching(/^\\\\\.\\pipe\\gatewayworker-[0-9a-f]{16}$/),
    isPipe: true,
    privateFolder: null,
  });
  expect(socketPlace('C:\\app\\other.pid', -1).path).not.toBe(place.path);
});

test.each([
  ['4711', 4711],
  ['0', undefined],
  ['', undefined],
  ['-1', undefined],
  ['4711 or so', undefined],
  ['9'.repeat(30), undefined],
])("a pid file with '%s' holds the pid %s", (content, pid) => {
  const file = join(folder(), 'x.pid');
  expect(readPid(file)).toBeUndefined();
  writeFileSync(file, content);
  expect(readPid(file)).toBe(pid);
});
