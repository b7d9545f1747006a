// Processes are killed and frozen while clients talk. Every message is accounted for, by what handlers have noted in a file.
//
// Of other faults, and longer: npm run chaos. This with a master that starts again what dies, longer: KILLS=1000 KILL_SEED=7 npx vitest run test/behaviour/nothing-lost.test.ts
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import { freePorts } from '../support/free-port.js';
import { Ledger } from '../support/ledger.js';
import { giveOrder, type Order, type OrderAnswer } from '../support/orders.js';
import { endScripts, type Script, startScript } from '../support/processes.js';
import { seededRandom } from '../support/seeded-random.js';

const SCRIPT = fileURLToPath(new URL('./fixtures/counted-cluster.mjs', import.meta.url));
const KILLS = Number(process.env.KILLS ?? 10);
const SEED = Number(process.env.KILL_SEED ?? 1);
const CLIENTS = 20;
const PACE_MS = 4;
/** Nine processes are started one after the other, beside other tests. */
const RELOADS_MS = 90_000;

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gatewayworker-'));
  writeFileSync(join(folder, 'notes'), '');
});

afterEach(async () => {
  await endScripts();
  rmSync(folder, { recursive: true });
});

/** Sends numbers from 1 on. */
class Numbering {
  readonly #socket: Socket;
  id = '';
  sent = 0;
  closed = false;

  constructor(port: number) {
    this.#socket = connect(port, '127.0.0.1');
    this.#socket.on('data', (bytes) => {
      this.id ||= String(bytes).trim();
    });
    this.#socket.on('error', () => {});
    this.#socket.on('close', () => {
      this.closed = true;
    });
  }

  say(how: string): void {
    this.#socket.write(`${++this.sent}${how}\n`);
  }

  leave(): void {
    this.#socket.end();
  }
}

interface Note {
  readonly what: string;
  readonly id: string;
  readonly number: number;
}

class Cluster {
  readonly script: Script;
  readonly clients: Numbering[] = [];
  readonly random = seededRandom(SEED);
  readonly #ports: { readonly text: number; readonly control: number };
  #timer: NodeJS.Timeout | undefined;

  private constructor(script: Script, ports: { readonly text: number; readonly control: number }) {
    this.script = script;
    this.#ports = ports;
  }

  static async start(workers = 3, clients = CLIENTS, env: Record<string, string> = {}): Promise<Cluster> {
    const [register = 0, text = 0, control = 0] = await freePorts(3);
    const script = startScript(SCRIPT, {
      env: {
        REGISTER_PORT: String(register),
        TEXT_PORT: String(text),
        CONTROL_PORT: String(control),
        WORKERS: String(workers),
        NOTES: join(folder, 'notes'),
        ...env,
      },
    });
    await script.outputMatching(/takes orders/);
    await eventually('all to have joined', () => script.count(/a worker joined/g) === workers);
    const cluster = new Cluster(script, { text, control });
    for (let count = 0; count < clients; count++) cluster.clients.push(new Numbering(text));
    await eventually('all to be greeted', () => cluster.clients.every(({ id }) => id !== ''));
    return cluster;
  }

  order(order: Order): Promise<OrderAnswer> {
    return giveOrder(this.#ports.control, order);
  }

  /** Process ids of those that are ready. */
  async pids(worker: string): Promise<number[]> {
    const { processes } = await this.order({});
    return processes
      .filter((entry) => entry.worker === worker && entry.state === 'ready')
      .flatMap(({ pid }) => pid ?? []);
  }

  talk(): void {
    const how = () => (this.random() < 0.7 ? '' : ` ${Math.floor(this.random() * 30)}`);
    this.#timer = setInterval(() => {
      for (const client of this.clients) if (this.random() < 0.5) client.say(how());
    }, PACE_MS);
  }

  quiet(): void {
    clearInterval(this.#timer);
  }

  get #lines(): string[] {
    return readFileSync(join(folder, 'notes'), 'utf8').split('\n').slice(0, -1);
  }

  get notes(): Note[] {
    return this.#lines.map((line) => {
      const [what = '', id = '', number] = line.split(' ');
      return { what, id, number: Number(number) };
    });
  }

  async moreMessages(count: number): Promise<void> {
    const handled = () => this.notes.filter(({ what }) => what === 'end').length;
    const before = handled();
    try {
      await eventually('messages', () => handled() >= before + count);
    } catch (error) {
      throw new Error(`${(error as Error).message}; the end of the output is:\n${this.script.output.slice(-3000)}`);
    }
  }

  /** Every message was handled, those of each client in order; a second time only what says so. @returns how many did */
  async accounted(): Promise<number> {
    this.quiet();
    const books = () => {
      const ledger = new Ledger();
      for (const line of this.#lines) ledger.note(line);
      return ledger;
    };
    try {
      await eventually('every message to be handled', () => {
        const ledger = books();
        return this.clients.every(({ id, sent }) => (ledger.account(id)?.handled ?? 0) === sent);
      });
    } finally {
      const ledger = books();
      ledger.conclude();
      expect(ledger.faults).toEqual([]);
    }
    expect(this.clients.filter(({ closed }) => closed)).toEqual([]);
    return books().counts.again;
  }

  /** Each client's onClose, with the number of its last message, as it is in the session. */
  async closes(): Promise<void> {
    const closes = () => this.notes.filter(({ what }) => what === 'close');
    await eventually('onClose of all', () => closes().length >= this.clients.length);
    const told = closes().map(({ id, number }) => `${id} ${number}`);
    expect(told.sort()).toEqual(this.clients.map(({ id, sent }) => `${id} ${sent}`).sort());
  }
}

describe('events', () => {
  it(
    'are all handled, in order, while worker processes are killed; what is handled again says so',
    async () => {
      const cluster = await Cluster.start();
      cluster.talk();
      let killed = 0;
      for (let kill = 0; kill < KILLS; kill++) {
        await cluster.moreMessages(100);
        // The master waits longer and longer to start what dies again and again.
        const pids = await eventually('two workers', async () => {
          const found = await cluster.pids('Worker');
          return found.length >= 2 ? found : undefined;
        });
        process.kill(pids[Math.floor(cluster.random() * pids.length)] ?? 0, 'SIGKILL');
        killed++;
      }
      await cluster.moreMessages(100);
      const again = await cluster.accounted();
      if (KILLS > 10)
        process.stdout.write(`seed ${SEED}: ${killed} kills, ${cluster.notes.length} notes, ${again} again\n`);
      for (const client of cluster.clients) client.leave();
      await cluster.closes();
    },
    60_000 + KILLS * 3000,
  );

  it(
    'are none of them handled again at reloads, nor lost',
    async () => {
      const cluster = await Cluster.start();
      cluster.talk();
      for (let round = 0; round < 3; round++) {
        await cluster.moreMessages(300);
        const { result, error } = await cluster.order({ reload: {} });
        expect([error, result?.replaced]).toEqual([undefined, 3]);
      }
      await cluster.moreMessages(300);
      expect(await cluster.accounted()).toBe(0);
    },
    RELOADS_MS,
  );

  it('of a worker that is frozen for a while are all handled, once, when it goes on', async () => {
    const cluster = await Cluster.start(2);
    cluster.talk();
    await cluster.moreMessages(200);
    const [pid = 0] = await cluster.pids('Worker');
    process.kill(pid, 'SIGSTOP');
    try {
      await cluster.moreMessages(1000);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    expect(await cluster.accounted()).toBe(0);
  });

  it('of a worker that is frozen and then killed go to the others', async () => {
    const cluster = await Cluster.start(2);
    cluster.talk();
    await cluster.moreMessages(200);
    const [pid = 0] = await cluster.pids('Worker');
    process.kill(pid, 'SIGSTOP');
    await cluster.moreMessages(500);
    process.kill(pid, 'SIGKILL');
    expect(await cluster.accounted()).toBeGreaterThan(100);
  });
});

describe('clients that leave while no worker is there', () => {
  it('have their onClose, each once and with its session, when there is one again', async () => {
    // Nothing else waits as long as it takes to start a worker.
    const cluster = await Cluster.start(1, CLIENTS, { MAX_WAITING_TIME: '0.05' });
    for (const client of cluster.clients) for (let count = 0; count < 3; count++) client.say('');
    await cluster.accounted();
    const [pid = 0] = await cluster.pids('Worker');
    process.kill(pid, 'SIGKILL');
    for (const client of cluster.clients) client.leave();
    await cluster.closes();
  });
});

describe('a gateway that is killed', () => {
  it('has the onClose of each of its clients called once, with the session, by those that had their last events', async () => {
    const cluster = await Cluster.start();
    for (const client of cluster.clients) for (let count = 0; count < 5; count++) client.say('');
    await cluster.accounted();
    const [pid = 0] = await cluster.pids('Gateway');
    process.kill(pid, 'SIGKILL');
    await cluster.closes();
  });

  it('has it called also where the workers that knew its clients were replaced, or were killed, since', async () => {
    const cluster = await Cluster.start(2);
    for (const client of cluster.clients) client.say('');
    await cluster.accounted();
    const [first = 0] = await cluster.pids('Worker');
    process.kill(first, 'SIGKILL');
    await eventually('another one', async () => {
      const pids = await cluster.pids('Worker');
      return pids.length === 2 && !pids.includes(first);
    });
    expect((await cluster.order({ reload: {} })).result?.replaced).toBe(2);
    // Some have moved by themselves, and have FORGET on the way.
    for (const client of cluster.clients.slice(10)) client.say('');
    await cluster.accounted();
    const [pid = 0] = await cluster.pids('Gateway');
    process.kill(pid, 'SIGKILL');
    await cluster.closes();
    expect(cluster.notes.filter(({ what }) => what === 'close')).toHaveLength(CLIENTS);
  });
});
