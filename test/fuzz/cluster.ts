import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { socketPlace } from '../../src/core/process/control/paths.js';
import { eventually } from '../support/eventually.js';
import { freePorts } from '../support/free-port.js';
import { endScripts, isAlive, type Script, startScript } from '../support/processes.js';

const SCRIPT = fileURLToPath(new URL('./fixtures/cluster.mjs', import.meta.url));
const PROCESSES = 5;
const ASK_EVERY_MS = 20;
/** Within which a client that does nothing wrong is answered, however busy the machine is. */
const PATIENCE_MS = 15_000;
/** So many cases are between two looks at the memory; by the first one all is there that is made once. */
const MEMORY_EVERY = 2000;
/** Beyond this, since the first look at it, a server process holds on to what it was sent. Bytes. */
const MOST_GROWTH = 96 * 1024 * 1024;

export const SECRET = 'of the fuzzer';

/** A cluster in processes of its own, with clients that do nothing wrong and are to be answered all the time. */
export class FuzzedCluster {
  readonly script: Script;
  readonly ports: Readonly<Record<'register' | 'text' | 'websocket' | 'frame', number>>;
  readonly innerPorts: readonly number[];
  readonly #healthy: HealthyClient[] = [];
  #pids: readonly number[] = [];
  #checks = 0;
  /** Bytes of each process when it was looked at first. */
  #warm: readonly number[] | null = null;

  private constructor(script: Script, ports: FuzzedCluster['ports'], innerPorts: readonly number[]) {
    this.script = script;
    this.ports = ports;
    this.innerPorts = innerPorts;
  }

  static async start(): Promise<FuzzedCluster> {
    const [register = 0, text = 0, websocket = 0, frame = 0, ...inner] = await freePorts(7);
    const env = {
      REGISTER_PORT: register,
      TEXT_PORT: text,
      WEBSOCKET_PORT: websocket,
      FRAME_PORT: frame,
      INNER_PORTS: inner.join(),
      SECRET_KEY: SECRET,
    };
    const script = startScript(SCRIPT, {
      env: Object.fromEntries(Object.entries(env).map(([name, value]) => [name, String(value)])),
    });
    await script.outputMatching(/^started/m);
    const cluster = new FuzzedCluster(script, { register, text, websocket, frame }, inner);
    for (let count = 0; count < 2; count++) cluster.#healthy.push(new HealthyClient(text));
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
    const pids = this.script.children().sort();
    if (!isAlive(this.script.pid) || pids.join() !== this.#pids.join()) {
      throw new Error(`processes ${this.#pids.join()} have become ${pids.join()}:\n${this.script.output}`);
    }
    for (const client of this.#healthy) client.check();
    if (++this.#checks % MEMORY_EVERY === 0) this.#checkMemory();
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

/** Asks again and again, one question at a time. */
class HealthyClient {
  answered = 0;
  readonly #socket: Socket;
  readonly #timer: NodeJS.Timeout;
  #askedAt = 0;
  #waiting = false;
  #rest = '';
  #closed = false;

  constructor(port: number) {
    this.#socket = connect(port, '127.0.0.1');
    this.#socket.on('data', (bytes) => this.#take(bytes.toString('latin1')));
    this.#socket.on('error', () => {});
    this.#socket.on('close', () => {
      this.#closed = true;
    });
    this.#timer = setInterval(() => this.#ask(), ASK_EVERY_MS);
  }

  check(): void {
    if (this.#closed) throw new Error('a client that does nothing wrong was cut off');
    const waits = performance.now() - this.#askedAt;
    if (this.#waiting && waits > PATIENCE_MS) throw new Error(`a client that does nothing wrong waits for ${waits} ms`);
  }

  end(): void {
    clearInterval(this.#timer);
    this.#socket.destroy();
  }

  #ask(): void {
    if (this.#waiting) return;
    this.#waiting = true;
    this.#askedAt = performance.now();
    this.#socket.write(`e${this.answered} of the healthy\n`);
  }

  /** Programs that know the secret may send it anything: only the end of a line is looked at. */
  #take(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = (lines.pop() ?? '').slice(-10_000);
    if (!lines.some((line) => line.endsWith(`e${this.answered} of the healthy`))) return;
    this.answered++;
    this.#waiting = false;
  }
}

function residentBytes(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
}
