import { createServer, type Server, type Socket } from 'node:net';
import type { TLSSocket, Server as TlsServer } from 'node:tls';
import { messageOf } from '../../util/mod.js';
import type { ProxyVersions } from '../protocols/mod.js';
import { hostPort, type NetAddress } from './address.js';
import type { Door } from './door.js';
import { ConnectionError, ListenError } from './errors.js';
import { HandleWire } from './handle-wire.js';
import { ProxyReader } from './proxy-reader.js';
import { SocketWire } from './socket-wire.js';
import { DEFAULT_MAX_HANDSHAKES, type TlsListenOptions, tlsServer } from './tls.js';
import type { PeerAddress, TrustedProxies } from './trusted-proxies.js';
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

/** The PROXY protocol on a listener: each connection begins with a header of a proxy. */
export interface ListenerProxy {
  readonly versions: ProxyVersions;
  /** Who may connect; connections of others are refused. */
  readonly trusted: TrustedProxies;
  /** Seconds until the header has to be there. */
  readonly handshakeTimeout: number;
}

/** @param from where it comes from, if not from where the wire does: a proxy has said so */
export type AcceptWire = (wire: Wire, from: PeerAddress | null) => void;

/** `_parent`: the socket that was accepted. Undocumented, and what Node.js itself goes by; nothing else tells. */
type WrappingSocket = TLSSocket & { readonly _parent: Socket };

/** An open TCP port. */
export class Listener {
  readonly address: NetAddress;
  readonly #server: Server;
  readonly #accept: AcceptWire;
  readonly #door: Door;
  readonly #tls: ListenerTls | null;
  readonly #proxy: ListenerProxy | null;
  readonly #tlsServer: TlsServer | null = null;
  /** Sockets in the middle of a TLS handshake, and where they come from, if a proxy has said so. */
  readonly #handshakes = new Map<Socket, PeerAddress | null>();
  /** Of sockets whose PROXY header has not come. */
  readonly #headers = new Set<ProxyReader>();
  readonly #maxHandshakes: number;
  #closed = false;

  /**
   * @param accept gets each accepted connection, with TLS once its handshake is done; it may be half open, has no Nagle, and
   *   keepalive after 55 s
   * @param door is asked about each before that; one that was accepted is the owner's to see out (`door.leave`)
   */
  constructor(
    address: NetAddress,
    accept: AcceptWire,
    door: Door,
    tls: ListenerTls | null = null,
    proxy: ListenerProxy | null = null,
  ) {
    this.address = address;
    this.#accept = accept;
    this.#door = door;
    this.#tls = tls;
    this.#proxy = proxy;
    this.#maxHandshakes = tls?.options.maxHandshakes ?? DEFAULT_MAX_HANDSHAKES;
    if (tls !== null) this.#tlsServer = this.#makeTlsServer(tls);
    this.#server = createServer(
      // Who hangs up in the middle of a TLS handshake is gone: half open, it would hold its place until the timeout.
      { allowHalfOpen: tls === null, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS },
      (socket) => this.#admit(socket),
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
        // Without a listener it would end the process: any client that finds the process out of descriptors could.
        this.#server.on('error', (error) => this.#door.acceptFailed(error));
        if (this.#tls === null && this.#proxy === null) {
          HandleWire.takeOverServer(this.#server, (wire) => this.#admitWire(wire));
        }
        resolve();
      });
    });
  }

  /** Takes no further connections, and ends those that have not got as far as `accept`; those that exist live on. */
  close(): void {
    this.#closed = true;
    this.#server.close();
    for (const socket of this.#handshakes.keys()) socket.destroy();
    for (const header of this.#headers) header.cancel();
  }

  /** Closed at once and without a word, where it may not come in: that costs least. */
  #admitWire(wire: Wire): void {
    const { remoteAddress, remotePort } = wire;
    if (this.#door.enter(remoteAddress, hostPort(remoteAddress, remotePort))) this.#accept(wire, null);
    else wire.destroy();
  }

  #admit(socket: Socket): void {
    const { remoteAddress } = socket;
    // It has been reset meanwhile, and nobody can say any more where it came from.
    if (remoteAddress === undefined) {
      socket.destroy();
      return;
    }
    if (this.#tls !== null && this.#tooManyHandshakes(socket)) return;
    if (!this.#door.enter(remoteAddress, peerOf(socket))) {
      socket.destroy();
    } else if (this.#proxy === null) {
      this.#goOn(socket, null);
    } else if (this.#proxy.trusted.has(remoteAddress)) {
      this.#headers.add(new ProxyReader(socket, this, this.#proxy.versions, this.#proxy.handshakeTimeout));
    } else {
      socket.destroy();
      this.#door.leave(remoteAddress);
      this.#door.headerRefused('it is not from a trusted proxy', peerOf(socket));
    }
  }

  /** @internal */
  headerRead(reader: ProxyReader, from: PeerAddress | null): void {
    this.#headers.delete(reader);
    const { socket } = reader;
    const { remoteAddress = '' } = socket;
    if (from === null || this.#door.move(remoteAddress, from.address, hostPort(from.address, from.port))) {
      this.#goOn(socket, from);
    } else {
      socket.destroy();
      this.#door.leave(remoteAddress);
    }
  }

  /** @internal */
  headerMissing(reader: ProxyReader, reason: string | null): void {
    this.#headers.delete(reader);
    const { remoteAddress = '' } = reader.socket;
    this.#door.leave(remoteAddress);
    if (reason !== null) this.#door.headerRefused(reason, peerOf(reader.socket));
  }

  /** It is known where it comes from. */
  #goOn(socket: Socket, from: PeerAddress | null): void {
    if (this.#tls !== null) this.#shakeHands(socket, from);
    else if (from === null && this.#proxy === null) this.#accept(new SocketWire(socket), null);
    else this.#accept(HandleWire.takeOver(socket) ?? new SocketWire(socket), from);
  }

  #makeTlsServer(tls: ListenerTls): TlsServer {
    const server = tlsServer(tls.options, tls.handshakeTimeout);
    server.on('secureConnection', (socket) => {
      const raw = (socket as WrappingSocket)._parent;
      const from = this.#handshakes.get(raw);
      // One that was reset behind its last bytes has no address, by which its owner would see it out: it goes as it is.
      if (this.#closed || from === undefined || socket.remoteAddress === undefined) {
        socket.destroy();
        return;
      }
      this.#handshakes.delete(raw);
      socket.allowHalfOpen = true;
      this.#accept(new SocketWire(socket), from);
    });
    server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
      // Its raw socket goes with it, and takes it from the table.
      socket.destroy();
      // One whose certificate is not accepted is cut off without an error of its own.
      const { authorizationError } = socket as TLSSocket & { authorizationError: unknown };
      if (authorizationError) {
        const reason = String(authorizationError);
        const text = 'a peer has shown a certificate that is not accepted';
        tls.onRefused(new ConnectionError('GW_CONNECTION_TLS_HANDSHAKE', text, { reason }), peerOf(socket));
        return;
      }
      // Whoever only looks whether the port is open, as load balancers do, has done nothing wrong.
      if (this.#closed || error.code === 'ECONNRESET') return;
      tls.onRefused(refusal(error, tls.handshakeTimeout), peerOf(socket));
    });
    return server;
  }

  #tooManyHandshakes(socket: Socket): boolean {
    const limit = this.#maxHandshakes;
    if (this.#handshakes.size + this.#headers.size < limit) return false;
    socket.destroy();
    const text = 'too many TLS handshakes at a time; a connection was refused';
    this.#tls?.onRefused(new ConnectionError('GW_CONNECTION_TLS_BUSY', text, { limit }), peerOf(socket));
    return true;
  }

  #shakeHands(socket: Socket, from: PeerAddress | null): void {
    const address = from?.address ?? socket.remoteAddress ?? '';
    this.#handshakes.set(socket, from);
    socket.once('close', () => {
      // From its handshake on it is the owner who sees it out.
      if (this.#handshakes.delete(socket)) this.#door.leave(address);
    });
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
