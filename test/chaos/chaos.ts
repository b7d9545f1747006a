// One run: a cluster under counted load, faults by a seed, and the books at the end.
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '../support/eventually.js';
import { Ledger } from '../support/ledger.js';
import { seededRandom } from '../support/seeded-random.js';
import { ChaosClient } from './clients.js';
import { ChaosCluster, type Lie, type Member } from './cluster.js';
import { FAULTS, type Fault, type FaultName } from './faults.js';

const CLIENTS = 24;
const TURN_MS = 10;
/** Messages of one client that are not answered yet. */
const WINDOW = 20;
/** A client in so many leaves in a turn, and another one comes. */
const LEAVES = 4000;
const RECONNECT_MS = 200;
const BOOKS_MS = 100;
/** Between two faults, milliseconds. */
const REST_MS = 300;

export interface ChaosOptions {
  readonly seed: number;
  readonly minutes: number;
  /** So many faults at most. */
  readonly faults: number;
  readonly only: readonly FaultName[];
  /** Members are on hosts of their own, which some faults need. */
  readonly apart: boolean;
  /** Seconds without a note from a handler until what is missing at the end counts as lost. */
  readonly patience: number;
  /** What handlers do wrong, to see that it is found. */
  readonly lies?: readonly Lie[];
  readonly say?: (line: string) => void;
}

export interface ChaosResult {
  readonly seed: number;
  readonly seconds: number;
  /** How often each fault was made. */
  readonly made: Readonly<Record<string, number>>;
  readonly workersKilled: number;
  readonly clients: number;
  readonly sent: number;
  readonly handled: number;
  readonly again: number;
  readonly overlaps: number;
  /** Messages that no handler got though the client sent them, by what became of the client. */
  readonly unhandled: Readonly<Record<'gatewayKilled' | 'counted', number>>;
  readonly missingAnswers: number;
  /** By gateway and reason. */
  readonly dropped: Readonly<Record<string, number>>;
  /** Until the last onClose of a killed gateway's clients, milliseconds: the longest. */
  readonly slowestCloses: number;
  readonly faults: readonly string[];
  /** Where the notes are; null: nothing was wrong, they are gone. */
  readonly notes: string | null;
}

export class Chaos {
  readonly random: () => number;
  readonly cluster: ChaosCluster;
  readonly ledger = new Ledger();
  readonly all: ChaosClient[] = [];
  readonly made = new Map<string, number>();
  readonly history: string[] = [];
  workersKilled = 0;
  /** What gateways had counted when they were killed, by name. */
  readonly counted = new Map<string, Record<string, number>>();
  slowestCloses = 0;
  /** Clients may be closed with 1013. */
  hopeless = false;
  readonly #talk: () => number;
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #errors: string[] = [];
  readonly #say: (line: string) => void;
  readonly #patienceMs: number;
  #notedAt = 0;

  constructor(cluster: ChaosCluster, { seed, patience, say = () => {} }: ChaosOptions) {
    this.cluster = cluster;
    this.#patienceMs = patience * 1000;
    // What clients say depends on the time, so faults have a sequence of their own that is the same at every run.
    this.random = seededRandom(seed);
    this.#talk = seededRandom(seed + 1);
    this.#say = say;
  }

  get present(): ChaosClient[] {
    return this.all.filter((client) => client.ready);
  }

  pick<T>(list: readonly T[]): T {
    const found = list[Math.floor(this.random() * list.length)];
    if (found === undefined) throw new Error('there is nothing to choose from');
    return found;
  }

  log(line: string): void {
    this.history.push(line);
    this.#say(line);
  }

  /** Starts a member that was killed; what is wrong with that is found at the end. */
  restart(member: Member, afterMs = 0): Promise<void> {
    const work = sleep(afterMs).then(() => {
      member.start();
      return member.ready();
    });
    return work.catch((error) => void this.#errors.push(String(error)));
  }

  begin(): void {
    for (const gateway of this.cluster.of('gateway')) {
      for (let count = 0; count < CLIENTS / 3; count++) this.#come(gateway);
    }
    this.#timers.push(
      setInterval(() => this.#turn(), TURN_MS),
      setInterval(() => this.read(), BOOKS_MS),
    );
  }

  quiet(): void {
    clearInterval(this.#timers[0]);
  }

  /** Notes into the books. */
  read(): void {
    const lines = this.cluster.news();
    if (lines.length > 0) this.#notedAt = performance.now();
    for (const line of lines) this.ledger.note(line);
  }

  /** A gateway is killed: its clients are gone, and come again under new ids. */
  orphan(gateway: Member): ChaosClient[] {
    const orphans = this.all.filter((client) => client.gateway === gateway.name && !client.closed);
    for (const client of orphans) client.orphaned = true;
    return orphans;
  }

  /** Adds up what a gateway has dropped so far: it is to be killed, or the run is over. */
  async count(gateway: Member): Promise<void> {
    const [row] = await gateway.processes();
    const sums = this.counted.get(gateway.name) ?? {};
    for (const [reason, count] of Object.entries(row?.figures?.dropped ?? {}))
      sums[reason] = (sums[reason] ?? 0) + count;
    this.counted.set(gateway.name, sums);
  }

  async make(fault: Fault): Promise<void> {
    this.made.set(fault.name, (this.made.get(fault.name) ?? 0) + 1);
    await fault.make(this);
  }

  async conclude(): Promise<string[]> {
    this.quiet();
    const faults = [...this.#errors];
    const settled = async (what: string, condition: () => boolean) => {
      this.#notedAt = performance.now();
      for (;;) {
        this.read();
        if (condition()) return;
        if (performance.now() - this.#notedAt > this.#patienceMs) break;
        await sleep(TURN_MS);
      }
      faults.push(`in vain it was waited for ${what}`);
    };
    await this.cluster.linked().catch((error) => void faults.push(error.message));
    const present = this.present;
    await settled('every message to be handled', () =>
      present.every((client) => client.closed || this.#handledOf(client) === client.sent),
    );
    await settled('every message to be answered', () =>
      present.every((client) => client.closed || client.slow || client.answered === client.sent),
    );
    for (const client of this.all) if (!client.closed) client.leave();
    await settled('every client to be closed', () => this.all.every(({ closed }) => closed));
    await settled('onClose of every client', () => [...this.ledger.accounts].every(({ closes }) => closes.length > 0));
    clearInterval(this.#timers[1]);
    this.read();
    this.ledger.conclude();
    return faults;
  }

  #handledOf({ id }: ChaosClient): number {
    return this.ledger.account(id)?.handled ?? 0;
  }

  #come(gateway: Member): void {
    if (this.#timers.length > 0 && !gateway.up) {
      setTimeout(() => this.#come(gateway), RECONNECT_MS);
      return;
    }
    const { wire, address: host, port } = gateway;
    const client = new ChaosClient(gateway.name, { wire, host, port });
    this.all.push(client);
  }

  #turn(): void {
    const random = this.#talk;
    const counts = new Map<string, number>();
    for (const client of this.all) {
      if (client.closed || client.leaving) continue;
      counts.set(client.gateway, (counts.get(client.gateway) ?? 0) + 1);
      if (!client.ready || client.waiting >= WINDOW || random() < 0.8) continue;
      if (random() < 1 / LEAVES) client.leave();
      else for (let burst = Math.floor(random() * 4); burst >= 0; burst--) this.#speak(client);
    }
    for (const gateway of this.cluster.of('gateway')) {
      if ((counts.get(gateway.name) ?? 0) < CLIENTS / 3) this.#come(gateway);
    }
  }

  #speak(client: ChaosClient): void {
    const random = this.#talk;
    const chance = random();
    if (chance < 0.7) client.say('now');
    else if (chance < 0.85) client.say('wait', Math.floor(random() * 10));
    else if (chance < 0.86) client.say('wait', Math.floor(random() * 300));
    else if (chance < 0.9) client.say('reject', Math.floor(random() * 5));
    else if (chance < 0.93) client.say('throw');
    else client.say('now', 0, Math.floor(random() * 2000));
  }
}

/** @throws Error when there is no cluster; what it breaks is in the result */
export async function chaos(options: ChaosOptions): Promise<ChaosResult> {
  const begun = Date.now();
  const cluster = await ChaosCluster.start(options.apart, options.lies ?? []);
  let keep = true;
  try {
    const run = new Chaos(cluster, options);
    const faults = await runFaults(run, options);
    for (const member of cluster.of('gateway')) await run.count(member);
    const result = judge(run, options, faults, (Date.now() - begun) / 1000);
    keep = result.faults.length > 0;
    return keep ? result : { ...result, notes: null };
  } finally {
    await cluster.end(keep);
  }
}

async function runFaults(run: Chaos, options: ChaosOptions): Promise<string[]> {
  run.begin();
  await eventually('clients to be there', () => run.present.length >= CLIENTS);
  const until = Date.now() + options.minutes * 60_000;
  const choice = options.only.map((name) => FAULTS[name]);
  const broken: string[] = [];
  for (let count = 0; count < options.faults && Date.now() < until; count++) {
    const fault = weighted(choice, run.random());
    try {
      await run.make(fault);
    } catch (error) {
      broken.push(`${fault.name}: ${(error as Error).message}`);
      break;
    }
    await sleep(run.random() * REST_MS);
    // What is wrong is told at once: what led to it stands last in the history.
    if (run.ledger.faults.length > 0 && options.lies === undefined) break;
  }
  return [...broken, ...(await run.conclude())];
}

function weighted(faults: readonly Fault[], chance: number): Fault {
  const sum = faults.reduce((total, { weight }) => total + weight, 0);
  let left = chance * sum;
  for (const fault of faults) {
    left -= fault.weight;
    if (left < 0) return fault;
  }
  return faults.at(-1) as Fault;
}

function judge(run: Chaos, { seed, only }: ChaosOptions, found: readonly string[], seconds: number): ChaosResult {
  const { ledger, all, counted: dropped } = run;
  const faults = [...found, ...ledger.faults];
  const unhandled = { gatewayKilled: 0, counted: 0 };
  let missingAnswers = 0;
  /** By gateway: clients that were closed because no worker came, and messages that were lost of others. */
  const abandoned = new Map<string, number>();
  const clientsOf = new Map<string, ChaosClient>();
  for (const client of all) {
    clientsOf.set(client.id, client);
    faults.push(...client.faults.map((fault) => `${client.id}: ${fault}`));
    for (const { id, fault } of client.outOfTurn) if (!ledger.overlapped(id)) faults.push(`${id}: ${fault}`);
    const lost = ledger.account(client.id)?.lost(client.sent) ?? client.sent;
    if (client.orphaned) {
      unhandled.gatewayKilled += lost;
      const skipped = ledger.account(client.id)?.skipped.size ?? 0;
      if (skipped > 0) faults.push(`${client.id}: ${skipped} lost before others that were handled`);
      continue;
    }
    const closedByUs = client.leaving;
    if (!closedByUs && client.id !== '') {
      if (run.hopeless && (client.closeCode === 1013 || client.closeCode === 0)) {
        abandoned.set(client.gateway, (abandoned.get(client.gateway) ?? 0) + 1);
        unhandled.counted += lost;
        continue;
      }
      faults.push(`${client.id}: it was disconnected (${client.closeCode})`);
    }
    if (lost > 0) faults.push(`${client.id}: of ${client.sent} messages ${lost} were not handled`);
    if (client.slow) missingAnswers += client.missing.length;
    else if (client.missing.length > 0) faults.push(`${client.id}: the answers to ${client.missing.join()} never came`);
  }
  for (const [gateway, count] of abandoned) {
    const { noWorker = 0, waitingRoomFull = 0 } = dropped.get(gateway) ?? {};
    if (noWorker + waitingRoomFull < count)
      faults.push(`${gateway}: ${count} clients were closed for want of a worker, and ${noWorker} events counted`);
    if (!/no worker came within|no more can wait/.test(run.cluster.member(gateway).output))
      faults.push(`${gateway}: clients were closed for want of a worker, and no line says so`);
  }
  const total: Record<string, number> = {};
  for (const [gateway, reasons] of dropped) {
    for (const [reason, count] of Object.entries(reasons)) {
      total[`${gateway} ${reason}`] = count;
      const known = reason === 'sendBufferFull' || (run.hopeless && ['noWorker', 'waitingRoomFull'].includes(reason));
      if (!known && !HARMLESS.has(reason)) faults.push(`${gateway} dropped ${count}: ${reason}`);
    }
  }
  const full = [...dropped.values()].reduce((sum, { sendBufferFull = 0 }) => sum + sendBufferFull, 0);
  if (missingAnswers > full)
    faults.push(`${missingAnswers} answers never came to slow clients, and ${full} were counted`);
  for (const { id, closes, last } of ledger.accounts) {
    const [first] = closes;
    if (first === undefined) {
      faults.push(`${id}: no onClose`);
      continue;
    }
    const client = clientsOf.get(id);
    const hopeless = run.hopeless && client?.leaving === false;
    if (first.last !== last && !hopeless)
      faults.push(`${id}: onClose came with the session of ${first.last}, and ${last} was handled`);
  }
  if (ledger.counts.again > 0 && only.every((name) => FAULTS[name].quiet))
    faults.push(`${ledger.counts.again} events came again, and nothing had ended`);
  return {
    seed,
    seconds,
    made: Object.fromEntries(run.made),
    workersKilled: run.workersKilled,
    clients: all.length,
    sent: all.reduce((sum, { sent }) => sum + sent, 0),
    handled: ledger.counts.handled,
    again: ledger.counts.again,
    overlaps: ledger.counts.overlaps,
    unhandled,
    missingAnswers,
    dropped: total,
    slowestCloses: run.slowestCloses,
    faults,
    notes: run.cluster.folder,
  };
}

/** Counted, and nothing of a client is lost. */
const HARMLESS: ReadonlySet<string> = new Set(['silentWorkers', 'replacedWorkers', 'lostAnswers']);
