import { tcpCodec } from '../protocols/mod.js';
import { CONNECTION_LIMITS, ConnectionCounters, type ConnectionOwner, TcpConnection } from './tcp-connection.js';
import type { Wire } from './wire.js';

/** A connection that has ended, for whoever has still to do with the peer it was to. It counts nowhere. */
export function endedConnection(remoteAddress: string, remotePort: number): TcpConnection {
  const connection = new TcpConnection(new EndedWire(remoteAddress, remotePort), tcpCodec, NOBODY, CONNECTION_LIMITS);
  connection.destroy();
  return connection;
}

class EndedWire implements Wire {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress = '';
  readonly localPort = 0;
  readonly encrypted = false;
  readonly local = false;
  readonly queued = 0;
  readonly destroyed = true;

  constructor(remoteAddress: string, remotePort: number) {
    this.remoteAddress = remoteAddress;
    this.remotePort = remotePort;
  }

  attach(): void {}
  write(): void {}
  mark(): void {}
  pause(): void {}
  resume(): void {}
  end(): void {}
  destroy(): void {}
}

const NOBODY: ConnectionOwner = {
  counters: new ConnectionCounters(),
  onBytes: () => {},
  onValue: () => {},
  onHandshake: () => false,
  onOpen: () => {},
  onFail: () => {},
  onFull: () => {},
  onDrain: () => {},
  onClose: () => {},
};
