import { chmodSync, existsSync, readdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import type { RunOptions } from '../../src/mod.js';
import { isRoot } from '../support/accounts.js';
import { ask, askEach } from '../support/asking.js';
import { type Command, endCommands, environmentOf, startCommand } from '../support/daemons.js';
import { eventually } from '../support/eventually.js';
import { testFolders } from '../support/folder.js';
import { busyPort, freePort } from '../support/free-port.js';
import { isAlive, readProcess } from '../support/processes.js';

const FIXTURE = fileURLToPath(new URL('../core/process/fixtures/with-options.mjs', import.meta.url));
const newFolder = testFolders();

afterEach(endCommands);

interface Settings {
  readonly run?: RunOptions;
  readonly env?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  readonly nodeArgs?: readonly string[];
  readonly port?: number;
  /** A program and its arguments that start Node. */
  readonly through?: readonly string[];
}

interface Started extends Command {
  readonly port: number;
  readonly log: string;
  readonly out: string;
}

/** Begins `node fixture start -d`, with its log and its output in a folder of its own. */
async function begin(settings: Settings = {}): Promise<Started> {
  const { run = {}, args = ['start', '-d'], nodeArgs = [], through = [], port = await freePort() } = settings;
  const folder = newFolder();
  const log = join(folder, 'some.log');
  const out = join(folder, 'some.out');
  const options: RunOptions = { logFile: log, stdoutFile: out, pidFile: join(folder, 'some.pid'), ...run };
  const [program = '', first = '', ...rest] = [...through, process.execPath, ...nodeArgs, FIXTURE, ...args];
  const command = startCommand(first, {
    interpreter: program,
    args: rest,
    env: { PORT: String(port), RUN: JSON.stringify(options), ...settings.env },
  });
  return { ...command, port, log, out };
}

/** Waits for the command to succeed; returns the pid of what runs in the background. */
async function startedInBackground({ script }: Command): Promise<number> {
  const [, pid] = await script.outputMatching(/^Started in the background as process (\d+)\.$/m);
  expect(await script.exit()).toEqual({ code: 0, signal: null });
  return Number(pid);
}

async function expectFailure(command: Command, text: RegExp, code = 1): Promise<void> {
  const { script, processes } = command;
  expect(await script.exit()).toEqual({ code, signal: null });
  const lines = script.output.split('\n').filter((line) => line !== '');
  expect(lines).toEqual([expect.stringMatching(text)]);
  await eventually('no process is left', () => processes().length === 0);
}

const read = (path: string) => (existsSync(path) ? readFileSync(path, 'utf8') : '');

describe('start -d', () => {
  test('returns once all is ready, with the banner, the place of the log and how to stop it', async () => {
    const started = await begin();
    const pid = await startedInBackground(started);
    const { script, log, port, processes } = started;
    expect(script.output).toMatch(/GATEWAYWORKER[\s\S]*TestWorker +tcp:\/\/127\.0\.0\.1:\d+ +2 +\[OK\]/);
    expect(script.output).toContain(`Its log is ${log}\n`);
    expect(script.output).toMatch(/^Stop it with: node .*with-options\.mjs stop$/m);
    expect(script.output).not.toContain('Ctrl+C');
    expect(processes()).toHaveLength(3);
    expect(processes()).toContain(pid);
    expect((await askEach(port, 2)).map((answer) => answer.pid).every(isAlive)).toBe(true);
  });

  test('of a part of the service says how to stop that part', async () => {
    const started = await begin({ args: ['start', '-d', '--only=worker'] });
    await startedInBackground(started);
    expect(started.script.output).toMatch(/^Stop it with: node .*with-options\.mjs stop --only=worker$/m);
  });

  test('-q prints nothing at all', async () => {
    const started = await begin({ args: ['start', '-d', '-q'] });
    expect(await started.script.exit()).toEqual({ code: 0, signal: null });
    expect(started.script.output).toBe('');
    expect(started.processes()).toHaveLength(3);
  });

  test('what follows run() runs in the background alone', async () => {
    const started = await begin();
    const pid = await startedInBackground(started);
    await eventually('its output', () => read(started.out).includes('after run'));
    expect(read(started.out)).toContain(`after run in ${pid}, `);
    expect(started.script.output).not.toContain('after run');
  });

  test('daemonize does the same without -d', async () => {
    const started = await begin({ run: { daemonize: true }, args: [] });
    await startedInBackground(started);
    expect(started.processes()).toHaveLength(3);
  });

  test('works with all in one process', async () => {
    const started = await begin({ run: { processes: 'single' } });
    const pid = await startedInBackground(started);
    expect((await ask(started.port)).pid).toBe(pid);
    expect(started.processes()).toEqual([pid]);
  });

  test('the service outlives the terminal that it was started from', async () => {
    // script gives it a terminal, whose end reaches all that still belong to it.
    const shell = `${process.execPath} ${FIXTURE} start -d; echo done; sleep 1000`;
    const folder = newFolder();
    const port = await freePort();
    const { script, processes } = startCommand('-qec', {
      interpreter: 'script',
      args: [shell, '/dev/null'],
      env: {
        PORT: String(port),
        RUN: JSON.stringify({ logFile: join(folder, 'some.log'), pidFile: join(folder, 'some.pid') }),
      },
    });
    await script.outputMatching(/^done/m);
    const [, pid] = await script.outputMatching(/in the background as process (\d+)\./);
    const daemon = readProcess(Number(pid));
    expect(daemon?.session).toBe(Number(pid));
    for (const fd of [0, 1, 2]) expect(readlinkSync(`/proc/${pid}/fd/${fd}`)).toBe('/dev/null');
    const before = await ask(port);
    script.kill('SIGKILL');
    await eventually('the end of the shell', () => processes().length === 3);
    expect((await ask(port)).id).not.toBe(before.id);
    expect(before.socket.destroyed).toBe(false);
    expect(processes()).toContain(Number(pid));
  });

  test('it stops in order on SIGTERM, and says so in its log', async () => {
    const started = await begin();
    process.kill(await startedInBackground(started), 'SIGTERM');
    await eventually('no process is left', () => started.processes().length === 0);
    expect(read(started.log)).toMatch(/ master started\n.* master stopping on SIGTERM\n.* master stopped\n$/);
    expect(read(started.out).match(/TestWorker:\d stopped/g)).toHaveLength(2);
  });

  test('it keeps folder, umask and arguments, and has no standard input', async () => {
    const started = await begin({ args: ['start', '-d', '--', '--of-the-program'] });
    const pid = await startedInBackground(started);
    for (const process of started.processes()) {
      expect(readlinkSync(`/proc/${process}/cwd`)).toBe(readlinkSync('/proc/self/cwd'));
      expect(readlinkSync(`/proc/${process}/fd/0`)).toBe('/dev/null');
      expect(readlinkSync(`/proc/${process}/fd/1`)).toBe(started.out);
      expect(readlinkSync(`/proc/${process}/fd/2`)).toBe(started.out);
      expect(umaskOf(process)).toBe(umaskOf('self'));
    }
    await eventually('its output', () => read(started.out).includes('after run'));
    expect(read(started.out)).toContain(`after run in ${pid}, arguments start -d -- --of-the-program,`);
  });

  test('options of Node are passed on', async () => {
    const preload = join(newFolder(), 'preload.mjs');
    writeFileSync(preload, 'globalThis.preloaded = true;');
    const started = await begin({ nodeArgs: ['--import', pathToFileURL(preload).href] });
    await startedInBackground(started);
    await eventually('its output', () => read(started.out).includes('after run'));
    expect(read(started.out)).toContain('preloaded true');
  });

  test('nothing of how it was started is left in it or in its processes', async () => {
    const started = await begin();
    const pid = await startedInBackground(started);
    await eventually('its output', () => read(started.out).includes('after run'));
    // The second may be there where the tests run.
    expect(read(started.out)).toMatch(/after run.* send undefined,.*\n(GATEWAYWORKER_REQUIRE,)?GATEWAYWORKER_TEST\n/);
    for (const worker of started.processes().filter((process) => process !== pid)) {
      const names = environmentOf(worker).map((entry) => entry.split('=')[0]);
      expect(names).toContain('GATEWAYWORKER_PROCESS');
      expect(names).not.toContain('GATEWAYWORKER_DAEMON');
    }
  });
});

describe('who is in the background', () => {
  /** Runs the fixture as the child of a shell, with a file where the report goes. */
  async function runMarked(mark: string, command: string): Promise<Command & { readonly report: string }> {
    const folder = newFolder();
    const report = join(folder, 'report');
    const shell = `GATEWAYWORKER_DAEMON=${mark} ${process.execPath} ${FIXTURE} ${command} 3>${report}; true`;
    const env = {
      PORT: String(await freePort()),
      RUN: JSON.stringify({ logFile: join(folder, 'some.log'), pidFile: join(folder, 'some.pid') }),
    };
    return { ...startCommand('-c', { interpreter: 'sh', args: [shell], env }), report };
  }

  test('starts, also where the command was to start it again, and reports once', async () => {
    const { report } = await runMarked('$$', 'restart -d');
    await eventually('the report', () => JSON.parse(read(report)).ready);
  });

  test('is not one that another process started, which has only the environment of it', async () => {
    const { script, report } = await runMarked('1', 'start -d');
    await script.outputMatching(/^Started in the background as process \d+\.$/m);
    expect(read(report)).toBe('');
  });
});

describe('the files of a service in the background', () => {
  test('its log is beside the entry script where the options name none, and has all lines', async () => {
    const port = await freePort();
    const command = startCommand(FIXTURE, { args: ['start', '-d'], env: { PORT: String(port) } });
    await startedInBackground(command);
    const folder = dirname(command.script.entry);
    const log = join(folder, 'gatewayworker.log');
    expect(command.script.output).toContain(`Its log is ${log}\n`);
    const [first] = await askEach(port, 2);
    first?.socket.write('log hello');
    await eventually('the line', () => / TestWorker:0 hello\n/.test(read(log)));
    expect(readdirSync(folder)).toContain('with-options.mjs');
  });

  test('lines go to the log alone, and what the program prints to the output file, behind what was there', async () => {
    const folder = newFolder();
    const out = join(folder, 'var/some.out');
    const first = await begin({ run: { stdoutFile: out } });
    process.kill(await startedInBackground(first), 'SIGTERM');
    await eventually('no process is left', () => first.processes().length === 0);
    const second = await begin({ run: { stdoutFile: out } });
    await startedInBackground(second);
    await eventually('the output of both', () => read(out).match(/after run/g)?.length === 2);
    expect(read(out).match(/TestWorker:\d started as/g)).toHaveLength(4);
    expect(read(out)).not.toContain(' master ');
    expect(read(first.log)).not.toContain('started as');
  });

  test('nobody but the owner may write to them, whatever the umask', async () => {
    const started = await begin({ through: ['sh', '-c', 'umask 0; exec "$@"', 'sh'] });
    await startedInBackground(started);
    for (const path of [started.log, started.out]) expect(statSync(path).mode & 0o777).toBe(0o640);
  });

  test('with JSON each line of the log is an object', async () => {
    const started = await begin({ run: { logFormat: 'json' } });
    const pid = await startedInBackground(started);
    (await ask(started.port)).socket.write('throw');
    await eventually('the restart', () => read(started.log).includes('starting it again'));
    process.kill(pid, 'SIGTERM');
    await eventually('no process is left', () => started.processes().length === 0);
    const lines = read(started.log).trimEnd().split('\n');
    const sources = lines.map((line) => JSON.parse(line).source);
    expect(sources).toEqual(expect.arrayContaining(['master', expect.stringMatching(/^TestWorker:[01]$/)]));
  });

  test('a logger of your own takes the place of the log', async () => {
    const folder = newFolder();
    const entry = join(folder, 'start.mjs');
    const dist = new URL('../../dist/mod.js', import.meta.url).href;
    writeFileSync(
      entry,
      `import { run, Worker } from ${JSON.stringify(dist)};
       const write = (message) => console.log('own', message);
       new Worker(null);
       await run({ logger: { debug() {}, info: write, warn: write, error: write }, stdoutFile: ${JSON.stringify(join(folder, 'out'))} });`,
    );
    const command = startCommand(entry, { args: ['start', '-d'] });
    await startedInBackground(command);
    await eventually('the message', () => read(join(folder, 'out')) === 'own master started\n');
    expect(readdirSync(folder).sort()).toEqual(['out', 'start.mjs']);
  });

  test('an uncaught error of a worker is in the log with its stack, and so is one of the master', async () => {
    const started = await begin();
    await startedInBackground(started);
    (await ask(started.port)).socket.write('throw');
    await eventually('the stack', () =>
      /error TestWorker:\d uncaught exception: Error: thrown by a handler\n +at .*test-worker/.test(read(started.log)),
    );
    const dying = await begin({ env: { MASTER_THROWS: '1' } });
    await startedInBackground(dying);
    await eventually('no process is left', () => dying.processes().length === 0);
    expect(read(dying.log)).toMatch(
      /error master uncaught exception: Error: thrown in the master\n +at .*with-options/,
    );
  });
});

describe('start -d of a service that can not start', () => {
  test('prints the same line as in the foreground, with the same exit code, and leaves nothing', async () => {
    const env = { FAIL_START: '1' };
    const line = /^TestWorker:[01] could not start: the database is not there$/;
    const started = await begin({ env });
    await expectFailure(started, line);
    await expectFailure(await begin({ env, args: ['start'], run: { logFile: undefined } }), line);
    expect(read(started.log)).toMatch(/error master TestWorker:[01] could not start: the database is not there\n/);
  });

  test('with logLevel debug it prints the stack of the process in which it failed', async () => {
    const { script } = await begin({ env: { FAIL_START: '1' }, run: { logLevel: 'debug' } });
    expect(await script.exit()).toEqual({ code: 1, signal: null });
    expect(script.output).toMatch(
      /^GW_START_WORKER_FAILED: TestWorker:\d could not start[\s\S]* at .*with-options\.mjs/m,
    );
  });

  test('a busy port is one line in the terminal', async () => {
    const { server, port } = await busyPort();
    await expectFailure(await begin({ port }), /^TestWorker cannot listen on tcp:.*: the port is in use; /);
    server.close();
  });

  test('so is a port that this user may not have', async () => {
    // Root may have it: it is asked for by nobody, who needs a folder to write to.
    const through = isRoot ? ['setpriv', '--reuid=nobody', '--regid=nogroup', '--clear-groups'] : [];
    const folder = newFolder();
    chmodSync(folder, 0o777);
    const run = isRoot ? { logFile: '/dev/null', stdoutFile: null, pidFile: join(folder, 'some.pid') } : {};
    await expectFailure(
      await begin({ port: 1, through, run }),
      /^TestWorker cannot listen on .*: this user may not listen on/,
    );
  });

  test('so is a log or output file that can not be written to', async () => {
    const file = join(newFolder(), 'file');
    writeFileSync(file, '');
    for (const option of ['logFile', 'stdoutFile'] as const) {
      const path = join(file, 'some.txt');
      await expectFailure(
        await begin({ run: { [option]: path } }),
        new RegExp(`^the ${option} ${path} can't be written to: `),
      );
    }
  });

  test('so is an option that does not fit', async () => {
    await expectFailure(await begin({ run: { ownsProcess: false } }), /^run: 'daemonize' starts the whole program/);
  });

  test('so is a program without an entry script', async () => {
    const dist = new URL('../../dist/mod.js', import.meta.url).href;
    const code = `import { run } from '${dist}'; await run({ daemonize: true });`;
    const command = startCommand('--input-type=module', { interpreter: process.execPath, args: ['-e', code] });
    await expectFailure(command, /^there is no entry script to run in the background; put the code in a file$/);
  });

  test('a program that ends by itself in the background is told, with its exit code', async () => {
    const started = await begin({ env: { MASTER_EXITS: '1' } });
    await expectFailure(
      started,
      /^the service ended with exit code 7 before it was ready; start it without -d to see why$/,
      7,
    );
  });

  test.each(['SIGINT', 'SIGTERM'] as const)('%s while it waits ends the start', async (signal) => {
    const started = await begin({ env: { PENDING_START: '1' } });
    await eventually('the workers', () => started.processes().length === 4);
    started.script.killGroup(signal);
    await expectFailure(started, /^interrupted; the service was not started$/);
  });
});

function umaskOf(process: number | 'self'): string | undefined {
  return /^Umask:\s*(\d+)$/m.exec(read(`/proc/${process}/status`))?.[1];
}
