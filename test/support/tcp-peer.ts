import { Buffer } from 'node:buffer';
import { connect, type Socket } from 'node:net';
import { eventually } from './eventually.js';

const peers = new Set<TcpPeer>();

/** A plain client that remembers what it is sent. */
export class TcpPeer {
  readonly socket: Socket;
  ended = false;
  closed = false;
  error: Error | null = null;
  readonly #chunks: Buffer[] = [];

  constructor(port: number, host = '127.0.0.1') {
    this.socket = connect({ host, port, allowHalfOpen: true, noDelay: true });
    this.socket.on('data', (chunk) => this.#chunks.push(chunk));
    this.socket.on('end', () => {
      this.ended = true;
    });
    this.socket.on('error', (error) => {
      this.error = error;
    });
    this.socket.on('close', () => {
      this.closed = true;
    });
    peers.add(this);
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  get size(): number {
    return this.#chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  }

  get text(): string {
    return this.bytes.toString('latin1');
  }

  write(data: string | Uint8Array): void {
    this.socket.write(data);
  }

  async received(text: string): Promise<void> {
    await eventually(`${JSON.stringify(text)} (got ${JSON.stringify(this.text.slice(0, 200))})`, () =>
      this.text.includes(text),
    );
  }
}

/** Connects and waits until that is done. */
export async function dial(port: number, host?: string): Promise<TcpPeer> {
  const peer = new TcpPeer(port, host);
  await eventually('a connection', () => !peer.socket.connecting);
  return peer;
}

/** For `afterEach`: hangs up all that were made. */
export function hangUpPeers(): void {
  for (const peer of peers) peer.socket.destroy();
  peers.clear();
}
