import type { Buffer } from 'node:buffer';
import {
  type Codec,
  type CodecLimits,
  ProtocolError,
  type Reader,
  type ReaderSink,
} from '../../../core/protocols/mod.js';
import { type LinkProtocolError, PacketReader, type PacketSink, type PacketView } from '../../protocol/mod.js';

/**
 * GatewayProtocol as a codec of the net layer. Packets come out as values (a PacketView, good only during the call) and are
 * written by whoever sends them straight into the arena, so there is nothing to encode here.
 */
export const linkCodec: Codec = {
  name: 'link',
  open: (limits) => new LinkReader(limits),
  encode: refuse,
  decode: refuse,
};

class LinkReader implements Reader, PacketSink {
  readonly open = true;
  readonly #packets: PacketReader;
  #sink!: ReaderSink;

  constructor(limits: CodecLimits) {
    this.#packets = new PacketReader({ maxPacketSize: limits.maxPackageSize });
  }

  get held(): number {
    return this.#packets.held;
  }

  push(chunk: Buffer, sink: ReaderSink): void {
    this.#sink = sink;
    this.#packets.push(chunk, this);
  }

  resume(sink: ReaderSink): void {
    this.#sink = sink;
    this.#packets.resume(this);
  }

  packet(view: PacketView): boolean {
    return this.#sink.value(view);
  }

  fail(error: LinkProtocolError): void {
    this.#sink.fail(new ProtocolError(error.code, error.message, error.fields));
  }
}

function refuse(): never {
  throw new Error('packets are written with writePacket');
}
