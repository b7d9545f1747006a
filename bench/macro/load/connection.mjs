// One client of the load. Thousands of them share the buffer that is read into, and the bytes they send.
import { Buffer } from 'node:buffer';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { answer } from './wires.mjs';

const READ_BUFFER = Buffer.allocUnsafeSlow(256 * 1024);
/** Every so many messages one is compared with what it should be. */
const SAMPLE = 64;
const NOTHING = Buffer.alloc(0);
/** What a server answers to a message that prepares something. */
const DONE = '!'.charCodeAt(0);
const END_OF_HEAD = '\r\n\r\n';

export class Connection {
  /** What the scan of the wire keeps between two reads. */
  left = 0;
  rest = null;
  counts = false;
  /** The message that is counted, as it comes. */
  expected = NOTHING;
  /** Whether a Socket.IO server has taken it in. */
  joined = false;
  /** When the messages in flight were sent, the oldest first; only where latency is measured. */
  sentAt = [];
  /** The bytes it answers with, by how many messages came; null: it only listens. */
  batches = null;
  seen = 0;
  /** Cut off by the load itself. */
  leaving = false;
  #deflate;
  #opening = true;
  #opened;

  /** @param opened called once: with nothing when the connection is ready, with an error when it failed */
  constructor(group, target, opened) {
    this.group = group;
    this.wire = group.wire;
    this.#opened = opened;
    this.#deflate = target.deflate;
    const to = { host: target.host, port: target.port, localAddress: target.localAddress, noDelay: true };
    if (target.tls) {
      this.socket = connectTls({ ...to, rejectUnauthorized: false }, () => this.#greet());
      this.socket.on('data', (bytes) => this.read(bytes.length, bytes));
    } else {
      this.socket = connect({ ...to, onread: { buffer: READ_BUFFER, callback: socketOnRead } }, () => this.#greet());
    }
    this.socket.connection = this;
    this.socket.on('error', socketOnError);
    this.socket.on('close', socketOnClose);
  }

  read(length, bytes) {
    this.group.bytes += length;
    let all = bytes;
    let size = length;
    if (this.rest !== null) {
      all = Buffer.concat([this.rest, bytes.subarray(0, length)]);
      size = all.length;
      this.rest = null;
    }
    if (this.#opening) {
      const end = all.subarray(0, size).indexOf(END_OF_HEAD);
      if (end < 0) {
        this.rest = Buffer.from(all.subarray(0, size));
        return;
      }
      if (all.toString('latin1', 9, 12) !== '101') {
        this.#finish(new Error(`handshake refused: ${all.toString('latin1', 0, Math.min(end, 100))}`));
        this.socket.destroy();
        return;
      }
      this.#opening = false;
      all = all.subarray(end + END_OF_HEAD.length, size);
      size = all.length;
    }
    const messages = this.wire.scan(this, all, size);
    if (this.#opened !== null) {
      if (this.wire.ready(this)) this.#finish();
    } else if (messages > 0) this.group.arrived(this, messages);
  }

  other(opcode, bytes, start, end) {
    if (bytes[end - 1] === DONE || bytes[end - 3] === DONE) this.group.done++;
    else answer(this, opcode, bytes, start, end);
  }

  /** Whether what has been read of a message is right: of each the first byte, of some all. */
  check(bytes, start, end) {
    if (end > start && bytes[start] !== this.expected[0]) this.group.wrong++;
    if (this.seen++ % SAMPLE !== 0) return;
    if (bytes.compare(this.expected, 0, end - start, start, end) !== 0) this.group.wrong++;
    this.group.checked++;
  }

  ended(error) {
    if (this.#opened !== null) this.#finish(error ?? new Error('closed before it was ready'));
    else if (!this.leaving) this.group.left(this);
  }

  #greet() {
    const hello = this.wire.hello(this.#deflate);
    if (hello !== null) this.socket.write(hello);
    else {
      this.#opening = false;
      this.#finish();
    }
  }

  #finish(error) {
    const opened = this.#opened;
    this.#opened = null;
    opened?.(error);
  }
}

function socketOnRead(length, buffer) {
  this.connection.read(length, buffer);
  return true;
}

function socketOnError(error) {
  this.connection.failure = error;
}

function socketOnClose() {
  this.connection.ended(this.connection.failure);
}
