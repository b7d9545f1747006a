import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ProcessState } from '../../../src/core/process/mod.js';
import { eventually } from '../../support/eventually.js';
import { freePorts } from '../../support/free-port.js';
import { giveOrder, type Order, type OrderAnswer } from '../../support/orders.js';
import { endScripts, isAlive, type Script, startScript } from '../../support/processes.js';

const FIXTURE = fileURLToPath(new URL('fixtures/reload.mjs', import.meta.url));

interface Who {
  readonly pid: number;
  readonly id: number;
  readonly version: string;
}

let folder: string;
const sockets = new Set<Socket>();

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gatewayworker-'));
});

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  await endScripts();
  rmSync(folder, { recursive: true });
});

/** A connection to one of the processes that serve. */
class Client {
  readonly socket: Socket;
  closed = false;
  #lines: string[] = [];
  #rest = '';

  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1');
    sockets.add(this.socket);
    this.socket.on('error', () => {});
    this.socket.on('close', () => {
      this.closed = true;
    });
    this.socket.on('data', (bytes) => {
      const lines = (this.#rest + String(bytes)).split('\n');
      this.#rest = lines.pop() ?? '';
      this.#lines.push(...lines);
    });
  }

  say(line: string): void {
    this.socket.write(`${line}\n`);
  }

  async who(): Promise<Who> {
    this.say('who');
    return JSON.parse(await eventually('an answer', () => this.#lines.shift()));
  }
}

class Running {
  readonly script: Script;
  readonly ports: readonly [serving: number, alone: number, control: number];

  private constructor(script: Script, ports: Running['ports']) {
    this.script = script;
    this.ports = ports;
  }

  static async start(env: Readonly<Record<string, string>> = {}): Promise<Running> {
    const [serving = 0, alone = 0, control = 0] = await freePorts(3);
    version('1');
    const script = startScript(FIXTURE, {
      args: ['start'],
      env: {
        PORT: String(serving),
        ALONE_PORT: String(alone),
        CONTROL_PORT: String(control),
        VERSION_FILE: join(folder, 'version'),
        ...env,
      },
    });
    await script.outputMatching(/takes orders/);
    return new Running(script, [serving, alone, control]);
  }

  client(): Client {
    return new Client(this.ports[0]);
  }

  /** A client of each of the two processes, by their id. */
  async both(): Promise<[Client, Client]> {
    const clients = new Map<number, Client>();
    await eventually('both processes to answer', async () => {
      const client = this.client();
      const { id } = await client.who();
      // One more than those two would be waited for as well.
      if (clients.has(id)) client.socket.destroy();
      else clients.set(id, client);
      return clients.size === 2;
    });
    return [clients.get(0) as Client, clients.get(1) as Client];
  }

  order(order: Order): Promise<OrderAnswer> {
    return giveOrder(this.ports[2], order);
  }

  async states(): Promise<readonly ProcessState[]> {
    return (await this.order({})).processes;
  }

  /** Of the places of a worker, those that leave not counted. */
  async pids(worker: string): Promise<readonly (number | undefined)[]> {
    return (await this.states())
      .filter((row) => row.worker === worker && row.state !== 'leaving')
      .map(({ pid }) => pid);
  }
}

function version(text: string): void {
  writeFileSync(join(folder, 'version'), text);
}

describe('a reload', () => {
  test('replaces the processes one by one, each with the new one ready before the old one is told', async () => {
    const running = await Running.start();
    const { script } = running;
    const [kept] = await running.pids('Kept');
    const [alone] = await running.pids('Alone');
    const old = await running.pids('Serving');
    version('2');
    const { result, processes } = await running.order({ reload: {} });
    expect(result).toEqual({ replaced: 2, kept: 2 });
    const fresh = await running.pids('Serving');
    expect(processes.map(({ worker, id, state, restarts }) => [worker, id, state, restarts])).toEqual([
      ['Serving', 0, 'ready', 0],
      ['Serving', 1, 'ready', 0],
      ['Kept', 0, 'ready', 0],
      ['Alone', 0, 'ready', 0],
    ]);
    expect(new Set([...old, ...fresh]).size).toBe(4);
    expect(old.some((pid) => isAlive(pid as number))).toBe(false);
    expect([await running.pids('Kept'), await running.pids('Alone')]).toEqual([[kept], [alone]]);
    for (const client of await running.both()) expect((await client.who()).version).toBe('2');
    const story = [...script.output.matchAll(/Serving:(\d) (version 2|told|stopped)/g)].map(
      ([, id, what]) => id + what,
    );
    expect(story).toEqual(['0version 2', '0told', '0stopped', '1version 2', '1told', '1stopped']);
    expect(script.count(/^onMasterReload$/gm)).toBe(1);
    expect(script.output).toMatch(/master onMasterReload threw: Error: thrown by onMasterReload/);
    expect(script.output).toContain(`Kept:0 told of the reload in ${kept}`);
    expect(script.output).toMatch(/Kept:0 onWorkerReload threw: Error: thrown by onWorkerReload/);
    await script.outputMatching(/master reloaded: 2 replaced, 2 kept/);
  });

  test('closes the connections of a Worker in order', async () => {
    const running = await Running.start();
    const [first, second] = await running.both();
    await running.order({ reload: {} });
    await eventually('both to be closed', () => first.closed && second.closed);
    expect(running.script.output).not.toContain('killing');
  });

  test('closes also a connection with half a message in order', async () => {
    const running = await Running.start();
    const [first] = await running.both();
    first.socket.write('half a li');
    const { result } = await running.order({ reload: {} });
    expect(result).toEqual({ replaced: 2, kept: 2 });
    await eventually('it to be closed', () => first.closed);
    expect(running.script.output).not.toContain('killing');
  });

  test('by name replaces those, kept kinds too, and only those; what cannot overlap leaves first', async () => {
    const running = await Running.start();
    const serving = await running.pids('Serving');
    const [alone] = await running.pids('Alone');
    version('2');
    const { result } = await running.order({ reload: { workers: ['Alone'] } });
    expect(result).toEqual({ replaced: 1, kept: 0 });
    expect(await running.pids('Serving')).toEqual(serving);
    expect(await running.pids('Alone')).not.toEqual([alone]);
    const { output } = running.script;
    expect(output.indexOf('Alone:0 stopped')).toBeLessThan(output.indexOf('Alone:0 version 2'));
    expect(output).not.toContain('Kept:0 told');
    const { error } = await running.order({ reload: { workers: ['Alone', 'Servign'] } });
    expect(error).toMatchObject({
      code: 'GW_RELOAD_UNKNOWN_WORKER',
      message: "there is no worker 'Servign'; did you mean 'Serving'?",
    });
  });

  test.each([
    ['broken', 'the database of version 2 is not there'],
    ['exiting', 'the new process ended with exit code 3'],
    ['hanging', 'the new process was not ready within 1 s'],
  ])('to a version that does not start (%s) leaves the old one running and says why', async (way, reason) => {
    const running = await Running.start({ START_TIMEOUT: '1' });
    const { script } = running;
    const clients = await running.both();
    const old = await running.pids('Serving');
    version(`2 ${way}`);
    const { error } = await running.order({ reload: {} });
    expect(error).toMatchObject({
      code: 'GW_RELOAD_FAILED',
      message: `Serving:0 could not be replaced: ${reason}; the old process goes on`,
      fields: { worker: 'Serving', id: 0, replaced: 0, stack: way === 'broken' ? 'string' : 'undefined' },
    });
    expect(await running.pids('Serving')).toEqual(old);
    expect((await running.states()).length).toBe(4);
    for (const client of clients) expect((await client.who()).version).toBe('1');
    await script.outputMatching(/master the reload has ended: Serving:0 could not be replaced/);
    expect(script.output).not.toContain('Serving:0 told');
    version('3');
    expect((await running.order({ reload: {} })).result).toEqual({ replaced: 2, kept: 2 });
  });

  test('of what cannot overlap to a version that does not start is tried again, as after a crash', async () => {
    const running = await Running.start();
    version('2 broken');
    const { error } = await running.order({ reload: { workers: ['Alone'] } });
    expect(error?.message).toBe(
      'Alone:0 could not be replaced: the database of version 2 is not there; it is started again as after a crash',
    );
    version('3');
    const alone = await eventually('it to be ready', async () => {
      const last = (await running.states()).at(-1);
      return last?.state === 'ready' ? last : undefined;
    });
    expect(alone.worker).toBe('Alone');
    expect(alone.restarts).toBeGreaterThanOrEqual(1);
  });

  test('to a version that crashes once it is ready follows the usual back-off', async () => {
    const running = await Running.start();
    version('2 crashing');
    // It may not be over when the test is.
    running.order({ reload: {} }).catch(() => {});
    await running.script.outputMatching(/Serving:0 \(pid \d+\) ended with exit code 7; starting it again in 0.2 s/);
    version('3');
    for (const id of [0, 1]) await running.script.outputMatching(new RegExp(`Serving:${id} version 3`));
  });

  test('takes up a place that waits to be started again', async () => {
    const running = await Running.start();
    version('2 broken');
    const [first] = await running.both();
    first.say('exit 7');
    await running.script.outputMatching(/Serving:0 .*could not start.* starting it again in 0.8 s/);
    version('3');
    expect((await running.order({ reload: {} })).result).toEqual({ replaced: 2, kept: 2 });
    for (const client of await running.both()) expect((await client.who()).version).toBe('3');
  });

  test('waits for its turn, and those that wait for the same share one', async () => {
    const running = await Running.start();
    const answers = await Promise.all([
      running.order({ reload: {} }),
      ...Array.from({ length: 5 }, () => running.order({ reload: { graceful: false, workers: null } })),
    ]);
    for (const { result } of answers) expect(result).toEqual({ replaced: 2, kept: 2 });
    expect(running.script.count(/master reloaded/g)).toBe(2);
  });

  test.each(['SIGUSR1', 'SIGUSR2'] as const)('comes on %s, which ends no process when all get it', async (signal) => {
    const running = await Running.start();
    const { script } = running;
    const [kept] = await running.pids('Kept');
    if (signal === 'SIGUSR2') script.killGroup(signal);
    else script.kill(signal);
    await script.outputMatching(new RegExp(`reload on ${signal}[\\s\\S]*master reloaded: 2 replaced, 2 kept`));
    expect(script.output).toContain(signal === 'SIGUSR2' ? 'reloading gracefully' : 'reloading\n');
    expect(await running.pids('Kept')).toEqual([kept]);
    expect(script.output).not.toMatch(/Debugger listening/);
    expect(script.output).not.toContain('starting it again');
  });

  test('has an old process that does not leave in time killed, with a warning, and goes on', async () => {
    const running = await Running.start({ ON_STOP: '60000', GRACEFUL_TIMEOUT: '0.5' });
    const { result } = await running.order({ reload: {} });
    expect(result).toEqual({ replaced: 2, kept: 2 });
    expect(running.script.count(/master worker Serving:\d \(pid \d+\) has not left within 0.5 s; killing it/g)).toBe(2);
    expect(running.script.count(/onWorkerExit Serving \{"id":\d,"pid":\d+,"code":null,"signal":"SIGKILL"\}/g)).toBe(2);
  });

  test('gracefully leaves the connections to end by themselves, and waits for no process', async () => {
    const running = await Running.start();
    const { script } = running;
    const [kept] = await running.pids('Kept');
    const clients = await running.both();
    version('2');
    const { result, processes } = await running.order({ reload: { graceful: true } });
    expect(result).toEqual({ replaced: 2, kept: 2 });
    expect(processes.filter(({ state }) => state === 'leaving').map(({ worker, id }) => [worker, id])).toEqual([
      ['Serving', 0],
      ['Serving', 1],
    ]);
    for (const client of clients) expect((await client.who()).version).toBe('1');
    for (let count = 0; count < 4; count++) expect((await running.client().who()).version).toBe('2');
    await script.outputMatching(/Serving:0 1 connection remains/);
    expect(script.output).not.toContain('Serving:0 stopped');
    for (const { socket } of clients) socket.end();
    for (const id of [0, 1]) await script.outputMatching(new RegExp(`Serving:${id} stopped`));
    await eventually('them to have left', async () => (await running.states()).length === 4);
    expect(await running.pids('Kept')).toEqual([kept]);
  });

  test('gracefully is over in time: then connections are closed', async () => {
    const running = await Running.start({ GRACEFUL_TIMEOUT: '0.5' });
    const clients = await running.both();
    await running.order({ reload: { graceful: true } });
    await eventually('both to be closed', () => clients.every(({ closed }) => closed));
    expect(running.script.count(/has not left within 0.5 s; closing its connections/g)).toBe(2);
    expect(running.script.output).not.toContain('killing');
  });

  test('is ended by a stop, which leaves nothing running', async () => {
    const running = await Running.start();
    const { script } = running;
    version('2 hanging');
    const reload = running.order({ reload: {} });
    await eventually('the new process', async () => (await running.states()).length === 5);
    script.kill('SIGTERM');
    expect(await script.exit()).toEqual({ code: 0, signal: null });
    await script.outputMatching(/the reload has ended: the service is being stopped/);
    expect(script.group()).toEqual([]);
    expect(script.output).not.toContain('killing');
    await reload.catch(() => {});
  });

  test('is ended by a stop also while an old process is leaving', async () => {
    const running = await Running.start({ ON_STOP: '60000', STOP_TIMEOUT: '0.5' });
    const { script } = running;
    void running.order({ reload: {} }).catch(() => {});
    await script.outputMatching(/Serving:0 told/);
    script.kill('SIGTERM');
    expect(await script.exit()).toEqual({ code: 0, signal: null });
    expect(script.group()).toEqual([]);
    expect(script.count(/did not stop within 0.5 s; killing it/g)).toBe(3);
  });
});

describe('a process that asks to be replaced (stopAll)', () => {
  test('has its successor ready before it closes its connections, with the last word in the log', async () => {
    const running = await Running.start();
    const { script } = running;
    const [first, second] = await running.both();
    const [old, other] = await running.pids('Serving');
    // As code that counts its requests does: again at each further one.
    for (let count = 0; count < 20; count++) first.say('stopAll');
    await script.outputMatching(/Serving:0 enough for today/);
    await eventually('it to be closed', () => first.closed);
    await script.outputMatching(new RegExp(`onWorkerExit Serving \\{"id":0,"pid":${old},"code":0,"signal":null\\}`));
    expect((await second.who()).pid).toBe(other);
    const { output } = script;
    expect(output.lastIndexOf('Serving:0 version 1')).toBeLessThan(output.indexOf('Serving:0 stopped'));
    expect(script.count(/asks to be replaced/g)).toBe(1);
    expect(output).not.toContain('starting it again');
  });

  test('goes on when its successor can not start, and may ask again', async () => {
    const running = await Running.start();
    const [first] = await running.both();
    version('2 broken');
    first.say('stopAll');
    await running.script.outputMatching(/master Serving:0 could not be replaced: .*; the old process goes on/);
    expect((await first.who()).version).toBe('1');
    version('3');
    await eventually('it to be closed', () => {
      if (!first.closed) first.say('stopAll');
      return first.closed;
    });
    for (const client of await running.both()) expect((await client.who()).id).toBeLessThan(2);
    await running.script.outputMatching(/Serving:0 version 3/);
  });

  test('that does not leave is killed', async () => {
    const running = await Running.start({ ON_STOP: '60000', GRACEFUL_TIMEOUT: '0.5' });
    const [first] = await running.both();
    first.say('stopAll');
    await running.script.outputMatching(/Serving:0 \(pid \d+\) has not left within 0.5 s; killing it/);
    await eventually('it to be closed', () => first.closed);
  });
});

describe('a graceful stop', () => {
  test('on SIGQUIT waits for the last connection, serves it meanwhile, and takes no new one', async () => {
    const running = await Running.start();
    const { script } = running;
    const [first, second] = await running.both();
    // As Ctrl+\ in a terminal: all processes get it.
    script.killGroup('SIGQUIT');
    await script.outputMatching(/stopping gracefully on SIGQUIT/);
    await script.outputMatching(/Serving:1 1 connection remains/);
    await eventually('no new connection to be taken', async () => {
      const client = running.client();
      try {
        return await eventually('it to be refused', () => client.closed, 200);
      } finally {
        // One that was taken would be waited for too.
        client.socket.destroy();
      }
    });
    expect((await first.who()).id).toBe(0);
    first.socket.end();
    await script.outputMatching(/Serving:0 stopped/);
    expect((await second.who()).id).toBe(1);
    second.socket.end();
    expect(await script.exit()).toEqual({ code: 0, signal: null });
    expect(script.output).not.toContain('starting it again');
    await script.outputMatching(/onMasterStop\n[\s\S]*master stopped/);
  });

  test('ends in time, also when a connection stays', async () => {
    const running = await Running.start({ GRACEFUL_TIMEOUT: '0.5' });
    const [first] = await running.both();
    running.script.kill('SIGQUIT');
    expect(await running.script.exit()).toEqual({ code: 0, signal: null });
    await running.script.outputMatching(/not all have stopped within 0.5 s; closing the connections that remain/);
    await eventually('it to be closed', () => first.closed);
    expect(running.script.output).toContain('Serving:0 stopped');
  });

  test.each(['SIGTERM', 'SIGINT'] as const)('is hurried by %s, in order', async (signal) => {
    const running = await Running.start();
    const { script } = running;
    await running.both();
    script.kill('SIGQUIT');
    await script.outputMatching(/connection remains/);
    script.killGroup(signal);
    expect(await script.exit()).toEqual({ code: 0, signal: null });
    for (const id of [0, 1]) expect(script.output).toContain(`Serving:${id} stopped`);
    expect(script.group()).toEqual([]);
  });

  test('asked of the service stops it, and the program goes on', async () => {
    const running = await Running.start();
    const [first] = await running.both();
    first.socket.end();
    for (const socket of sockets) socket.end();
    const { processes } = await running.order({ stop: true });
    expect(processes.map(({ state }) => state)).toEqual(['ended', 'ended', 'ended', 'ended']);
    expect(running.script.output).toContain('onMasterStop');
  });
});

describe('a process that ends', () => {
  test.each([
    ['exit 0', '"code":0,"signal":null', /master worker Serving:0 \(pid \d+\) ended with exit code 0; starting/],
    ['exit 7', '"code":7,"signal":null', /master worker Serving:0 \(pid \d+\) ended with exit code 7; starting/],
    ['throw', '"code":250,"signal":null', /ReferenceError: missing is not defined\n +at [\s\S]*Serving:0 stopped/],
  ])('by %s is told of with its status, and replaced', async (order, status, line) => {
    const running = await Running.start();
    const [first] = await running.both();
    const [pid] = await running.pids('Serving');
    first.say(order);
    await running.script.outputMatching(new RegExp(`onWorkerExit Serving \\{"id":0,"pid":${pid},${status}\\}`));
    await running.script.outputMatching(line);
    await eventually('a new one', async () => (await running.client().who()).id === 0);
    expect((await running.states())[0]).toMatchObject({ restarts: 1, crashLoop: null });
  });

  test('by SIGKILL is told of without having stopped', async () => {
    const running = await Running.start();
    const [pid] = await running.pids('Serving');
    process.kill(pid as number, 'SIGKILL');
    await running.script.outputMatching(
      new RegExp(`onWorkerExit Serving \\{"id":0,"pid":${pid},"code":null,"signal":"SIGKILL"\\}`),
    );
    expect(running.script.output).not.toContain('Serving:0 stopped');
  });

  test('again and again is a crash loop, said once and shown until one lives', async () => {
    const running = await Running.start();
    const [first] = await running.both();
    version('2 broken');
    first.say('exit 7');
    await running.script.outputMatching(
      /master crash loop: worker Serving:0 has ended shortly after its start 5 times in a row; the last one could not start: the database of version 2 is not there/,
    );
    expect((await running.states())[0]).toMatchObject({
      crashLoop: 'could not start: the database of version 2 is not there',
      restarts: 5,
    });
    version('3');
    await running.order({ reload: { workers: ['Serving'] } });
    expect((await running.states())[0]).toMatchObject({ state: 'ready', crashLoop: null });
    expect(running.script.count(/crash loop/g)).toBe(1);
  });
});
