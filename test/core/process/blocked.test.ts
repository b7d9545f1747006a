import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import type { ProcessStatus, ServiceStatus } from '../../../src/core/process/mod.js';
import { eventually } from '../../support/eventually.js';
import { freePort, freePortPair } from '../../support/free-port.js';
import { endScripts, isAlive, type Script, startScript } from '../../support/processes.js';
import { TcpClient } from '../../support/tcp-client.js';

const FIXTURE = fileURLToPath(new URL('fixtures/blocked.mjs', import.meta.url));
const SAYS_THREAD = fileURLToPath(new URL('fixtures/says-thread.cjs', import.meta.url));
const clients = new Set<TcpClient>();

afterEach(async () => {
  for (const client of clients) client.socket.destroy();
  clients.clear();
  await endScripts();
});

interface Started {
  readonly script: Script;
  readonly port: number;
}

async function start(env: Readonly<Record<string, string>> = {}, flags: readonly string[] = []): Promise<Started> {
  const port = await freePort();
  const started = startScript(FIXTURE, { flags, args: ['start'], env: { PORT: String(port), ...env } });
  await started.outputMatching(/ready for questions/);
  return { script: started, port };
}

/** A connection to one of the processes, which says first who it is. */
class Talk {
  readonly client: TcpClient;
  readonly pid: number;

  constructor(client: TcpClient, pid: number) {
    this.client = client;
    this.pid = pid;
  }

  static async open(port: number): Promise<Talk> {
    const client = await TcpClient.open(port);
    clients.add(client);
    return new Talk(client, Number(await eventually('a pid', () => client.lines[0])));
  }

  say(order: string): void {
    this.client.write(`${order}\n`);
  }

  async heard(pattern: RegExp): Promise<string> {
    return await eventually(`${pattern}`, () => this.client.lines.find((line) => pattern.test(line)));
  }
}

async function statusOf(script: Script, pid: number): Promise<ProcessStatus | undefined> {
  const known = script.count(/^status /gm);
  script.kill('SIGWINCH');
  const line = await eventually('a status', () => [...script.output.matchAll(/^status (.*)\n/gm)][known]?.[1]);
  return (JSON.parse(line) as ServiceStatus).processes.find((process) => process.pid === pid);
}

/** Waits until the process has been blocked for so long in the eyes of the master. */
async function blockedFor(script: Script, pid: number, seconds: number): Promise<ProcessStatus> {
  return await eventually(`${pid} to be blocked for ${seconds} s`, async () => {
    const status = await statusOf(script, pid);
    return (status?.blocked?.seconds ?? 0) >= seconds ? status : undefined;
  });
}

describe('a process whose event loop stands still', () => {
  test.each([
    ['empty', /^empty \(.*blocked\.mjs:\d+:\d+\)\nonMessage \(/],
    ['regexp', /^regexp \(.*blocked\.mjs:\d+:\d+\)\nonMessage \(/],
    ['wait', /^wait \(.*blocked\.mjs:\d+:\d+\)\nonMessage \(/],
  ])('is named with the place it is at: %s', async (way, stack) => {
    const { script, port } = await start();
    const { pid, ...talk } = await Talk.open(port);
    talk.client.write(`${way}\n`);
    await script.outputMatching(
      new RegExp(
        `warn master worker Blocking:0 \\(pid ${pid}\\) is blocked: its event loop does not turn seconds=[\\d.]+ at="${way} \\(.*blocked.mjs:\\d+:\\d+\\)"`,
      ),
    );
    const status = await statusOf(script, pid);
    expect(status).toMatchObject({ state: 'ready', figures: null, blocked: { stack: expect.stringMatching(stack) } });
    expect(status?.blocked?.seconds).toBeGreaterThan(0.59);
  });

  test('is named without one where it waits for the system', async () => {
    const { script, port } = await start();
    const talk = await Talk.open(port);
    talk.say('exec');
    await script.outputMatching(/is blocked: .* at="inside the system, or in code that is not JavaScript"/);
    expect((await statusOf(script, talk.pid))?.blocked).toEqual({ seconds: expect.any(Number), stack: null });
  });

  test('goes on, which is said once too, and is blocked no more', async () => {
    const { script, port } = await start();
    const talk = await Talk.open(port);
    // Long enough for a thread that a loaded machine has yet to start.
    talk.say('spin 3');
    await talk.heard(/after spin/);
    await script.outputMatching(/master worker Blocking:0 \(pid \d+\) goes on seconds=/);
    expect(await statusOf(script, talk.pid)).toMatchObject({ blocked: null, figures: { totalRequest: 1 } });
    expect(script.count(/is blocked/g)).toBe(1);
    talk.say('spin 3');
    await eventually('a second time', () => script.count(/is blocked/g) === 2);
  });

  test('is killed and replaced where the policy says so; the others go on', async () => {
    const { script, port } = await start({ COUNT: '2', BLOCKED_POLICY: 'replace' });
    const [stuck, other] = [await Talk.open(port), await Talk.open(port)];
    expect(stuck.pid).not.toBe(other.pid);
    stuck.say('empty');
    await script.outputMatching(
      new RegExp(
        `is blocked[\\s\\S]*killing worker Blocking:\\d \\(pid ${stuck.pid}\\)[\\s\\S]*worker Blocking:\\d \\(pid ${stuck.pid}\\) ended by signal SIGKILL; starting it again`,
      ),
    );
    await eventually('two processes again', () => script.children().length === 2);
    expect(isAlive(other.pid)).toBe(true);
    other.say('spin 0');
    await other.heard(/after spin/);
  });

  test('is only reported while it starts, whatever the policy', async () => {
    const { script } = await start({ SPIN_AT_START: '2', BLOCKED_POLICY: 'replace' });
    expect(script.count(/is blocked/g)).toBe(1);
    expect(script.output).not.toContain('SIGKILL');
  });

  test('is not looked for with blockedTimeout 0', async () => {
    const { script, port } = await start({ BLOCKED_TIMEOUT: '0' });
    const talk = await Talk.open(port);
    talk.say('spin 1.5');
    await talk.heard(/after spin/);
    expect(script.output).not.toContain('is blocked');
  });

  test('does not outlive a master killed with -9', async () => {
    const { script, port } = await start({ COUNT: '2' });
    const [stuck, other] = [await Talk.open(port), await Talk.open(port)];
    stuck.say('empty');
    other.say('exec');
    // Asked in vain where it is, the thread goes on watching.
    await script.outputMatching(/at="inside the system/);
    script.kill('SIGKILL');
    await script.exited;
    await eventually('both to end', () => !isAlive(stuck.pid) && !isAlive(other.pid));
  });
});

describe('a process is not called blocked', () => {
  test('when it was stopped by SIGSTOP; it has no figures while it is', async () => {
    const { script, port } = await start({ COUNT: '2', BLOCKED_TIMEOUT: '1.2' });
    const [frozen, stuck] = [await Talk.open(port), await Talk.open(port)];
    process.kill(frozen.pid, 'SIGSTOP');
    stuck.say('empty');
    await blockedFor(script, stuck.pid, 2.5);
    expect(await statusOf(script, frozen.pid)).toMatchObject({ state: 'ready', figures: null, blocked: null });
    process.kill(frozen.pid, 'SIGCONT');
    frozen.say('spin 0');
    await frozen.heard(/after spin/);
    await blockedFor(script, stuck.pid, 4.5);
    expect(await statusOf(script, frozen.pid)).toMatchObject({ blocked: null, figures: { totalRequest: 1 } });
    expect(script.output).not.toContain(`(pid ${frozen.pid}) is blocked`);
  });

  test('while it can be debugged: node --inspect goes on working', async () => {
    const inspectorPort = await freePortPair();
    const { script, port } = await start({}, [`--inspect=127.0.0.1:${inspectorPort}`]);
    await script.outputMatching(new RegExp(`Debugger listening on ws://127.0.0.1:${inspectorPort + 1}/`));
    const talk = await Talk.open(port);
    talk.say('spin 1.5');
    await talk.heard(/after spin/);
    expect(await statusOf(script, talk.pid)).toMatchObject({ blocked: null });
    expect(script.output).not.toContain('is blocked');
  });

  test('while it stands at a breakpoint', async () => {
    const { script, port } = await start({ COUNT: '2', BLOCKED_TIMEOUT: '1.2' });
    const [debugged, stuck] = [await Talk.open(port), await Talk.open(port)];
    debugged.say('debug');
    const inspector = new WebSocket(await debugged.heard(/^ws:/));
    await once(inspector, 'open');
    let paused = false;
    inspector.on('message', (message) => {
      paused ||= String(message).includes('"Debugger.paused"');
    });
    inspector.send(JSON.stringify({ id: 1, method: 'Debugger.enable' }));
    inspector.send(JSON.stringify({ id: 2, method: 'Debugger.pause' }));
    await eventually('the breakpoint', () => paused);
    stuck.say('empty');
    await blockedFor(script, stuck.pid, 2.5);
    expect(await statusOf(script, debugged.pid)).toMatchObject({ blocked: null, figures: null });
    expect(script.output).not.toContain(`(pid ${debugged.pid}) is blocked`);
    inspector.terminate();
    debugged.say('spin 0');
    await debugged.heard(/after spin/);
  });
});

describe('the thread that watches', () => {
  test.each([
    ['the command line', { flags: ['--require', SAYS_THREAD], env: {} }],
    ['NODE_OPTIONS', { flags: [], env: { NODE_OPTIONS: `--require ${SAYS_THREAD}` } }],
  ])('does not load what %s loads into each process', async (_title, { flags, env }) => {
    const { script, port } = await start(env, flags);
    const talk = await Talk.open(port);
    talk.say('spin 3');
    await talk.heard(/after spin/);
    // So it is there.
    await script.outputMatching(/is blocked/);
    expect([script.count(/into a main thread/g), script.count(/into another thread/g)]).toEqual([2, 0]);
  });

  test('is a warning where it can not be made, and the service starts', async () => {
    const { script, port } = await start({ NO_THREADS: 'yes' });
    expect(script.output).toMatch(
      /warn Blocking:0 nobody watches whether this process is blocked: its watching thread has failed reason="no threads here"/,
    );
    await Talk.open(port);
  });

  test('holds up neither the end of its process nor a stop', async () => {
    const { script } = await start({ COUNT: '4' });
    script.killGroup('SIGINT');
    expect(await script.exit()).toEqual({ code: 0, signal: null });
    expect(script.output).not.toContain('did not stop');
  });
});
