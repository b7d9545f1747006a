import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { BusinessWorker } from '../../../src/cluster/business/mod.js';
import { Gateway } from '../../../src/cluster/gateway/mod.js';
import { Register } from '../../../src/cluster/register/mod.js';
import { accountName } from '../../../src/core/process/account.js';
import { type ServiceOptions, startService, Worker } from '../../../src/core/process/mod.js';
import { accountOf, isRoot, onlyUser, primaryGroup } from '../../support/accounts.js';
import { ask, askEach } from '../../support/asking.js';
import { eventually } from '../../support/eventually.js';
import { testFolders } from '../../support/folder.js';
import { freePort } from '../../support/free-port.js';
import { endScripts, type Script, startScript } from '../../support/processes.js';

const FIXTURE = fileURLToPath(new URL('fixtures/with-options.mjs', import.meta.url));
const READY = /Press Ctrl\+C to stop\./;
const newFolder = testFolders();

afterEach(endScripts);

interface Settings {
  readonly user?: string;
  readonly group?: string;
  readonly run?: Partial<ServiceOptions>;
  /** What the service itself is started with: options of setpriv. */
  readonly as?: readonly string[];
  readonly port?: number;
}

const AS_NOBODY = ['--reuid=nobody', '--regid=nogroup', '--clear-groups'] as const;

async function start(settings: Settings): Promise<{ script: Script; port: number }> {
  const { user = '', group = '', run = {}, as = [], port = await freePort() } = settings;
  const folder = newFolder();
  chmodSync(folder, 0o777);
  const options: Partial<ServiceOptions> = { pidFile: join(folder, 'some.pid'), ...run };
  const env = { PORT: String(port), WORKER: JSON.stringify({ user, group }), RUN: JSON.stringify(options) };
  const script =
    as.length === 0
      ? startScript(FIXTURE, { env })
      : startScript(as[0] ?? '', { interpreter: 'setpriv', args: [...as.slice(1), process.execPath, FIXTURE], env });
  return { script, port };
}

async function startReady(settings: Settings): Promise<{ script: Script; port: number }> {
  const started = await start(settings);
  await started.script.outputMatching(READY);
  return started;
}

async function expectRefusal(settings: Settings, text: string): Promise<void> {
  const { script } = await start(settings);
  expect(await script.exit()).toEqual({ code: 1, signal: null });
  const lines = script.output.split('\n').filter((line) => line !== '');
  expect(lines).toEqual([expect.stringMatching(new RegExp(`^TestWorker:[01] could not start: ${text}`))]);
  await eventually('no process is left', () => script.group().length === 0);
}

test('each kind of worker has a user and a group, by default none', () => {
  const account = { user: 'nobody', group: 'nogroup' };
  const events = { onMessage: () => {} };
  for (const worker of [
    new Worker(null, account),
    new Register('text://127.0.0.1:1236', account),
    new Gateway('tcp://127.0.0.1:7272', account),
    new BusinessWorker({ events, ...account }),
  ]) {
    expect([worker.user, worker.group]).toEqual(['nobody', 'nogroup']);
  }
  const worker = new Worker(null);
  expect([worker.user, worker.group]).toEqual(['', '']);
});

test('on Windows, where a process keeps its user, they are refused', () => {
  expect(accountName('win32')('nobody')).toBe("'' on Windows, where a process keeps its user");
  expect(accountName('win32')('')).toBeUndefined();
  expect(accountName('linux')('nobody')).toBeUndefined();
});

test('workers of different users can not share a process', async () => {
  const workers = [new Worker(null, { name: 'One', user: 'nobody' }), new Worker(null, { name: 'Other' })];
  await expect(startService({ processes: 'single', workers })).rejects.toMatchObject({
    code: 'GW_START_USERS_DIFFER',
    message: expect.stringMatching(/^One and Other run in one process/),
  });
});

test('a service that is a guest does not change the user of the program', async () => {
  const workers = [new Worker(null, { user: 'nobody' })];
  await expect(startService({ processes: 'single', ownsProcess: false, workers })).rejects.toMatchObject({
    code: 'GW_OPTION_INVALID',
  });
});

describe.skipIf(!isRoot)('started by root (which these tests need)', () => {
  test('processes run as the user, with its group and none of those of root; the master stays what it is', async () => {
    const { script, port } = await startReady({ user: 'nobody', as: ['--groups=4,24'] });
    const nobody = { users: onlyUser('nobody'), groups: Array(4).fill(primaryGroup('nobody')) };
    for (const { pid } of await askEach(port, 2)) {
      expect(accountOf(pid)).toEqual({ ...nobody, further: [primaryGroup('nobody')] });
    }
    expect(accountOf(script.pid)).toEqual({ users: [0, 0, 0, 0], groups: [0, 0, 0, 0], further: [4, 24] });
  });

  test('with a group of its own', async () => {
    const { port } = await startReady({ user: 'nobody', group: 'daemon' });
    const { pid } = await ask(port);
    const daemon = primaryGroup('daemon');
    expect(accountOf(pid)).toEqual({ users: onlyUser('nobody'), groups: Array(4).fill(daemon), further: [daemon] });
  });

  test('a group alone leaves the user', async () => {
    const { port } = await startReady({ group: 'daemon' });
    const { pid } = await ask(port);
    expect(accountOf(pid)).toMatchObject({ users: [0, 0, 0, 0], groups: Array(4).fill(primaryGroup('daemon')) });
  });

  test('all in one process, the process itself becomes the user', async () => {
    const { script, port } = await startReady({ user: 'nobody', run: { processes: 'single' } });
    await ask(port);
    expect(accountOf(script.pid)).toEqual({
      users: onlyUser('nobody'),
      groups: Array(4).fill(primaryGroup('nobody')),
      further: [primaryGroup('nobody')],
    });
  });

  test('a port below 1024 is served, as the master listens', async () => {
    const port = await freeLowPort();
    await startReady({ user: 'nobody', port });
    expect(accountOf((await ask(port)).pid).users).toEqual(onlyUser('nobody'));
  });

  test('a user or group that is not there is a failed start', async () => {
    await expectRefusal({ user: 'nobodi' }, "there is no user 'nobodi' on this machine$");
    await expectRefusal({ user: 'nobody', group: 'nogrup' }, "there is no group 'nogrup' on this machine$");
    await expectRefusal({ group: 'nogrup' }, "there is no group 'nogrup' on this machine$");
  });

  test('who has no right to become the user does not start', async () => {
    await expectRefusal(
      { user: 'daemon', as: AS_NOBODY },
      "this process may not become user 'daemon'; start the service as root",
    );
    await expectRefusal({ group: 'daemon', as: AS_NOBODY }, "this process may not become group 'daemon'");
  });

  test('who is the user already needs no right', async () => {
    const { script } = await startReady({ user: 'nobody', group: 'nogroup', as: AS_NOBODY });
    expect(script.children()).toHaveLength(2);
  });

  test('the log file, in a folder of root, has the lines of all processes, also after it was put aside', async () => {
    const path = join(newFolder(), 'some.log');
    writeFileSync(path, `${'old '.repeat(300)}\n`);
    const { script, port } = await startReady({ user: 'nobody', run: { logFile: path, logFileMaxSize: 1000 } });
    const processes = await askEach(port, 2);
    const read = () => readFileSync(path, 'utf8');
    processes[0]?.socket.write('log early');
    processes[1]?.socket.write('throw');
    await eventually('the file is put aside', () => existsSync(`${path}.1`));
    await eventually('a line', () => {
      processes[0]?.socket.write('log late');
      return new RegExp(`pid:${processes[0]?.pid} TestWorker:0 late`).test(read());
    });
    expect(readFileSync(`${path}.1`, 'utf8') + read()).toMatch(/TestWorker:1 uncaught exception: Error: thrown/);
    expect(readFileSync(`${path}.1`, 'utf8') + read()).toContain('TestWorker:0 early');
    await script.outputMatching(/TestWorker:0 late/);
  });
});

async function freeLowPort(): Promise<number> {
  for (let port = 700; port < 1024; port++) {
    try {
      return await freePort('127.0.0.1', port);
    } catch {}
  }
  throw new Error('no port below 1024 is free');
}
