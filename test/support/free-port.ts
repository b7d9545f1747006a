import type { AddressInfo, Server } from 'node:net';
import { createServer } from 'node:net';

/**
 * A port that was free a moment ago; for programs that must be told their port before they start.
 *
 * @param wanted only this one will do; fails when it is not free
 */
export async function freePort(host = '127.0.0.1', wanted = 0): Promise<number> {
  const { server, port } = await busyPort(host, wanted);
  await closed(server);
  return port;
}

/** As many different ports that were free a moment ago. */
export async function freePorts(count: number, host = '127.0.0.1'): Promise<number[]> {
  // All are held until the last is found: one that is let go may be given again.
  const held = await Promise.all(Array.from({ length: count }, () => busyPort(host)));
  await Promise.all(held.map(({ server }) => closed(server)));
  return held.map(({ port }) => port);
}

/** The first of two ports in a row that were free a moment ago. */
export async function freePortPair(host = '127.0.0.1'): Promise<number> {
  for (;;) {
    const first = await busyPort(host);
    try {
      const second = await busyPort(host, first.port + 1);
      await closed(second.server);
      return first.port;
    } catch {
      // Somebody has the second one, or there is none: another pair.
    } finally {
      await closed(first.server);
    }
  }
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
