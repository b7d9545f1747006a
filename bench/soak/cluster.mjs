// The cluster that is soaked, as the checker sees it.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { treeOf } from '../macro/measure/processes.mjs';

const SCRIPT = fileURLToPath(new URL('./server.mjs', import.meta.url));
const CERTIFICATE = fileURLToPath(new URL('../../test/support/certificates/localhost', import.meta.url));
const STOP_MS = 20_000;
const execute = promisify(execFile);

export class Cluster {
  ports;
  #env;
  #child;
  #folder;

  static async start({ sampleMs, leak }) {
    const cluster = new Cluster();
    cluster.#folder = mkdtempSync(join(tmpdir(), 'gatewayworker-soak-'));
    const [register, websocket, text, tls] = await freePorts(4);
    cluster.ports = { register, websocket, text, tls };
    cluster.#env = {
      ...process.env,
      REGISTER_PORT: register,
      WEBSOCKET_PORT: websocket,
      TEXT_PORT: text,
      TLS_PORT: tls,
      CERTIFICATE,
      FOLDER: cluster.#folder,
      SAMPLE_MS: String(sampleMs),
      LEAK: leak,
    };
    cluster.#child = spawn(process.execPath, [SCRIPT, 'start'], {
      env: cluster.#env,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    return cluster;
  }

  get running() {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** What `status` says of its processes; undefined while it does not answer. */
  async processes() {
    try {
      return JSON.parse(await this.#command('status', '--json')).processes;
    } catch (error) {
      if (!this.running) throw new Error('the cluster has ended', { cause: error });
      return undefined;
    }
  }

  reload() {
    return this.#command('reload');
  }

  /** Per process, in order of time. */
  samples() {
    return readdirSync(this.#folder)
      .filter((name) => name.endsWith('.samples'))
      .map((name) =>
        readFileSync(join(this.#folder, name), 'utf8')
          .trimEnd()
          .split('\n')
          .map((line) => JSON.parse(line)),
      );
  }

  /** @returns its exit code; null when it had to be killed */
  async stop() {
    const tree = treeOf(this.#child.pid);
    if (this.running) {
      const exited = once(this.#child, 'exit');
      this.#child.kill('SIGINT');
      const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MS);
      await exited;
      clearTimeout(timer);
    }
    for (const pid of tree) end(pid);
    rmSync(this.#folder, { recursive: true, force: true });
    return this.#child.exitCode;
  }

  /** Of its own entry script. */
  async #command(...args) {
    try {
      return (await execute(process.execPath, [SCRIPT, ...args], { env: this.#env, maxBuffer: 1 << 24 })).stdout;
    } catch (error) {
      // `status` says by its exit code that a process is being replaced, too.
      if (args[0] === 'status' && error.stdout?.startsWith('{')) return error.stdout;
      throw error;
    }
  }
}

/** For what a cluster left behind. */
function end(pid) {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended, as it should.
  }
}

async function freePorts(count) {
  const probes = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(probes.map((probe) => once(probe, 'listening')));
  const ports = probes.map((probe) => String(probe.address().port));
  for (const probe of probes) probe.close();
  return ports;
}
