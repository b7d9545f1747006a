import { Buffer } from 'node:buffer';
import { describe, expect, test } from 'vitest';
import { tcpCodec } from '../../../src/core/protocols/mod.js';
import { Arena } from '../../../src/util/mod.js';
import { encoded } from '../../support/encoded.js';
import { pushCopy, RecordingSink, read, WIDE } from '../../support/recording-sink.js';

describe('tcp', () => {
  test('each chunk is a message', () => {
    const sink = read(tcpCodec, [Buffer.from('ab\n'), Buffer.of(), Buffer.from('c')]);
    expect(sink.events).toEqual([
      ['message', 'ab\n', true],
      ['message', 'c', true],
    ]);
  });

  test('a message is decoded to a Buffer of its own', () => {
    const chunk = Buffer.from('xhellox');
    const message = tcpCodec.decode(chunk, 1, 6, true);
    chunk.fill(0);
    expect(message).toEqual(Buffer.from('hello'));
    expect(tcpCodec.decode(Buffer.from('é'), 0, 2, false)).toEqual(Buffer.from('é'));
  });

  test('what comes during a pause is held and delivered by resume', () => {
    const sink = new RecordingSink(() => false);
    const reader = tcpCodec.open(WIDE);
    pushCopy(reader, Buffer.from('one'), sink);
    pushCopy(reader, Buffer.from('two'), sink);
    pushCopy(reader, Buffer.from('three'), sink);
    expect(sink.messages).toEqual(['one']);
    expect(reader.held).toBe(8);
    reader.resume(sink);
    expect(sink.messages).toEqual(['one', 'twothree']);
    expect(reader.held).toBe(0);
  });

  test('writes bytes and text as they are, and scalars as text', () => {
    expect(encoded(tcpCodec, Buffer.of(0, 255))).toEqual(Buffer.of(0, 255));
    expect(encoded(tcpCodec, new Uint8Array([1, 2]).buffer)).toEqual(Buffer.of(1, 2));
    expect(encoded(tcpCodec, new DataView(new Uint8Array([1, 2, 3]).buffer, 1))).toEqual(Buffer.of(2, 3));
    expect(encoded(tcpCodec, 'héllo 😀')).toEqual(Buffer.from('héllo 😀'));
    expect(encoded(tcpCodec, '')).toEqual(Buffer.of());
    expect(encoded(tcpCodec, 12.5)).toEqual(Buffer.from('12.5'));
    expect(encoded(tcpCodec, 7n)).toEqual(Buffer.from('7'));
    expect(encoded(tcpCodec, true)).toEqual(Buffer.from('true'));
  });

  test.each([null, undefined, {}, [], () => 1, Symbol('s')])('refuses to send %s', (value) => {
    expect(() => tcpCodec.encode(new Arena(), value, false)).toThrow(
      expect.objectContaining({ code: 'GW_VALUE_UNSENDABLE' }),
    );
  });

  test('texts of every length and width are appended whole, also at the end of a slab', () => {
    const out = new Arena();
    for (const letter of ['a', 'é', '€', '😀', '\ud800']) {
      for (const length of [1, 8, 23, 24, 25, 200, 4095, 4096, 4097, 100_000]) {
        const text = letter.repeat(length);
        const start = out.buffer.length - out.offset < Buffer.byteLength(text) ? 0 : out.offset;
        const slab = out.buffer;
        tcpCodec.encode(out, text, false);
        const from = out.buffer === slab ? start : 0;
        expect(out.buffer.subarray(from, out.offset).equals(Buffer.from(text))).toBe(true);
      }
    }
  });
});
