import { Buffer } from 'node:buffer';
import { describe, expect, test } from 'vitest';
import { frameCodec } from '../../../src/core/protocols/mod.js';
import { Arena } from '../../../src/util/mod.js';
import { encoded } from '../../support/encoded.js';
import { pushCopy, RecordingSink, readEveryWay, readWithPauses, WIDE } from '../../support/recording-sink.js';

function frame(body: string): Buffer {
  const bytes = Buffer.from(`....${body}`, 'latin1');
  bytes.writeUInt32BE(bytes.length, 0);
  return bytes;
}

describe('frame', () => {
  test('reads and writes a length that counts itself', () => {
    const bytes = Buffer.from('0000000573', 'hex');
    expect(readEveryWay(frameCodec, bytes)).toEqual([['message', 's', true]]);
    expect(encoded(frameCodec, 's')).toEqual(bytes);
    expect(encoded(frameCodec, Buffer.from('s'))).toEqual(bytes);
  });

  test('an empty body is a message', () => {
    expect(readEveryWay(frameCodec, Buffer.from('00000004', 'hex'))).toEqual([['message', '', true]]);
    expect(encoded(frameCodec, '')).toEqual(Buffer.from('00000004', 'hex'));
  });

  test('many packages, whole and unfinished', () => {
    const bytes = Buffer.concat([frame('a\n\0ÿ'), frame(''), frame('x'.repeat(300)), frame('late').subarray(0, 6)]);
    expect(readEveryWay(frameCodec, bytes)).toEqual([
      ['message', 'a\n\0ÿ', true],
      ['message', '', true],
      ['message', 'x'.repeat(300), true],
    ]);
  });

  test.each([0, 1, 2, 3])('a length of %i is an error', (length) => {
    const bytes = Buffer.concat([frame('a'), Buffer.of(0, 0, 0, length), frame('b')]);
    expect(readEveryWay(frameCodec, bytes)).toEqual([
      ['message', 'a', true],
      ['fail', 'GW_FRAME_LENGTH', null],
    ]);
  });

  test('the limit counts the header: n is delivered, n + 1 refused before its body comes', () => {
    const limits = { maxPackageSize: 100 };
    expect(readEveryWay(frameCodec, frame('x'.repeat(96)), limits)).toEqual([['message', 'x'.repeat(96), true]]);
    const header = frame('x'.repeat(97)).subarray(0, 4);
    expect(readEveryWay(frameCodec, header, limits)).toEqual([['fail', 'GW_PACKAGE_TOO_LARGE', null]]);
    expect(readEveryWay(frameCodec, Buffer.of(255, 255, 255, 255), limits)).toHaveLength(1);
  });

  test('many small packages in one read are no large package', () => {
    const bytes = Buffer.concat(Array(50).fill(frame('ab')));
    expect(readEveryWay(frameCodec, bytes, { maxPackageSize: 6 })).toHaveLength(50);
  });

  test('a pause in the middle of a chunk holds the rest until resume', () => {
    const bytes = Buffer.concat([frame('a'), frame('b'), frame('c').subarray(0, 3)]);
    const sink = new RecordingSink(() => false);
    const reader = frameCodec.open(WIDE);
    pushCopy(reader, bytes, sink);
    pushCopy(reader, frame('c').subarray(3), sink);
    expect(sink.messages).toEqual(['a']);
    expect(reader.held).toBe(10);
    reader.resume(sink);
    expect(sink.messages).toEqual(['a', 'b']);
    reader.resume(sink);
    reader.resume(sink);
    expect(sink.messages).toEqual(['a', 'b', 'c']);
    expect(reader.held).toBe(0);
    expect(readWithPauses(frameCodec, bytes).map((event) => event[1])).toEqual(['a', 'b']);
  });

  test('decodes to bytes, or to a string when asked; refuses what has neither form', () => {
    expect(frameCodec.decode(frame('é'), 4, 5, true)).toEqual(Buffer.of(0xe9));
    expect(frameCodec.decode(Buffer.from('xé'), 1, 3, false)).toBe('é');
    expect(encoded(frameCodec, 'é'.repeat(3000)).readUInt32BE(0)).toBe(6004);
    expect(() => frameCodec.encode(new Arena(), null, false)).toThrow(
      expect.objectContaining({ code: 'GW_VALUE_UNSENDABLE' }),
    );
  });
});
