/**
 * What permessage-deflate costs, without sockets: µs of processor time a message of JSON, out (framing) and in (unmasking,
 * inflating, checking).
 *
 *   npx tsc -p tsconfig.json --noEmit false --rootDir . --outDir dist/bench
 *   node dist/bench/bench/micro/deflate.js
 */
import { Buffer } from 'node:buffer';
import { constants, deflateRawSync } from 'node:zlib';
import {
  type Codec,
  readPerMessageDeflate,
  websocketCodec,
  websocketDeflateCodec,
} from '../../src/core/protocols/mod.js';
import { Arena } from '../../src/util/mod.js';
import { clientFrame, request, SAMPLE_REQUEST } from '../../test/support/client-frames.js';
import { CountingSink, microsOf } from './measure.js';

const SIZES = [64, 1024, 4096, 16_384, 131_072];
const LEVELS = [1, 6];
const MAX_PACKAGE_SIZE = 10_485_760;
const OFFER = request([...SAMPLE_REQUEST, 'Sec-WebSocket-Extensions: permessage-deflate']);

const sink = new CountingSink();

function deflateOf(level: number): Codec {
  const options = readPerMessageDeflate('bench', { level, threshold: 0 });
  if (options === null) throw new Error('off');
  return websocketDeflateCodec(options);
}

/** The codec of a client that has agreed. */
function agreedCodec(level: number): Codec {
  const reader = deflateOf(level).open({ maxPackageSize: MAX_PACKAGE_SIZE });
  reader.push(Buffer.from(OFFER), sink);
  if (reader.codec === undefined) throw new Error('not agreed');
  return reader.codec;
}

function json(bytes: number): Buffer {
  let text = '[';
  for (let id = 0; text.length < bytes; id++) {
    text += `${JSON.stringify({ id: (id * 7919) % 1000, user: `user${(id * 31) % 97}`, text: `this is message ${id}` })},`;
  }
  return Buffer.from(text.slice(0, bytes));
}

function out(codec: Codec, message: Buffer, changing: boolean): () => void {
  const arena = new Arena();
  let counter = 0;
  return () => {
    if (changing) message.writeUInt32LE(++counter, message.length - 4);
    arena.rewind();
    codec.encode(arena, message, true);
  };
}

function into(codec: Codec, frame: Buffer): () => void {
  const reader = codec.open({ maxPackageSize: MAX_PACKAGE_SIZE });
  reader.push(Buffer.from(OFFER), sink);
  const chunk = Buffer.allocUnsafeSlow(frame.length);
  return () => {
    // Unmasked in place the time before.
    frame.copy(chunk);
    reader.push(chunk, sink);
  };
}

function deflated(message: Buffer): Buffer {
  return deflateRawSync(message, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);
}

function row(name: string, cost: number): void {
  console.log(`${name.padEnd(44)} ${cost.toFixed(2).padStart(9)} µs`);
}

for (const size of SIZES) {
  row(`out ${size} plain`, microsOf(out(websocketCodec, json(size), true)));
  for (const level of LEVELS) row(`out ${size} level ${level}`, microsOf(out(agreedCodec(level), json(size), true)));
  row(`out ${size} level 1, sent before`, microsOf(out(agreedCodec(1), json(size), false)));
  row(`in  ${size} plain`, microsOf(into(websocketCodec, clientFrame(2, json(size)))));
  row(`in  ${size} deflated`, microsOf(into(deflateOf(1), clientFrame(2, deflated(json(size)), { rsv: 4 }))));
}
const bomb = deflated(Buffer.alloc(MAX_PACKAGE_SIZE));
row(
  `in  ${MAX_PACKAGE_SIZE} zeros from ${bomb.length} bytes`,
  microsOf(into(deflateOf(1), clientFrame(2, bomb, { rsv: 4 }))),
);
if (sink.bytes === 0) throw new Error('nothing was delivered');
