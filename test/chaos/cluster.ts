// The cluster: each member a process of its own, that is killed, frozen and started again by hand.
import { appendFileSync, closeSync, mkdtempSync, openSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { StringDecoder } from 'node:string_decoder';
import { fileURLToPath } from 'node:url';
import type { ProcessStatus } from '../../src/core/process/mod.js';
import { eventually } from '../support/eventually.js';
import { freePorts } from '../support/free-port.js';
import { type Host, makeHosts, removeHosts } from '../support/hosts.js';
import { endScripts, type Script, startScript } from '../support/processes.js';
import type { Door } from './clients.js';

const SCRIPT = fileURLToPath(new URL('./fixtures/member.mjs', import.meta.url));

/** Options of the members, seconds. */
export const TIMES = Object.freeze({ workerTimeout: 6, maxWaitingTime: 10, lostGatewayTimeout: 2 });

/** Long: everything has to start on a machine that is busy with everything else. */
const READY_MS = 60_000;

/** What the handlers of a cluster may do wrong: see the fixture. */
export type Lie = 'lose' | 'swap' | 'unmark' | 'leave';

type Role = 'register' | 'gateway' | 'worker' | 'service';

export class Member {
  readonly name: string;
  readonly role: Role;
  readonly host: Host | null;
  readonly port: number;
  readonly wire: Door['wire'];
  innerPort: number;
  #otherInnerPort: number;
  script: Script | null = null;
  frozen = false;
  readonly #cluster: ChaosCluster;
  readonly #control: string;
  #ready: Script | null = null;
  #output = '';

  constructor(cluster: ChaosCluster, name: string, role: Role, host: Host | null, ports: readonly number[]) {
    this.#cluster = cluster;
    this.name = name;
    this.role = role;
    this.host = host;
    [this.port = 0, this.innerPort = 0, this.#otherInnerPort = 0] = ports;
    this.wire = name.endsWith('WebSocket') ? 'websocket' : 'text';
    this.#control = join(cluster.folder, `${name}.sock`);
  }

  get address(): string {
    return this.host?.address ?? '127.0.0.1';
  }

  /** It is ready, and was not killed since. */
  get up(): boolean {
    return this.#ready === this.script && this.script !== null;
  }

  /** Of all its processes. */
  get output(): string {
    return this.#output + (this.script?.output ?? '');
  }

  start(): void {
    const { name, role, port, innerPort, wire } = this;
    const { folder, notes, registerAddress, lies } = this.#cluster;
    const member = { name, role, port, innerPort, wire, notes, registerAddress, lies, lanIp: this.address, ...TIMES };
    const env = { MEMBER: JSON.stringify({ ...member, control: this.#control }), TMPDIR: folder };
    this.script = this.host === null ? startScript(SCRIPT, { env }) : this.host.start(SCRIPT, { env });
  }

  async ready(): Promise<void> {
    const { script } = this;
    if (script === null) return;
    await eventually('a process to be ready', () => script.output.includes(' is ready\n') || script.ended, READY_MS);
    // It may have been killed with its host before it was ready.
    if (this.script !== script) return;
    if (script.ended) throw new Error(`${this.name} has ended: ${script.output}`);
    this.#ready = script;
  }

  /** From its next start on workers reach it at another address. */
  move(): void {
    [this.innerPort, this.#otherInnerPort] = [this.#otherInnerPort, this.innerPort];
  }

  /** With -9, and all that belongs to it. */
  async kill(): Promise<void> {
    const { script } = this;
    if (script === null) return;
    this.script = null;
    script.killGroup('SIGKILL');
    await script.exited;
    this.#output += script.output;
    this.frozen = false;
    this.#cluster.tell(`killed ${script.pid}`);
  }

  freeze(): void {
    this.frozen = true;
    this.script?.killGroup('SIGSTOP');
  }

  thaw(): void {
    this.frozen = false;
    this.script?.killGroup('SIGCONT');
  }

  order<T>(order: string, argument: unknown = null): Promise<T> {
    const socket = connect(this.#control);
    socket.setTimeout(READY_MS, () => socket.destroy());
    socket.write(JSON.stringify([order, argument]));
    let text = '';
    return new Promise((resolve, reject) => {
      socket.on('data', (bytes) => {
        text += bytes;
      });
      socket.on('error', reject);
      socket.on('close', () => {
        if (text === '') return reject(new Error(`${this.name} did not answer`));
        const { result, error } = JSON.parse(text);
        if (error === undefined) resolve(result);
        else reject(new Error(`${this.name}: ${error}`));
      });
    });
  }

  /** Empty: it does not answer. */
  async processes(): Promise<readonly ProcessStatus[]> {
    if (!this.up || this.frozen) return [];
    return this.order<readonly ProcessStatus[]>('status').catch(() => []);
  }
}

export class ChaosCluster {
  readonly folder = mkdtempSync(join(tmpdir(), 'gatewayworker-chaos-'));
  readonly notes = join(this.folder, 'notes');
  readonly members: Member[] = [];
  registerAddress: readonly string[] = [];
  /** By name; null: all are on this one. */
  hosts: readonly Host[] | null = null;
  #file = 0;
  readonly #decoder = new StringDecoder();
  #rest = '';

  readonly lies: readonly Lie[];

  private constructor(lies: readonly Lie[]) {
    this.lies = lies;
  }

  /** @param apart on hosts of their own, as far as their network goes */
  static async start(apart: boolean, lies: readonly Lie[]): Promise<ChaosCluster> {
    const cluster = new ChaosCluster(lies);
    writeFileSync(cluster.notes, '');
    cluster.#file = openSync(cluster.notes, 'r');
    cluster.hosts = apart ? makeHosts(['front', 'left', 'right', 'edge']) : null;
    const on = (name: string) => cluster.hosts?.find((host) => host.name === name) ?? null;
    const ports = await freePorts(11);
    const add = (name: string, role: Role, host: string, ...own: number[]) =>
      cluster.members.push(new Member(cluster, name, role, on(host), own));
    add('Register0', 'register', 'front', ports[0] ?? 0);
    add('Register1', 'register', 'edge', ports[1] ?? 0);
    cluster.registerAddress = cluster.members.map(({ address, port }) => `${address}:${port}`);
    add('Text', 'gateway', 'front', ...ports.slice(2, 5));
    add('WebSocket', 'gateway', 'front', ...ports.slice(5, 8));
    add('EdgeText', 'gateway', 'edge', ...ports.slice(8, 11));
    // Beside two of the gateways, and on hosts without one.
    add('Near', 'worker', 'front');
    add('Left0', 'worker', 'left');
    add('Left1', 'worker', 'left');
    add('Far', 'worker', 'edge');
    add('Service', 'service', 'right');
    for (const member of cluster.members) member.start();
    await Promise.all(cluster.members.map((member) => member.ready()));
    await cluster.linked();
    return cluster;
  }

  of(role: Role): Member[] {
    return this.members.filter((member) => member.role === role && member.up && !member.frozen);
  }

  member(name: string): Member {
    const found = this.members.find((member) => member.name === name);
    if (found === undefined) throw new Error(`there is no ${name}`);
    return found;
  }

  /** Until all are there, and know each other. */
  async linked(): Promise<void> {
    const [registers, workers] = [2, 6];
    await eventually(
      'all to be linked',
      async () => {
        const rows = await Promise.all(this.members.map((member) => member.processes()));
        return this.members.every((member, index) => {
          const row = rows[index] ?? [];
          if (row.length !== (member.role === 'service' ? 2 : 1)) return false;
          if (!row.every(({ state, figures }) => state === 'ready' && figures !== null)) return false;
          if (member.role === 'register') return true;
          const links = row.map(({ figures }) => figures?.links ?? { up: 0, down: 1 });
          if (links.some(({ down }) => down > 0)) return false;
          return member.role !== 'gateway' || (links[0]?.up ?? 0) >= registers + workers;
        });
      },
      READY_MS,
    );
  }

  /** Writes a line of ours among the notes. */
  tell(line: string): void {
    appendFileSync(this.notes, `${line}\n`);
  }

  /** What was noted since the last time. */
  news(): readonly string[] {
    const chunk = Buffer.allocUnsafe(1 << 20);
    let text = this.#rest;
    for (;;) {
      const length = readSync(this.#file, chunk, 0, chunk.length, null);
      if (length === 0) break;
      text += this.#decoder.write(chunk.subarray(0, length));
    }
    const lines = text.split('\n');
    this.#rest = lines.pop() ?? '';
    return lines;
  }

  /** @param keep the notes stay where they are */
  async end(keep: boolean): Promise<void> {
    for (const host of this.hosts ?? []) host.setUp(true);
    await endScripts();
    if (this.hosts !== null) removeHosts();
    closeSync(this.#file);
    if (!keep) rmSync(this.folder, { recursive: true, force: true });
  }
}
