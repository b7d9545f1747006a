import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { WebSocket } from 'ws';
import { eventually } from './eventually.js';

/** A client of a text gateway. */
export class LineClient {
  readonly lines: string[] = [];
  readonly socket: Socket;
  closed = false;
  #rest = Buffer.alloc(0);

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk) => this.#take(chunk));
    socket.on('error', () => {});
    socket.on('close', () => {
      this.closed = true;
    });
  }

  static async open(port: number): Promise<LineClient> {
    const socket = connect(port, '127.0.0.1');
    const client = new LineClient(socket);
    await once(socket, 'connect');
    return client;
  }

  /** Opens a connection and waits for its first line: handlers of these tests greet with the client id. */
  static async greeted(port: number): Promise<{ readonly client: LineClient; readonly id: string }> {
    const client = await LineClient.open(port);
    const id = await eventually('a greeting', () => client.lines.shift());
    return { client, id };
  }

  send(...lines: readonly string[]): void {
    this.socket.write(`${lines.join('\n')}\n`);
  }

  /** What has arrived, taken away, once there are so many lines. */
  async take(count: number): Promise<string[]> {
    await eventually(`${count} lines, of which came ${this.lines.length}`, () => this.lines.length >= count);
    return this.lines.splice(0, count);
  }

  /** Sends a line that the handler answers, so that whatever was on the way before has come; gives what that was. */
  async settle(mark: string): Promise<string[]> {
    this.send(mark);
    await eventually(`the answer ${mark}`, () => this.lines.includes(mark));
    return this.lines.splice(0).filter((line) => line !== mark);
  }

  #take(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    let end = this.#rest.indexOf(10);
    while (end >= 0) {
      this.lines.push(this.#rest.toString('utf8', 0, end));
      this.#rest = this.#rest.subarray(end + 1);
      end = this.#rest.indexOf(10);
    }
  }
}

/** A client of a WebSocket gateway. Text arrives as a string, binary as a Buffer. */
export class SocketClient {
  readonly messages: (string | Buffer)[] = [];
  readonly socket: WebSocket;
  closed = false;

  constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on('message', (data, binary) => this.messages.push(binary ? (data as Buffer) : data.toString()));
    socket.on('error', () => {});
    socket.on('close', () => {
      this.closed = true;
    });
  }

  static async greeted(port: number, path = '/'): Promise<{ readonly client: SocketClient; readonly id: string }> {
    const client = new SocketClient(new WebSocket(`ws://127.0.0.1:${port}${path}`, { perMessageDeflate: false }));
    const id = await eventually('a greeting', () => client.messages.shift());
    return { client, id: String(id) };
  }

  send(message: string | Buffer): void {
    this.socket.send(message);
  }

  async take(count: number): Promise<(string | Buffer)[]> {
    await eventually(`${count} messages`, () => this.messages.length >= count);
    return this.messages.splice(0, count);
  }

  async settle(mark: string): Promise<(string | Buffer)[]> {
    this.send(mark);
    await eventually(`the answer ${mark}`, () => this.messages.includes(mark));
    return this.messages.splice(0).filter((message) => message !== mark);
  }
}
