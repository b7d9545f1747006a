import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { eventually } from '../../support/eventually.js';
import { busyPort, freePort } from '../../support/free-port.js';
import type { Script } from '../../support/processes.js';
import { endScripts, isAlive, startScript } from '../../support/processes.js';

const READY = /Press Ctrl\+C to stop\./;
const sockets = new Set<Socket>();

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  await endScripts();
});

interface Answer {
  readonly pid: number;
  readonly id: number;
  readonly socket: Socket;
}

function startFixture(name: string, env: Readonly<Record<string, string>> = {}): Script {
  return startScript(fileURLToPath(new URL(`fixtures/${name}.mjs`, import.meta.url)), { args: ['start'], env });
}

/** Connects to a test worker, stays connected, and says which process answered. */
function ask(port: number): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    sockets.add(socket);
    socket.on('error', reject);
    socket.once('close', () => reject(new Error('closed without an answer')));
    socket.once('data', (line) => resolve({ ...JSON.parse(String(line)), socket }));
  });
}

async function startThreeKinds(env: Readonly<Record<string, string>> = {}): Promise<{ script: Script; port: number }> {
  const port = await freePort();
  const script = startFixture('three-kinds', { PORT: String(port), ...env });
  await script.outputMatching(READY);
  return { script, port };
}

/** The two processes of TestGateway, by id. */
async function bothGateways(port: number): Promise<[Answer, Answer]> {
  const answers = new Map<number, Answer>();
  await eventually('both processes answer', async () => {
    const answer = await ask(port);
    answers.set(answer.id, answer);
    return answers.size === 2;
  });
  return [answers.get(0) as Answer, answers.get(1) as Answer];
}

async function expectNothingLeft(script: Script, withinMs?: number): Promise<void> {
  await eventually('no process is left', () => script.group().length === 0, withinMs);
}

describe('start', () => {
  test('each worker gets its processes, and they share a port', async () => {
    const { script, port } = await startThreeKinds();
    const [first, second] = await bothGateways(port);
    expect(first.pid).not.toBe(second.pid);
    expect(script.children()).toHaveLength(4);
    expect(script.children()).toEqual(expect.arrayContaining([first.pid, second.pid]));
    expect(script.children()).not.toContain(script.pid);
  });

  test('connections are dealt out evenly', async () => {
    const { port } = await startThreeKinds();
    const answers: Answer[] = [];
    for (let connection = 0; connection < 10; connection++) answers.push(await ask(port));
    expect(answers.filter((answer) => answer.id === 0)).toHaveLength(5);
  });

  test('what follows run() runs once, in the master', async () => {
    const { script } = await startThreeKinds();
    await script.outputMatching(new RegExp(`after run in ${script.pid}, slot undefined`));
    expect(script.count(/after run/g)).toBe(1);
  });

  test('a busy port is one message before anything starts, and exit code 1', async () => {
    const { server, port } = await busyPort();
    const script = startFixture('three-kinds', { PORT: String(port) });
    expect(await script.exit()).toEqual({ code: 1, signal: null });
    expect(script.output).toBe(
      `TestGateway cannot listen on tcp://127.0.0.1:${port}: the port is in use; stop the program that uses it (ss -ltnp shows it) or choose another port\n`,
    );
    await expectNothingLeft(script);
    server.close();
  });

  test('two workers with one address are one message and exit code 1', async () => {
    const port = await freePort();
    const script = startFixture('same-address', { PORT: String(port) });
    expect(await script.exit()).toEqual({ code: 1, signal: null });
    expect(script.output).toBe(
      `One and Other are both to listen on tcp://0.0.0.0:${port} (tcp://127.0.0.1:${port} covers it); give one of them another port\n`,
    );
  });

  test.each([
    ['reject', /^Failing:[01] could not start: the database is not there$/m],
    ['uncaught', /^Failing:[01] could not start: thrown beside the start$/m],
    ['exit', /^Failing:[01] \(pid \d+\) ended with exit code 3 before it was ready$/m],
  ])('a start that fails (%s) is one line, exit code 1, and nothing left', async (way, line) => {
    const script = startFixture('failing-start', { FAIL: way });
    expect(await script.exit()).toEqual({ code: 1, signal: null });
    await script.outputMatching(line);
    const lines = script.output.split('\n').filter((text) => text !== '' && !/ (started as|stopped)/.test(text));
    expect(lines).toEqual([expect.stringMatching(line)]);
    await expectNothingLeft(script);
  });

  test('with logLevel debug a failed start shows the stack of the process it failed in', async () => {
    const script = startFixture('failing-start', { FAIL: 'reject', LOG_LEVEL: 'debug' });
    expect(await script.exit()).toEqual({ code: 1, signal: null });
    expect(script.output).toMatch(/^GW_START_WORKER_FAILED: Failing:[01] could not start/m);
    expect(script.output).toMatch(/ at .*failing-start\.mjs/);
  });

  test('an entry script that makes other workers in the worker process is told so', async () => {
    const script = startFixture('different-workers');
    expect(await script.exit()).toEqual({ code: 1, signal: null });
    expect(script.output).toMatch(/did not make Expected as its worker number 0 .*\(it made: Unexpected\)/);
  });

  test('a program can stop its service, also twice, and go on', async () => {
    const script = startFixture('service-stop');
    expect(await script.exit()).toEqual({ code: 0, signal: null });
    expect(script.output).toContain('Guest:0 ready 0, Guest:1 ready 0');
    expect(script.output).toContain('second start: GW_START_TWICE');
    expect(script.output).toContain('stopped, listeners: 0');
    await expectNothingLeft(script);
  });
});

describe('a process that ends', () => {
  test('by kill -9 is replaced under the same id', async () => {
    const { script, port } = await startThreeKinds();
    const [first, second] = await bothGateways(port);
    process.kill(second.pid, 'SIGKILL');
    await script.outputMatching(
      new RegExp(
        `warn master worker TestGateway:1 \\(pid ${second.pid}\\) ended by signal SIGKILL; starting it again in 0.1 s`,
      ),
    );
    await eventually('a new process answers', async () => {
      const answer = await ask(port);
      return answer.id === 1 && answer.pid !== second.pid;
    });
    expect(isAlive(first.pid)).toBe(true);
    expect(script.children()).toHaveLength(4);
  });

  test('by SIGTERM stops in order and is replaced', async () => {
    const { script, port } = await startThreeKinds();
    const [first] = await bothGateways(port);
    process.kill(first.pid, 'SIGTERM');
    await script.outputMatching(/TestGateway:0 stopped/);
    await script.outputMatching(new RegExp(`TestGateway:0 \\(pid ${first.pid}\\) ended with exit code 0`));
    await eventually('a new process answers', async () => {
      const answer = await ask(port);
      return answer.id === 0 && answer.pid !== first.pid;
    });
  });

  test('at SIGINT or SIGHUP of its own goes on: the master decides', async () => {
    const { port } = await startThreeKinds();
    const [first, second] = await bothGateways(port);
    process.kill(first.pid, 'SIGINT');
    process.kill(second.pid, 'SIGHUP');
    const pids = (await bothGateways(port)).map((answer) => answer.pid);
    expect(pids).toEqual([first.pid, second.pid]);
  });

  test.each([
    ['throw', 'uncaught exception: Error: thrown by a handler'],
    ['reject', 'unhandled rejection: Error: rejected by a handler'],
  ])('by an uncaught error (%s) logs its stack, stops in order, exits with 250; others go on', async (order, text) => {
    const { script, port } = await startThreeKinds();
    const [first, second] = await bothGateways(port);
    first.socket.write(order);
    await script.outputMatching(new RegExp(`pid:${first.pid} error TestGateway:0 ${text}\\n +at `));
    await script.outputMatching(/TestGateway:0 stopped/);
    await script.outputMatching(new RegExp(`TestGateway:0 \\(pid ${first.pid}\\) ended with exit code 250`));
    await script.outputMatching(/TestGateway:0 started as \d+[\s\S]*TestGateway:0 started as \d+/);
    expect(isAlive(second.pid)).toBe(true);
    expect(second.socket.destroyed).toBe(false);
  });

  test('again and again waits longer each time', async () => {
    const script = startFixture('crash-loop');
    await script.outputMatching(/starting it again in 0.8 s/);
    const delays = [
      ...script.output.matchAll(/Mayfly:0 \(pid \d+\) ended with exit code 7; starting it again in (.*) s/g),
    ];
    expect(delays.map(([, delay]) => delay)).toEqual(['0.1', '0.2', '0.4', '0.8']);
    expect(script.count(/Mayfly:0 started/g)).toBe(4);
    expect(script.count(/Steady:0 started/g)).toBe(1);
  });

  test('and cannot start again says why, waits, and comes back once it can', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'gatewayworker-'));
    const broken = join(folder, 'broken');
    const port = await freePort();
    const script = startFixture('failing-restart', { PORT: String(port), BROKEN_WHILE: broken });
    await script.outputMatching(READY);
    writeFileSync(broken, '');
    (await ask(port)).socket.write('exit 7');
    await script.outputMatching(
      /warn master worker Fragile:0 \(pid \d+\) could not start: the database is not there; starting it again in 0.2 s/,
    );
    rmSync(folder, { recursive: true });
    await script.outputMatching(/started as[\s\S]*started as/);
    expect((await ask(port)).id).toBe(0);
  });
});

describe('stop', () => {
  test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
    '%s ends everything in order with exit code 0',
    async (signal) => {
      const { script } = await startThreeKinds();
      const begun = performance.now();
      script.kill(signal);
      expect(await script.exit()).toEqual({ code: 0, signal: null });
      expect(performance.now() - begun).toBeLessThan(2000);
      await expectNothingLeft(script);
      const order = [...script.output.matchAll(/(Test\w+):\d stopped/g)].map(([, name]) => name);
      expect(order).toEqual(['TestGateway', 'TestGateway', 'TestWorker', 'TestRegister']);
      expect(script.output).not.toContain('starting it again');
    },
  );

  test('Ctrl+C, which reaches all processes, is over within two seconds with connections open', async () => {
    const { script, port } = await startThreeKinds();
    await bothGateways(port);
    const begun = performance.now();
    script.killGroup('SIGINT');
    expect(await script.exit()).toEqual({ code: 0, signal: null });
    expect(performance.now() - begun).toBeLessThan(2000);
    await expectNothingLeft(script);
    expect(script.count(/Test\w+:\d stopped/g)).toBe(4);
    expect(script.output).not.toContain('starting it again');
  });

  test('the copy of Ctrl+C that npm sends does not spoil the order', async () => {
    const { script } = await startThreeKinds();
    script.killGroup('SIGINT');
    await script.outputMatching(/stopping on SIGINT/);
    script.kill('SIGINT');
    expect(await script.exit()).toEqual({ code: 0, signal: null });
    expect(script.count(/Test\w+:\d stopped/g)).toBe(4);
  });

  test.each(['idle', 'busy'])('a process that hangs in stop() (%s) is killed at the deadline', async (way) => {
    const script = startFixture('hanging-stop', { HANG: way });
    await script.outputMatching(READY);
    const begun = performance.now();
    script.killGroup('SIGINT');
    expect(await script.exit()).toEqual({ code: 0, signal: null });
    expect(performance.now() - begun).toBeGreaterThan(1400);
    expect(performance.now() - begun).toBeLessThan(2000);
    await script.outputMatching(/worker Hanging:0 \(pid \d+\) did not stop within 1.5 s; killing it/);
    expect(script.output).toContain('Polite:0 stopped');
    await expectNothingLeft(script);
  });

  test('a second Ctrl+C kills at once', async () => {
    const script = startFixture('hanging-stop');
    await script.outputMatching(READY);
    script.killGroup('SIGINT');
    const begun = performance.now();
    await eventually('some time has passed', () => performance.now() - begun > 300);
    script.killGroup('SIGINT');
    expect(await script.exit()).toEqual({ code: 130, signal: null });
    expect(performance.now() - begun).toBeLessThan(1400);
    await expectNothingLeft(script);
  });

  test('works while a start is pending', async () => {
    const script = startFixture('pending-start');
    await script.outputMatching(/start is pending/);
    const begun = performance.now();
    script.killGroup('SIGINT');
    expect(await script.exit()).toEqual({ code: 0, signal: null });
    expect(performance.now() - begun).toBeLessThan(2000);
    expect(script.output).not.toContain('after run');
    await expectNothingLeft(script);
  });

  test('works at any moment of the start', async () => {
    // Each takes another moment: before the master listens to signals it dies of them, later it ends in order.
    const scripts = await Promise.all(
      [60, 120, 180, 240, 300, 400].map(async (milliseconds) => {
        const script = startFixture('three-kinds', { PORT: String(await freePort()) });
        await new Promise((resolve) => setTimeout(resolve, milliseconds));
        script.killGroup('SIGINT');
        return script;
      }),
    );
    for (const script of scripts) {
      const { code, signal } = await script.exit();
      expect(signal ?? code).toSatisfy((end) => end === 'SIGINT' || end === 0);
      expect(script.output).not.toContain('before it was ready');
      await expectNothingLeft(script);
    }
  });

  test('a process waiting to be started again is not started any more', async () => {
    const script = startFixture('crash-loop');
    await script.outputMatching(/starting it again in 0.8 s/);
    const started = script.count(/Mayfly:0 started/g);
    script.kill('SIGTERM');
    expect(await script.exit()).toEqual({ code: 0, signal: null });
    expect(script.count(/Mayfly:0 started/g)).toBe(started);
    await expectNothingLeft(script);
  });

  test('a master killed with -9 leaves no process, and they stop in order', async () => {
    const { script, port } = await startThreeKinds();
    await bothGateways(port);
    script.kill('SIGKILL');
    await script.exited;
    await expectNothingLeft(script, 2000);
    await script.closed;
    expect(script.count(/Test\w+:\d stopped/g)).toBe(4);
  });

  test('a process that hangs does not outlive a master killed with -9', async () => {
    const script = startFixture('hanging-stop');
    await script.outputMatching(READY);
    script.kill('SIGKILL');
    await script.exited;
    await expectNothingLeft(script, 2000);
    await script.outputMatching(/Hanging:0 did not stop within 1.5 s/);
  });
});

describe('all in one process', () => {
  test('run() starts and Ctrl+C ends it in order', async () => {
    const { script, port } = await startThreeKinds({ PROCESSES: 'single' });
    expect((await ask(port)).pid).toBe(script.pid);
    expect(script.children()).toEqual([]);
    script.killGroup('SIGINT');
    expect(await script.exit()).toEqual({ code: 0, signal: null });
    const order = [...script.output.matchAll(/(Test\w+):\d stopped/g)].map(([, name]) => name);
    expect(order).toEqual(['TestGateway', 'TestWorker', 'TestRegister']);
  });

  test('a stop that hangs ends at the deadline', async () => {
    const script = startFixture('hanging-stop', { PROCESSES: 'single' });
    await script.outputMatching(READY);
    script.kill('SIGINT');
    expect(await script.exit()).toEqual({ code: 0, signal: null });
    expect(script.output).toContain('Polite:0 stopped');
  });

  test('a start that is pending can be ended', async () => {
    const script = startFixture('pending-start', { PROCESSES: 'single' });
    await script.outputMatching(/start is pending/);
    script.kill('SIGINT');
    expect(await script.exit()).toEqual({ code: 0, signal: null });
    expect(script.output).not.toContain('after run');
  });

  test('a start that fails is one line and exit code 1', async () => {
    const script = startFixture('failing-start', { PROCESSES: 'single', FAIL: 'reject' });
    expect(await script.exit()).toEqual({ code: 1, signal: null });
    expect(script.output).toContain('\nFailing:0 could not start: the database is not there\n');
    expect(script.output).toContain('Fine:0 stopped');
  });

  test('an uncaught error stops everything in order, with exit code 250', async () => {
    const { script, port } = await startThreeKinds({ PROCESSES: 'single' });
    (await ask(port)).socket.write('throw');
    expect(await script.exit()).toEqual({ code: 250, signal: null });
    expect(script.output).toContain('uncaught exception: Error: thrown by a handler');
    expect(script.count(/Test\w+:\d stopped/g)).toBe(3);
  });
});
