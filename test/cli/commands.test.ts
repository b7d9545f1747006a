import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, onTestFinished, test } from 'vitest';
import type { ServiceStatus } from '../../src/core/process/mod.js';
import { eventually } from '../support/eventually.js';
import { busyPort, freePort } from '../support/free-port.js';
import { endScripts, isAlive, type Script, startScript } from '../support/processes.js';
import { seededRandom } from '../support/seeded-random.js';
import { TextTalker } from '../support/talkers.js';
import { TcpClient } from '../support/tcp-client.js';

const SERVICE = fileURLToPath(new URL('fixtures/service.mjs', import.meta.url));
const GUEST = fileURLToPath(new URL('fixtures/guest.mjs', import.meta.url));
const BIN = fileURLToPath(new URL('../../dist/cli/bin.js', import.meta.url));
const READY = /^after run$/m;
const MODES = ['many', 'single'] as const;

afterEach(endScripts);

/** A service of fixtures/service.mjs, and the commands on it. */
class Service {
  readonly script: Script;
  readonly port: number;
  readonly #env: Readonly<Record<string, string>>;

  private constructor(env: Readonly<Record<string, string>>, args: readonly string[]) {
    this.#env = env;
    this.port = Number(env.PORT);
    this.script = startScript(SERVICE, { args, env });
  }

  /** Starts it and does not wait. */
  static async launch(env: Readonly<Record<string, string>> = {}, args: readonly string[] = []): Promise<Service> {
    return new Service({ PORT: String(await freePort()), ...env }, args);
  }

  static async start(env: Readonly<Record<string, string>> = {}, args: readonly string[] = []): Promise<Service> {
    const service = await Service.launch(env, args);
    await service.script.outputMatching(READY);
    return service;
  }

  get folder(): string {
    return dirname(this.script.entry);
  }

  get pidFile(): string {
    return join(this.folder, 'gatewayworker.service.mjs.pid');
  }

  get socket(): string {
    return join(this.folder, 'gatewayworker.service.mjs.sock');
  }

  /** What lies beside the entry script. */
  files(): string[] {
    return readdirSync(this.folder).filter((name) => name.startsWith('gatewayworker'));
  }

  /** A command in a process of its own, which does not end for now. */
  begin(args: readonly string[], env: Readonly<Record<string, string>> = {}, within: readonly string[] = []): Script {
    return startScript(SERVICE, { args, env: { ...this.#env, ...env }, within, beside: this.script });
  }

  async command(...args: string[]): Promise<{ code: number | null; output: string }> {
    const script = this.begin(args);
    const { code } = await script.exit();
    return { code, output: script.output };
  }

  async status(): Promise<ServiceStatus> {
    return JSON.parse((await this.command('status', '--json')).output);
  }

  /** A client that has been greeted, and the pid of the process it is with. */
  async client(): Promise<{ talker: TextTalker; pid: number }> {
    const talker = await TextTalker.connect(this.port);
    return { talker, pid: Number((await talker.hears(/^pid (\d+)$/))[1]) };
  }

  async gone(): Promise<void> {
    await eventually('no process is left', () => this.script.group().length === 0);
  }
}

const notRunning = { code: 3, output: 'service.mjs is not running\n' };

describe('start', () => {
  test('makes a pid file and a control socket for this user, and a stop takes both away', async () => {
    const service = await Service.start();
    expect(readFileSync(service.pidFile, 'utf8')).toBe(String(service.script.pid));
    expect(statSync(service.socket).mode & 0o777).toBe(0o600);
    expect(service.files().sort()).toEqual(['gatewayworker.service.mjs.pid', 'gatewayworker.service.mjs.sock']);
    expect((await service.command('stop')).code).toBe(0);
    expect(service.files()).toEqual([]);
  });

  test.each(MODES)('of what runs is one line and exit code 1, and leaves it alone (%s)', async (mode) => {
    const service = await Service.start({ PROCESSES: mode });
    const { talker } = await service.client();
    const before = service.files().map((file) => statSync(join(service.folder, file)).ino);
    const { pid } = service.script;
    expect(await service.command('start')).toEqual({ code: 1, output: `already running (pid ${pid})\n` });
    expect(service.files().map((file) => statSync(join(service.folder, file)).ino)).toEqual(before);
    expect(readFileSync(service.pidFile, 'utf8')).toBe(String(pid));
    expect(talker.connected).toBe(true);
    expect(await service.command('start', '-d')).toEqual({ code: 1, output: `already running (pid ${pid})\n` });
    expect((await service.status()).pid).toBe(pid);
    expect(talker.connected).toBe(true);
    expect((await service.command('status', '-q')).code).toBe(0);
  });

  test.each([
    ['where nothing is', false],
    ['where one that was killed has left its files', true],
  ])('ten times at once, %s, runs once', async (_where, left) => {
    const idle = await Service.launch({ COUNT: '1' }, ['status']);
    await idle.script.exit();
    if (left) {
      await staleSocket(idle.socket);
      writeFileSync(idle.pidFile, '999999999');
      writeFileSync(`${idle.pidFile}.lock`, '999999999 killed');
    }
    const all = Array.from({ length: 10 }, () => idle.begin(['start']));
    await eventually('nine to give up', () => all.filter((script) => script.group().length === 0).length === 9);
    const losers = all.filter((script) => script.group().length === 0);
    const [winner] = all.filter((script) => !losers.includes(script));
    await winner?.outputMatching(READY);
    for (const loser of losers) {
      expect(await loser.exit()).toEqual({ code: 1, signal: null });
      expect(loser.output).toBe(`already running (pid ${winner?.pid})\n`);
    }
    expect(readFileSync(idle.pidFile, 'utf8')).toBe(String(winner?.pid));
    expect(idle.files()).toHaveLength(2);
  });

  test.each([
    ['a pid that nobody has', async () => '999999999'],
    ['the pid of another program', async () => String(sleeper())],
    ['nothing', async () => ''],
  ])('is not kept by a pid file with %s', async (_what, content) => {
    const service = await Service.start();
    await service.command('stop');
    writeFileSync(service.pidFile, await content());
    expect(await service.command('status')).toEqual(notRunning);
    const again = service.begin(['start']);
    await again.outputMatching(READY);
    expect(readFileSync(service.pidFile, 'utf8')).toBe(String(again.pid));
  });

  test('is not kept by the socket of a killed master, and a stop in between says that nothing runs', async () => {
    const service = await Service.start();
    service.script.kill('SIGKILL');
    await service.script.exited;
    await service.gone();
    expect(service.files()).toHaveLength(2);
    expect(await service.command('stop')).toEqual(notRunning);
    const again = service.begin(['start']);
    await again.outputMatching(READY);
    expect((await service.command('stop')).output).toContain(`service.mjs (pid ${again.pid}) has stopped`);
    expect(service.files()).toEqual([]);
  });

  test('of what is stuck says so, with its pid', async () => {
    const service = await Service.start();
    service.script.kill('SIGSTOP');
    const { pid } = service.script;
    const [start, status, quiet] = await Promise.all([
      service.command('start'),
      service.command('status'),
      service.command('status', '-q'),
    ]);
    expect(quiet).toEqual({ code: 1, output: '' });
    expect(start).toEqual({
      code: 1,
      output: `already running (pid ${pid}), but it does not answer: it is stuck; end that process first\n`,
    });
    expect(status).toEqual({
      code: 1,
      output: `the service (pid ${pid}) runs, but has not answered for 5 s: it is stuck\n`,
    });
    service.script.kill('SIGCONT');
    expect((await service.command('status', '-q')).code).toBe(0);
  });

  test('that fails leaves nothing behind', async () => {
    const { server, port } = await busyPort();
    onTestFinished(() => void server.close());
    const busy = await Service.launch({ PORT: String(port) });
    expect((await busy.script.exit()).code).toBe(1);
    expect(busy.files()).toEqual([]);
    const failing = await Service.launch({ FAIL: 'the database is not there' });
    expect((await failing.script.exit()).code).toBe(1);
    expect(failing.files()).toEqual([]);
  });

  test('where the pid file cannot be written is one line that names the option', async () => {
    const service = await Service.launch({ PID_FILE: 'service.mjs/x.pid' });
    expect((await service.script.exit()).code).toBe(1);
    expect(service.script.output).toBe(
      `can't write the pid file ${join(service.folder, 'service.mjs/x.pid')} (ENOTDIR); give the option pidFile a path that this user may write\n`,
    );
    const missing = await Service.launch({ PID_FILE: 'not/there/x.pid' });
    expect((await missing.script.exit()).code).toBe(1);
    expect(missing.script.output).toMatch(
      /^can't write the pid file .*x\.pid \(ENOENT\); give the option pidFile .*\n$/,
    );
    expect(await missing.command('stop')).toEqual(notRunning);
  });

  test.each([
    ['x.pid', 'x.pid', 'pid file'],
    ['x.pid', 'x.sock', 'socket'],
  ])('does not take %s while %s is a file that somebody else has made', async (pidFile, file, kind) => {
    const service = await Service.start({ PID_FILE: pidFile });
    await service.command('stop');
    writeFileSync(join(service.folder, file), 'a letter to a friend');
    const { code, output } = await service.command('start');
    expect(code).toBe(1);
    expect(output).toBe(
      `${join(service.folder, file)} is there and is no ${kind}; remove it, or give the option pidFile another path\n`,
    );
    expect(readFileSync(join(service.folder, file), 'utf8')).toBe('a letter to a friend');
  });

  test('with a long path to the pid file keeps the socket in a folder for this user alone', async () => {
    const folder = mkdtempSync(join(tmpdir(), `gatewayworker-test-${'long'.repeat(20)}-`));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const temporary = mkdtempSync(join(tmpdir(), 'gatewayworker-test-'));
    onTestFinished(() => rmSync(temporary, { recursive: true }));
    const env = { PID_FILE: join(folder, 'x.pid'), TMPDIR: temporary };
    const service = await Service.start(env);
    expect(readdirSync(folder)).toEqual(['x.pid']);
    const [own = ''] = readdirSync(temporary);
    expect(own).toBe(`gatewayworker-${process.getuid?.()}`);
    expect(statSync(join(temporary, own)).mode & 0o777).toBe(0o700);
    expect(readdirSync(join(temporary, own))).toEqual([expect.stringMatching(/^[0-9a-f]{16}\.sock$/)]);
    // The same file by another name.
    symlinkSync(folder, join(temporary, 'link'));
    const byLink = service.begin(['status', '-q'], { ...env, PID_FILE: join(temporary, 'link/x.pid') });
    expect((await byLink.exit()).code).toBe(0);
    expect((await service.command('start')).output).toBe(`already running (pid ${service.script.pid})\n`);
    expect((await service.command('stop')).code).toBe(0);
    expect([...readdirSync(folder), ...readdirSync(join(temporary, own))]).toEqual([]);
  });

  test('under another pid file runs beside the first', async () => {
    const service = await Service.start();
    const other = service.begin(['start'], { PORT: String(await freePort()), PID_FILE: 'other.pid' });
    await other.outputMatching(READY);
    expect((await service.command('stop')).code).toBe(0);
    expect(isAlive(other.pid)).toBe(true);
    const status = service.begin(['status', '--json'], { PID_FILE: 'other.pid' });
    expect((await status.exit()).code).toBe(0);
    expect(JSON.parse(status.output).pid).toBe(other.pid);
  });

  test('takes the socket of a service whose socket was removed, and each removes only its own', async () => {
    const service = await Service.start();
    rmSync(service.socket);
    const other = service.begin(['start'], { PORT: String(await freePort()) });
    await other.outputMatching(READY);
    service.script.kill('SIGTERM');
    await service.script.exit();
    expect(readFileSync(service.pidFile, 'utf8')).toBe(String(other.pid));
    expect(JSON.parse((await service.command('status', '--json')).output).pid).toBe(other.pid);
  });

  test.each(['guest', 'cluster', 'thread'])('of a service that is a guest makes no files (%s)', async (how) => {
    const script = startScript(GUEST, { args: ['-q'], env: { HOW: how } });
    await script.outputMatching(/runs\n[\s\S]*runs\n/);
    expect(readdirSync(dirname(script.entry)).sort()).toEqual(['guest.mjs', 'package.json']);
  });

  test('-q shows no banner', async () => {
    const service = await Service.start({}, ['start', '-q']);
    expect(service.script.output).toBe('after run\n');
  });

  test('leaves what follows -- to the program', async () => {
    const service = await Service.start({}, ['-q', '--', '--port', '80', 'stop']);
    expect(service.script.output).toBe('after run\n');
  });
});

describe('the control socket', () => {
  test('takes rubbish without harm to the service', async () => {
    const service = await Service.start();
    const { talker } = await service.client();
    const random = seededRandom(4);
    const peers = Array.from({ length: 20 }, (_, number) => {
      const socket = connect(service.socket);
      socket.on('error', () => {});
      socket.write(Buffer.from(Array.from({ length: 5000 }, () => Math.floor(random() * 256))));
      // A line that never ends, one that is not finished, and one that is none.
      socket.write(number % 3 === 0 ? 'x'.repeat(10_000_000) : number % 3 === 1 ? '{"id":1,' : '\n');
      return socket;
    });
    onTestFinished(() => {
      for (const peer of peers) peer.destroy();
    });
    expect((await service.command('status', '-q')).code).toBe(0);
    expect((await service.client()).talker.connected).toBe(true);
    expect(talker.connected).toBe(true);
    expect((await service.status()).exits).toEqual([]);
    expect((await service.command('stop')).code).toBe(0);
    expect(service.files()).toEqual([]);
  });
});

describe('what does not run', () => {
  test.each([
    ['stop'],
    ['stop', '-g'],
    ['reload'],
    ['status'],
    ['status', '-d'],
    ['status', '--json'],
    ['connections'],
  ])('is one line and exit code 3 (%s %s)', async (...args) => {
    const service = await Service.launch({}, args);
    expect((await service.script.exit()).code).toBe(3);
    expect(service.script.output).toBe(notRunning.output);
    expect(service.files()).toEqual([]);
  });

  test('is exit code 3 alone for status -q', async () => {
    const service = await Service.launch({}, ['status', '-q']);
    expect((await service.script.exit()).code).toBe(3);
    expect(service.script.output).toBe('');
  });

  test('is started by restart', async () => {
    const service = await Service.start({}, ['restart', '-q']);
    expect(service.script.output).toBe('service.mjs is not running; starting it\nafter run\n');
    expect((await service.status()).pid).toBe(service.script.pid);
  });
});

describe('stop', () => {
  test.each(MODES)('waits until it is over, with idle connections open (%s)', async (mode) => {
    const service = await Service.start({ PROCESSES: mode });
    const { talker } = await service.client();
    const { pid } = service.script;
    const { code, output } = await service.command('stop');
    expect(code).toBe(0);
    // On a slow machine it says in between how many processes are left.
    expect(output.replaceAll(/^waiting for .*\n/gm, '')).toBe(
      `service.mjs (pid ${pid}) is stopping\nservice.mjs (pid ${pid}) has stopped\n`,
    );
    expect(isAlive(pid)).toBe(false);
    expect(service.script.group()).toEqual([]);
    expect(service.files()).toEqual([]);
    await eventually('the client to be let go', () => !talker.connected);
    expect(await service.script.exit()).toEqual({ code: 0, signal: null });
    expect(service.script.output).toMatch(/stopping on stop\n.* stopped\n$/);
  });

  test.each(['SIGTERM', 'SIGINT'] as const)('by %s removes the files as well', async (signal) => {
    const service = await Service.start();
    service.script.kill(signal);
    expect(await service.script.exit()).toEqual({ code: 0, signal: null });
    expect(service.files()).toEqual([]);
  });

  test('ends a start that is not over', async () => {
    const service = await Service.launch({ PENDING: 'yes' });
    await service.script.outputMatching(/pending/);
    const status = await service.command('status', '--json');
    expect(status.code).toBe(1);
    expect(JSON.parse(status.output).processes[0].state).toBe('starting');
    expect((await service.command('reload')).output).toMatch(/the service is still starting; .*\n$/);
    expect((await service.command('stop')).code).toBe(0);
    expect(await service.script.exit()).toEqual({ code: 0, signal: null });
    expect(service.files()).toEqual([]);
  });

  test('twice at once is one stop, and both hear of it', async () => {
    const service = await Service.start();
    const codes = (await Promise.all([service.command('stop'), service.command('stop')])).map(({ code }) => code);
    expect(codes.filter((code) => code !== 0 && code !== 3)).toEqual([]);
    expect(codes).toContain(0);
    expect(service.files()).toEqual([]);
  });

  test.each(MODES)(
    '-g waits for the last connection, and nothing is started or reloaded until then (%s)',
    async (mode) => {
      const service = await Service.start({ PROCESSES: mode });
      const { talker } = await service.client();
      const { pid } = service.script;
      const stop = service.begin(['stop', '-g']);
      await service.script.outputMatching(/1 connection remains/);
      expect(await service.command('start')).toEqual({ code: 1, output: `still stopping (pid ${pid})\n` });
      expect((await service.command('reload')).code).toBe(1);
      expect(stop.output).toContain('is stopping once its connections have ended');
      expect(stop.output).not.toContain('has stopped');
      expect(talker.connected).toBe(true);
      await talker.leave();
      expect((await stop.exit()).code).toBe(0);
      expect(stop.output).toMatch(/has stopped\n$/);
      expect(await service.script.exit()).toEqual({ code: 0, signal: null });
      expect(service.files()).toEqual([]);
    },
  );

  test('that is interrupted goes on in the service', async () => {
    const service = await Service.start();
    const { pid } = await service.client();
    process.kill(pid, 'SIGSTOP');
    const stop = service.begin(['stop']);
    await stop.outputMatching(/is stopping/);
    stop.kill('SIGINT');
    await stop.exited;
    expect(await service.script.exit()).toEqual({ code: 0, signal: null });
    await service.gone();
    expect(service.files()).toEqual([]);
  });
});

describe('restart', () => {
  test.each(MODES)('is a new service under the same files (%s)', async (mode) => {
    const service = await Service.start({ PROCESSES: mode });
    const again = service.begin(['restart', '-q']);
    await again.outputMatching(READY);
    expect(await service.script.exit()).toEqual({ code: 0, signal: null });
    expect(again.output).toContain(`service.mjs (pid ${service.script.pid}) has stopped\n`);
    expect((await service.status()).pid).toBe(again.pid);
    expect((await service.command('stop')).code).toBe(0);
    expect(service.files()).toEqual([]);
  });
});

describe('reload', () => {
  test('that is refused is one line and exit code 1', async () => {
    const service = await Service.start({ PROCESSES: 'single' });
    const { code, output } = await service.command('reload');
    expect(code).toBe(1);
    expect(output).toMatch(/^service\.mjs \(pid \d+\) is reloading\na service that runs in one process can't .*\n$/);
  });

  test('of a worker that there is not is one line and exit code 1', async () => {
    const service = await Service.start();
    const { code, output } = await service.command('reload', 'Nobody', '-g');
    expect(code).toBe(1);
    expect(output.split('\n')).toHaveLength(3);
    expect((await service.command('status', '-q')).code).toBe(0);
  });
});

describe('status', () => {
  test('shows each process, and is the same twice', async () => {
    const service = await Service.start();
    const { output } = await service.command('status');
    for (const { pid, worker, id } of (await service.status()).processes) {
      expect(output).toContain(`${pid}`);
      expect(output).toContain(`${worker}`);
      expect(id).toBeLessThan(2);
    }
    const shapes = [await service.status(), await service.status()].map((status) =>
      JSON.stringify(status, (key, value) => (['memory', 'delay', 'timers'].includes(key) ? 0 : value)),
    );
    expect(shapes[0]).toBe(shapes[1]);
    const [first] = (await service.status()).processes;
    expect(first).toMatchObject({
      worker: 'Talk',
      id: 0,
      state: 'ready',
      listens: [`text://127.0.0.1:${service.port}`],
      qps: null,
    });
  });

  test('shows a process that is busy without figures, and with them once it is idle again', async () => {
    const service = await Service.start();
    const { talker, pid } = await service.client();
    talker.say('busy 5000');
    await eventually('it to be busy', async () => {
      const busy = (await service.status()).processes.find((process) => process.pid === pid);
      expect(busy).toMatchObject({ state: 'ready', figures: null });
      return true;
    });
    const { code, output } = await service.command('status');
    expect(code).toBe(0);
    expect(output).toMatch(new RegExp(`^.*\\b${pid}\\b.*N/A.*$`, 'm'));
    const other = (await service.status()).processes.find((process) => process.pid !== pid);
    expect(other?.figures).toMatchObject({ connections: 0 });
    await eventually('it to be idle again', async () => {
      const again = (await service.status()).processes.find((process) => process.pid === pid);
      expect(again).toMatchObject({ state: 'ready', figures: { connections: 1 }, restarts: 0 });
      return true;
    });
  });

  test('is exit code 1 while a process is not ready, and counts how those before it ended', async () => {
    const service = await Service.start();
    await eventually('a process to wait for its next life', async () => {
      const now = (await service.status()).processes.find(({ worker, id }) => worker === 'Talk' && id === 0);
      if (now?.pid !== undefined && now.state === 'ready') process.kill(now.pid, 'SIGKILL');
      return (await service.command('status', '-q')).code === 1;
    });
    const [exit] = (await service.status()).exits;
    expect(exit).toMatchObject({ worker: 'Talk', status: 'SIGKILL' });
    expect(exit?.count).toBeGreaterThanOrEqual(1);
  });

  test('is exit code 0 after a graceful reload while those that were replaced leave', async () => {
    const service = await Service.start();
    const { pid } = await service.client();
    expect((await service.command('reload', '-g')).code).toBe(0);
    expect((await service.command('status', '-q')).code).toBe(0);
    const leaving = (await service.status()).processes.find((process) => process.pid === pid);
    expect(leaving).toMatchObject({ state: 'leaving', figures: { connections: 1 } });
  });

  test('-d refreshes until Ctrl+C, with requests per second', async () => {
    const service = await Service.start({ COUNT: '1' });
    const { talker } = await service.client();
    const live = service.begin(['status', '-d', '--json']);
    await eventually('a rate', () => {
      talker.say('hello');
      return live.output
        .split('\n')
        .slice(0, -1)
        .some((line) => JSON.parse(line).processes[0].qps > 0);
    });
    live.kill('SIGINT');
    expect(await live.exit()).toEqual({ code: 0, signal: null });
    expect(JSON.parse(live.output.split('\n')[0] ?? '').processes[0].qps).toBeNull();
  });

  test('-d ends without a word when nobody reads it any more', async () => {
    const service = await Service.start();
    const live = service.begin(['status', '-d', '--json'], {}, ['sh', '-c', '"$@" | head -n 1', 'sh']);
    expect(await live.exit()).toEqual({ code: 0, signal: null });
    expect(live.output.trim().split('\n')).toEqual([expect.stringContaining('"processes"')]);
  });

  test('-d ends with the service', async () => {
    const service = await Service.start();
    const live = service.begin(['status', '-d']);
    await live.outputMatching(/Talk[\s\S]*Talk:1[\s\S]*Talk:1/);
    await service.command('stop');
    expect((await live.exit()).code).toBe(3);
    expect(live.output).toMatch(/\nservice\.mjs is not running\n$/);
  });
});

describe('connections', () => {
  test('shows 2,500 connections, each once', async () => {
    const service = await Service.start();
    const sockets: Socket[] = [];
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy();
    });
    for (let batch = 0; batch < 25; batch++) {
      const opened = Array.from({ length: 100 }, () => TcpClient.open(service.port));
      sockets.push(...(await Promise.all(opened)).map(({ socket }) => socket));
    }
    const rows = await eventually('all connections', async () => {
      const { output } = await service.command('connections', '--json');
      const parsed = JSON.parse(output) as { foreignAddress: string; localAddress: string; worker: string }[];
      return parsed.length === 2500 ? parsed : undefined;
    });
    const ours = sockets.map((socket) => `127.0.0.1:${socket.localPort}`);
    expect(rows.map(({ foreignAddress }) => foreignAddress).sort()).toEqual(ours.sort());
    const { code, output } = await service.command('connections');
    expect(code).toBe(0);
    expect(output.match(/127\.0\.0\.1:\d+\s+127\.0\.0\.1:\d+/g)).toHaveLength(2500);
  });

  test('shows none where there are none', async () => {
    const service = await Service.start();
    expect(JSON.parse((await service.command('connections', '--json')).output)).toEqual([]);
  });
});

describe('the command line', () => {
  test.each([
    [['stop', '--now'], "stop has no option '--now'; it has -g, --only=… and --help\n"],
    [['--json', 'stop'], "stop has no option '--json'; it has -g, --only=… and --help\n"],
    [['status', 'Talk'], "status takes no 'Talk'\n"],
  ])('%s is one line and exit code 2', async (args, line) => {
    const service = await Service.launch({}, args);
    expect((await service.script.exit()).code).toBe(2);
    expect(service.script.output).toBe(line);
  });

  test('--help shows all commands, with exit code 0', async () => {
    const service = await Service.launch({}, ['--help']);
    expect((await service.script.exit()).code).toBe(0);
    expect(service.script.output).toMatch(
      /^Usage: node service\.mjs <command> \[options\]\n[\s\S]*connections \[--json\]/,
    );
  });

  test('of an option that is wrong in the entry script says so for every command', async () => {
    const service = await Service.launch({ PID_FILE: '' }, ['status']);
    expect((await service.script.exit()).code).toBe(1);
    expect(service.script.output).toMatch(/^run: option 'pidFile' must be .*\n$/);
  });
});

describe('the command of the package', () => {
  function gatewayworker(service: Service, ...args: string[]): Script {
    return startScript(BIN, { args, env: { PORT: String(service.port) }, interpreter: process.execPath });
  }

  test('does what the entry script does', async () => {
    const idle = await Service.launch({}, ['status']);
    await idle.script.exit();
    const started = gatewayworker(idle, 'start', idle.script.entry, '-q');
    await started.outputMatching(READY);
    expect((await idle.status()).pid).toBe(started.pid);
    const status = gatewayworker(idle, '--json', 'status', idle.script.entry.replace(/\.mjs$/, '.mjs'));
    await status.exit();
    expect(JSON.parse(status.output).pid).toBe(started.pid);
    const stop = gatewayworker(idle, 'stop', idle.script.entry);
    expect((await stop.exit()).code).toBe(0);
    expect((await started.exit()).code).toBe(0);
    expect(idle.files()).toEqual([]);
    const again = gatewayworker(idle, 'stop', idle.script.entry);
    expect((await again.exit()).code).toBe(3);
  });

  test.each([
    [['--version'], 0, /^\d+\.\d+\.\d+\n$/],
    [['--help'], 0, /^Usage: gatewayworker <command> <entry script> \[options\]\n/],
    [[], 2, /^Which entry script\?\n\nUsage: gatewayworker/],
    [['stop'], 2, /^Which entry script\?\n/],
    [['relaod', SERVICE], 2, /^Unknown command 'relaod'; did you mean 'reload'\?\n\nUsage: gatewayworker/],
    [['stop', 'nowhere.js'], 2, /^There is no script nowhere\.js\n$/],
    [['stop', SERVICE, '-x'], 2, /^stop has no option '-x'; it has -g, --only=… and --help\n$/],
    [['stop', SERVICE, 'Talk'], 2, /^stop takes no 'Talk'\n$/],
  ])('%s ends with exit code %s', async (args, code, output) => {
    const script = startScript(BIN, { args, interpreter: process.execPath });
    expect(await script.exit()).toEqual({ code, signal: null });
    expect(script.output).toMatch(output);
  });
});

/** A socket where nobody listens any more. */
async function staleSocket(path: string): Promise<void> {
  const script = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
  await once(spawn(process.execPath, ['-e', script]), 'exit');
  expect(statSync(path).isSocket()).toBe(true);
}

/** A program that lives until the end of the test. */
function sleeper(): number {
  const child = spawn('sleep', ['60'], { stdio: 'ignore' });
  onTestFinished(() => void child.kill());
  return child.pid ?? 0;
}
