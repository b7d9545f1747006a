import { connect } from 'node:net';
import { WebSocket } from 'ws';

/** What handlers answer to a message, twice: `begin 3 2 …` when they begin, `end 3 2 …` when they are done. */
const ANSWER = /^(begin|end) (\d+) (\d+) (\S+) (\d+)$/;

/** Bytes out, lines in. */
interface Wire {
  send(line: string): void;
  close(): void;
}

/**
 * A client that numbers its messages from 1 and has each counted in its session. Whatever is lost, handled twice, out of
 * order or at the same time shows in the answers, and is kept as a fault.
 */
export class CountingClient {
  id = '';
  sent = 0;
  /** Messages that were handled to their end. */
  done = 0;
  closed = false;
  readonly faults: string[] = [];
  readonly versions = new Set<string>();
  readonly pids = new Set<string>();
  #begun = 0;
  #version = 0;
  #leaving = false;
  readonly #wire: Wire;

  private constructor(open: (client: CountingClient) => Wire) {
    this.#wire = open(this);
  }

  static text(port: number): CountingClient {
    return new CountingClient((client) => {
      const socket = connect(port, '127.0.0.1');
      let rest = '';
      socket.on('data', (bytes) => {
        const lines = (rest + String(bytes)).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) client.#hear(line);
      });
      socket.on('error', () => {});
      socket.on('close', () => client.#end());
      return { send: (line) => void socket.write(`${line}\n`), close: () => void socket.end() };
    });
  }

  static webSocket(port: number): CountingClient {
    return new CountingClient((client) => {
      const socket = new WebSocket(`ws://127.0.0.1:${port}`, { perMessageDeflate: false });
      socket.on('message', (data) => client.#hear(String(data)));
      socket.on('error', () => {});
      socket.on('close', () => client.#end());
      return { send: (line) => socket.send(line), close: () => socket.close() };
    });
  }

  /** Greeted, and not leaving. */
  get ready(): boolean {
    return this.id !== '' && !this.#leaving && !this.closed;
  }

  get waiting(): number {
    return this.sent - this.done;
  }

  say(how: string): void {
    this.#wire.send(`${++this.sent} ${how}`);
  }

  leave(): void {
    this.#leaving = true;
    this.#wire.close();
  }

  #hear(line: string): void {
    if (this.id === '') {
      this.id = line;
      return;
    }
    const [, what, number, count, version, pid] = ANSWER.exec(line) ?? [];
    if (what === undefined) {
      this.faults.push(`not understood: ${line}`);
      return;
    }
    const expected = what === 'begin' ? this.#begun + 1 : this.#begun;
    const idle = this.done === this.#begun;
    const inTurn = what === 'begin' ? idle : !idle;
    if (!inTurn || Number(number) !== expected || Number(count) !== expected) {
      this.faults.push(`'${line}' where ${expected} was to ${what}, ${this.done} being done and ${this.sent} sent`);
    }
    if (what === 'begin') this.#begun = Number(number);
    else this.done = Number(number);
    if (Number(version) < this.#version) this.faults.push(`'${line}' is of an older version than the one before`);
    this.#version = Number(version);
    this.versions.add(version as string);
    this.pids.add(pid as string);
  }

  #end(): void {
    this.closed = true;
    if (!this.#leaving) this.faults.push('it was disconnected');
  }
}
