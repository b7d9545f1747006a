import { Buffer } from 'node:buffer';
import { describe, expect, test } from 'vitest';
import { type Codec, customCodec, type Protocol, ProtocolError } from '../../../src/core/protocols/mod.js';
import { Arena } from '../../../src/util/mod.js';
import { encoded } from '../../support/encoded.js';
import { pushCopy, RecordingSink, readEveryWay, readWithPauses, WIDE } from '../../support/recording-sink.js';

/** One byte of length, counting itself, then text. */
const LETTERS: Protocol<string, string> = {
  name: 'letters',
  input: (buffer) => buffer[0] || -1,
  decode: (bytes) => bytes.toString('latin1', 1),
  encode: (data) => (data === '' ? '' : Buffer.from(`${String.fromCharCode(data.length + 1)}${data}`, 'latin1')),
};

function withInput(input: Protocol['input']): Codec {
  return customCodec({ input, decode: (bytes) => bytes.toString(), encode: String });
}

describe('custom protocol', () => {
  test('packages come out as what decode makes of them', () => {
    const codec = customCodec(LETTERS);
    const bytes = Buffer.from('\x02a\x04bcd\x01\x03ef\x09un');
    expect(codec.name).toBe('letters');
    const expected = ['a', 'bcd', '', 'ef'].map((value) => ['value', value]);
    expect(readEveryWay(codec, bytes)).toEqual(expected);
    expect(readWithPauses(codec, bytes)).toEqual(expected);
  });

  test('encode gives bytes or text; nothing for an empty result', () => {
    const codec = customCodec(LETTERS);
    expect(encoded(codec, 'ab')).toEqual(Buffer.from('\x03ab'));
    expect(encoded(codec, '')).toEqual(Buffer.of());
    expect(
      encoded(
        withInput(() => 0),
        'é',
      ),
    ).toEqual(Buffer.from('é'));
  });

  test('input is asked once per package once it knows the length', () => {
    let calls = 0;
    const codec = withInput((buffer) => {
      calls++;
      return buffer[0] ?? 0;
    });
    const sink = new RecordingSink();
    const reader = codec.open(WIDE);
    for (const byte of [5, 1, 2, 3, 4, 3, 1, 2]) pushCopy(reader, Buffer.of(byte), sink);
    expect(sink.events).toHaveLength(2);
    expect(calls).toBe(2);
  });

  test('input sees all there is while it can not tell', () => {
    const seen: number[] = [];
    const codec = withInput((buffer) => {
      seen.push(buffer.length);
      return buffer.length < 4 ? 0 : 4;
    });
    const sink = new RecordingSink();
    const reader = codec.open(WIDE);
    pushCopy(reader, Buffer.from('a'), sink);
    pushCopy(reader, Buffer.from('bc'), sink);
    pushCopy(reader, Buffer.from('de'), sink);
    expect(seen).toEqual([1, 3, 5, 1]);
    expect(sink.events).toEqual([['value', 'abcd']]);
  });

  test.each([
    ['negative', () => -1],
    ['not a number', () => Number.NaN],
    ['a fraction', () => 1.5],
    ['infinite', () => Number.POSITIVE_INFINITY],
    ['nothing', () => undefined as unknown as number],
    ['a text', () => '4' as unknown as number],
    ['a promise', () => Promise.resolve(4) as unknown as number],
  ])('input that answers %s is a failure', (_, input) => {
    expect(readEveryWay(withInput(input), Buffer.from('abc'))).toEqual([['fail', 'GW_PROTOCOL_INPUT', null]]);
  });

  test('what input or decode throws is a failure with a cause', () => {
    const thrown = new Error('bad magic');
    const reject = () => {
      throw thrown;
    };
    for (const [part, code] of [
      ['input', 'GW_PROTOCOL_INPUT'],
      ['decode', 'GW_PROTOCOL_DECODE'],
    ] as const) {
      const codec = customCodec({ ...LETTERS, [part]: reject });
      const sink = new RecordingSink();
      const reader = codec.open(WIDE);
      pushCopy(reader, Buffer.from('\x02a\x02b'), sink);
      pushCopy(reader, Buffer.from('\x02c'), sink);
      expect(sink.events).toEqual([['fail', code, null]]);
      expect(sink.error?.message).toBe(`letters: ${part} threw: bad magic`);
      expect(sink.error?.cause).toBe(thrown);
      expect(reader.held).toBe(0);
    }
  });

  test('what encode throws, and what it must not return, is a ProtocolError', () => {
    const codec = customCodec({
      ...LETTERS,
      encode: (data: unknown) => {
        if (data === 'throw') throw 'no';
        return data as string;
      },
    });
    for (const value of ['throw', 1, null, undefined, {}]) {
      const encode = () => codec.encode(new Arena(), value, false);
      expect(encode).toThrow(ProtocolError);
      expect(encode).toThrow(expect.objectContaining({ code: 'GW_PROTOCOL_ENCODE' }));
    }
  });

  test('a package of the limit is delivered, of one more refused as soon as its length is known', () => {
    const limits = { maxPackageSize: 10 };
    const codec = customCodec(LETTERS);
    expect(readEveryWay(codec, Buffer.from('\x0a123456789'), limits)).toEqual([['value', '123456789']]);
    expect(readEveryWay(codec, Buffer.from('\x0b'), limits)).toEqual([['fail', 'GW_PACKAGE_TOO_LARGE', null]]);
  });

  test('bytes of unknown length are held up to the limit and no further', () => {
    const limits = { maxPackageSize: 10 };
    const codec = withInput(() => 0);
    expect(readEveryWay(codec, Buffer.alloc(10), limits)).toEqual([]);
    expect(readEveryWay(codec, Buffer.alloc(11), limits)).toEqual([['fail', 'GW_PACKAGE_TOO_LARGE', null]]);
  });

  test('each connection has one context, empty at first and without a prototype', () => {
    const codec = customCodec({
      input: (buffer, { context }) => {
        context.count = Number(context.count ?? 0) + 1;
        return Math.min(buffer.length, 1);
      },
      decode: (bytes, { context }) => `${bytes}${context.count}${Object.getPrototypeOf(context)}`,
      encode: String,
    });
    const expected = ['value', 'a1null'];
    expect(readEveryWay(codec, Buffer.from('ab'))).toEqual([expected, ['value', 'b2null']]);
    expect(readEveryWay(codec, Buffer.from('a'))).toEqual([expected]);
  });
});
