// One server and its load, for one row: what rows are played on.
import { Load } from './load/load.mjs';
import { connectionsPerProcess } from './measure/machine.mjs';
import { profile } from './measure/profile.mjs';
import { startServer } from './servers/start.mjs';

const READY_MS = 20_000;
/** Files that PHP's select() takes: FD_SETSIZE, less what the process needs itself. */
const SELECT_CONNECTIONS = 950;
/** From these shares of a core on the load is the one that is out of breath, and the server is not. */
const LOAD_BUSY = 0.95;
const SERVER_IDLE = 0.9;
/** Memory has settled when it changed by less than this in so many steps. */
const SETTLED_BYTES = 1024 * 1024;
const SETTLE_STEPS = 5;
/** When nothing has come back for so long after the end of a measurement, nothing will. */
const STALLED_MS = 10_000;
const SETTLE_STEP_MS = 1000;
const SETTLE_MS = 30_000;

export class Stage {
  peer;
  settings;
  server;
  notes = new Set();
  /** Where the time went, when that was asked for. */
  profile = null;
  #loads = [];

  constructor(peer, settings) {
    this.peer = peer;
    this.settings = settings;
  }

  /** Starts the server and waits until it answers. */
  async begin(want = {}) {
    const { cores, php, phpExtension } = this.settings;
    this.server = await startServer(this.peer, want, {
      core: cores?.servers,
      php,
      phpExtension,
      profiled: this.#isProfiled,
    });
    const probe = this.load();
    const deadline = performance.now() + READY_MS;
    for (;;) {
      const group = await probe.group(this.server.target);
      await group.open(1);
      await group.start({ message: messageOf('e', 64) });
      await sleep(100);
      await group.stop();
      const { messages } = await group.read();
      await group.close();
      if (messages > 0) break;
      if (!this.server.running()) throw new Error('the server has ended');
      if (performance.now() > deadline) throw new Error(`the server does not answer within ${READY_MS} ms`);
    }
    await probe.end();
    this.#loads.splice(this.#loads.indexOf(probe), 1);
    const facts = this.server.facts();
    if (facts !== null) this.notes.add(`PHP ${facts.php}, event loop ${facts.loop}, JIT ${facts.jit ? 'on' : 'off'}`);
  }

  /** A process of the load. */
  load() {
    const load = new Load(this.settings.cores?.load);
    this.#loads.push(load);
    return load;
  }

  /** Clients of the server, connected. */
  async clients(load, count, target = this.server.target) {
    const group = await load.group(target);
    await openAll(group, count);
    return group;
  }

  /** Many clients, in as many processes of the load as they need; these let others go first. */
  async crowd() {
    const most = connectionsPerProcess();
    const groups = [];
    let open = 0;
    return {
      groups,
      /** Throws when any of them has been cut off, or heard what it should not. */
      check: async () => {
        for (const group of groups) {
          const { lost, wrong } = await group.read();
          if (lost > 0 || wrong > 0) throw new Error(`of the many: ${lost} lost, ${wrong} messages wrong`);
        }
      },
      /** Opens more until there are so many. */
      grow: async (count, atOnce) => {
        while (open < count) {
          const room = most - (open % most);
          if (room === most) {
            const load = this.load();
            await load.call('yield');
            groups.push(await load.group(this.server.target));
          }
          const more = Math.min(room, count - open);
          await openAll(groups.at(-1), more, atOnce);
          open += more;
        }
      },
    };
  }

  /** How many of these connections the server can hold; says so when that is fewer. */
  connections(wanted, gateways = 1) {
    let most = (this.peer === 'ours' ? gateways : 1) * connectionsPerProcess();
    if (this.server.facts()?.loop === 'Select') most = Math.min(most, SELECT_CONNECTIONS);
    if (most < wanted)
      this.notes.add(`${most} connections instead of ${wanted}: the limit on open files of its one process`);
    return Math.min(wanted, most);
  }

  /**
   * What a group that is sending costs, from now on: microseconds of server CPU for each message that reaches it, and
   * how long messages take where that is measured.
   */
  async measure(group) {
    const { warmUp, seconds } = this.settings;
    await sleep(warmUp * 1000);
    const begun = await this.#now(group);
    await sleep(seconds * 1000);
    const deadline = performance.now() + STALLED_MS;
    let ended = await this.#now(group);
    // On a machine that others keep busy a short measurement can end before the server had its turn.
    while (ended.messages === begun.messages && performance.now() < deadline) {
      await sleep(100);
      ended = await this.#now(group);
    }
    const elapsed = (ended.at - begun.at) / 1000;
    const messages = ended.messages - begun.messages;
    if (messages === 0) throw new Error('nothing came back');
    if (ended.wrong > 0) throw new Error(`${ended.wrong} messages were wrong; ${ended.checked} were compared whole`);
    if (ended.lost > 0) throw new Error(`${ended.lost} connections were lost`);
    const cpu = ((ended.cpu - begun.cpu) * 1e6) / messages;
    if (this.#isProfiled) this.profile = { cpu, processes: await profile(this.server.pids(), seconds) };
    const serverShare = (ended.cpu - begun.cpu) / elapsed;
    const loadShare = (ended.load - begun.load) / elapsed;
    if (loadShare >= LOAD_BUSY && serverShare < SERVER_IDLE) {
      this.notes.add(`the load was saturated, the server at ${Math.round(serverShare * 100)} %`);
    }
    return {
      cpu,
      rate: messages / elapsed,
      serverShare,
      loadShare,
      loadCpu: ((ended.load - begun.load) * 1e6) / messages,
      latency: ended.latency,
    };
  }

  /** Has the server collect its garbage until its memory no longer changes; answers with the bytes it has. */
  async settledMemory() {
    this.server.collect(true);
    const deadline = performance.now() + SETTLE_MS;
    const last = [];
    let spread = Number.POSITIVE_INFINITY;
    while (last.length < SETTLE_STEPS || spread > SETTLED_BYTES) {
      if (performance.now() > deadline) {
        this.notes.add(
          `memory did not settle within ${SETTLE_MS / 1000} s: ${Math.round(spread / 1024)} KB up and down`,
        );
        break;
      }
      await sleep(this.settings.quick ? 200 : SETTLE_STEP_MS);
      last.push(this.server.memory());
      if (last.length > SETTLE_STEPS) last.shift();
      spread = Math.max(...last) - Math.min(...last);
    }
    this.server.collect(false);
    return last.at(-1);
  }

  async end() {
    for (const load of this.#loads.splice(0)) await load.end();
    await this.server?.stop();
  }

  get #isProfiled() {
    return this.settings.profile && this.peer === 'ours';
  }

  /** All counters; the latencies are those since the last call. */
  async #now(group) {
    return { ...(await group.read()), cpu: this.server.cpu(), load: this.#loadCpu(), at: performance.now() };
  }

  #loadCpu() {
    return this.#loads.reduce((sum, load) => sum + load.cpu(), 0);
  }
}

/** A message of so many bytes; its first character says what the server does with it. */
export function messageOf(kind, bytes) {
  return kind.padEnd(bytes, 'x');
}

export function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

export async function openAll(group, count, atOnce) {
  const { failed, reason, seconds } = await group.open(count, atOnce);
  if (failed > 0) throw new Error(`${failed} of ${count} connections failed: ${reason}`);
  return seconds;
}
