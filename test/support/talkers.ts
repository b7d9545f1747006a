import { connect, type Socket } from 'node:net';
import { WebSocket } from 'ws';
import { eventually } from './eventually.js';

/** Somebody in a chat, by whatever protocol: what was heard, line by line, and a way to speak. */
export interface Talker {
  readonly heard: string[];
  /** False once the connection has ended. */
  readonly connected: boolean;
  say(line: string): void;
  leave(): Promise<void>;
  /** Waits for a line; returns its match. Lines before `from` do not count. */
  hears(pattern: RegExp, from?: number): Promise<RegExpExecArray>;
}

abstract class Ears {
  readonly heard: string[] = [];
  connected = true;

  async hears(pattern: RegExp, from = 0): Promise<RegExpExecArray> {
    try {
      return await eventually(`a line matching ${pattern}`, () => this.#find(pattern, from));
    } catch (error) {
      throw new Error(`${(error as Error).message}; heard:\n${this.heard.join('\n')}`);
    }
  }

  #find(pattern: RegExp, from: number): RegExpExecArray | undefined {
    for (const line of this.heard.slice(from)) {
      const match = pattern.exec(line);
      if (match !== null) return match;
    }
    return undefined;
  }
}

/** As telnet does: lines over TCP. */
export class TextTalker extends Ears implements Talker {
  readonly #socket: Socket;
  #rest = '';

  private constructor(socket: Socket) {
    super();
    this.#socket = socket;
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => {
      const lines = (this.#rest + text).split('\n');
      this.#rest = lines.pop() ?? '';
      this.heard.push(...lines);
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.connected = false;
    });
  }

  static async connect(port: number, host = '127.0.0.1'): Promise<TextTalker> {
    const socket = connect(port, host);
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.once('connect', () => resolve());
    });
    return new TextTalker(socket);
  }

  say(line: string): void {
    this.#socket.write(`${line}\n`);
  }

  /** Bytes as they are. */
  write(bytes: string | Buffer): void {
    this.#socket.write(bytes);
  }

  async leave(): Promise<void> {
    this.#socket.end();
    await eventually('the text connection to end', () => !this.connected);
  }
}

/** The `ws` package, a WebSocket client that knows nothing of us. */
export class WebSocketTalker extends Ears implements Talker {
  /** Why the server closed, once it has. */
  closeCode = 0;
  readonly socket: WebSocket;

  private constructor(socket: WebSocket) {
    super();
    this.socket = socket;
    socket.on('message', (data) => this.heard.push(String(data)));
    socket.on('error', () => {});
    socket.on('close', (code) => {
      this.closeCode = code;
      this.connected = false;
    });
  }

  static async connect(port: number, path = '/', host = '127.0.0.1'): Promise<WebSocketTalker> {
    const socket = new WebSocket(`ws://${host}:${port}${path}`);
    const talker = new WebSocketTalker(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.once('open', () => resolve());
    });
    return talker;
  }

  say(line: string): void {
    this.socket.send(line);
  }

  async leave(): Promise<void> {
    this.socket.close();
    await eventually('the WebSocket connection to end', () => !this.connected);
  }
}

/** Which process of the gateway has the client: its inner port. */
export function processOf({ id }: { readonly id: string }): number {
  return Number.parseInt(id.slice(8, 12), 16);
}

/** Clients come until each of two gateway processes has one; the last is the first of its process. */
export async function oneOfEachProcess<T extends { readonly id: string }>(
  come: () => Promise<T>,
): Promise<[T, ...T[]]> {
  const members: T[] = [];
  await eventually('a client in each process', async () => {
    members.push(await come());
    return new Set(members.map(processOf)).size === 2;
  });
  return members as [T, ...T[]];
}
