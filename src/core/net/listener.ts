import { createServer, type Server, type Socket } from 'node:net';
import type { Server as TlsServer } from 'node:tls';
import { messageOf } from '../../util/mod.js';
import { hostPort, type NetAddress } from './address.js';
import { ConnectionError, ListenError } from './errors.js';
import { HandleWire } from './handle-wire.js';
import { SocketWire } from './socket-wire.js';
import { DEFAULT_MAX_HANDSHAKES, type TlsListenOptions, tlsServer } from './tls.js';
import { KEEP_ALIVE_MS, type Wire } from './wire.js';

/** Connections the kernel may hold before they are accepted; it caps this at its own limit (somaxconn). */
const BACKLOG = 4096;

/** TLS on a listener. */
export interface ListenerTls {
  readonly options: TlsListenOptions;
  /** Seconds a TLS handshake may take. */
  readonly handshakeTimeout: number;
  /** A connection that came to nothing, and its peer as `host:port`. The owner is told nothing else of it. */
  onRefused(error: ConnectionError, peer: string): void;
}

/** An open TCP port. */
export class Listener {
  readonly address: NetAddress;
  readonly #server: Server;
  readonly #accept: (wire: Wire) => void;
  readonly #tls: ListenerTls | null;
  readonly #tlsServer: TlsServer | null = null;
  /** Sockets in the middle of a TLS handshake, by their peer: what a handshake ends with is another object. */
  readonly #handshakes = new Map<string, Socket>();
  readonly #maxHandshakes: number;
  #closed = false;

  /**
   * @param accept gets each accepted connection, with TLS once its handshake is done; it may be half open, has no Nagle, and
   *   keepalive after 55 s
   */
  constructor(address: NetAddress, accept: (wire: Wire) => void, tls: ListenerTls | null = null) {
    this.address = address;
    this.#accept = accept;
    this.#tls = tls;
    this.#maxHandshakes = tls?.options.maxHandshakes ?? DEFAULT_MAX_HANDSHAKES;
    if (tls !== null) this.#tlsServer = this.#makeTlsServer(tls);
    this.#server = createServer(
      // Who hangs up in the middle of a TLS handshake is gone: half open, it would hold its place until the timeout.
      { allowHalfOpen: tls === null, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS },
      tls === null ? (socket) => accept(new SocketWire(socket)) : (socket) => this.#shakeHands(socket),
    );
  }

  /** The port listened on: the system's choice where the address says 0. */
  get port(): number {
    const bound = this.#server.address();
    return typeof bound === 'object' && bound !== null ? bound.port : this.address.port;
  }

  /** TLS handshakes that have begun and not ended. */
  get handshakes(): number {
    return this.#handshakes.size;
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
        if (this.#tls === null) HandleWire.takeOverServer(this.#server, this.#accept);
        resolve();
      });
    });
  }

  /** Takes no further connections, and ends those whose TLS handshake is not done; those that exist live on. */
  close(): void {
    this.#closed = true;
    this.#server.close();
    for (const socket of this.#handshakes.values()) socket.destroy();
  }

  #makeTlsServer(tls: ListenerTls): TlsServer {
    const server = tlsServer(tls.options, tls.handshakeTimeout);
    server.on('secureConnection', (socket) => {
      this.#handshakes.delete(peerOf(socket));
      socket.allowHalfOpen = true;
      if (this.#closed) socket.destroy();
      else this.#accept(new SocketWire(socket));
    });
    server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
      // Its raw socket goes with it, and takes it from the table.
      socket.destroy();
      // Whoever only looks whether the port is open, as load balancers do, has done nothing wrong.
      if (this.#closed || error.code === 'ECONNRESET') return;
      tls.onRefused(refusal(error, tls.handshakeTimeout), peerOf(socket));
    });
    return server;
  }

  #shakeHands(socket: Socket): void {
    const peer = peerOf(socket);
    if (this.#handshakes.size >= this.#maxHandshakes) {
      socket.destroy();
      const limit = this.#maxHandshakes;
      const text = 'too many TLS handshakes at a time; a connection was refused';
      this.#tls?.onRefused(new ConnectionError('GW_CONNECTION_TLS_BUSY', text, { limit }), peer);
      return;
    }
    this.#handshakes.set(peer, socket);
    socket.once('close', () => this.#handshakes.delete(peer));
    this.#tlsServer?.emit('connection', socket);
  }
}

function refusal(error: NodeJS.ErrnoException, seconds: number): ConnectionError {
  if (error.code === 'ERR_TLS_HANDSHAKE_TIMEOUT') {
    const text = 'the TLS handshake was not finished in time';
    return new ConnectionError('GW_CONNECTION_HANDSHAKE_TIMEOUT', text, { seconds });
  }
  const reason = error.code ?? error.message;
  const text = 'a TLS handshake failed: a client without TLS, or one that does not accept our certificate or version';
  return new ConnectionError('GW_CONNECTION_TLS_HANDSHAKE', text, { reason }, error);
}

function peerOf(socket: Socket): string {
  return hostPort(socket.remoteAddress ?? '', socket.remotePort ?? 0);
}
