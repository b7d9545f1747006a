import { Buffer } from 'node:buffer';
import { randomBytes } from 'node:crypto';
import { type Codec, ProtocolError, type Reader, type ReaderSink, websocketCodec } from '../core/protocols/mod.js';
import { type Arena, ByteQueue } from '../util/mod.js';

const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;
const FIN = 0x80;
const MASKED = 0x80;
/** RFC 6455 section 7.4.1: never sent. */
const NO_STATUS = 1005;
const END_OF_HEAD = '\r\n\r\n';
const STATUS_LINE = /^HTTP\/1\.1 (\d{3})/;

export interface WebSocketGoodbye {
  readonly code: number;
  readonly reason: string;
}

/**
 * The client's side of RFC 6455 as far as a gateway of ours needs one: the handshake, masked frames, pongs. One for each
 * connection. What a server may not send is not looked for.
 */
export class WebSocketClientCodec implements Codec {
  readonly name = 'websocket';
  readonly decode = websocketCodec.decode;
  /** What the server closed with, once it has. */
  goodbye: WebSocketGoodbye | null = null;

  open(): Reader {
    return new ClientReader((goodbye) => {
      this.goodbye = goodbye;
    });
  }

  encode(out: Arena, data: unknown, binary: boolean): void {
    append(out, clientFrame(binary ? OPCODE.binary : OPCODE.text, Buffer.from(data as string)));
  }

  encodeClose(out: Arena, code: number, reason: string): void {
    const payload = Buffer.alloc(2 + Buffer.byteLength(reason));
    payload.writeUInt16BE(code);
    payload.write(reason, 2);
    append(out, clientFrame(OPCODE.close, payload));
  }
}

/** The request that asks for a WebSocket. */
export function webSocketRequest(host: string, path: string, headers: Readonly<Record<string, string>>): Buffer {
  const all = {
    Host: host,
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
    'Sec-WebSocket-Version': '13',
    ...headers,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`);
  return Buffer.from(`GET ${path} HTTP/1.1\r\n${lines.join('\r\n')}${END_OF_HEAD}`, 'latin1');
}

class ClientReader implements Reader {
  readonly #onGoodbye: (goodbye: WebSocketGoodbye) => void;
  readonly #bytes = new ByteQueue();
  #open = false;
  #reading = true;
  #binary = false;
  #fragments: Buffer[] = [];

  constructor(onGoodbye: (goodbye: WebSocketGoodbye) => void) {
    this.#onGoodbye = onGoodbye;
  }

  get open(): boolean {
    return this.#open;
  }

  get held(): number {
    return this.#bytes.length;
  }

  push(chunk: Buffer, sink: ReaderSink): void {
    this.#bytes.append(chunk);
    this.#parse(sink);
  }

  resume(sink: ReaderSink): void {
    this.#reading = true;
    this.#parse(sink);
  }

  #parse(sink: ReaderSink): void {
    let more = true;
    while (more && this.#reading) more = this.#open ? this.#frame(sink) : this.#handshake(sink);
  }

  /** False: it is not complete. The same below. */
  #handshake(sink: ReaderSink): boolean {
    const { buffer, start, end } = this.#bytes;
    const bytes = buffer.subarray(start, end);
    const length = bytes.indexOf(END_OF_HEAD);
    if (length < 0) return false;
    const status = Number(STATUS_LINE.exec(bytes.toString('latin1', 0, length))?.[1]);
    this.#bytes.consume(length + END_OF_HEAD.length);
    if (status === 101) {
      this.#open = true;
      this.#reading = sink.opened();
    } else {
      this.#reading = false;
      const text = `the gateway answered the WebSocket handshake with status ${status}`;
      sink.fail(new ProtocolError('GW_TEST_CONNECT', text, { status }));
    }
    return true;
  }

  #frame(sink: ReaderSink): boolean {
    const { buffer, start, end } = this.#bytes;
    const bytes = buffer.subarray(start, end);
    if (bytes.length < 2) return false;
    const small = bytes.readUInt8(1);
    const header = small < 126 ? 2 : small === 126 ? 4 : 10;
    if (bytes.length < header) return false;
    const length = small < 126 ? small : small === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
    if (bytes.length < header + length) return false;
    const first = bytes.readUInt8(0);
    const payload = Buffer.from(bytes.subarray(header, header + length));
    this.#bytes.consume(header + length);
    this.#take(first & 0x0f, (first & FIN) !== 0, payload, sink);
    return true;
  }

  #take(opcode: number, fin: boolean, payload: Buffer, sink: ReaderSink): void {
    if (opcode === OPCODE.ping) {
      sink.write(clientFrame(OPCODE.pong, payload));
    } else if (opcode === OPCODE.pong) {
      this.#reading = sink.pong(payload);
    } else if (opcode === OPCODE.close) {
      this.#reading = false;
      const code = payload.length < 2 ? NO_STATUS : payload.readUInt16BE(0);
      const reason = payload.toString('utf8', 2);
      this.#onGoodbye({ code, reason });
      sink.write(clientFrame(OPCODE.close, payload));
      sink.ended(code, reason);
    } else {
      if (opcode !== OPCODE.continuation) this.#binary = opcode === OPCODE.binary;
      this.#fragments.push(payload);
      if (!fin) return;
      const message = Buffer.concat(this.#fragments);
      this.#fragments = [];
      this.#reading = sink.message(message, 0, message.length, this.#binary);
    }
  }
}

/** A frame as a client has to send it: masked. */
function clientFrame(opcode: number, payload: Buffer): Buffer {
  const { length } = payload;
  const header = Buffer.alloc(length < 126 ? 2 : length <= 0xffff ? 4 : 10);
  header[0] = FIN | opcode;
  header[1] = MASKED | (length < 126 ? length : length <= 0xffff ? 126 : 127);
  if (header.length === 4) header.writeUInt16BE(length, 2);
  else if (header.length === 10) header.writeBigUInt64BE(BigInt(length), 2);
  const mask = randomBytes(4);
  const masked = payload.map((byte, index) => byte ^ mask[index & 3]!);
  return Buffer.concat([header, mask, masked]);
}

function append(out: Arena, bytes: Buffer): void {
  out.reserve(bytes.length);
  bytes.copy(out.buffer, out.offset);
  out.offset += bytes.length;
}
