import { Buffer } from 'node:buffer';
import { connect, type Socket } from 'node:net';
import { clientFrame, request, SAMPLE_REQUEST } from '../../../support/client-frames.js';
import { DEADLINE_MS } from '../../../support/eventually.js';

/** What a server sent, as a client sees it. Bytes stand as Latin-1 text; those of a compressed message are as on the wire. */
export type WireEvent =
  | readonly ['text' | 'binary' | 'compressed text' | 'compressed binary' | 'pong', string]
  | readonly ['close', number];

/**
 * How bytes are written. `whole`: all at once; `frames`: a write for each frame; a number: in chops of so many bytes. Between
 * two writes the server has a turn of the loop.
 */
export type Pace = 'whole' | 'frames' | number;

export const OCTETS = 1;

/** RFC 6455 section 7.4.1: the close frame carries no code. */
export const NO_STATUS = 1005;

export const text = (payload: string | Uint8Array = '', shape = {}) => clientFrame(1, payload, shape);
export const binary = (payload: string | Uint8Array = '', shape = {}) => clientFrame(2, payload, shape);
export const continuation = (payload: string | Uint8Array = '', shape = {}) => clientFrame(0, payload, shape);
export const ping = (payload: string | Uint8Array = '', shape = {}) => clientFrame(9, payload, shape);
export const pong = (payload: string | Uint8Array = '', shape = {}) => clientFrame(10, payload, shape);

export function close(code?: number, reason: string | Uint8Array = '', shape = {}): Buffer {
  const payload =
    code === undefined ? '' : Buffer.concat([Buffer.of(code >> 8, code & 0xff), Buffer.from(reason as string)]);
  return clientFrame(8, payload, shape);
}

/** A message in fragments of so many bytes; `shape` is that of the first. */
export function fragments(opcode: number, payload: Buffer, size: number, shape = {}): Buffer[] {
  const frames: Buffer[] = [];
  for (let at = 0; at === 0 || at < payload.length; at += size) {
    const fin = at + size >= payload.length;
    const part = payload.subarray(at, at + size);
    frames.push(clientFrame(at === 0 ? opcode : 0, part, { ...(at === 0 ? shape : {}), fin }));
  }
  return frames;
}

/** A client that is nothing but a socket: it sends any bytes, and holds what it is sent to RFC 6455. */
export class RawClient implements AsyncDisposable {
  readonly events: WireEvent[] = [];
  /** The server has hung up. */
  ended = false;
  /** The answer to the handshake. */
  answer = '';
  readonly #socket: Socket;
  #chunks: Buffer[] = [];
  #held = 0;
  /** Bytes without which there is nothing to do. */
  #needed = 0;
  #fault: Error | null = null;
  #wake: () => void = () => {};

  constructor(port: number) {
    this.#socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true, noDelay: true });
    this.#socket.on('data', (chunk) => this.#take(chunk));
    this.#socket.on('end', () => {
      this.ended = true;
      this.#wake();
    });
    // Told by `ended`: whoever goes on writing to a server that has failed the connection may be reset.
    this.#socket.on('error', () => {});
    this.#socket.on('close', () => {
      this.ended = true;
      this.#wake();
    });
  }

  static async open(port: number, extensions?: string): Promise<RawClient> {
    const client = new RawClient(port);
    const offer = extensions === undefined ? [] : [`Sec-WebSocket-Extensions: ${extensions}`];
    await client.write([request([...SAMPLE_REQUEST, ...offer])]);
    await client.until('the answer to the handshake', () => client.answer !== '');
    return client;
  }

  async write(frames: readonly Buffer[], pace: Pace = 'whole'): Promise<void> {
    for (const piece of pieces(frames, pace)) {
      if (this.#socket.destroyed) return;
      await new Promise<void>((resolve) => this.#socket.write(piece, () => resolve()));
      if (pace !== 'whole') await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Waits until the condition holds; asks again whenever something has come. */
  async until(what: string, condition: () => boolean): Promise<void> {
    const deadline = performance.now() + DEADLINE_MS;
    while (this.#fault === null && !condition()) {
      const left = deadline - performance.now();
      if (left <= 0) throw new Error(`not within ${DEADLINE_MS} ms: ${what}; got ${this.events.map(([kind]) => kind)}`);
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        timer = setTimeout(resolve, left);
      });
      clearTimeout(timer);
    }
    if (this.#fault !== null) throw this.#fault;
  }

  async untilEnded(): Promise<readonly WireEvent[]> {
    await this.until('the end of the connection', () => this.ended);
    if (this.#held > 0) throw new Error('the connection ended in the middle of a frame');
    return this.events;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#held += chunk.length;
    try {
      // Joined only when it makes sense, or a large message would be copied for each chunk of it.
      while (this.#held > 0 && this.#held >= this.#needed) if (!this.#parse(this.#join())) break;
    } catch (error) {
      this.#fault = error as Error;
    }
    this.#wake();
  }

  #join(): Buffer {
    const bytes = this.#chunks.length === 1 ? (this.#chunks[0] as Buffer) : Buffer.concat(this.#chunks);
    this.#chunks = [bytes];
    return bytes;
  }

  #parse(bytes: Buffer): boolean {
    if (this.answer === '') {
      const end = bytes.indexOf('\r\n\r\n');
      if (end < 0) return false;
      this.answer = bytes.toString('latin1', 0, end + 2);
      if (!this.answer.startsWith('HTTP/1.1 101 ')) throw new Error(`no handshake: ${this.answer}`);
      this.#consume(bytes, end + 4);
      return true;
    }
    if (bytes.length < 2) return this.#need(2);
    const small = bytes.readUInt8(1);
    if (small > 127) throw new Error('a frame of the server is masked');
    const header = small < 126 ? 2 : small === 126 ? 4 : 10;
    if (bytes.length < header) return this.#need(header);
    const length = small < 126 ? small : small === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
    if ((small === 126 && length < 126) || (small === 127 && length < 65_536)) throw new Error('a length is too long');
    if (bytes.length < header + length) return this.#need(header + length);
    if (this.events.at(-1)?.[0] === 'close') throw new Error('a frame follows a close frame');
    this.events.push(eventOf(bytes.readUInt8(0), Buffer.from(bytes.subarray(header, header + length))));
    this.#consume(bytes, header + length);
    return true;
  }

  #need(bytes: number): false {
    this.#needed = bytes;
    return false;
  }

  #consume(bytes: Buffer, count: number): void {
    this.#chunks = [bytes.subarray(count)];
    this.#held = bytes.length - count;
    this.#needed = 0;
  }
}

/** A server may fragment; ours does not. */
function eventOf(first: number, payload: Buffer): WireEvent {
  switch (first) {
    case 0x81:
      return ['text', payload.toString()];
    case 0x82:
      return ['binary', payload.toString('latin1')];
    case 0xc1:
      return ['compressed text', payload.toString('latin1')];
    case 0xc2:
      return ['compressed binary', payload.toString('latin1')];
    case 0x8a:
      return ['pong', payload.toString('latin1')];
    case 0x88:
      if (payload.length === 1 || payload.length > 125) throw new Error('a close frame of the wrong size');
      return ['close', payload.length === 0 ? NO_STATUS : payload.readUInt16BE(0)];
    default:
      throw new Error(`an unexpected frame: first byte ${first.toString(16)}`);
  }
}

function* pieces(frames: readonly Buffer[], pace: Pace): Iterable<Buffer> {
  if (pace === 'frames') {
    yield* frames;
    return;
  }
  const bytes = Buffer.concat(frames);
  const size = pace === 'whole' ? bytes.length : pace;
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
