import { Buffer } from 'node:buffer';
import type {
  Codec,
  CodecLimits,
  HandshakeRequest,
  HandshakeResponse,
  HandshakeVerdict,
  ProtocolError,
  Reader,
  ReaderSink,
} from '../../src/core/protocols/mod.js';

/** What a sink was told, as plain data. Bytes stand as `latin1` text, so that a failing comparison can be read. */
export type SinkEvent =
  | ['message', string, boolean]
  | ['value', unknown]
  | ['handshake', string]
  | ['opened']
  | ['write', string]
  | ['pong', string]
  | ['ended', number, string]
  | ['fail', string, string | null];

/** Remembers what it is told; answers `true` unless `answer` says otherwise. */
export class RecordingSink implements ReaderSink {
  readonly events: SinkEvent[] = [];
  readonly requests: HandshakeRequest[] = [];
  /** Added to the answer of a handshake. */
  responseHeaders: Record<string, string> = {};
  /** Handshakes are answered `later`, by the test. */
  later = false;
  error: ProtocolError | null = null;
  answer: (event: SinkEvent) => boolean;

  constructor(answer: (event: SinkEvent) => boolean = () => true) {
    this.answer = answer;
  }

  /** The messages alone. */
  get messages(): string[] {
    return this.events.flatMap((event) => (event[0] === 'message' ? [event[1]] : []));
  }

  message(buffer: Buffer, start: number, end: number, binary: boolean): boolean {
    return this.#record(['message', buffer.toString('latin1', start, end), binary]);
  }

  value(value: unknown): boolean {
    return this.#record(['value', value]);
  }

  handshake(request: HandshakeRequest, response: HandshakeResponse): HandshakeVerdict {
    this.requests.push(request);
    Object.assign(response.headers, this.responseHeaders);
    const answer = this.#record(['handshake', request.uri]);
    return this.later ? 'later' : answer;
  }

  opened(): boolean {
    return this.#record(['opened']);
  }

  write(bytes: Buffer): void {
    this.#record(['write', bytes.toString('latin1')]);
  }

  pong(payload: Buffer): boolean {
    return this.#record(['pong', payload.toString('latin1')]);
  }

  ended(code: number, reason: string): void {
    this.#record(['ended', code, reason]);
  }

  fail(error: ProtocolError): void {
    this.error = error;
    this.#record(['fail', error.code, error.reply === null ? null : error.reply.toString('latin1')]);
  }

  #record(event: SinkEvent): boolean {
    this.events.push(event);
    return this.answer(event);
  }
}

export const WIDE: CodecLimits = { maxPackageSize: 10 * 1024 * 1024 };

/** Pushes a copy, and spoils it afterwards: a reader must not have kept it. */
export function pushCopy(reader: Reader, bytes: Uint8Array, sink: ReaderSink): void {
  const chunk = Buffer.from(bytes);
  reader.push(chunk, sink);
  chunk.fill(0x5a);
}

/** Feeds the pieces to a new reader. */
export function read(codec: Codec, pieces: readonly Uint8Array[], limits: CodecLimits = WIDE): RecordingSink {
  const sink = new RecordingSink();
  const reader = codec.open(limits);
  for (const piece of pieces) pushCopy(reader, piece, sink);
  return sink;
}

/** All ways to cut bytes that a codec's tests try: whole, byte by byte, and in two at every offset. */
export function* cuttings(bytes: Buffer): Generator<Buffer[]> {
  yield [bytes];
  yield Array.from(bytes, (_, index) => bytes.subarray(index, index + 1));
  for (let at = 1; at < bytes.length; at++) yield [bytes.subarray(0, at), bytes.subarray(at)];
}

/** Events that the bytes give however they are cut; throws at the first cutting that gives others. */
export function readEveryWay(codec: Codec, bytes: Buffer, limits: CodecLimits = WIDE): SinkEvent[] {
  let first: SinkEvent[] | undefined;
  for (const pieces of cuttings(bytes)) {
    const { events } = read(codec, pieces, limits);
    first ??= events;
    if (JSON.stringify(events) !== JSON.stringify(first)) {
      const cut = pieces.map((piece) => piece.length).join('+');
      throw new Error(`cut ${cut}: ${JSON.stringify(events)}\nwhole: ${JSON.stringify(first)}`);
    }
  }
  return first ?? [];
}

/** Reads with a pause after every event that can be answered, resuming at once; returns the events. */
export function readWithPauses(codec: Codec, bytes: Buffer, limits: CodecLimits = WIDE): SinkEvent[] {
  const sink = new RecordingSink((event) => event[0] === 'handshake');
  const reader = codec.open(limits);
  pushCopy(reader, bytes, sink);
  for (let rounds = -1; rounds < sink.events.length; ) {
    rounds = sink.events.length;
    reader.resume(sink);
  }
  return sink.events;
}

/** A small generator of repeatable random numbers (mulberry32); returns integers below n. */
export function seededRandom(seed: number): (n: number) => number {
  let state = seed;
  return (n) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296) * n);
  };
}
