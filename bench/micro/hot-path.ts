/**
 * What the functions cost that every message goes through, without sockets: ns of processor time a message, for messages of
 * some sizes. Client protocols in (parsing, unmasking, checking) and out (framing in place), packets of the link in and out,
 * and a session in PHP's form.
 *
 *   npx tsc -p tsconfig.json --noEmit false --rootDir . --outDir dist/bench
 *   node dist/bench/bench/micro/hot-path.js
 */
import { Buffer } from 'node:buffer';
import {
  Command,
  PacketReader,
  packetHead,
  serialize,
  unserialize,
  writePacket,
  writePacketRange,
} from '../../src/cluster/protocol/mod.js';
import { type Codec, frameCodec, tcpCodec, textCodec, websocketCodec } from '../../src/core/protocols/mod.js';
import { Arena } from '../../src/util/mod.js';
import { clientFrame, request, SAMPLE_REQUEST } from '../../test/support/client-frames.js';
import { CountingSink, microsOf } from './measure.js';

const SIZES = [16, 64, 1024, 16_384];
const PER_TURN = 16;
const LIMITS = { maxPackageSize: 10_485_760 };

let taken = 0;

const sink = new CountingSink();

function row(name: string, turnFor: (size: number) => () => void): void {
  console.log(`${name.padEnd(28)}${SIZES.map((size) => nanosOf(turnFor(size))).join('')}`);
}

/** Of one message; a turn takes PER_TURN. */
function nanosOf(turn: () => void): string {
  return ((microsOf(turn) * 1000) / PER_TURN).toFixed(0).padStart(8);
}

function framed(codec: Codec, message: Buffer): Buffer {
  // Masked twice it is ASCII too, so that unmasking in place can be repeated.
  if (codec === websocketCodec) return clientFrame(1, message, { mask: [7, 2, 5, 3] });
  const out = new Arena();
  codec.encode(out, message, true);
  return Buffer.from(out.buffer.subarray(0, out.offset));
}

function reading(codec: Codec): (size: number) => () => void {
  return (size) => {
    const reader = codec.open(LIMITS);
    if (codec === websocketCodec) reader.push(Buffer.from(request(SAMPLE_REQUEST)), sink);
    const bytes = Buffer.concat(Array.from({ length: PER_TURN }, () => framed(codec, Buffer.alloc(size, 'x'))));
    return () => reader.push(bytes, sink);
  };
}

function writing(codec: Codec): (size: number) => () => void {
  return (size) => {
    const out = new Arena();
    const body = Buffer.alloc(size, 'x');
    return () => {
      for (let index = 0; index < PER_TURN; index++) codec.encodeRange?.(out, body, 0, size, false);
      out.rewind();
    };
  };
}

console.log(`${'ns a message of bytes'.padEnd(28)}${SIZES.map((size) => String(size).padStart(8)).join('')}`);
for (const codec of [textCodec, frameCodec, websocketCodec]) row(`${codec.name} in`, reading(codec));
for (const codec of [textCodec, websocketCodec]) row(`${codec.name} out`, writing(codec));
row('tcp out, text', (size) => {
  const out = new Arena();
  const text = 'x'.repeat(size);
  return () => {
    for (let index = 0; index < PER_TURN; index++) tcpCodec.encode(out, text, false);
    out.rewind();
  };
});
row('event to the worker', (size) => {
  const out = new Arena();
  const head = packetHead({ cmd: Command.ON_MESSAGE });
  const body = Buffer.alloc(size, 'x');
  const session = Buffer.alloc(0);
  return () => {
    for (let index = 0; index < PER_TURN; index++) writePacketRange(out, head, session, body, 0, size);
    out.rewind();
  };
});
row('command to the gateway', (size) => {
  const out = new Arena();
  const head = packetHead({ cmd: Command.SEND_TO_ONE });
  const text = 'x'.repeat(size);
  return () => {
    for (let index = 0; index < PER_TURN; index++) writePacket(out, head, '', text);
    out.rewind();
  };
});
row('packet in', (size) => {
  const out = new Arena();
  for (let index = 0; index < PER_TURN; index++) writePacket(out, packetHead(), '', 'x'.repeat(size));
  const bytes = Buffer.from(out.buffer.subarray(0, out.offset));
  const reader = new PacketReader();
  const packets = {
    packet: (view: { bodyStart: number; bodyEnd: number }) => {
      taken += view.bodyEnd - view.bodyStart;
      return true;
    },
    fail: (error: Error) => {
      throw error;
    },
  };
  return () => reader.push(bytes, packets);
});
row('session out', (size) => {
  const session = { name: 'x'.repeat(size), visits: 7 };
  return () => {
    for (let index = 0; index < PER_TURN; index++) taken += serialize(session).length;
  };
});
row('session in', (size) => {
  const text = Buffer.from(serialize({ name: 'x'.repeat(size), visits: 7 }));
  return () => {
    for (let index = 0; index < PER_TURN; index++) if (unserialize(text) === null) taken++;
  };
});
if (taken === 0 || sink.bytes === 0) throw new Error('nothing was read');
