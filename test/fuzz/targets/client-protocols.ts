import { Buffer } from 'node:buffer';
import { deflateRawSync } from 'node:zlib';
import { webSocketRequestOf } from '../../../src/cluster/business/web-socket-request.js';
import { websocketConnectBody } from '../../../src/cluster/protocol/mod.js';
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
import { Arena } from '../../../src/util/mod.js';
import { vectors } from '../../cluster/protocol/support.js';
import { clientFrame, request, SAMPLE_REQUEST } from '../../support/client-frames.js';
import { encoded } from '../../support/encoded.js';
import { pushCopy, RecordingSink, type SinkEvent } from '../../support/recording-sink.js';
import { cut, type Random, type Target } from '../target.js';
import { comparedWithWs } from './compared-with-ws.js';

/** Small, so that mutations reach them. */
const LIMITS: CodecLimits = { maxPackageSize: 2000, maxHandshakeSize: 1000, maxFragments: 8 };
const LARGEST_CHUNK = 65_536;

/** One for all: making one takes longer than a case. */
const arena = new Arena();

const lengthByte = customCodec({
  input: (buffer) => buffer[0] ?? 0,
  decode: (bytes) => bytes.toString('latin1'),
  encode: String,
});

const HANDSHAKE = request();
const OFFER = request([...SAMPLE_REQUEST, 'Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=10']);

const frames = [
  [clientFrame(1, 'hello'), clientFrame(9, 'ping'), clientFrame(2, Buffer.alloc(300, 0xee))],
  [clientFrame(1, 'κόσμε', { fin: false }), clientFrame(10, 'pong'), clientFrame(0, '😀'.repeat(40))],
  [clientFrame(1, 'a'.repeat(126)), clientFrame(8, '\x03\xe8bye'), clientFrame(1, 'late')],
  [clientFrame(2, Buffer.alloc(126, 1)), clientFrame(8)],
  [clientFrame(1, 'x', { fin: false }), clientFrame(0, '', { fin: false }), clientFrame(0, 'y')],
].map((list) => Buffer.concat(list));

const deflated = ['Hello', '😀'.repeat(50), 'x'.repeat(1500), ''].map((text) => {
  const bytes = deflateRawSync(text, { finishFlush: 2 });
  return bytes.subarray(0, bytes.length - 4);
});
const deflatedFrames = [
  ...frames,
  ...deflated.map((payload) => clientFrame(1, payload, { rsv: 4 })),
  Buffer.concat([
    clientFrame(1, deflated[1]!.subarray(0, 3), { rsv: 4, fin: false }),
    clientFrame(9, 'ping'),
    clientFrame(0, deflated[1]!.subarray(3)),
  ]),
];

const deflateCodec = websocketDeflateCodec(PER_MESSAGE_DEFLATE_DEFAULTS);

const requests = [
  HANDSHAKE,
  OFFER,
  request([
    ...SAMPLE_REQUEST,
    'Sec-WebSocket-Extensions: x-other; a="b\\"c", permessage-deflate; client_max_window_bits',
  ]),
  request([...SAMPLE_REQUEST, 'Cookie: a=1; b=2', 'Cookie: c=3', 'X-Many: 1', 'X-Many: 2']),
  ...vectors<{ request: { hex: string } }>('websocket-connect').map(({ request: { hex } }) => Buffer.from(hex, 'hex')),
];

export const CLIENT_PROTOCOLS: readonly Target[] = [
  { name: 'tcp', seeds: [Buffer.from('any bytes at all')], run: (bytes, random) => void read(tcpCodec, bytes, random) },
  {
    name: 'text',
    seeds: [Buffer.from('one\ntwo\r\n\n'), Buffer.from(`${'long '.repeat(300)}\r\n`)],
    run: (bytes, random) => comesBack(textCodec, read(textCodec, bytes, random)),
  },
  {
    name: 'frame',
    seeds: [Buffer.from('0000000573000000040000000661620000000568', 'hex'), encoded(frameCodec, 'x'.repeat(1000))],
    run: (bytes, random) => comesBack(frameCodec, read(frameCodec, bytes, random)),
  },
  {
    name: 'custom',
    seeds: [Buffer.from('\x02a\x05bcde\x01\x03fg')],
    run: (bytes, random) => void read(lengthByte, bytes, random),
  },
  { name: 'handshake', seeds: requests, run: handshake },
  {
    name: 'websocket',
    seeds: frames,
    run: (bytes, random) => {
      const events = read(websocketCodec, Buffer.concat([HANDSHAKE, bytes]), random);
      return comparedWithWs(bytes, events, LIMITS, false);
    },
  },
  {
    name: 'websocket-deflate',
    seeds: deflatedFrames,
    run: (bytes, random) => {
      const events = read(deflateCodec, Buffer.concat([OFFER, bytes]), random);
      // Theirs inflates in a thread of its own, which takes far longer than all the rest.
      return random(4) === 0 ? comparedWithWs(bytes, events, LIMITS, true) : undefined;
    },
  },
];

/**
 * Whole and in pieces, with pauses between: says the same, holds no more than its limit, and nothing after its last word.
 *
 * @returns what it said
 */
function read(codec: Codec, bytes: Buffer, random: Random): readonly SinkEvent[] {
  const whole = new RecordingSink();
  pushCopy(codec.open(LIMITS), bytes, whole);
  checkLastWord(whole.events);
  const pausing = random(2) === 0;
  const pieces = new RecordingSink((event) => event[0] === 'handshake' || !pausing || random(4) > 0);
  const reader = codec.open(LIMITS);
  for (const piece of cut(bytes, random)) {
    pushCopy(reader, piece, pieces);
    settle(reader, pieces);
    if (reader.held > LIMITS.maxPackageSize) throw new Error(`${reader.held} bytes are held`);
  }
  checkLastWord(pieces.events);
  // Messages of tcp are what one read returns.
  const [said, expected] = [pieces.events, whole.events].map((events) =>
    codec === tcpCodec ? joined(events) : JSON.stringify(events),
  );
  if (said !== expected) throw new Error(`in pieces: ${said}\nwhole: ${expected}`);
  return whole.events;
}

/** What a paused reader holds is read before more comes, as its owner does, which does not read while it is paused. */
function settle(reader: Reader, sink: RecordingSink): void {
  const { answer } = sink;
  sink.answer = () => true;
  reader.resume(sink);
  sink.answer = answer;
}

function checkLastWord(events: readonly SinkEvent[]): void {
  const last = events.findIndex(([kind]) => kind === 'fail' || kind === 'ended');
  if (last >= 0 && last < events.length - 1)
    throw new Error(`said more after its last word: ${JSON.stringify(events)}`);
}

function joined(events: readonly SinkEvent[]): string {
  return events.map(([, text]) => text).join('');
}

/** What was read, written again and read again. */
function comesBack(codec: Codec, events: readonly SinkEvent[]): void {
  const messages = events.flatMap(([kind, text]) => (kind === 'message' ? [text as string] : []));
  const again = new RecordingSink();
  const reader = codec.open({ maxPackageSize: LARGEST_CHUNK * 2 });
  for (const message of messages) {
    arena.offset = 0;
    codec.encode(arena, Buffer.from(message, 'latin1'), true);
    pushCopy(reader, arena.buffer.subarray(0, arena.offset), again);
  }
  if (JSON.stringify(again.messages) !== JSON.stringify(messages)) {
    throw new Error(`${JSON.stringify(messages)} came back as ${JSON.stringify(again.messages)}`);
  }
}

/** A request that is taken makes an event that a worker can read. */
function handshake(bytes: Buffer, random: Random): void {
  read(websocketCodec, bytes, random);
  const sink = new RecordingSink();
  pushCopy(deflateCodec.open(LIMITS), bytes, sink);
  for (const { method, uri, protocol, headers } of sink.requests) {
    const peer = { remoteAddress: '127.0.0.1', remotePort: 40_000, serverPort: 8282 };
    const { uri: back } = webSocketRequestOf(websocketConnectBody({ method, uri, protocol, headers, ...peer }));
    const text = Buffer.from(uri, 'latin1');
    if (back !== text.toString() && back !== uri) throw new Error(`the uri ${uri} arrived as ${back}`);
  }
}
