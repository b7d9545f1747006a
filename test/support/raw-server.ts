import type { AddressInfo } from 'node:net';
import { createServer, type Server, type Socket } from 'node:net';

/** A TCP server that keeps what it is sent, and says what the test says: a Register, or a gateway of the original. */
export class RawServer implements AsyncDisposable {
  readonly sockets = new Set<Socket>();
  readonly received: string[] = [];
  connections = 0;
  onConnect: (socket: Socket) => void = () => {};
  onData: (socket: Socket, chunk: Buffer) => void = () => {};
  readonly #server: Server;

  constructor() {
    this.#server = createServer((socket) => {
      this.connections++;
      this.sockets.add(socket);
      socket.on('close', () => this.sockets.delete(socket));
      socket.on('error', () => {});
      socket.on('data', (chunk) => {
        this.received.push(chunk.toString('latin1'));
        this.onData(socket, chunk);
      });
      this.onConnect(socket);
    });
  }

  static async start(port = 0, host = '127.0.0.1'): Promise<RawServer> {
    const server = new RawServer();
    await new Promise<void>((resolve) => server.#server.listen(port, host, resolve));
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get address(): string {
    const { address, port } = this.#server.address() as AddressInfo;
    return `${address}:${port}`;
  }

  say(text: string): void {
    for (const socket of this.sockets) socket.write(text);
  }

  /** Sends this list of gateways, now and to whoever connects. */
  list(addresses: readonly string[] | Record<string, string>): void {
    const line = `${JSON.stringify({ event: 'broadcast_addresses', addresses })}\n`;
    this.onConnect = (socket) => void socket.write(line);
    this.say(line);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
