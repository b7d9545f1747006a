import { Buffer } from 'node:buffer';
import {
  type Codec,
  type CodecLimits,
  ProtocolError,
  type Reader,
  type ReaderSink,
} from '../../../core/protocols/mod.js';
import {
  type LinkProtocolError,
  PacketReader,
  type PacketSink,
  type PacketView,
  ReplyReader,
  type ReplySink,
} from '../../protocol/mod.js';

/**
 * GatewayProtocol as a codec of the net layer. Packets come out as values (a PacketView, good only during the call) and are
 * written by whoever sends them straight into the arena, so there is nothing to encode here.
 */
export const linkCodec: Codec = {
  name: 'link',
  open: ({ maxPackageSize }) => new LinkReader(new PacketReader({ maxPacketSize: maxPackageSize })),
  encode: refuse,
  decode: refuse,
};

/** Answers to queries as a codec: each comes out as a Buffer of its own. */
export const replyCodec: Codec = {
  name: 'link-replies',
  open: ({ maxPackageSize }) =>
    new WireReader<ReplyForwarder>(new ReplyReader({ maxReplySize: maxPackageSize }), new ReplyForwarder()),
  encode: refuse,
  decode: refuse,
};

/** A reader of the wire format, which tells a sink of its own kind. */
interface Wire<Sink> {
  readonly held: number;
  push(chunk: Buffer, sink: Sink): void;
  resume(sink: Sink): void;
}

/** Hands what a wire reader tells on to the net layer. */
abstract class Forwarder {
  target!: ReaderSink;

  fail(error: LinkProtocolError): void {
    this.target.fail(new ProtocolError(error.code, error.message, error.fields));
  }
}

class PacketForwarder extends Forwarder implements PacketSink {
  packet(view: PacketView): boolean {
    return this.target.value(view);
  }
}

class ReplyForwarder extends Forwarder implements ReplySink {
  reply(buffer: Buffer, start: number, end: number): boolean {
    return this.target.value(Buffer.from(buffer.subarray(start, end)));
  }
}

class WireReader<Sink extends Forwarder> implements Reader {
  readonly open = true;
  readonly #wire: Wire<Sink>;
  readonly #forwarder: Sink;

  constructor(wire: Wire<Sink>, forwarder: Sink) {
    this.#wire = wire;
    this.#forwarder = forwarder;
  }

  get held(): number {
    return this.#wire.held;
  }

  push(chunk: Buffer, sink: ReaderSink): void {
    this.#forwarder.target = sink;
    this.#wire.push(chunk, this.#forwarder);
  }

  resume(sink: ReaderSink): void {
    this.#forwarder.target = sink;
    this.#wire.resume(this.#forwarder);
  }
}

class LinkReader extends WireReader<PacketForwarder> {
  readonly #packets: PacketReader;

  constructor(packets: PacketReader) {
    super(packets, new PacketForwarder());
    this.#packets = packets;
  }

  relimit({ maxPackageSize }: CodecLimits): void {
    this.#packets.maxPacketSize = maxPackageSize;
  }
}

function refuse(): never {
  throw new Error('packets are written with writePacket');
}
