import type { AddressInfo, Server } from 'node:net';
import { createServer } from 'node:net';

/** A port that was free a moment ago; for programs that must be told their port before they start. */
export async function freePort(host = '127.0.0.1'): Promise<number> {
  const { server, port } = await busyPort(host);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** A port that stays in use until the server is closed. */
export async function busyPort(host = '127.0.0.1'): Promise<{ server: Server; port: number }> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, host, resolve);
  });
  return { server, port: (server.address() as AddressInfo).port };
}
