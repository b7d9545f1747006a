import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { eventually } from './eventually.js';

/** A plain TCP client that keeps what it receives. */
export class TcpClient implements AsyncDisposable {
  readonly socket: Socket;
  readonly chunks: Buffer[] = [];
  ended = false;
  closed = false;

  constructor(port: number, host = '127.0.0.1', allowHalfOpen = false) {
    this.socket = connect({ port, host, allowHalfOpen });
    this.socket.on('data', (chunk) => this.chunks.push(chunk));
    this.socket.on('end', () => {
      this.ended = true;
    });
    this.socket.on('close', () => {
      this.closed = true;
    });
    // A reset is a way of being closed.
    this.socket.on('error', () => {});
  }

  static async open(port: number, host?: string, allowHalfOpen?: boolean): Promise<TcpClient> {
    const client = new TcpClient(port, host, allowHalfOpen);
    await once(client.socket, 'connect');
    return client;
  }

  get bytes(): Buffer {
    return Buffer.concat(this.chunks);
  }

  get text(): string {
    return this.bytes.toString();
  }

  /** Complete lines received, without their LF. */
  get lines(): string[] {
    return this.text.split('\n').slice(0, -1);
  }

  write(data: string | Uint8Array): void {
    this.socket.write(data);
  }

  async untilText(text: string): Promise<void> {
    await eventually(`${JSON.stringify(text)}, so far ${JSON.stringify(this.text)}`, () => this.text === text);
  }

  async untilClosed(withinMs?: number): Promise<void> {
    await eventually('the connection to be closed', () => this.closed, withinMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.destroy();
  }
}
