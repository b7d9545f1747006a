import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readServiceOptions, type ServiceOptions } from '../../../src/core/process/mod.js';
import { type Command, endCommands, startCommand } from '../../support/daemons.js';
import { eventually } from '../../support/eventually.js';
import { testFolders } from '../../support/folder.js';
import { freePorts } from '../../support/free-port.js';
import type { Script } from '../../support/processes.js';
import { TcpClient } from '../../support/tcp-client.js';

const DOOR = new URL('../../../dist/mod.js', import.meta.url).href;

/** Copies `src` to `dist`; what it says and does besides is told by the events it builds. */
const BUILD = `
  import { cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
  const source = readFileSync(new URL('src/events.mjs', import.meta.url), 'utf8');
  console.log('built in ' + process.cwd());
  const held = new URL('held', import.meta.url);
  if (source.includes('hold the build')) {
    writeFileSync(held, '');
    while (existsSync(held)) await new Promise((resolve) => setTimeout(resolve, 10));
  }
  if (source.includes('can not be built')) process.exit(2);
  cpSync(new URL('src', import.meta.url), new URL('dist', import.meta.url), { recursive: true });
`;
const newFolder = testFolders();
let folder: string;
let ports: number[];

beforeEach(async () => {
  folder = newFolder();
  ports = await freePorts(2);
  write('build.mjs', BUILD);
});

afterEach(endCommands);

describe('a service that watches', () => {
  test('takes each change while its clients stay connected', async () => {
    const { script, client } = await Watched.start();
    const id = await client.say('id');
    for (const version of ['2', '3', '4']) {
      write('events.mjs', events(version));
      await client.sees(version);
    }
    expect(await client.say('id')).toBe(id);
    // One after another: each of them has been said once.
    await script.outputMatching(/(?:changed: \S*events\.mjs\n[\s\S]*?reloaded: 1 replaced, 2 kept[\s\S]*){3}/);
    expect(script.count(/reloading/g)).toBe(3);
    script.killGroup('SIGINT');
    expect(await script.exit()).toEqual({ code: 0, signal: null });
    expect(script.group()).toEqual([]);
  });

  test('keeps the old version of what does not load, says why, and takes the repaired one', async () => {
    const { script, client } = await Watched.start();
    write('events.mjs', `${events('2')} }`);
    await script.outputMatching(/error master the reload has ended: .*Unexpected token '}'.*; the old process goes on/);
    expect(await client.say('version')).toBe('1');
    write('events.mjs', events('3'));
    await client.sees('3');
    expect(script.count(/ error master /g)).toBe(1);
  });

  test('reloads few times for a burst of changes, and takes the last', async () => {
    const { script, client } = await Watched.start();
    for (let version = 2; version <= 40; version++) {
      write('events.mjs', events(String(version)));
      write(`helper-${version}.mjs`, 'export {};');
    }
    await client.sees('40');
    await script.outputMatching(/changed: \S+, \S+, \S+ and \d+ more/);
    expect(script.count(/reloading/g)).toBeLessThan(5);
  });

  test('reloads once more for all that changes during a reload', async () => {
    const { script, client } = await Watched.start();
    write('events.mjs', events('2', HELD));
    await heldUntil(() => {
      write('events.mjs', events('3'));
      write('helper.mjs', 'export {};');
      write('events.mjs', events('4'));
    });
    await client.sees('4');
    await script.outputMatching(/changed: \S*events\.mjs, \S*helper\.mjs\n/);
    expect(script.count(/reloading/g)).toBe(2);
  });

  test('notices what changes during its start', async () => {
    const { script } = begin({ first: events('1', HELD) });
    await heldUntil(() => write('events.mjs', events('2')));
    const client = await Client.of(script);
    await client.sees('2');
  });

  test('says what a change of the entry script does not change', async () => {
    const { script, client } = await Watched.start();
    const entry = readFileSync(join(folder, 'start.mjs'), 'utf8');
    write('start.mjs', `${entry}// more`);
    await script.outputMatching(/warn master start\.mjs has changed: .* read at the start only; restart for those/);
    write('events.mjs', events('2'));
    await client.sees('2');
    expect(script.count(/start\.mjs has changed/g)).toBe(1);
  });

  test('does not go on for ever over a file that the workers write when they start', async () => {
    const { script, client } = await Watched.start();
    const state = JSON.stringify(join(folder, 'state.json'));
    const writing = `import { writeFileSync } from 'node:fs'; writeFileSync(${state}, String(process.pid));`;
    write('events.mjs', events('2', writing));
    await script.outputMatching(
      /warn master changed during 5 builds or reloads in a row, .*: \S*state\.json; not followed/,
    );
    const before = script.count(/reloading/g);
    for (const version of ['3', '4']) {
      write('events.mjs', events(version, writing));
      await client.sees(version);
    }
    expect(script.count(/reloading/g)).toBe(before + 2);
  });

  test('does so in the background as well', async () => {
    const { client, command } = await Watched.start({ args: ['start', '-d', '--watch'] });
    expect(await command.script.exited).toEqual({ code: 0, signal: null });
    write('events.mjs', events('2'));
    await client.sees('2');
    const stop = startCommand(join(folder, 'start.mjs'), { interpreter: process.execPath, args: ['stop'] });
    expect(await stop.script.exit()).toEqual({ code: 0, signal: null });
    expect(command.processes()).toEqual([]);
  });
});

describe('with a build', () => {
  test('builds before it reloads', async () => {
    const { script, client } = await Watched.build();
    write('src/events.mjs', events('2'));
    await client.sees('2');
    await script.outputMatching(/changed: \S*src\/events\.mjs\n.* building: .*\n[\s\S]*reloading/);
    expect(script.output).toContain(`built in ${process.cwd()}\n`);
    expect(script.count(/building/g)).toBe(1);
  });

  test('reloads nothing when it fails, and tries again at the next change', async () => {
    const { script, client } = await Watched.build();
    write('src/events.mjs', `${events('2')} // can not be built`);
    await script.outputMatching(/error master the build has failed with exit code 2; nothing is reloaded before/);
    write('src/events.mjs', events('3'));
    await client.sees('3');
    expect(script.count(/reloading/g)).toBe(1);
  });

  test('builds once more for all that changes during a build', async () => {
    const { script, client } = await Watched.build();
    write('src/events.mjs', `${events('2')} // hold the build`);
    await heldUntil(() => {
      write('src/events.mjs', events('3'));
      write('src/helper.mjs', 'export {};');
      write('src/events.mjs', events('4'));
    });
    await client.sees('4');
    await script.outputMatching(/changed: \S*events\.mjs, \S*helper\.mjs\n.* building[\s\S]*reloaded/);
    expect(script.count(/building/g)).toBe(2);
  });

  test('does not go on for ever over what the build writes into a folder that is watched', async () => {
    const { script, client } = await Watched.build({ paths: ['.'] });
    write('src/events.mjs', events('2'));
    await script.outputMatching(
      /warn master changed during 5 builds or reloads in a row, .*: \S*dist\/events\.mjs; not/,
    );
    const before = script.count(/building/g);
    for (const version of ['3', '4']) {
      write('src/events.mjs', events(version));
      await client.sees(version);
    }
    expect(script.count(/building/g)).toBe(before + 2);
  });

  test.each(['SIGTERM', 'SIGQUIT'] as const)('ends a build that runs when it is stopped by %s', async (signal) => {
    const { script, client, command } = await Watched.build();
    write('src/events.mjs', `${events('2')} // hold the build`);
    await eventually('the build to be held', () => existsSync(join(folder, 'held')));
    client.end();
    script.kill(signal);
    expect(await script.exit()).toEqual({ code: 0, signal: null });
    expect(command.processes()).toEqual([]);
    expect(script.output).not.toMatch(/the build|reloading| error /);
  });
});

describe('watching is refused', () => {
  test('in one process, which can not replace itself', async () => {
    const { script, processes } = begin({ run: { processes: 'single' } });
    expect(await script.exit()).toEqual({ code: 1, signal: null });
    expect(script.output).toBe(
      "run: 'watch' replaces processes by new ones; one process can't replace itself, use processes: 'many'\n",
    );
    expect(processes()).toEqual([]);
  });

  test('for a folder that is not there, with nothing started', async () => {
    const { script, processes } = begin({ run: { watch: { paths: ['absent'] } } });
    expect(await script.exit()).toEqual({ code: 1, signal: null });
    expect(script.output).toMatch(/^run: 'watch' is not possible: ENOENT: .*absent'\n$/);
    expect(processes()).toEqual([]);
    expect(existsSync(join(folder, 'gatewayworker.start.mjs.pid'))).toBe(false);
  });

  test.each<[object, RegExp]>([
    [{ paths: [] }, /run: 'watch': option 'paths' must be a list of folders that is not empty/],
    [{ paths: ['src', ''] }, /'paths'/],
    [{ build: '' }, /run: 'watch': option 'build' must be a string that is not empty, or null/],
    [{ path: ['src'] }, /did you mean 'paths'/],
  ])('with options that make no sense (%o)', (watch, message) => {
    expect(() => readServiceOptions({ watch })).toThrow(message);
  });
});

/** Loads no further until the test has seen it load. */
const HELD = `
  import { existsSync, writeFileSync } from 'node:fs';
  const held = new URL('held', import.meta.url);
  writeFileSync(held, '');
  while (existsSync(held)) await new Promise((resolve) => setTimeout(resolve, 10));
`;

async function heldUntil(act: () => void): Promise<void> {
  const held = join(folder, 'held');
  await eventually('somebody to be held', () => existsSync(held));
  act();
  renameSync(held, join(folder, 'passed'));
}

function events(version: string, first = ''): string {
  return `${first}
    export function onMessage(client, message) {
      client.send(message === 'id' ? client.id : '${version}');
    }`;
}

function write(name: string, text: string): void {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  // At once: a process that starts just now reads one or the other.
  writeFileSync(`${path}.tmp`, text);
  renameSync(`${path}.tmp`, path);
}

interface Way {
  readonly args?: readonly string[];
  readonly run?: Partial<ServiceOptions>;
  /** The first version of the events. */
  readonly first?: string;
  /** Where the service has them from. */
  readonly at?: string;
}

/** Starts a cluster whose entry script and events are files in the folder. */
function begin({ args = ['start', '--watch'], run = {}, first = events('1'), at = 'events.mjs' }: Way): Command {
  const [register, port] = ports;
  const registerAddress = `127.0.0.1:${register}`;
  write(at, first);
  write(
    'start.mjs',
    `
    import { BusinessWorker, Gateway, Register, run } from ${JSON.stringify(DOOR)};
    new Register('text://${registerAddress}');
    new Gateway('text://127.0.0.1:${port}', { registerAddress: '${registerAddress}', startPort: 0 });
    new BusinessWorker({ registerAddress: '${registerAddress}', events: () => import('./${at}') });
    await run(${JSON.stringify(run)});
    `,
  );
  return startCommand(join(folder, 'start.mjs'), { interpreter: process.execPath, args });
}

class Watched {
  readonly command: Command;
  readonly client: Client;

  private constructor(command: Command, client: Client) {
    this.command = command;
    this.client = client;
  }

  static async start(way: Way = {}): Promise<Watched> {
    const command = begin(way);
    const client = await Client.of(command.script);
    expect(await client.say('version')).toBe('1');
    return new Watched(command, client);
  }

  /** What runs is what the build has made of `src`. */
  static build({ paths = ['src'] } = {}): Promise<Watched> {
    write('src/events.mjs', events('1'));
    // Two commands: the shell stays, and what it has started is a process beside it.
    const build = `"${process.execPath}" "${join(folder, 'build.mjs')}" && echo complete`;
    return Watched.start({ args: ['start'], run: { watch: { paths, build } }, at: 'dist/events.mjs' });
  }

  get script(): Script {
    return this.command.script;
  }
}

/** A client that stays: what it says is answered on the connection it has had from the start. */
class Client {
  readonly #connection: TcpClient;

  private constructor(connection: TcpClient) {
    this.#connection = connection;
  }

  /** Once the service is ready. */
  static async of(script: Script): Promise<Client> {
    await script.outputMatching(/Press Ctrl\+C|Started in the background/);
    return new Client(await TcpClient.open(ports[1] as number));
  }

  async say(text: string): Promise<string> {
    const before = this.#connection.lines.length;
    this.#connection.write(`${text}\n`);
    return eventually(`an answer to ${text}`, () => this.#connection.lines[before]);
  }

  /** Until it is answered by this version. */
  async sees(version: string): Promise<void> {
    await eventually(`version ${version}`, async () => (await this.say('version')) === version);
  }

  end(): void {
    this.#connection.socket.end();
  }
}
