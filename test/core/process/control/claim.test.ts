import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, onTestFinished, test, vi } from 'vitest';
import type { Claim } from '../../../../src/core/process/control/claim.js';
import { claim } from '../../../../src/core/process/control/claim.js';
import { ControlClient } from '../../../../src/core/process/control/client.js';
import type { ControlPaths } from '../../../../src/core/process/control/paths.js';
import { controlPaths } from '../../../../src/core/process/control/paths.js';
import { endScripts, startScript } from '../../../support/processes.js';
import { folder, HELLO, Peer, target } from './support.js';

afterEach(endScripts);

function paths(pidFile = join(folder(), 'x.pid')): ControlPaths {
  return controlPaths(pidFile) as ControlPaths;
}

async function claimed(place: ControlPaths): Promise<Claim> {
  const made = await claim(place, target());
  onTestFinished(() => made.release());
  return made;
}

/** A path too long for a socket, and the folder for sockets that is used instead. */
function longPath(): { place: ControlPaths; shared: string } {
  vi.stubEnv('TMPDIR', folder());
  onTestFinished(() => void vi.unstubAllEnvs());
  const deep = join(folder(), 'x'.repeat(100));
  mkdirSync(deep);
  const place = paths(join(deep, 'x.pid'));
  return { place, shared: place.own.privateFolder?.path ?? '' };
}

test('of many claims at once one succeeds, and the others are told of it', async () => {
  const place = paths();
  const results = await Promise.allSettled(Array.from({ length: 20 }, () => claim(place, target())));
  const [winner, ...more] = results.filter((result) => result.status === 'fulfilled');
  expect(more).toEqual([]);
  for (const { reason } of results.filter((result) => result.status === 'rejected')) {
    expect(reason).toMatchObject({ code: 'GW_START_RUNNING', message: `already running (pid ${HELLO.pid})` });
  }
  expect(readFileSync(place.pidFile, 'utf8')).toBe(String(process.pid));
  expect(readdirSync(dirname(place.pidFile)).sort()).toEqual(['x.pid', 'x.sock']);
  winner?.value.release();
  expect(readdirSync(dirname(place.pidFile))).toEqual([]);
});

test('a claim that was given back can be made again, and giving it back twice costs nobody else anything', async () => {
  const place = paths();
  const first = await claimed(place);
  first.release();
  const second = await claimed(place);
  first.release();
  expect(readFileSync(place.pidFile, 'utf8')).toBe(String(process.pid));
  expect((await ControlClient.open(place)).hello).toEqual(HELLO);
  // Somebody else's by now.
  writeFileSync(place.pidFile, '1');
  second.release();
  expect(readFileSync(place.pidFile, 'utf8')).toBe('1');
});

test('one that is stopping says so', async () => {
  const place = paths();
  const made = await claim(place, target({ hello: () => ({ ...HELLO, state: 'stopping' }) }));
  onTestFinished(() => made.release());
  await expect(claim(place, target())).rejects.toMatchObject({ message: `still stopping (pid ${HELLO.pid})` });
});

test('a claim whose files can no longer be removed is given back nevertheless', async () => {
  const place = paths();
  const made = await claimed(place);
  rmSync(dirname(place.pidFile), { recursive: true });
  made.release();
  await expect(ControlClient.open(place)).rejects.toMatchObject({ code: 'GW_CONTROL_NOT_RUNNING' });
});

test('a pid file that is a link is refused, and what it leads to stays', async () => {
  const place = paths();
  const precious = join(dirname(place.pidFile), 'precious');
  writeFileSync(precious, '1');
  symlinkSync(precious, place.pidFile);
  await expect(claim(place, target())).rejects.toMatchObject({ code: 'GW_START_PID_FILE' });
  expect(readFileSync(precious, 'utf8')).toBe('1');
});

test.each([
  ['may be entered by others', (shared: string) => mkdirSync(shared, { mode: 0o755 })],
  ['is a link', (shared: string) => symlinkSync(folder(), shared)],
  ['is a file', (shared: string) => writeFileSync(shared, '')],
])('a folder for sockets that %s is not used', async (_how, make) => {
  const { place, shared } = longPath();
  make(shared);
  await expect(claim(place, target())).rejects.toMatchObject({
    code: 'GW_START_CONTROL',
    message: expect.stringContaining(`${shared} is to be a folder that only its owner may enter`),
  });
  expect(readdirSync(dirname(place.pidFile))).toEqual([]);
});

test('nor one that belongs to another user', async () => {
  const { place, shared } = longPath();
  (await claimed(place)).release();
  const { uid, path } = place.own.privateFolder ?? { uid: 0, path: shared };
  const theirs = { ...place.own, privateFolder: { uid: uid + 1, path } };
  await expect(ControlClient.open({ ...place, found: theirs })).rejects.toMatchObject({ code: 'GW_CONTROL_FORBIDDEN' });
});

test('a socket that the system refuses to make is a clear error, and leaves no file', async () => {
  const place = paths();
  const own = { ...place.own, path: join(dirname(place.pidFile), 'x'.repeat(150)) };
  await expect(claim({ ...place, own }, target())).rejects.toMatchObject({
    code: 'GW_START_CONTROL',
    message: expect.stringContaining('give the option pidFile a path on a disk of this machine'),
  });
  expect(readdirSync(dirname(place.pidFile))).toEqual([]);
});

test('neither the claim nor who is connected keeps the process alive, and its exit removes the files', async () => {
  const place = paths();
  const source = fileURLToPath(new URL('../../../../dist/core/process/control/', import.meta.url));
  const script = join(dirname(place.pidFile), 'claims.mjs');
  writeFileSync(
    script,
    `import { claim } from ${JSON.stringify(join(source, 'claim.js'))};
     import { controlPaths } from ${JSON.stringify(join(source, 'paths.js'))};
     process.stdin.once('data', () => process.stdin.destroy());
     await claim(controlPaths(${JSON.stringify(place.pidFile)}), { hello: () => ({}) });
     console.log('claimed');
     setTimeout(() => console.log('over'), 500);`,
  );
  const program = startScript(script);
  await program.outputMatching(/claimed/);
  const peer = new Peer(place.own.path);
  peer.write('{"id":1,"command":"hello"}\n{"id":2');
  await peer.gets(1);
  await program.outputMatching(/over/);
  expect(await program.exit()).toEqual({ code: 0, signal: null });
  await peer.untilClosed();
  expect(readdirSync(dirname(place.pidFile))).toEqual(['claims.mjs']);
});

test('rights that the mask of the process would leave to others are not left', async () => {
  const before = process.umask(0);
  onTestFinished(() => void process.umask(before));
  const place = paths();
  await claimed(place);
  expect(statSync(place.own.path).mode & 0o777).toBe(0o600);
  expect(process.umask()).toBe(0);
});
