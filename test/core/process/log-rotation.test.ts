import { existsSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { askEach } from '../../support/asking.js';
import { eventually } from '../../support/eventually.js';
import { testFolders } from '../../support/folder.js';
import { freePort } from '../../support/free-port.js';
import { endScripts, type Script, startScript } from '../../support/processes.js';

const PROCESSES = 4;
const newFolder = testFolders();

afterEach(endScripts);

interface Logging {
  readonly script: Script;
  readonly port: number;
  readonly folder: string;
  readonly path: string;
}

async function start(env: Readonly<Record<string, string>> = {}, fixture = 'logging'): Promise<Logging> {
  const port = await freePort();
  const folder = newFolder();
  const path = join(folder, 'some.log');
  const script = startScript(fileURLToPath(new URL(`fixtures/${fixture}.mjs`, import.meta.url)), {
    env: { LOG: path, PORT: String(port), ...env },
  });
  await script.outputMatching(/^ready$/m, 60_000);
  return { script, port, folder, path };
}

const read = (path: string) => (existsSync(path) ? readFileSync(path, 'utf8') : '');

test('four processes write their lines while the file is rotated again and again: each is there once, and whole', async () => {
  const lines = 20_000;
  const { script, port, folder } = await start({ LINES: String(lines), MAX_SIZE: '60000', LOOK_EVERY: '2' });
  for (const { pid } of await askEach(port, PROCESSES)) process.kill(pid, 'SIGUSR2');
  await eventually('all lines', () => script.count(/all written/g) === PROCESSES, 60_000);
  const files = readdirSync(folder);
  expect(files.length).toBeGreaterThan(20);
  const found = files.flatMap((name) => {
    const text = read(join(folder, name));
    expect(text.endsWith('\n') || text === '').toBe(true);
    return text.split('\n').slice(0, -1);
  });
  const numbers = found.map((line) => {
    const parts = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d pid:\d+ Writer:(\d) line (\d)\/(\d+) filler=(x*)$/.exec(line);
    if (parts === null || parts[1] !== parts[2] || parts[4]?.length !== Number(parts[3]) % 50)
      return `not whole: ${line}`;
    return `${parts[2]}/${parts[3]}`;
  });
  const all = Array.from(
    { length: PROCESSES * lines },
    (_, index) => `${index % PROCESSES}/${Math.floor(index / PROCESSES)}`,
  );
  expect(numbers.length).toBe(all.length);
  const seen = new Set(numbers);
  expect(all.filter((number) => !seen.has(number))).toEqual([]);
});

test('a process whose loop is blocked delays the next rotation, and loses no line by it', async () => {
  const { script, port, path, folder } = await start({ MAX_SIZE: '2000', LOOK_EVERY: '5' });
  const [blocked, ...others] = await askEach(port, PROCESSES);
  const release = join(folder, 'release');
  blocked?.socket.write(`block ${release}`);
  await script.outputMatching(/^blocking$/m);
  const size = () => statSync(path).size;
  const fill = (until: () => boolean) =>
    eventually('enough lines', () => {
      for (const { socket } of others) socket.write(`log ${'y'.repeat(200)}`);
      return until();
    });
  await fill(() => existsSync(`${path}.1`));
  await fill(() => size() > 3 * 2000);
  const first = statSync(`${path}.1`).ino;
  expect(existsSync(`${path}.kept0`)).toBe(false);
  writeFileSync(release, '');
  blocked?.socket.write('log I was away');
  await eventually('the next rotation', () => statSync(`${path}.1`).ino !== first);
  await eventually('the line', () =>
    readdirSync(folder).some((name) => read(join(folder, name)).includes('I was away')),
  );
});

test('after a rename by another program, a reload has all processes write to the new file', async () => {
  const { script, port, path } = await start();
  const writers = await askEach(port, PROCESSES);
  const say = (text: string) => {
    for (const { socket } of writers) socket.write(`log ${text}`);
  };
  const has = (file: string, text: string) => writers.every(({ id }) => read(file).includes(`Writer:${id} ${text}`));
  say('first');
  await eventually('the lines', () => has(path, 'first'));
  renameSync(path, `${path}-20261121`);
  say('second');
  await eventually('the lines', () => has(`${path}-20261121`, 'second'));
  expect(existsSync(path)).toBe(false);
  script.kill('SIGUSR2');
  await eventually('the lines in the new file', () => {
    say('third');
    return has(path, 'third');
  });
});

test('a rename by another program is noticed also without a reload', async () => {
  const { port, path } = await start({ LOOK_EVERY: '10' });
  const writers = await askEach(port, PROCESSES);
  renameSync(path, `${path}-20261121`);
  await eventually('the lines in the new file', () => {
    for (const { socket } of writers) socket.write('log here');
    return writers.every(({ id }) => read(path).includes(`Writer:${id} here`));
  });
});
