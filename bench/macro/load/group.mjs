// Clients of one kind: opened together, sending the same way, counted together.
import { Buffer } from 'node:buffer';
import { createHistogram } from 'node:perf_hooks';
import { Connection } from './connection.mjs';
import { WIRES } from './wires.mjs';

/** So many different messages are in use, so that one which reaches the wrong client is seen. */
const VARIANTS = 16;
const DEADLINE_MS = 60_000;
const LONGEST_NS = 60_000_000_000;
/** Connections of one source address: the system looks for a free port among those in use, ever longer the more there are. */
const PER_ADDRESS = 2000;
const ADDRESSES = 250;

export class Group {
  bytes = 0;
  messages = 0;
  wrong = 0;
  checked = 0;
  /** Answers to messages that prepare something. */
  done = 0;
  lost = 0;
  connections = [];
  #target;
  #latency = null;
  #flowing = false;
  #timer;
  #next = 0;

  /** @param target host, port, wire, tls, and addresses: the first source address is 127.0.<addresses>.1 */
  constructor(target) {
    this.#target = target;
    this.wire = WIRES[target.wire];
  }

  /** Opens so many more, some at a time; answers with how long that took and what came of it. */
  async open(count, atOnce = 200) {
    const begun = performance.now();
    let begin = 0;
    let failed = 0;
    let reason;
    const one = async () => {
      while (begin < count) {
        const number = this.#next++;
        begin++;
        await new Promise((resolve) => {
          const localAddress = `127.0.${this.#target.addresses}.${1 + (Math.floor(number / PER_ADDRESS) % ADDRESSES)}`;
          const connection = new Connection(this, { ...this.#target, localAddress }, (error) => {
            if (error === undefined) this.connections.push(connection);
            else {
              failed++;
              reason = error.message;
            }
            resolve();
          });
        });
      }
    };
    await Promise.all(Array.from({ length: Math.min(atOnce, count) }, one));
    return { opened: count - failed, failed, reason, seconds: (performance.now() - begun) / 1000 };
  }

  /**
   * Starts sending. `message` is the text; of an echo its end tells the variants apart. The last `senders` connections send
   * `inFlight` messages and one more for each that comes back, or one every `everyMs`; the others count what they get.
   */
  start({
    message,
    senders = this.connections.length,
    inFlight = 1,
    everyMs = 0,
    latency = false,
    expected = message,
  }) {
    const variants = senders === this.connections.length ? VARIANTS : 1;
    const made = Array.from({ length: variants }, (_, number) => this.#variant(message, expected, number, inFlight));
    this.#latency = latency ? createHistogram({ lowest: 1, highest: LONGEST_NS, figures: 3 }) : null;
    this.#flowing = everyMs === 0;
    const sending = this.connections.slice(this.connections.length - senders);
    for (const [index, connection] of this.connections.entries()) {
      connection.expected = made[index % variants].expected;
      connection.batches = null;
      connection.seen = 0;
      connection.sentAt.length = 0;
    }
    for (const [index, connection] of sending.entries()) {
      connection.batches = made[(this.connections.length - senders + index) % variants].batches;
    }
    if (everyMs > 0) this.#timer = this.#pace(sending, everyMs);
    else for (const connection of sending) this.#send(connection, inFlight);
  }

  stop() {
    this.#flowing = false;
    clearInterval(this.#timer);
  }

  /** Sends each connection's texts and waits until the server has answered all. */
  async prepare(texts) {
    const wanted = this.done + texts.reduce((sum, list) => sum + list.length, 0);
    for (const [index, list] of texts.entries()) {
      for (const text of list) this.connections[index].socket.write(this.wire.frame(text));
    }
    const deadline = performance.now() + DEADLINE_MS;
    while (this.done < wanted) {
      if (performance.now() > deadline) throw new Error(`${wanted - this.done} preparations were not answered`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  /** Counters so far, and the latency since the last call. */
  read() {
    const { bytes, messages, wrong, checked, lost } = this;
    const histogram = this.#latency;
    const latency =
      histogram === null || histogram.count === 0
        ? null
        : {
            count: histogram.count,
            p50: histogram.percentile(50) / 1000,
            p99: histogram.percentile(99) / 1000,
            p999: histogram.percentile(99.9) / 1000,
            max: histogram.max / 1000,
          };
    histogram?.reset();
    return { bytes, messages, wrong, checked, lost, connections: this.connections.length, latency };
  }

  /** Cuts off so many, the oldest first. */
  async close(count = this.connections.length) {
    const leaving = this.connections.splice(0, count);
    await Promise.all(
      leaving.map((connection) => {
        const { socket } = connection;
        connection.leaving = true;
        if (socket.closed) return undefined;
        const gone = new Promise((resolve) => socket.once('close', resolve));
        socket.destroy();
        return gone;
      }),
    );
  }

  arrived(connection, messages) {
    this.messages += messages;
    if (connection.batches === null) return;
    if (this.#latency !== null) {
      const now = performance.now();
      for (let count = 0; count < messages && connection.sentAt.length > 0; count++) {
        this.#latency.record(Math.max(1, Math.round((now - connection.sentAt.shift()) * 1e6)));
      }
    }
    if (this.#flowing) this.#send(connection, messages);
  }

  left(connection) {
    const index = this.connections.indexOf(connection);
    if (index < 0) return;
    this.connections.splice(index, 1);
    this.lost++;
  }

  #send(connection, count) {
    if (this.#latency !== null) {
      const now = performance.now();
      for (let sent = 0; sent < count; sent++) connection.sentAt.push(now);
    }
    for (let left = count; left > 0; ) {
      const batch = Math.min(left, connection.batches.length);
      connection.socket.write(connection.batches[batch - 1]);
      left -= batch;
    }
  }

  /** Each connection sends one message every `everyMs`, evenly spread, whether the last one has come back or not. */
  #pace(sending, everyMs) {
    const begun = performance.now();
    let sent = 0;
    return setInterval(() => {
      const due = Math.floor(((performance.now() - begun) * sending.length) / everyMs);
      for (; sent < due; sent++) this.#send(sending[sent % sending.length], 1);
    }, 1);
  }

  #variant(message, expected, number, inFlight) {
    const mark = number.toString(16);
    const frame = this.wire.frame(message.slice(0, -1) + mark);
    const all = Buffer.concat(Array(inFlight).fill(frame));
    const batches = Array.from({ length: inFlight }, (_, index) => all.subarray(0, (index + 1) * frame.length));
    return { batches, expected: this.wire.expected(expected.slice(0, -1) + mark) };
  }
}
