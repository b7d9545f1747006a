import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from './eventually.js';
import { required } from './required.js';

const EXECUTABLES = { nginx: '/usr/sbin/nginx', haproxy: '/usr/sbin/haproxy' } as const;

type Proxy = keyof typeof EXECUTABLES;

/** Why tests that need it cannot run here; undefined when they can. */
export function proxyMissing(proxy: Proxy): string | undefined {
  const executable = EXECUTABLES[proxy];
  if (existsSync(executable)) return undefined;
  const name = proxy === 'nginx' ? 'nginx-light' : proxy;
  return required(proxy, `this needs ${executable}, which is not installed (apt-get install ${name})`);
}

/** Runs it with these lines until it is disposed of. `port` is one that it listens on. */
export async function startProxy(proxy: Proxy, port: number, lines: string): Promise<AsyncDisposable> {
  const folder = mkdtempSync(join(tmpdir(), `${proxy}-`));
  const file = join(folder, 'proxy.conf');
  writeFileSync(file, proxy === 'nginx' ? nginxConfig(folder, lines) : haproxyConfig(lines));
  const args = proxy === 'nginx' ? ['-p', folder, '-c', file, '-e', 'stderr'] : ['-db', '-f', file];
  const child = spawn(EXECUTABLES[proxy], args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      output += chunk;
    });
  }
  const stop = async () => {
    await ended(child);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await eventually(`${proxy} to listen`, () => {
      if (child.exitCode !== null) throw new Error(`${proxy} ended: ${output}`);
      return accepts(port);
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return { [Symbol.asyncDispose]: stop };
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  // The master of nginx takes its worker with it.
  child.kill('SIGTERM');
  await gone;
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => resolve(false));
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });
}

function nginxConfig(folder: string, lines: string): string {
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder};`);
  return `
    daemon off;
    worker_processes 1;
    pid ${folder}/nginx.pid;
    events { worker_connections 64; }
    http {
      access_log off;
      ${paths.join('\n')}
      ${lines}
    }`;
}

function haproxyConfig(lines: string): string {
  return `
defaults
  timeout connect 5s
  timeout client 30s
  timeout server 30s
  timeout tunnel 30s
${lines}
`;
}
