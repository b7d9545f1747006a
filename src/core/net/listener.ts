import { createServer, type Server, type Socket } from 'node:net';
import { messageOf } from '../../util/mod.js';
import type { NetAddress } from './address.js';
import { ListenError } from './errors.js';
import { KEEP_ALIVE_MS } from './tcp-connection.js';

/** Connections the kernel may hold before they are accepted; it caps this at its own limit (somaxconn). */
const BACKLOG = 4096;

/** An open TCP port. */
export class Listener {
  readonly address: NetAddress;
  readonly #server: Server;

  /** @param accept gets each accepted socket; allowHalfOpen, no Nagle, keepalive after 55 s */
  constructor(address: NetAddress, accept: (socket: Socket) => void) {
    this.address = address;
    this.#server = createServer(
      { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS },
      accept,
    );
  }

  /** The port listened on: the system's choice where the address says 0. */
  get port(): number {
    const bound = this.#server.address();
    return typeof bound === 'object' && bound !== null ? bound.port : this.address.port;
  }

  /**
   * @param exclusive true: a port of this process alone; false: shared with the other processes of the same worker
   * @throws ListenError `GW_LISTEN_FAILED`
   */
  async listen(exclusive: boolean): Promise<void> {
    const { host, port, text } = this.address;
    await new Promise<void>((resolve, reject) => {
      const refuse = (cause: Error) =>
        reject(
          new ListenError(
            'GW_LISTEN_FAILED',
            `cannot listen on ${text}: ${messageOf(cause)}`,
            { address: text },
            cause,
          ),
        );
      this.#server.once('error', refuse);
      this.#server.listen({ host, port, backlog: BACKLOG, exclusive }, () => {
        this.#server.off('error', refuse);
        resolve();
      });
    });
  }

  /** Takes no further connections; those that exist live on. */
  close(): void {
    this.#server.close();
  }
}
