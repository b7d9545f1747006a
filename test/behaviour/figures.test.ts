import { fileURLToPath } from 'node:url';
import { afterEach, expect, it } from 'vitest';
import type { ConnectionRow, ProcessFigures, ServiceStatus } from '../../src/core/process/mod.js';
import { eventually } from '../support/eventually.js';
import { freePorts } from '../support/free-port.js';
import { endScripts, type Script, startScript } from '../support/processes.js';
import { TcpClient } from '../support/tcp-client.js';

const SCRIPT = fileURLToPath(new URL('./fixtures/figures.mjs', import.meta.url));

afterEach(endScripts);

interface Shown {
  readonly status: ServiceStatus;
  readonly rows: readonly ConnectionRow[];
}

async function show(script: Script): Promise<Shown> {
  const known = script.count(/^shown /gm);
  script.kill('SIGPWR');
  const line = await eventually('an answer', () => [...script.output.matchAll(/^shown (.*)\n/gm)][known]?.[1]);
  return JSON.parse(line);
}

function figures({ status }: Shown, worker: string, id = 0): ProcessFigures {
  const process = status.processes.find((one) => one.worker === worker && one.id === id);
  if (!process?.figures) throw new Error(`no figures of ${worker}:${id}`);
  return process.figures;
}

function protocols({ rows }: Shown, worker: string): readonly string[] {
  return rows.filter((row) => row.worker === worker && row.status === 'established').map(({ protocol }) => protocol);
}

it('the processes of a cluster say what they do, what they are linked to, and what they refused', async () => {
  const [text = 0, inner = 0, register = 0, none = 0] = await freePorts(4);
  const ports = { TEXT_PORT: text, INNER_PORT: inner, REGISTER_PORT: register, NO_REGISTER_PORT: none };
  const env = Object.fromEntries(Object.entries(ports).map(([name, port]) => [name, String(port)]));
  const script = startScript(SCRIPT, { env });
  await script.outputMatching(/ready for questions/);
  await eventually('the links', async () => figures(await show(script), 'Gateway').links?.up === 3);

  const clients = [await TcpClient.open(text), await TcpClient.open(text)];
  for (const client of clients) client.write('pid\n');
  await eventually('the answers', () =>
    clients.every((client) => client.lines.some((line) => line.startsWith('pid '))),
  );
  clients[0]?.write('throw\n');
  // A line beyond its limit, on each port.
  for (const [port, line] of [
    [text, 'x'.repeat(101)],
    [inner, 'GET / HTTP/1.1'],
    [register, 'GET / HTTP/1.1'],
    [register, '{"event":"worker_connect","secret_key":"guess"}'],
  ] as const) {
    await using stranger = await TcpClient.open(port);
    stranger.write(`${line}\n`);
    await stranger.untilClosed();
  }

  const shown = await eventually('all of it', async () => {
    const now = await show(script);
    const [one, two] = [figures(now, 'Worker', 0), figures(now, 'Worker', 1)];
    // ON_CONNECT of three clients, one of which left, and three messages.
    return one.totalRequest + two.totalRequest === 7 && figures(now, 'Gateway').connections === 2 ? now : undefined;
  });
  // Two workers and a register; nobody is at the other one.
  expect(figures(shown, 'Gateway')).toMatchObject({
    totalRequest: 3,
    queuedBytes: 0,
    links: { up: 3, down: 1 },
    dropped: { protocolErrors: 1, linkProtocolErrors: 1 },
  });
  const workers = [figures(shown, 'Worker', 0), figures(shown, 'Worker', 1)];
  for (const worker of workers) expect(worker.links).toEqual({ up: 2, down: 1 });
  expect(workers.map(({ dropped }) => dropped.failedHandlers ?? 0).toSorted()).toEqual([0, 1]);
  expect(figures(shown, 'Register')).toMatchObject({
    connections: 3,
    links: { up: 3, down: 0 },
    dropped: { refused: 1, protocolErrors: 1 },
  });

  expect(protocols(shown, 'Gateway').toSorted()).toEqual(['link', 'link', 'register', 'text', 'text']);
  expect(protocols(shown, 'Worker').toSorted()).toEqual(['link', 'link', 'register', 'register']);
  expect(protocols(shown, 'Register')).toEqual(['text', 'text', 'text']);
  const foreign = clients.map(({ socket }) => `127.0.0.1:${socket.localPort}`);
  const rows = shown.rows.filter(({ protocol, worker }) => protocol === 'text' && worker === 'Gateway');
  expect(rows.map(({ foreignAddress }) => foreignAddress)).toEqual(foreign);
  expect(rows.map(({ bytesRead }) => bytesRead)).toEqual([10, 4]);
  for (const client of clients) client.socket.destroy();
});
