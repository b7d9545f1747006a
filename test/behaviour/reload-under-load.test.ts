// A cluster is reloaded again and again while its clients never stop talking. Every message is accounted for.
//
// Longer, with other seeds: RELOAD_ROUNDS=50 RELOAD_SEED=7 npx vitest run test/behaviour/reload-under-load.test.ts
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CountingClient } from '../support/counting-client.js';
import { eventually } from '../support/eventually.js';
import { freePorts } from '../support/free-port.js';
import { giveOrder, type Order, type OrderAnswer } from '../support/orders.js';
import { endScripts, type Script, startScript } from '../support/processes.js';
import { seededRandom } from '../support/seeded-random.js';

const DOOR = new URL('../../dist/mod.js', import.meta.url).href;
const SCRIPT = fileURLToPath(new URL('./fixtures/reload-cluster.mjs', import.meta.url));
const ROUNDS = Number(process.env.RELOAD_ROUNDS ?? 3);
const SEED = Number(process.env.RELOAD_SEED ?? 1);
const CLIENTS = 40;
/** Messages of one client that are not answered yet. */
const WINDOW = 12;
const PACE_MS = 5;

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gatewayworker-'));
});

afterEach(async () => {
  await endScripts();
  rmSync(folder, { recursive: true });
});

/**
 * Version `number` of the handlers. A message says how it is handled: `sync`, or so many milliseconds, 0 being a turn. The count
 * is read before and written after the wait, so that two handlers at once would lose one.
 *
 * @param handled code that runs for each message that was handled
 * @param first code that runs when the module is loaded
 */
function writeEvents(number: number, { first = '', handled = '' } = {}): void {
  const code = `
    import { appendFileSync } from 'node:fs';
    import { stopAll } from ${JSON.stringify(DOOR)};
    ${first}
    let messages = 0;
    const answer = (client, what, n, count) => client.send(\`\${what} \${n} \${count} ${number} \${process.pid}\`);
    function begin(client, n) {
      const count = (client.session.count ?? 0) + 1;
      answer(client, 'begin', n, count);
      return count;
    }
    function end(client, n, count) {
      client.session.count = count;
      answer(client, 'end', n, count);
      messages++;
      ${handled}
    }
    async function later(client, n, milliseconds) {
      const count = begin(client, n);
      await new Promise((resolve) => (milliseconds === 0 ? setImmediate(resolve) : setTimeout(resolve, milliseconds)));
      end(client, n, count);
    }
    export function onConnect(client) {
      client.send(client.id);
    }
    export function onMessage(client, message) {
      const [n, how] = message.split(' ');
      if (how !== 'sync') return later(client, n, Number(how));
      end(client, n, begin(client, n));
    }
    export function onClose(client) {
      appendFileSync(${JSON.stringify(join(folder, 'closes'))}, \`\${client.id} \${client.session.count ?? 0}\\n\`);
    }
    export function onWorkerReload(worker) {
      console.log(\`\${worker.name}:\${worker.id} of version ${number} was told\`);
    }
  `;
  // At once: a process that starts just now reads one or the other.
  writeFileSync(join(folder, 'new.mjs'), code);
  renameSync(join(folder, 'new.mjs'), join(folder, 'events.mjs'));
}

/** Clients that talk until they are told not to; now and then one leaves and another comes. */
class Crowd {
  readonly all: CountingClient[] = [];
  readonly #random: () => number;
  readonly #ports: readonly [text: number, socket: number];
  #timer: NodeJS.Timeout | undefined;

  constructor(seed: number, ports: readonly [text: number, socket: number]) {
    this.#random = seededRandom(seed);
    this.#ports = ports;
  }

  get present(): CountingClient[] {
    return this.all.filter((client) => client.ready);
  }

  get faults(): string[] {
    return this.all.flatMap(({ id, faults }) => faults.map((fault) => `${id}: ${fault}`));
  }

  get done(): number {
    return this.all.reduce((sum, { done }) => sum + done, 0);
  }

  talk(): void {
    for (let count = 0; count < CLIENTS; count++) this.#come();
    this.#timer = setInterval(() => this.#turn(), PACE_MS);
  }

  async quiet(): Promise<void> {
    clearInterval(this.#timer);
    await eventually('every message to be answered', () => this.all.every(({ waiting }) => waiting === 0));
  }

  #come(): void {
    const [text, socket] = this.#ports;
    this.all.push(this.#random() < 0.5 ? CountingClient.text(text) : CountingClient.webSocket(socket));
  }

  #turn(): void {
    const random = this.#random;
    for (const client of this.present) {
      // Some send in bursts and some one by one, and now and then all are quiet for a moment.
      if (random() < 0.7 || client.waiting >= WINDOW) continue;
      const burst = 1 + Math.floor(random() * 4);
      for (let count = 0; count < burst; count++) client.say(this.#how());
    }
    if (random() > 0.05) return;
    const idle = this.present.filter(({ waiting, sent }) => waiting === 0 && sent > 0);
    const leaving = idle[Math.floor(random() * idle.length)];
    if (leaving === undefined) return;
    leaving.leave();
    this.#come();
  }

  #how(): string {
    const chance = this.#random();
    if (chance < 0.6) return 'sync';
    if (chance < 0.8) return '0';
    return String(chance < 0.97 ? Math.ceil(this.#random() * 10) : Math.ceil(this.#random() * 400));
  }
}

class Cluster {
  readonly script: Script;
  readonly crowd: Crowd;
  readonly #controlPort: number;
  /** Where in the output all have found each other. */
  readonly #linked: number;

  private constructor(script: Script, crowd: Crowd, controlPort: number) {
    this.script = script;
    this.#linked = script.output.length;
    this.crowd = crowd;
    this.#controlPort = controlPort;
  }

  static async start(seed: number, code: Parameters<typeof writeEvents>[1] = {}): Promise<Cluster> {
    const [register = 0, text = 0, socket = 0, control = 0] = await freePorts(4);
    writeEvents(1, code);
    const script = startScript(SCRIPT, {
      env: {
        REGISTER_PORT: String(register),
        TEXT_PORT: String(text),
        SOCKET_PORT: String(socket),
        CONTROL_PORT: String(control),
        EVENTS: join(folder, 'events.mjs'),
      },
    });
    await script.outputMatching(/takes orders/);
    await script.outputMatching(/(?:a worker joined[\s\S]*){6}/);
    return new Cluster(script, new Crowd(seed, [text, socket]), control);
  }

  order(order: Order): Promise<OrderAnswer> {
    return giveOrder(this.#controlPort, order);
  }

  /** Until clients have had so many more answers. */
  async moreAnswers(count: number): Promise<void> {
    const before = this.crowd.done;
    await eventually('answers', () => this.crowd.done >= before + count);
  }

  /** Process ids; those that are not ready yet are left out. */
  async workers(): Promise<number[]> {
    const { processes } = await this.order({});
    return processes
      .filter(({ worker, state }) => worker === 'Worker' && state !== 'starting')
      .flatMap(({ pid }) => pid ?? []);
  }

  /** All clients leave; each has had its handlers' onClose once, with all of its messages counted in its session. */
  async accounted(): Promise<void> {
    const { crowd } = this;
    await crowd.quiet();
    expect(crowd.faults).toEqual([]);
    for (const client of crowd.present) client.leave();
    const closes = () => readFileSync(join(folder, 'closes'), 'utf8').trimEnd().split('\n');
    await eventually('onClose of all', () => closes().length >= crowd.all.length);
    const expected = crowd.all.map(({ id, sent }) => `${id} ${sent}`);
    expect(closes().sort()).toEqual(expected.sort());
    expect(this.script.output.slice(this.#linked)).not.toMatch(
      /pid:\d+ (?:warn|error) (?!master the reload has ended)/,
    );
  }
}

describe('a reload under load', () => {
  it(
    'loses no message, handles none twice or out of order, and disconnects nobody',
    async () => {
      const cluster = await Cluster.start(SEED);
      const { crowd, script } = cluster;
      crowd.talk();
      await cluster.moreAnswers(500);
      for (let round = 1; round <= ROUNDS; round++) {
        const before = await cluster.workers();
        writeEvents(round + 1);
        const graceful = round % 3 === 0;
        const { result, error } = await cluster.order({ reload: { graceful } });
        expect([error, result]).toEqual([undefined, { replaced: 3, kept: 3 }]);
        await eventually('the old ones to have left', async () => (await cluster.workers()).length === 3);
        expect((await cluster.workers()).some((pid) => before.includes(pid))).toBe(false);
        await cluster.moreAnswers(500);
        expect(crowd.faults).toEqual([]);
      }
      const versions = new Set(crowd.all.flatMap((client) => [...client.versions]));
      expect(versions).toEqual(new Set(Array.from({ length: ROUNDS + 1 }, (_, index) => String(index + 1))));
      const moved = crowd.all.filter(({ pids }) => pids.size > 1).length;
      expect(moved).toBeGreaterThan(CLIENTS / 2);
      expect(script.count(/Worker:\d of version \d+ was told/g)).toBe(3 * ROUNDS);
      await cluster.accounted();
      if (ROUNDS > 10) {
        const { all, done } = crowd;
        process.stdout.write(
          `seed ${SEED}: ${ROUNDS} reloads, ${all.length} clients, ${moved} moved, ${done} messages\n`,
        );
      }
    },
    60_000 + ROUNDS * 10_000,
  );

  it('to a broken version changes nothing for anybody, and the next one is right again', async () => {
    const cluster = await Cluster.start(SEED + 1);
    const { crowd } = cluster;
    crowd.talk();
    await cluster.moreAnswers(300);
    const before = await cluster.workers();
    writeEvents(2, { first: 'throw new Error("written in haste");' });
    const { error } = await cluster.order({ reload: {} });
    expect(error).toMatchObject({ code: 'GW_RELOAD_FAILED', fields: { worker: 'Worker', id: 0, replaced: 0 } });
    expect(error?.message).toContain("the events module can't be loaded: written in haste");
    expect(await cluster.workers()).toEqual(before);
    await cluster.moreAnswers(300);
    expect(crowd.faults).toEqual([]);
    writeEvents(3);
    expect((await cluster.order({ reload: {} })).result).toEqual({ replaced: 3, kept: 3 });
    await cluster.moreAnswers(300);
    expect(new Set(crowd.all.flatMap((client) => [...client.versions]))).toEqual(new Set(['1', '3']));
    await cluster.accounted();
  });

  it('is what each worker asks for after so many messages (stopAll), again and again', async () => {
    const cluster = await Cluster.start(SEED + 3, { handled: 'if (messages >= 300) stopAll();' });
    const { crowd, script } = cluster;
    crowd.talk();
    await eventually('five to have been replaced', () => script.count(/takes over from/g) >= 5, 60_000);
    await crowd.quiet();
    await cluster.accounted();
  });

  it('is not needed to lose nothing: a worker that is sent SIGTERM leaves as well', async () => {
    const cluster = await Cluster.start(SEED + 2);
    const { crowd } = cluster;
    crowd.talk();
    for (let round = 0; round < 3; round++) {
      await cluster.moreAnswers(300);
      const [pid] = await cluster.workers();
      process.kill(pid as number, 'SIGTERM');
      await eventually('another one', async () => {
        const pids = await cluster.workers();
        return pids.length === 3 && !pids.includes(pid as number);
      });
    }
    await cluster.moreAnswers(300);
    await cluster.accounted();
  });
});
