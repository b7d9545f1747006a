import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { eventually } from './eventually.js';

/** A client with TLS that keeps what it receives. It trusts whoever answers. */
export class TlsClient implements AsyncDisposable {
  readonly socket: TLSSocket;
  readonly chunks: Buffer[] = [];
  ended = false;
  closed = false;
  error: NodeJS.ErrnoException | null = null;

  constructor(port: number, options: ConnectionOptions = {}) {
    this.socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options });
    this.socket.on('data', (chunk) => this.chunks.push(chunk));
    this.socket.on('end', () => {
      this.ended = true;
    });
    this.socket.on('close', () => {
      this.closed = true;
    });
    this.socket.on('error', (error) => {
      this.error = error;
    });
  }

  static async open(port: number, options?: ConnectionOptions): Promise<TlsClient> {
    const client = new TlsClient(port, options);
    await once(client.socket, 'secureConnect');
    return client;
  }

  /** The name on the certificate that the server showed. */
  get serverName(): string {
    return String(this.socket.getPeerCertificate().subject?.CN);
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString();
  }

  get received(): number {
    return this.chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  }

  write(data: string | Uint8Array): void {
    this.socket.write(data);
  }

  async untilText(text: string): Promise<void> {
    await eventually(`${JSON.stringify(text)}, so far ${JSON.stringify(this.text)}`, () => this.text === text);
  }

  async untilClosed(): Promise<void> {
    await eventually('the connection to be closed', () => this.closed);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.destroy();
  }
}
