import { Buffer } from 'node:buffer';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { socketPlace } from '../../src/core/process/control/paths.js';
import { frameCodec } from '../../src/core/protocols/mod.js';
import { clientFrame, request } from '../support/client-frames.js';
import { encoded } from '../support/encoded.js';
import { eventually } from '../support/eventually.js';
import { freePorts } from '../support/free-port.js';
import { endScripts, isAlive, type Script, startScript } from '../support/processes.js';

const SCRIPT = fileURLToPath(new URL('./fixtures/cluster.mjs', import.meta.url));
/** A gateway for each protocol, and one that is sent commands by those who know the secret. */
const GATEWAYS = ['text', 'websocket', 'frame', 'commanded'] as const;
/** The gateways, a register and a worker. */
const PROCESSES = GATEWAYS.length + 2;
const ASK_EVERY_MS = 20;
/** After so long without an answer, one that may be cut off tries anew. */
const RECONNECT_MS = 2000;
/** Within which a client that does nothing wrong is answered, however busy the machine is. */
const PATIENCE_MS = 15_000;
/** So many cases are between two looks at the processes, which take longer than a case. */
const PROCESSES_EVERY = 10;
/** So many are between two looks at the memory; by the first one all is there that is made once. */
const MEMORY_EVERY = 2000;
/** Beyond this, since the first look at it, a server process holds on to what it was sent. Bytes. */
const MOST_GROWTH = 96 * 1024 * 1024;

export const SECRET = 'of the fuzzer';

type Gateway = (typeof GATEWAYS)[number];
type PortsByGateway = Readonly<Record<Gateway, number>>;

/** A cluster in processes of its own, with clients that do nothing wrong and are to be answered all the time. */
export class FuzzedCluster {
  readonly script: Script;
  readonly registerPort: number;
  readonly ports: Readonly<Record<Gateway, number>>;
  readonly innerPorts: Readonly<Record<Gateway, number>>;
  readonly #healthy: HealthyClient[] = [];
  #pids: readonly number[] = [];
  #checks = 0;
  /** Bytes of each process when it was looked at first. */
  #warm: readonly number[] | null = null;

  private constructor(script: Script, registerPort: number, ports: PortsByGateway, innerPorts: PortsByGateway) {
    this.script = script;
    this.registerPort = registerPort;
    this.ports = ports;
    this.innerPorts = innerPorts;
  }

  static async start(): Promise<FuzzedCluster> {
    const [registerPort = 0, ...others] = await freePorts(1 + 2 * GATEWAYS.length);
    const byGateway = (list: readonly number[]) =>
      Object.fromEntries(GATEWAYS.map((name, index) => [name, list[index]])) as PortsByGateway;
    const ports = byGateway(others);
    const inner = others.slice(GATEWAYS.length);
    const env = {
      REGISTER_PORT: String(registerPort),
      PORTS: JSON.stringify(ports),
      INNER_PORTS: inner.join(),
      SECRET_KEY: SECRET,
    };
    const script = startScript(SCRIPT, { env });
    await script.outputMatching(/^started/m);
    const cluster = new FuzzedCluster(script, registerPort, ports, byGateway(inner));
    for (const name of GATEWAYS) cluster.#healthy.push(new HealthyClient(name, ports[name]));
    await eventually('the answers to those that do nothing wrong', () =>
      cluster.#healthy.every(({ answered }) => answered > 0),
    );
    cluster.#pids = script.children().sort();
    if (cluster.#pids.length !== PROCESSES) throw new Error(`${cluster.#pids.length} processes:\n${script.output}`);
    return cluster;
  }

  get controlSocket(): string {
    const name = this.script.entry.replace(/([^/]+)$/, 'gatewayworker.$1.pid');
    return socketPlace(name, process.getuid?.() ?? -1).path;
  }

  /** @throws Error when a process has died or grown, or a client that does nothing wrong waits or was cut off */
  check(): void {
    for (const client of this.#healthy) client.check();
    if (++this.#checks % PROCESSES_EVERY === 0) this.#checkProcesses();
    if (this.#checks % MEMORY_EVERY === 0) this.#checkMemory();
  }

  #checkProcesses(): void {
    const pids = this.script.children().sort();
    if (!isAlive(this.script.pid) || pids.join() !== this.#pids.join()) {
      throw new Error(`processes ${this.#pids.join()} have become ${pids.join()}:\n${this.script.output}`);
    }
  }

  #checkMemory(): void {
    const now = this.#pids.map(residentBytes);
    this.#warm ??= now;
    for (const [index, bytes] of now.entries()) {
      const growth = bytes - (this.#warm[index] as number);
      if (growth > MOST_GROWTH) throw new Error(`process ${this.#pids[index]} has grown by ${growth} bytes`);
    }
  }

  /** Ends it in order. @throws Error when it does not end so */
  async end(): Promise<void> {
    this.check();
    this.#checkProcesses();
    for (const client of this.#healthy) client.end();
    this.script.kill('SIGINT');
    const { code } = await this.script.exit();
    if (code !== 0) throw new Error(`ended with ${code}:\n${this.script.output}`);
  }
}

let running: Promise<FuzzedCluster> | null = null;

/** The one that all targets share, started at the first need. */
export function fuzzedCluster(): Promise<FuzzedCluster> {
  running ??= FuzzedCluster.start();
  return running;
}

/** Looks at it once more and ends it, if it was started. @throws Error as its `end` does */
export async function endFuzzedCluster(): Promise<void> {
  const cluster = await running;
  running = null;
  if (cluster === null) return;
  try {
    await cluster.end();
  } finally {
    await endScripts();
  }
}

/** How each protocol frames a short text, and what it says first. */
const SPEECH: Readonly<Record<Gateway, { readonly hello: Buffer; frame(text: string): Buffer }>> = {
  text: { hello: Buffer.alloc(0), frame: (text) => Buffer.from(`${text}\n`) },
  commanded: { hello: Buffer.alloc(0), frame: (text) => Buffer.from(`${text}\n`) },
  websocket: { hello: request(), frame: (text) => clientFrame(1, text) },
  frame: { hello: Buffer.alloc(0), frame: (text) => encoded(frameCodec, text) },
};

/** Asks again and again, one question at a time, and does nothing wrong. */
class HealthyClient {
  answered = 0;
  readonly #gateway: Gateway;
  readonly #port: number;
  readonly #timer: NodeJS.Timeout;
  #socket: Socket;
  #askedAt = 0;
  #connectedAt = 0;
  #waiting = false;
  #rest = '';

  constructor(gateway: Gateway, port: number) {
    this.#gateway = gateway;
    this.#port = port;
    this.#socket = this.#connect();
    this.#timer = setInterval(() => this.#ask(), ASK_EVERY_MS);
  }

  check(): void {
    if (this.#socket.destroyed && !this.#mayBeCut) throw new Error(`a client of ${this.#gateway} was cut off`);
    const waits = performance.now() - this.#askedAt;
    if (this.#waiting && waits > PATIENCE_MS) throw new Error(`a client of ${this.#gateway} waits for ${waits} ms`);
  }

  end(): void {
    clearInterval(this.#timer);
    this.#socket.destroy();
  }

  /** Who knows the secret may cut it off, send it what breaks its protocol, or be the worker that gets its questions. */
  get #mayBeCut(): boolean {
    return this.#gateway === 'commanded';
  }

  get #question(): string {
    return `e${this.answered} of the healthy`;
  }

  #connect(): Socket {
    const socket = connect(this.#port, '127.0.0.1');
    socket.on('data', (bytes) => this.#take(bytes.toString('latin1')));
    socket.on('error', () => {});
    socket.write(SPEECH[this.#gateway].hello);
    this.#connectedAt = performance.now();
    return socket;
  }

  #ask(): void {
    const lost = this.#socket.destroyed || performance.now() - this.#connectedAt > RECONNECT_MS;
    if (this.#waiting && this.#mayBeCut && lost) {
      this.#socket.destroy();
      this.#socket = this.#connect();
    } else if (this.#waiting) return;
    else this.#askedAt = performance.now();
    this.#waiting = true;
    if (!this.#socket.destroyed) this.#socket.write(SPEECH[this.#gateway].frame(this.#question));
  }

  #take(text: string): void {
    this.#rest = (this.#rest + text).slice(-10_000);
    if (!this.#rest.includes(this.#question)) return;
    this.#rest = '';
    this.answered++;
    this.#waiting = false;
    this.#connectedAt = performance.now();
  }
}

function residentBytes(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
}
