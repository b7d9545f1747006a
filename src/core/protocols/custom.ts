import { Buffer } from 'node:buffer';
import { type ByteQueue, messageOf } from '../../util/mod.js';
import type { Codec, CodecLimits, Protocol, ProtocolConnection, ReaderSink } from './codec.js';
import { ProtocolError, packageTooLarge } from './errors.js';
import { HoldingReader } from './holding-reader.js';
import { append, bufferOrString, stepAside } from './values.js';

/**
 * A codec made of a user-defined protocol. Its functions are called here and nowhere else: what they throw or get wrong
 * becomes a ProtocolError.
 *
 * `encode` throws ProtocolError `GW_PROTOCOL_ENCODE`; readers fail with `GW_PROTOCOL_INPUT`, `GW_PROTOCOL_DECODE` or
 * `GW_PACKAGE_TOO_LARGE`.
 */
export function customCodec<In, Out>(protocol: Protocol<In, Out>): Codec {
  const name = protocol.name ?? 'custom';
  return {
    name,
    takesValues: true,
    open: (limits) => new CustomReader(name, protocol as Protocol, limits),
    encode: (out, data) => {
      const { buffer, offset } = out;
      const value = encoded(name, protocol as Protocol, data);
      stepAside(out, buffer, offset);
      append(out, value);
    },
    decode: bufferOrString,
  };
}

class CustomReader extends HoldingReader {
  readonly #name: string;
  readonly #protocol: Protocol;
  readonly #limit: number;
  #connection: ProtocolConnection | null = null;
  /** Length of the package that comes next, once `input` has told it; 0 before. */
  #size = 0;

  constructor(name: string, protocol: Protocol, limits: CodecLimits) {
    super();
    this.#name = name;
    this.#protocol = protocol;
    this.#limit = limits.maxPackageSize;
  }

  protected override parse(buffer: Buffer, start: number, end: number, sink: ReaderSink): number {
    let at = start;
    while (this.reading && at < end) {
      if (this.#size === 0 && !this.#measure(buffer, at, end, sink)) break;
      if (this.#size > end - at) break;
      const to = at + this.#size;
      this.#size = 0;
      this.#deliver(buffer, at, to, sink);
      at = to;
    }
    return at;
  }

  /** Up to the end of the package, or all while that is not known: `input` is shown everything there is. */
  protected override wanted(held: ByteQueue, chunk: Buffer, at: number): number {
    return this.#size === 0 ? chunk.length - at : this.#size - held.length;
  }

  /** Learns the length of the package at buffer[start]; false when that is not possible yet, or never. */
  #measure(buffer: Buffer, start: number, end: number, sink: ReaderSink): boolean {
    let size: number;
    try {
      size = this.#protocol.input(buffer.subarray(start, end), this.#context());
    } catch (thrown) {
      this.fail(sink, this.#error('GW_PROTOCOL_INPUT', `input threw: ${messageOf(thrown)}`, {}, thrown));
      return false;
    }
    if (!Number.isInteger(size) || size < 0) {
      const said = typeof size === 'number' ? size : typeof size;
      this.fail(sink, this.#error('GW_PROTOCOL_INPUT', `input refused the bytes with ${said}`, { returned: said }));
      return false;
    }
    // While the length is unknown, what is there must fit the limit all the same.
    if ((size === 0 ? end - start : size) > this.#limit) {
      this.fail(sink, packageTooLarge(this.#name, this.#limit));
      return false;
    }
    this.#size = size;
    return size > 0;
  }

  #deliver(buffer: Buffer, start: number, end: number, sink: ReaderSink): void {
    let value: unknown;
    try {
      value = this.#protocol.decode(buffer.subarray(start, end), this.#context());
      // What is read next goes to the same memory, and may be another peer's.
      if (value instanceof Uint8Array && value.buffer === buffer.buffer) value = Buffer.from(value);
    } catch (thrown) {
      this.fail(sink, this.#error('GW_PROTOCOL_DECODE', `decode threw: ${messageOf(thrown)}`, {}, thrown));
      return;
    }
    this.goOn(sink.value(value));
  }

  #context(): ProtocolConnection {
    this.#connection ??= { context: Object.create(null) };
    return this.#connection;
  }

  #error(code: string, text: string, fields: Readonly<Record<string, unknown>>, cause?: unknown): ProtocolError {
    return new ProtocolError(code, `${this.#name}: ${text}`, { protocol: this.#name, ...fields }, null, cause);
  }
}

function encoded(name: string, protocol: Protocol, data: unknown): string | Uint8Array {
  let value: unknown;
  try {
    value = protocol.encode(data);
  } catch (thrown) {
    const text = `${name}: encode threw: ${messageOf(thrown)}`;
    throw new ProtocolError('GW_PROTOCOL_ENCODE', text, { protocol: name }, null, thrown);
  }
  if (typeof value === 'string' || value instanceof Uint8Array) return value;
  throw new ProtocolError(
    'GW_PROTOCOL_ENCODE',
    `${name}: encode must return a string or a Buffer, got ${value === null ? 'null' : typeof value}`,
    { protocol: name },
  );
}
