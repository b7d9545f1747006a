import { Buffer } from 'node:buffer';
import { describe, expect, test } from 'vitest';
import { textCodec } from '../../../src/core/protocols/mod.js';
import { Arena } from '../../../src/util/mod.js';
import { encoded } from '../../support/encoded.js';
import { pushCopy, RecordingSink, read, readEveryWay, readWithPauses, WIDE } from '../../support/recording-sink.js';

function lines(text: string, maxPackageSize = WIDE.maxPackageSize): unknown[] {
  return readEveryWay(textCodec, Buffer.from(text, 'latin1'), { maxPackageSize }).map((event) => event[1]);
}

describe('text', () => {
  test.each([
    ['a line', 'hello\n', ['hello']],
    ['all CRs at the end stripped', 'a\r\r\n', ['a']],
    ['a CR inside kept', 'a\rb\r\n', ['a\rb']],
    ['empty lines', '\n\r\n\n', ['', '', '']],
    ['an unfinished line waits', 'a\nbc', ['a']],
    ['long lines', `${'x'.repeat(200)}\n${'y'.repeat(300)}\r\nz\n`, ['x'.repeat(200), 'y'.repeat(300), 'z']],
  ])('%s', (_, bytes, expected) => {
    expect(lines(bytes)).toEqual(expected);
  });

  test('the limit counts the newline: n is delivered, n + 1 refused', () => {
    expect(lines(`${'a'.repeat(19)}\n`, 20)).toEqual(['a'.repeat(19)]);
    expect(lines(`${'a'.repeat(20)}\n`, 20)).toEqual(['GW_PACKAGE_TOO_LARGE']);
    expect(lines('a'.repeat(20), 20)).toEqual([]);
    expect(lines('a'.repeat(21), 20)).toEqual(['GW_PACKAGE_TOO_LARGE']);
  });

  test('many small packages in one read are no large package', () => {
    expect(lines('ab\n'.repeat(50), 20)).toEqual(Array(50).fill('ab'));
  });

  test('after a failure nothing more comes out and nothing is held', () => {
    const sink = new RecordingSink();
    const reader = textCodec.open({ maxPackageSize: 3 });
    pushCopy(reader, Buffer.from('ok\nlong'), sink);
    pushCopy(reader, Buffer.from('\na\n'), sink);
    reader.resume(sink);
    expect(sink.events).toEqual([
      ['message', 'ok', false],
      ['fail', 'GW_PACKAGE_TOO_LARGE', null],
    ]);
    expect(reader.held).toBe(0);
  });

  test('a pause in the middle of a chunk holds the rest until resume', () => {
    const sink = new RecordingSink((event) => event[1] !== 'b');
    const reader = textCodec.open(WIDE);
    pushCopy(reader, Buffer.from('a\nb\nc\nd'), sink);
    pushCopy(reader, Buffer.from('e\nf\ng'), sink);
    expect(sink.messages).toEqual(['a', 'b']);
    expect(reader.held).toBe(8);
    reader.resume(sink);
    expect(sink.messages).toEqual(['a', 'b', 'c', 'de', 'f']);
    pushCopy(reader, Buffer.from('h\n'), sink);
    expect(sink.messages.at(-1)).toBe('gh');
    expect(reader.held).toBe(0);
  });

  test('pausing after every line loses and repeats nothing', () => {
    expect(readWithPauses(textCodec, Buffer.from('a\nb\n\nc\nrest')).map((event) => event[1])).toEqual([
      'a',
      'b',
      '',
      'c',
    ]);
  });

  test('a sink may resume during its call', () => {
    const reader = textCodec.open(WIDE);
    const sink: RecordingSink = new RecordingSink(() => {
      reader.resume(sink);
      return true;
    });
    pushCopy(reader, Buffer.from('a\nb\n'), sink);
    expect(sink.messages).toEqual(['a', 'b']);
  });

  test('a long line that comes byte by byte is searched once', () => {
    const reader = textCodec.open(WIDE);
    const sink = new RecordingSink();
    const byte = Buffer.from('a');
    const started = performance.now();
    for (let count = 0; count < 1_000_000; count++) reader.push(byte, sink);
    reader.push(Buffer.from('\n'), sink);
    // Searching from the beginning each time would take minutes.
    expect(performance.now() - started).toBeLessThan(10_000);
    expect(sink.messages[0]?.length).toBe(1_000_000);
  });

  test('encodes with a newline; decodes to a string, or to bytes when asked', () => {
    expect(encoded(textCodec, 'hé')).toEqual(Buffer.from('hé\n'));
    expect(encoded(textCodec, Buffer.from('x'))).toEqual(Buffer.from('x\n'));
    expect(encoded(textCodec, 5)).toEqual(Buffer.from('5\n'));
    expect(encoded(textCodec, 'é'.repeat(5000))).toEqual(Buffer.from(`${'é'.repeat(5000)}\n`));
    expect(textCodec.decode(Buffer.from('xhéx'), 1, 4, false)).toBe('hé');
    expect(textCodec.decode(Buffer.from('xhx'), 1, 2, true)).toEqual(Buffer.from('h'));
    expect(() => textCodec.encode(new Arena(), {}, false)).toThrow(
      expect.objectContaining({ code: 'GW_VALUE_UNSENDABLE', fields: { protocol: 'text', type: 'object' } }),
    );
  });

  test('what it encodes it reads', () => {
    expect(read(textCodec, [encoded(textCodec, 'one'), encoded(textCodec, 'two')]).messages).toEqual(['one', 'two']);
  });
});
