import type { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { WebSocket } from 'ws';
import { eventually } from './eventually.js';

/** A WebSocket client of the `ws` package that keeps what it receives. */
export class WsClient implements AsyncDisposable {
  readonly socket: WebSocket;
  readonly messages: { readonly data: string; readonly binary: boolean }[] = [];
  /** Code and reason, once closed. */
  closed: { readonly code: number; readonly reason: string } | null = null;

  constructor(port: number, path = '/', headers: Readonly<Record<string, string>> = {}) {
    this.socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, { headers });
    this.socket.on('message', (data, binary) => {
      this.messages.push({ data: (data as Buffer).toString('latin1'), binary });
    });
    this.socket.on('close', (code, reason) => {
      this.closed = { code, reason: reason.toString() };
    });
    // Told by `closed`.
    this.socket.on('error', () => {});
  }

  static async open(port: number, path?: string, headers?: Readonly<Record<string, string>>): Promise<WsClient> {
    const client = new WsClient(port, path, headers);
    await once(client.socket, 'open');
    return client;
  }

  /** Messages as text. */
  get texts(): string[] {
    return this.messages.map(({ data }) => data);
  }

  async untilClosed(): Promise<{ readonly code: number; readonly reason: string }> {
    return eventually('the close of the WebSocket', () => this.closed);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.terminate();
  }
}
