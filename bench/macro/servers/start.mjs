// Starts a server of each kind, and says how it is doing.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cpuOf } from '../measure/cpu.mjs';
import { pinned } from '../measure/machine.mjs';
import { memoryOf } from '../measure/memory.mjs';
import { treeOf } from '../measure/processes.mjs';
import { PROFILED_NODE } from '../measure/profile.mjs';

const CERTIFICATE = fileURLToPath(new URL('../../../test/support/certificates/localhost', import.meta.url));
const STOP_MS = 5000;
const JIT = ['-d', 'opcache.enable_cli=1', '-d', 'opcache.jit_buffer_size=64M', '-d', 'opcache.jit=tracing'];

const script = (name) => fileURLToPath(new URL(name, import.meta.url));
const COMMANDS = {
  ours: ({ profiled }) => [process.execPath, ...(profiled ? PROFILED_NODE : []), script('./ours.mjs')],
  ws: () => [process.execPath, script('./ws.mjs')],
  socketio: () => [process.execPath, script('./socketio.mjs')],
  php: ({ phpExtension }) => [
    'php',
    ...JIT,
    ...(phpExtension === '' ? [] : ['-d', `extension=${phpExtension}`]),
    script('./php/server.php'),
    'start',
  ],
};
export const PEERS = Object.freeze(Object.keys(COMMANDS));

/**
 * Starts the server of a peer on ports that are free.
 *
 * @param want protocol: text or websocket; tls, deflate, collect: flags; gateways: how many gateway processes, of ours alone
 */
export async function startServer(peer, want, { core, php, phpExtension, profiled }) {
  const folder = mkdtempSync(join(tmpdir(), 'gatewayworker-bench-'));
  const collecting = join(folder, 'collect');
  const [client, register, inner] = await freePorts();
  const [command, ...args] = pinned(core, COMMANDS[peer]({ phpExtension, profiled }));
  const child = spawn(command, args, {
    env: {
      ...process.env,
      CLIENT_PORT: client,
      REGISTER_PORT: register,
      INNER_PORT: inner,
      PROTOCOL: want.protocol ?? 'websocket',
      GATEWAYS: String(want.gateways ?? 1),
      TLS: want.tls ? CERTIFICATE : '',
      DEFLATE: want.deflate ? '1' : '',
      COLLECT: want.collect ? collecting : '',
      PHP_ORIGINALS: php,
      FOLDER: folder,
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const exited = once(child, 'exit');
  const wire = peer === 'socketio' ? 'socketio' : (want.protocol ?? 'websocket');
  return {
    target: { host: '127.0.0.1', port: Number(client), wire, tls: want.tls ?? false, deflate: want.deflate ?? false },
    pids: () => treeOf(child.pid),
    cpu: () => cpuOf(treeOf(child.pid)),
    memory: () => memoryOf(treeOf(child.pid)),
    /** Whether it is to collect garbage all the time, where it was started to be asked. */
    collect: (yes) => (yes ? writeFileSync(collecting, '') : rmSync(collecting, { force: true })),
    running: () => child.exitCode === null && child.signalCode === null,
    /** Of PHP: its version, event loop, and whether the JIT is on. */
    facts: () => {
      const file = join(folder, 'facts.json');
      return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : null;
    },
    async stop() {
      const tree = treeOf(child.pid);
      child.kill('SIGINT');
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
      await exited;
      clearTimeout(timer);
      for (const pid of tree) end(pid);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** For what a server left behind. */
function end(pid) {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended, as it should.
  }
}

async function freePorts(count = 3) {
  const probes = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(probes.map((probe) => once(probe, 'listening')));
  const ports = probes.map((probe) => String(probe.address().port));
  for (const probe of probes) probe.close();
  return ports;
}
