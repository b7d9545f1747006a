import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { PacketReader } from '../../src/cluster/protocol/mod.js';
import { type SeenPacket, seen } from './mesh.js';

/** Stands between workers and one gateway: hands everything on, keeps the packets, and can be cut. */
export class LinkTap implements AsyncDisposable {
  /** What workers sent, to the link and with questions. */
  readonly toGateway: SeenPacket[] = [];
  /** What the gateway sent on links; the answers to questions have no header and are not here. */
  readonly toWorkers: SeenPacket[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(port: number) {
    this.#server = createServer((socket) => this.#join(socket, connect(port, '127.0.0.1')));
  }

  /** @param port the gateway's inner port */
  static async start(port: number): Promise<LinkTap> {
    const tap = new LinkTap(port);
    await new Promise<void>((resolve) => tap.#server.listen(0, '127.0.0.1', resolve));
    return tap;
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Ends every link there is; who dials again is let through. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #join(worker: Socket, gateway: Socket): void {
    this.#carry(worker, gateway, this.toGateway);
    this.#carry(gateway, worker, this.toWorkers);
  }

  #carry(from: Socket, to: Socket, packets: SeenPacket[]): void {
    const reader = new PacketReader();
    const sink = {
      packet: (view: Parameters<typeof seen>[0]) => {
        packets.push(seen(view));
        return true;
      },
      fail: () => {},
    };
    this.#sockets.add(from);
    from.on('data', (chunk) => {
      to.write(chunk);
      reader.push(chunk, sink);
    });
    from.on('error', () => {});
    from.on('close', () => {
      this.#sockets.delete(from);
      to.destroy();
    });
  }
}
