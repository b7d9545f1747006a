import { Buffer } from 'node:buffer';
import type { EventEmitter } from 'node:events';
import { createRequire } from 'node:module';
import type { Writable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { CLOSE_CODE, websocketCodec } from '../../../../src/core/protocols/mod.js';
import { Arena } from '../../../../src/util/mod.js';
import { encoded, written } from '../../../support/encoded.js';
import { pushCopy, RecordingSink } from '../../../support/recording-sink.js';
import { openReader } from '../../../support/websocket-events.js';

interface WsSender {
  send(data: string | Buffer, options: Readonly<Record<string, boolean>>): void;
  ping(data: string, mask: boolean, done: () => void): void;
  close(code: number, reason: string, mask: boolean, done: () => void): void;
}

// Their types are not published.
const { Receiver, Sender } = createRequire(import.meta.url)('ws') as {
  Receiver: new (options: object) => Writable & EventEmitter;
  Sender: new (socket: object) => WsSender;
};

/** What the `ws` package makes of frames. */
async function understoodByWs(frames: Buffer): Promise<unknown[]> {
  const receiver = new Receiver({ isServer: false, allowSynchronousEvents: true });
  const seen: unknown[] = [];
  receiver.on('message', (data: Buffer, isBinary: boolean) =>
    seen.push([Buffer.from(data).toString('latin1'), isBinary]),
  );
  receiver.on('ping', (data: Buffer) => seen.push(['ping', data.toString()]));
  receiver.on('conclude', (code: number, reason: Buffer) => seen.push(['close', code, reason.toString()]));
  await new Promise((resolve, reject) => {
    receiver.on('error', reject);
    receiver.write(frames, resolve);
  });
  return seen;
}

describe('WebSocket frames out', () => {
  test.each([
    ['nine bytes', 'text here', '8109'],
    ['125 bytes', 'x'.repeat(125), '817d'],
    ['126 bytes', 'x'.repeat(126), '817e007e'],
    ['200 bytes', 'x'.repeat(200), '817e00c8'],
    ['65535 bytes', 'x'.repeat(65535), '817effff'],
    ['70000 bytes', 'x'.repeat(70000), '817f0000000000011170'],
    ['an empty text', '', '8100'],
  ])('%s', (_, text, header) => {
    expect(encoded(websocketCodec, text)).toEqual(Buffer.concat([Buffer.from(header, 'hex'), Buffer.from(text)]));
    const bytes = Buffer.from(text);
    const binary = Buffer.concat([Buffer.from(header.replace(/^81/, '82'), 'hex'), bytes]);
    expect(encoded(websocketCodec, bytes, true)).toEqual(binary);
  });

  test('bytes leave as text or binary as the flag says, a string always as text', () => {
    expect(encoded(websocketCodec, Buffer.from('hi'), false)).toEqual(Buffer.from('\x81\x02hi', 'latin1'));
    expect(encoded(websocketCodec, new Uint8Array([0xff]), true)).toEqual(Buffer.of(0x82, 1, 0xff));
    expect(encoded(websocketCodec, new Uint8Array([0xff]).buffer, true)).toEqual(Buffer.of(0x82, 1, 0xff));
    expect(encoded(websocketCodec, 'hi', true)).toEqual(Buffer.from('\x81\x02hi', 'latin1'));
  });

  test.each([
    [null, 'null'],
    [undefined, 'null'],
    [{ a: 1 }, '{"a":1}'],
    [[1, 'é'], '[1,"é"]'],
    [12.5, '12.5'],
    [false, 'false'],
  ])('%s leaves as the text %s, whatever the flag', (value, text) => {
    for (const binary of [false, true]) {
      expect(encoded(websocketCodec, value, binary)).toEqual(
        Buffer.concat([Buffer.of(0x81, Buffer.byteLength(text)), Buffer.from(text)]),
      );
    }
  });

  test('a bigint leaves as text', () => {
    expect(encoded(websocketCodec, 10n)).toEqual(Buffer.from('\x81\x0210', 'latin1'));
  });

  test('what JSON has no form for is refused and writes nothing', () => {
    const cycle: Record<string, unknown> = {};
    cycle.cycle = cycle;
    const out = new Arena();
    for (const value of [cycle, { big: 1n }, () => 1, Symbol('s')]) {
      expect(() => websocketCodec.encode(out, value, false)).toThrow(
        expect.objectContaining({ code: 'GW_VALUE_UNSENDABLE' }),
      );
    }
    expect(out.offset).toBe(0);
  });

  test('the header fits the bytes of a text, not its chars', async () => {
    const texts = ['a', 'é', '€', '😀', '\ud800'].flatMap((letter) =>
      [1, 12, 24, 25, 41, 42, 62, 63, 125, 126, 1365, 1366, 4096, 4097, 21845, 21846, 32768, 65535, 65536].map((n) =>
        letter.repeat(n),
      ),
    );
    for (const text of texts) {
      expect(await understoodByWs(encoded(websocketCodec, text))).toEqual([
        [Buffer.from(text).toString('latin1'), false],
      ]);
    }
  });

  test('frames stand one behind the other, over the end of a slab', async () => {
    const out = new Arena();
    const parts: Buffer[] = [];
    for (let index = 0; index < 100; index++) {
      const { buffer, offset } = out;
      websocketCodec.encode(out, `${index}${'€'.repeat(3000)}`, false);
      parts.push(Buffer.from(out.buffer.subarray(out.buffer === buffer ? offset : 0, out.offset)));
    }
    expect(await understoodByWs(Buffer.concat(parts))).toHaveLength(100);
  });

  test('ping and close', async () => {
    expect(written((out) => websocketCodec.encodePing?.(out))).toEqual(Buffer.of(0x89, 0));
    const close = written((out) => websocketCodec.encodeClose?.(out, CLOSE_CODE.goingAway, 'bye'));
    expect(close).toEqual(Buffer.from('\x88\x05\x03\xe9bye', 'latin1'));
    expect(await understoodByWs(close)).toEqual([['close', 1001, 'bye']]);
  });

  test('a reason is cut at 123 bytes, between two characters', async () => {
    const cut = async (reason: string) => {
      const [event] = await understoodByWs(written((out) => websocketCodec.encodeClose?.(out, 4000, reason)));
      return (event as string[])[2];
    };
    expect(await cut('x'.repeat(123))).toBe('x'.repeat(123));
    expect(await cut('x'.repeat(124))).toBe('x'.repeat(123));
    expect(await cut('😀'.repeat(40))).toBe('😀'.repeat(30));
    expect(await cut(`${'x'.repeat(121)}€€`)).toBe('x'.repeat(121));
  });

  test.each([0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 1000.5, 3000.5, Number.NaN])(
    'close code %d is not sent',
    (code) => {
      expect(() => websocketCodec.encodeClose?.(new Arena(), code, '')).toThrow(
        expect.objectContaining({ code: 'GW_WEBSOCKET_CLOSE_CODE' }),
      );
    },
  );

  test('decodes to a string, or to a Buffer of its own when binary', () => {
    const chunk = Buffer.from('xhéx');
    expect(websocketCodec.decode(chunk, 1, 4, false)).toBe('hé');
    const copy = websocketCodec.decode(chunk, 1, 4, true);
    chunk.fill(0);
    expect(copy).toEqual(Buffer.from('hé'));
  });
});

test('frames of the ws package are read', () => {
  const chunks: Buffer[] = [];
  const socket = { cork() {}, uncork() {}, write: (bytes: Buffer) => chunks.push(Buffer.from(bytes)) };
  const sender = new Sender(socket);
  const send = (data: string | Buffer, binary: boolean, fin = true) =>
    sender.send(data, { mask: true, fin, binary, compress: false });
  const long = 'é😀'.repeat(40_000);
  send('hello', false);
  send(Buffer.alloc(300, 0xfe), true);
  send(long.slice(0, 30_000), false, false);
  sender.ping('pp', true, () => {});
  send(long.slice(30_000), false);
  sender.close(4001, 'bye', true, () => {});
  const sink = new RecordingSink();
  const reader = openReader();
  for (const chunk of chunks) pushCopy(reader, chunk, sink);
  expect(sink.messages).toEqual(['hello', '\xfe'.repeat(300), Buffer.from(long).toString('latin1')]);
  expect(sink.events.slice(-2)).toEqual([
    ['write', '\x88\x02\x0f\xa1'],
    ['ended', 4001, 'bye'],
  ]);
  expect(sink.events).toContainEqual(['write', '\x8a\x02pp']);
});
