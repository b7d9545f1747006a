// Echo through a gateway and a worker: CPU time of the server's processes per message, which is steadier than throughput.
//
//   npm run build && node bench/macro/echo.mjs [connections=50] [inFlight=10] [seconds=5]
//
// Text protocol, 64-byte messages, on loopback. The figures are for this machine and this moment; compare within one run.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { fileURLToPath } from 'node:url';

const [connections = 50, inFlight = 10, seconds = 5] = process.argv.slice(2).map(Number);
const WARM_UP_MS = 1500;
/** Kernel ticks per second: USER_HZ, 100 on every Linux of today. */
const TICKS = 100;
const LINE = Buffer.from(`${'x'.repeat(63)}\n`);

const ports = { REGISTER_PORT: await freePort(), CLIENT_PORT: await freePort(), INNER_PORT: await freePort() };
const script = fileURLToPath(new URL('./servers/echo.mjs', import.meta.url));
const server = spawn(process.execPath, [script], {
  env: { ...process.env, SCHEME: 'text', ...Object.fromEntries(Object.entries(ports).map(([k, v]) => [k, String(v)])) },
  stdio: ['ignore', 'pipe', 'inherit'],
});
try {
  await once(server.stdout, 'data');
  await measure();
} finally {
  server.kill('SIGINT');
  await once(server, 'exit');
}

async function measure() {
  let received = 0;
  const sockets = await Promise.all(Array.from({ length: connections }, () => open(ports.CLIENT_PORT)));
  for (const socket of sockets) {
    let rest = 0;
    socket.on('data', (chunk) => {
      const bytes = rest + chunk.length;
      const lines = Math.floor(bytes / LINE.length);
      rest = bytes % LINE.length;
      received += lines;
      if (lines > 0) socket.write(lines === 1 ? LINE : Buffer.concat(Array(lines).fill(LINE)));
    });
    socket.write(Buffer.concat(Array(inFlight).fill(LINE)));
  }
  await sleep(WARM_UP_MS);
  const begun = { at: performance.now(), cpu: cpuOf(server.pid), load: process.cpuUsage(), received };
  await sleep(seconds * 1000);
  const cpu = cpuOf(server.pid) - begun.cpu;
  const elapsed = (performance.now() - begun.at) / 1000;
  const load = process.cpuUsage(begun.load);
  const messages = received - begun.received;
  for (const socket of sockets) socket.destroy();
  console.log(`${connections} connections x ${inFlight} in flight, 64 bytes, ${elapsed.toFixed(1)} s`);
  console.log(`  ${Math.round(messages / elapsed)} messages/s`);
  console.log(`  ${((cpu / messages) * 1e6).toFixed(2)} µs of server CPU per message`);
  console.log(`  ${((load.user + load.system) / messages).toFixed(2)} µs of load CPU per message`);
}

/** CPU seconds of the descendants of a process; the master itself does nothing. */
function cpuOf(pid) {
  let ticks = 0;
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      if (Number(fields[1]) === pid) ticks += Number(fields[11]) + Number(fields[12]);
    } catch {
      // It ended meanwhile.
    }
  }
  return ticks / TICKS;
}

async function open(port) {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  await once(socket, 'connect');
  return socket;
}

async function freePort() {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  return port;
}

function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
