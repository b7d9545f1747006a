import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { readServiceOptions, type ServiceOptions, startService } from '../../../src/core/process/mod.js';
import { ask, askEach } from '../../support/asking.js';
import { eventually } from '../../support/eventually.js';
import { testFolders } from '../../support/folder.js';
import { freePort } from '../../support/free-port.js';
import { endScripts, type Script, startScript } from '../../support/processes.js';
import { RecordingLogger } from '../../support/recording-logger.js';
import { TestWorker } from '../../support/test-worker.js';

const FIXTURE = fileURLToPath(new URL('fixtures/with-options.mjs', import.meta.url));
const READY = /Press Ctrl\+C to stop\./;
const newFolder = testFolders();

afterEach(endScripts);

interface Started {
  readonly script: Script;
  readonly port: number;
  readonly path: string;
}

async function start(run: Partial<ServiceOptions> = {}, env: Readonly<Record<string, string>> = {}): Promise<Started> {
  const port = await freePort();
  const path = run.logFile ?? join(newFolder(), 'some.log');
  const options = { logFile: path, ...run };
  const script = startScript(FIXTURE, { env: { PORT: String(port), RUN: JSON.stringify(options), ...env } });
  return { script, port, path };
}

const read = (path: string) => (existsSync(path) ? readFileSync(path, 'utf8') : '');

test('in the foreground lines go to standard error and to the log file, and none is made without the option', async () => {
  const { script, port, path } = await start();
  await script.outputMatching(READY);
  const [first] = await askEach(port, 2);
  first?.socket.write('log hello');
  await eventually('the line', () => read(path).includes('TestWorker:0 hello'));
  const line = read(path)
    .split('\n')
    .find((text) => text.includes('hello'));
  await script.outputMatching(new RegExp(`^${line}$`, 'm'));

  const without = await start({ logFile: undefined });
  await without.script.outputMatching(READY);
  expect(existsSync(join(dirname(FIXTURE), 'gatewayworker.log'))).toBe(false);
});

test.each(['many', 'single'] as const)(
  'with JSON every line is an object, in the file as on standard error (%s)',
  async (processes) => {
    const { script, port, path } = await start({ logFormat: 'json', logLevel: 'debug', processes });
    await script.outputMatching(READY);
    (await ask(port)).socket.write('log hello');
    await eventually('the line', () => read(path).includes('hello'));
    (await ask(port)).socket.write('throw');
    await eventually('the stack', () => read(path).includes('uncaught exception'));
    // Where all share a process, it is over with it.
    if (processes === 'many') script.kill('SIGTERM');
    await script.exit();
    const inFile = read(path).trimEnd().split('\n');
    const printed = script.output.split('\n').filter((line) => line.startsWith('{'));
    expect(printed.sort()).toEqual([...inFile].sort());
    const lines = inFile.map((line) => JSON.parse(line));
    expect(lines).toContainEqual({
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      level: 'info',
      pid: expect.any(Number),
      source: expect.stringMatching(/^TestWorker:[01]$/),
      message: 'hello',
    });
    expect(lines).toContainEqual(
      expect.objectContaining({
        level: 'error',
        message: expect.stringMatching(/^uncaught exception: Error: thrown by a handler\n +at /),
      }),
    );
  },
);

test('folders that lead to the log file are made', async () => {
  const path = join(newFolder(), 'var/log/some.log');
  const { script } = await start({ logFile: path });
  await script.outputMatching(READY);
  expect(existsSync(path)).toBe(true);
});

test.each(['many', 'single'] as const)(
  'a log file that can not be written to is one line, exit code 1, and nothing starts (%s)',
  async (processes) => {
    const folder = newFolder();
    writeFileSync(join(folder, 'file'), '');
    const path = join(folder, 'file/some.log');
    const { script } = await start({ logFile: path, processes });
    expect(await script.exit()).toEqual({ code: 1, signal: null });
    expect(script.output).toMatch(new RegExp(`^the logFile ${path} can't be written to: .*\\n$`));
  },
);

test('a log file that is too large is put aside, in the middle of the work', async () => {
  const path = join(newFolder(), 'some.log');
  writeFileSync(path, `${'old '.repeat(300)}\n`);
  const { script, port } = await start({ logFile: path, logFileMaxSize: 1000 });
  await script.outputMatching(READY);
  await eventually('it is put aside', () => read(`${path}.1`).startsWith('old '));
  const processes = await askEach(port, 2);
  await eventually('lines of both processes', () => {
    for (const { socket } of processes) socket.write('log new');
    return ['TestWorker:0 new', 'TestWorker:1 new'].every((line) => read(path).includes(line));
  });
});

test('a disk that fills up costs lines, which are counted; the service goes on, and so does the log', async () => {
  const path = join(newFolder(), 'some.log');
  const port = await freePort();
  // Node ignores the signal that goes with this limit, so that writing fails as on a full disk: in the middle of a line.
  const script = startScript('-c', {
    interpreter: 'sh',
    args: [`ulimit -S -f 8; exec ${process.execPath} ${FIXTURE} start`],
    env: { PORT: String(port), RUN: JSON.stringify({ logFile: path, logFormat: 'json' }) },
  });
  await script.outputMatching(READY);
  const [first, second] = await askEach(port, 2);
  const flood = `log ${'x'.repeat(1000)}`;
  let written = -1;
  await eventually('a full disk', async () => {
    first?.socket.write(flood);
    await ask(port);
    const before = written;
    written = read(path).length;
    return before === written && script.count(/x{1000}/g) > 10;
  });
  expect(read(path).endsWith('\n')).toBe(false);
  second?.socket.write(flood);
  expect((await askEach(port, 2)).map(({ pid }) => pid)).toEqual([first?.pid, second?.pid]);
  for (const pid of script.children()) execFileSync('prlimit', ['--pid', String(pid), '--fsize=unlimited']);
  // First the one that did not tear the last line.
  second?.socket.write('log again');
  await eventually('its line', () => read(path).includes('"message":"again"'));
  first?.socket.write('log again');
  await eventually('the report of both', () => [...read(path).matchAll(/log lines were lost/g)].length === 2);
  const lines = read(path)
    .split('\n')
    .filter((line) => line !== '' && !/^\{.*x$/.test(line))
    .map((line) => JSON.parse(line));
  expect(lines.filter(({ message }) => message === 'again')).toHaveLength(2);
  const lost = lines.filter(({ message }) => message === 'log lines were lost');
  expect(lost.map(({ fields }) => fields.reason)).toEqual(Array(2).fill(expect.stringMatching(/EFBIG/)));
  expect(lost.every(({ fields }) => fields.lines > 0)).toBe(true);
});

test('a process that is started again and can not open the log file has the master write for it', async () => {
  const { script, port, path } = await start({ logLevel: 'debug' });
  await script.outputMatching(READY);
  renameSync(path, `${path}.old`);
  mkdirSync(path);
  const [first] = await askEach(port, 2);
  first?.socket.write('exit 7');
  // What is handed to a process that is just ending is never answered.
  await script.outputMatching(/starting it again/);
  await eventually('a line of the new process', async () => {
    const answer = await ask(port);
    answer.socket.write('log hello');
    return answer.pid !== first?.pid && new RegExp(`pid:${answer.pid} TestWorker:0 hello`).test(read(`${path}.old`));
  });
  expect(readdirSync(path)).toEqual([]);
});

test('an error that ends the master is in the log file, and printed once', async () => {
  const { script, path } = await start({}, { MASTER_THROWS: '1' });
  expect((await script.exit()).code).toBe(1);
  expect(read(path)).toMatch(/error master uncaught exception: Error: thrown in the master\n +at .*with-options/);
  expect(script.count(/Error: thrown in the master/g)).toBe(1);
});

test.each([{ logFormat: 'json' }, { logFormat: 'text' }, { logFile: 'some.log' }, { logFileMaxSize: 0 }] as const)(
  'a logger of your own goes without the options of the lines it replaces (%o)',
  (option) => {
    expect(() => readServiceOptions({ logger: new RecordingLogger(), ...option })).toThrow(/'logger' replaces/);
    expect(readServiceOptions(option)).toMatchObject(option);
  },
);

test('a logger of your own gets each message with its source in front', async () => {
  const logger = new RecordingLogger();
  const workers = [new TestWorker({ name: 'Guest', onStart: (context) => context.logger.warn('hello', { a: 1 }) })];
  const service = await startService({ processes: 'single', ownsProcess: false, workers, logger });
  await service.stop();
  expect(logger.of('warn')).toEqual([{ level: 'warn', message: 'Guest:0 hello', fields: { a: 1 } }]);
});

test.each<[Partial<ServiceOptions>, RegExp]>([
  [{ daemonize: true, ownsProcess: false }, /ownsProcess/],
  [{ logFile: 'a/../some.log', stdoutFile: 'some.log' }, /two files/],
  [{ logFile: '' }, /'logFile' must be a string that is not empty, or null/],
  [{ logFileMaxSize: -1 }, /'logFileMaxSize' must be an integer/],
])('options that do not go together are refused (%o)', (options, message) => {
  expect(() => readServiceOptions(options)).toThrow(message);
});
