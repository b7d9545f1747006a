import { connect } from 'node:net';
import { WebSocket } from 'ws';

/** Where clients come in. */
export interface Door {
  readonly wire: 'text' | 'websocket';
  readonly host: string;
  readonly port: number;
}

interface Wire {
  send(line: string): void;
  close(): void;
  setReading(reading: boolean): void;
}

/** Of others' answers that went to everybody, so many are remembered for each client. */
const REMEMBERED = 200;

/** A client that numbers what it says from 1 on, and looks at the order of the answers. */
export class ChaosClient {
  readonly gateway: string;
  id = '';
  sent = 0;
  /** The number of the last answer. */
  answered = 0;
  closed = false;
  closeCode = 0;
  /** It does not read, or did not for a while: some answers are dropped then. */
  slow = false;
  leaving = false;
  /** Its gateway was killed. */
  orphaned = false;
  /** The numbers of answers that never came, as later ones show. */
  readonly missing: number[] = [];
  /** Answers that came out of turn, and without a mark: whose, and what is wrong. */
  readonly outOfTurn: { readonly id: string; readonly fault: string }[] = [];
  readonly faults: string[] = [];
  readonly #wire: Wire;
  readonly #heard = new Map<string, Set<string>>();

  constructor(gateway: string, door: Door) {
    this.gateway = gateway;
    this.#wire = door.wire === 'text' ? openText(door, this) : openWebSocket(door, this);
  }

  get ready(): boolean {
    return this.id !== '' && !this.leaving && !this.closed;
  }

  get waiting(): number {
    return this.sent - this.answered;
  }

  say(kind: string, argument = 0, bytes = 0): void {
    this.#wire.send(`${++this.sent} ${kind} ${argument} ${'x'.repeat(bytes)}`);
  }

  setReading(reading: boolean): void {
    if (!reading) this.slow = true;
    this.#wire.setReading(reading);
  }

  leave(): void {
    this.leaving = true;
    this.#wire.close();
  }

  hear(line: string): void {
    const [what, id = '', text, how = ''] = line.split(' ', 4);
    if (what === 'id') {
      this.id = id;
      return;
    }
    if (what !== 'answer') this.faults.push(`not understood: ${line.slice(0, 100)}`);
    else if (id === this.id) this.#answer(Number(text), how);
    else if (how === 'first') this.#overhear(id, text ?? '');
  }

  end(code: number): void {
    this.closed = true;
    this.closeCode = code;
  }

  #answer(number: number, how: string): void {
    if (number > this.answered) {
      for (let missing = this.answered + 1; missing < number; missing++) this.missing.push(missing);
      this.answered = number;
    } else if (how === 'first') {
      const fault = `the answer to ${number} came behind that to ${this.answered}`;
      this.outOfTurn.push({ id: this.id, fault });
    }
  }

  #overhear(id: string, number: string): void {
    let heard = this.#heard.get(id);
    if (heard === undefined || heard.size >= REMEMBERED) {
      heard = new Set();
      this.#heard.set(id, heard);
    }
    if (heard.has(number)) this.outOfTurn.push({ id, fault: `the answer to ${number}, which was for all, came twice` });
    heard.add(number);
  }
}

function openText({ host, port }: Door, client: ChaosClient): Wire {
  const socket = connect(port, host);
  let rest = '';
  socket.setEncoding('utf8');
  socket.on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) client.hear(line);
  });
  socket.on('error', () => {});
  socket.on('close', () => client.end(0));
  return {
    send: (line) => void socket.write(`${line}\n`),
    close: () => void socket.end(),
    setReading: (reading) => void (reading ? socket.resume() : socket.pause()),
  };
}

function openWebSocket({ host, port }: Door, client: ChaosClient): Wire {
  const socket = new WebSocket(`ws://${host}:${port}`, { perMessageDeflate: false });
  socket.on('message', (data) => client.hear(String(data)));
  socket.on('error', () => {});
  socket.on('close', (code) => client.end(code));
  return {
    send: (line) => socket.send(line),
    close: () => socket.close(),
    setReading: (reading) => (reading ? socket.resume() : socket.pause()),
  };
}
