import { Buffer } from 'node:buffer';
import { expect, test } from 'vitest';
import {
  type Codec,
  type CodecLimits,
  customCodec,
  frameCodec,
  type Reader,
  tcpCodec,
  textCodec,
  websocketCodec,
  websocketDeflateCodec,
} from '../../../src/core/protocols/mod.js';
import { PER_MESSAGE_DEFLATE_DEFAULTS } from '../../../src/core/protocols/websocket/deflate-options.js';
import { clientFrame, request, SAMPLE_REQUEST } from '../../support/client-frames.js';
import { pushCopy, RecordingSink, seededRandom } from '../../support/recording-sink.js';

const LIMITS: CodecLimits = { maxPackageSize: 400, maxHandshakeSize: 400, maxFragments: 4 };
const ROUNDS = 400;

const lengthByte = customCodec({
  input: (buffer) => buffer[0] ?? 0,
  decode: (bytes) => bytes.toString('latin1'),
  encode: String,
});

const frames = Buffer.concat([
  clientFrame(1, 'hello'),
  clientFrame(1, 'κόσμε', { fin: false }),
  clientFrame(9, 'ping'),
  clientFrame(0, '😀'.repeat(40)),
  clientFrame(2, Buffer.alloc(300, 0xee)),
  clientFrame(10, 'pong'),
  clientFrame(8, '\x03\xe8bye'),
]);

/** Hello, as RFC 7692 section 7.2.3.1 has it. */
const HELLO = Buffer.from('f248cdc9c90700', 'hex');
const deflatedFrames = Buffer.concat([
  clientFrame(1, HELLO, { rsv: 4 }),
  clientFrame(1, HELLO.subarray(0, 3), { rsv: 4, fin: false }),
  clientFrame(9, 'ping'),
  clientFrame(0, HELLO.subarray(3)),
  clientFrame(2, Buffer.alloc(300, 0xee)),
]);
const offer = request([...SAMPLE_REQUEST, 'Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=10']);

const CASES: [Codec, Buffer][] = [
  [tcpCodec, Buffer.from('any bytes at all')],
  [textCodec, Buffer.from('one\ntwo\r\n\n'.repeat(20))],
  [frameCodec, Buffer.from('0000000573000000040000000661620000000568'.repeat(5), 'hex')],
  [lengthByte, Buffer.from('\x02a\x05bcde\x01\x03fg'.repeat(10))],
  [websocketCodec, Buffer.concat([request(), frames])],
  [
    { ...websocketDeflateCodec(PER_MESSAGE_DEFLATE_DEFAULTS), name: 'websocket with compression' },
    Buffer.concat([offer, deflatedFrames]),
  ],
];

test.each(CASES.map(([codec, bytes]) => [codec.name, codec, bytes] as const))(
  '%s: a reader fed mutated bytes never throws, holds no more than its limit, and says nothing after its last word',
  (_, codec, bytes) => {
    const random = seededRandom(20260101);
    const kinds = new Set<string>();
    let mostHeld = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const mutated = mutate(bytes, random, round);
      const sink = new RecordingSink(() => random(4) > 0);
      const reader = codec.open(LIMITS);
      for (let at = 0; at < mutated.length; ) {
        const size = 1 + random(round % 3 === 0 ? 3 : 200);
        // A paused owner does not read; what came with the chunk that paused is on top of the limit.
        settle(reader, sink);
        pushCopy(reader, mutated.subarray(at, at + size), sink);
        mostHeld = Math.max(mostHeld, reader.held - size);
        at += size;
      }
      sink.answer = () => true;
      reader.resume(sink);
      mostHeld = Math.max(mostHeld, reader.held);
      const last = sink.events.findIndex(([kind]) => kind === 'fail' || kind === 'ended');
      if (last >= 0) expect(last).toBe(sink.events.length - 1);
      for (const [kind] of sink.events) kinds.add(kind);
    }
    expect(mostHeld).toBeLessThanOrEqual(400);
    expect(kinds.size).toBeGreaterThan(0);
  },
);

/** Goes on until resuming has no effect: nothing complete is held any more. */
function settle(reader: Reader, sink: RecordingSink): void {
  let quiet = 0;
  while (quiet < 12) {
    const before = sink.events.length;
    reader.resume(sink);
    quiet = sink.events.length === before ? quiet + 1 : 0;
  }
}

/** Some bytes changed, dropped, doubled; the handshake is left alone in half of the rounds, so that frames are reached. */
function mutate(bytes: Buffer, random: (n: number) => number, round: number): Buffer {
  const spared = round % 2 === 0 ? Math.max(0, bytes.indexOf('\r\n\r\n') + 4) % bytes.length : 0;
  const mutated = Buffer.from(bytes);
  for (let count = random(6); count > 0; count--) {
    mutated[spared + random(mutated.length - spared)] = random(256);
  }
  const cut = spared + random(mutated.length - spared);
  switch (random(4)) {
    case 0:
      return mutated.subarray(0, cut);
    case 1:
      return Buffer.concat([mutated.subarray(0, cut), mutated.subarray(cut + 1 + random(9))]);
    case 2:
      return Buffer.concat([mutated.subarray(0, cut), mutated.subarray(Math.max(spared, cut - random(300)))]);
    default:
      return mutated;
  }
}
