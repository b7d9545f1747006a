import type { Buffer } from 'node:buffer';

/**
 * What carries the bytes of one TcpConnection: a socket of Node.js (SocketWire), or the handle below it (HandleWire), which
 * costs less in time and memory. Both do the same for their WireEnd; neither knows of messages.
 */
export interface Wire {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  readonly encrypted: boolean;
  /** It goes over a Unix socket, beside the port that its addresses tell of. */
  readonly local: boolean;
  /** Bytes handed over that the system has not taken; with TLS also those it has not told of yet. */
  readonly queued: number;
  /** Gone or going: takes nothing more. */
  readonly destroyed: boolean;
  /** Whom to tell, to be called once; reading begins. */
  attach(end: WireEnd): void;
  /** Hands bytes over. They must stay as they are as long as `queued` counts them. */
  write(bytes: Buffer): void;
  /** Has `drained` called when all that is queued now is written. Once per call, and not after `end`. */
  mark(): void;
  /**
   * Nothing is told of what comes from the peer, until `resume`. What was read already may still come. That the peer is gone
   * may be told only then, or when something is written to it. Both may be repeated.
   */
  pause(): void;
  resume(): void;
  /** Hangs up our side when all that is queued is written; `finished` tells. Nothing can be written any more. */
  end(): void;
  /** Ends both sides at once; what is queued is lost. `wireClosed` tells, never during the call. */
  destroy(): void;
}

/** As in the original: TCP keepalive after 55 idle seconds. */
export const KEEP_ALIVE_MS = 55_000;

/** What stands for the addresses of a Unix socket: those of the port that it is a second door of. A port that nobody has is 0. */
export interface LocalAddresses {
  readonly host: string;
  readonly localPort: number;
  readonly remotePort: number;
}

/** Who is told what comes over a wire. */
export interface WireEnd {
  /** An outgoing connection was made; from now on `wire` is the one to use. */
  connected(wire: Wire): void;
  /** Bytes, good only during the call, which may change them. */
  receive(chunk: Buffer): void;
  /** The peer has hung up its side. */
  peerEnded(): void;
  /** See `Wire.mark`. */
  drained(): void;
  /** See `Wire.end`. */
  finished(): void;
  /** The system's error. `wireClosed` follows. */
  wireFailed(error: Error): void;
  /** Once, the last call. */
  wireClosed(): void;
}
