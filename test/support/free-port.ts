import type { AddressInfo, Server } from 'node:net';
import { createServer } from 'node:net';

/**
 * Where ports are handed out: below those that the system gives to outgoing connections and to listeners on port 0
 * (from 32,768 on Linux), which would take one between its being found and its being used; above those that
 * examples and originals have by default. Test files run side by side, so each of vitest's slots has a slice of its own.
 */
const LOWEST = 15_000;
const SLICE = 2_000;
const SLICES = 8;
const sliceStart = LOWEST + SLICE * (Number(process.env.VITEST_POOL_ID ?? process.pid) % SLICES);
// The next file in this slot must not meet what the last one has only just let go.
let next = Math.floor(Math.random() * SLICE);

/**
 * A port that is free, for programs that must be told their port before they start. It is not given again for long,
 * so several can be asked for one by one.
 *
 * @param wanted only this one will do; fails when it is not free
 */
export async function freePort(host = '127.0.0.1', wanted = 0): Promise<number> {
  return wanted === 0 ? freePortRow(1, host) : lookAt(host, wanted);
}

/** As many different free ports. */
export async function freePorts(count: number, host = '127.0.0.1'): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) ports.push(await freePort(host));
  return ports;
}

/** The first of two free ports in a row. */
export function freePortPair(host = '127.0.0.1'): Promise<number> {
  return freePortRow(2, host);
}

/** The first of `count` free ports in a row. */
async function freePortRow(count: number, host: string): Promise<number> {
  for (let tries = 0; tries < SLICE; tries++) {
    if (next + count > SLICE) next = 0;
    const first = sliceStart + next;
    next += count;
    try {
      for (let port = first; port < first + count; port++) await lookAt(host, port);
      return first;
    } catch {
      // Somebody has one of them: the next row.
    }
  }
  throw new Error(`no ${count} free ports in a row from ${sliceStart} on`);
}

/** Fails when the port is not free. */
async function lookAt(host: string, wanted: number): Promise<number> {
  const { server, port } = await busyPort(host, wanted);
  await closed(server);
  return port;
}

/** A port that stays in use until the server is closed. */
export async function busyPort(host = '127.0.0.1', wanted = 0): Promise<{ server: Server; port: number }> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(wanted, host, resolve);
  });
  return { server, port: (server.address() as AddressInfo).port };
}

function closed(server: Server): Promise<unknown> {
  return new Promise((resolve) => server.close(resolve));
}
