import { Buffer } from 'node:buffer';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { GatewayClient, type GatewayClientOptions } from '../../../../src/client.js';
import { decodeClientId } from '../../../../src/cluster/protocol/mod.js';
import { silentLogger } from '../../../../src/util/mod.js';
import { eventually } from '../../../support/eventually.js';
import { freePorts } from '../../../support/free-port.js';
import { type Script, startScript } from '../../../support/processes.js';
import { TextTalker, WebSocketTalker } from '../../../support/talkers.js';
import { Tap } from './tap.js';

export type Kind = 'php' | 'ours';
export type Scheme = 'text' | 'websocket';
export type Role = 'register' | 'gateway' | 'worker';
export type Talking = TextTalker | WebSocketTalker;

export interface Made {
  readonly register: Kind;
  readonly gateways: readonly Kind[];
  readonly workers: readonly Kind[];
  readonly secretKey?: string;
  readonly gatewayOptions?: Readonly<Record<string, unknown>>;
}

/** A connected client that has been greeted. */
export interface Guest {
  readonly talker: Talking;
  readonly id: string;
}

/** One call of a function, as a fixture makes it. */
export interface FixtureCall {
  readonly name: string;
  readonly arguments: readonly unknown[];
  readonly marks: readonly string[];
}

export type Outcome = { answer: unknown } | { throws: string } | { missing: true };

const SCRIPTS: Readonly<Record<Kind, string>> = { php: 'cluster.php', ours: 'cluster.mjs' };
const WORKERS: Readonly<Record<Kind, string>> = { php: 'PhpWorker', ours: 'OurWorker' };
/** Addresses of the gateways of each kind: where they are said to be, and where they are. */
const LAN: Readonly<Record<Kind, readonly [string, string]>> = {
  php: ['127.0.0.3', '127.0.0.4'],
  ours: ['127.0.0.5', '127.0.0.6'],
};
const SCHEMES: readonly Scheme[] = ['text', 'websocket'];

/** A cluster of parts of both kinds, each a process (or a few) that can be killed and started alone. */
export class MixedCluster {
  readonly made: Made;
  readonly secretKey: string;
  registerPort = 0;
  readonly taps = new Map<Kind, Tap[]>();
  readonly #ports = new Map<string, number>();
  readonly #scripts = new Map<string, Script>();
  readonly #clients: GatewayClient[] = [];
  /** For what Workerman writes beside its output. */
  readonly #folders: string[] = [];

  constructor(made: Made) {
    this.made = made;
    this.secretKey = made.secretKey ?? '';
  }

  async start(): Promise<this> {
    const { register, gateways, workers } = this.made;
    const ports = await freePorts(1 + gateways.length * SCHEMES.length);
    this.registerPort = ports.pop() ?? 0;
    for (const kind of gateways) {
      this.taps.set(kind, [await Tap.open(...LAN[kind]), await Tap.open(...LAN[kind])]);
      for (const scheme of SCHEMES) this.#ports.set(`${kind} ${scheme}`, ports.pop() ?? 0);
    }
    this.begin('register', register);
    for (const kind of gateways) this.begin('gateway', kind);
    for (const kind of workers) this.begin('worker', kind);
    return this;
  }

  /** Starts one part, also again. */
  begin(role: Role, kind: Kind, more: Readonly<Record<string, unknown>> = {}): Script {
    const folder = mkdtempSync(join(tmpdir(), 'mixed-cluster-'));
    this.#folders.push(folder);
    const config = {
      [role]: true,
      registerPort: this.registerPort,
      secretKey: this.secretKey,
      folder,
      run: { processes: 'single' },
      ...(role === 'gateway' ? { gateways: this.#gatewayOptions(kind), gatewayOptions: this.made.gatewayOptions } : {}),
      ...more,
    };
    const script = startScript(fixture(SCRIPTS[kind]), {
      args: ['start'],
      env: { CLUSTER: JSON.stringify(config) },
      ...(kind === 'php' ? { interpreter: 'php' } : {}),
    });
    this.#scripts.set(`${role} ${kind}`, script);
    return script;
  }

  script(role: Role, kind: Kind): Script {
    return this.#scripts.get(`${role} ${kind}`) as Script;
  }

  /** Kills a part and all its processes, and waits for their end. */
  async kill(role: Role, kind: Kind): Promise<void> {
    const script = this.script(role, kind);
    script.killGroup('SIGKILL');
    await script.exit();
    await eventually(`the processes of ${role} ${kind} to end`, () => script.group().length === 0);
  }

  /** A GatewayClient of ours, in this process. */
  client(options: Partial<GatewayClientOptions> = {}): GatewayClient {
    const registerAddress = `127.0.0.1:${this.registerPort}`;
    const client = new GatewayClient({ registerAddress, secretKey: this.secretKey, logger: silentLogger, ...options });
    this.#clients.push(client);
    return client;
  }

  async stop(): Promise<void> {
    // One whose gateway was killed may still have something for it.
    await Promise.allSettled(this.#clients.map((client) => client.close()));
    for (const script of this.#scripts.values()) script.killGroup('SIGKILL');
    for (const script of this.#scripts.values()) await script.exit();
    for (const tap of [...this.taps.values()].flat()) tap.close();
    for (const folder of this.#folders) rmSync(folder, { recursive: true, force: true });
  }

  port(kind: Kind, scheme: Scheme): number {
    return this.#ports.get(`${kind} ${scheme}`) as number;
  }

  connect(kind: Kind, scheme: Scheme, path?: string): Promise<Talking> {
    const port = this.port(kind, scheme);
    return scheme === 'text' ? TextTalker.connect(port) : WebSocketTalker.connect(port, path);
  }

  /** A client that a worker of this kind has greeted; asks for others until there is one. */
  async guest(gateway: Kind, scheme: Scheme, worker: Kind, path?: string): Promise<Guest> {
    const refused: Talking[] = [];
    try {
      return await eventually(`a client at ${gateway} ${scheme} that ${WORKERS[worker]} greets`, async () => {
        const talker = await this.connect(gateway, scheme, path);
        // Before there is a worker, a gateway of the original hangs up.
        await eventually('a greeting or the end', () => talker.heard.length > 0 || !talker.connected);
        const greeting = talker.heard.map((line) => /^Hello (\w{20}) from (\w+)$/.exec(line)).find((found) => found);
        if (greeting?.[2] === WORKERS[worker]) return { talker, id: greeting[1] ?? '' };
        refused.push(talker);
        await new Promise((resolve) => setTimeout(resolve, 20));
        return undefined;
      });
    } catch (error) {
      const output = [...this.#scripts]
        .map(([name, script]) => `--- ${name}\n${script.output.slice(-2000)}`)
        .join('\n');
      throw new Error(`${(error as Error).message}\n${output}`, { cause: error });
    } finally {
      await Promise.all(refused.map((talker) => talker.leave()));
    }
  }

  /** Until every worker has greeted a client of every gateway. */
  async linked(): Promise<void> {
    for (const gateway of this.made.gateways) {
      for (const scheme of SCHEMES) {
        for (const worker of this.made.workers) await (await this.guest(gateway, scheme, worker)).talker.leave();
      }
    }
  }

  /** The session text that a gateway has, read as anybody may who can reach the inner port. */
  async sessionText(clientId: string): Promise<string> {
    const address = decodeClientId(clientId);
    const kind = this.made.gateways.find((gateway) => LAN[gateway][0] === `127.0.0.${(address?.localIp ?? 0) & 255}`);
    const packets = Buffer.alloc(28);
    packets.writeUInt32BE(28, 0);
    packets.writeUInt8(203, 4);
    packets.writeUInt32BE(address?.connectionId ?? 0, 17);
    packets.writeUInt8(1, 21);
    const introduction = Buffer.from(JSON.stringify({ secret_key: this.secretKey }));
    const head = Buffer.alloc(28);
    head.writeUInt32BE(28 + introduction.length, 0);
    head.writeUInt8(202, 4);
    head.writeUInt8(1, 21);
    const socket = connect(address?.localPort ?? 0, LAN[kind ?? 'php'][1]);
    socket.write(Buffer.concat([head, introduction, packets]));
    let answer = Buffer.alloc(0);
    for await (const bytes of socket) {
      answer = Buffer.concat([answer, bytes]);
      if (answer.length >= 4 && answer.length >= 4 + answer.readUInt32BE(0)) break;
    }
    return answer.toString('latin1', 4);
  }

  /** Calls GatewayClient of the original from a process of its own. */
  async callFromOutside(calls: readonly FixtureCall[], pauseMs = 0, secretKey = this.secretKey): Promise<Outcome[]> {
    const registerAddress = `127.0.0.1:${this.registerPort}`;
    const numbered = calls.map((call, number) => ({ ...call, number }));
    const input = JSON.stringify({ registerAddress, secretKey, pauseMs, calls: numbered });
    const output = await phpOutput(fixture('caller.php'), input);
    const lines = output.trim().split('\n');
    if (lines.length !== calls.length) throw new Error(`the caller said:\n${output}`);
    return lines.map((line) => JSON.parse(line));
  }

  #gatewayOptions(kind: Kind): unknown[] {
    return SCHEMES.map((scheme, index) => {
      const tap = this.taps.get(kind)?.[index] as Tap;
      return {
        scheme,
        port: this.port(kind, scheme),
        lanIp: tap.lanIp,
        innerTcpWorkerListen: tap.innerIp,
        startPort: tap.port,
      };
    });
  }
}

/** A cluster for one test, in which all have found each other. */
export async function started(made: Made): Promise<MixedCluster> {
  const cluster = await new MixedCluster(made).start();
  onTestFinished(() => cluster.stop());
  await cluster.linked();
  return cluster;
}

export function other(kind: Kind): Kind {
  return kind === 'php' ? 'ours' : 'php';
}

export function fixture(name: string): string {
  return fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url));
}

/** What a PHP script prints, given its standard input. */
export async function phpOutput(script: string, input: string): Promise<string> {
  const child = spawn('php', [script], { stdio: ['pipe', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (bytes) => {
      output += bytes;
    });
  }
  child.stdin.end(input);
  await new Promise((resolve) => child.once('close', resolve));
  return output;
}
