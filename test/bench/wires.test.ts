import { Buffer } from 'node:buffer';
import { describe, expect, it } from 'vitest';
// @ts-expect-error: plain JavaScript, without types.
import { WIRES } from '../../bench/macro/load/wires.mjs';

const NOTHING = Buffer.alloc(0);

/** What a scan needs of a connection, and what it told it. */
class Reader {
  left = 0;
  rest: Buffer | null = null;
  counts = false;
  readonly expected: Buffer;
  readonly others: string[] = [];
  readonly checked: string[] = [];

  constructor(expected: Buffer) {
    this.expected = expected;
  }

  check(bytes: Buffer, start: number, end: number): void {
    this.checked.push(bytes.toString('latin1', start, end));
  }

  other(opcode: number, bytes: Buffer, start: number, end: number): void {
    this.others.push(`${opcode} ${bytes.toString('latin1', start, end)}`);
  }
}

function serverFrame(payload: string, opcode = 1): Buffer {
  const { length } = payload;
  const head =
    length < 126 ? [length] : length < 65_536 ? [126, length >> 8, length & 255] : [127, 0, 0, 0, 0, 0, 1, 0, 0];
  return Buffer.concat([Buffer.from([0x80 | opcode, ...head]), Buffer.from(payload)]);
}

/** Reads the bytes in pieces that end at the offsets, as a connection does; answers with how many messages were counted. */
function read(wire: string, reader: Reader, bytes: Buffer, offsets: readonly number[]): number {
  let from = 0;
  let messages = 0;
  for (const to of [...offsets, bytes.length]) {
    const piece = Buffer.concat([reader.rest ?? NOTHING, bytes.subarray(from, to)]);
    reader.rest = null;
    messages += WIRES[wire].scan(reader, piece, piece.length);
    from = to;
  }
  return messages;
}

const SHORT = 'e'.padEnd(64, 'x');
const MIDDLE = 'e'.padEnd(300, 'x');
const LONG = 'e'.padEnd(65_536, 'x');

describe('the load', () => {
  it.each([
    ['websocket', SHORT, [serverFrame('', 9), serverFrame(SHORT), serverFrame('!'), serverFrame(SHORT)], ['9 ', '1 !']],
    ['websocket', MIDDLE, [serverFrame(MIDDLE), serverFrame('p', 9), serverFrame(MIDDLE)], ['9 p']],
    ['text', SHORT, [SHORT, '\n!\n', SHORT, '\n'].map((text) => Buffer.from(text)), ['1 !']],
  ])('counts messages of %s wherever a read ends', (wire, message, parts, others) => {
    const bytes = Buffer.concat(parts);
    for (let first = 0; first <= bytes.length; first++) {
      const second = Math.min(bytes.length, first + 3);
      const reader = new Reader(WIRES[wire].expected(message));
      expect(read(wire, reader, bytes, [first, second]), `split at ${first}`).toBe(2);
      expect(reader.others, `split at ${first}`).toEqual(others);
      for (const piece of reader.checked) expect(reader.expected.toString()).toContain(piece);
    }
  });

  it('counts messages that are longer than a read', () => {
    const bytes = Buffer.concat([serverFrame(LONG), serverFrame(LONG)]);
    const reader = new Reader(WIRES.websocket.expected(LONG));
    expect(read('websocket', reader, bytes, [1, 3, 9, 11, 30_000, 65_547, 65_550, 65_560])).toBe(2);
    expect(reader.left).toBe(0);
  });

  it('answers an empty ping also before it expects any message', () => {
    const reader = new Reader(NOTHING);
    expect(read('websocket', reader, serverFrame('', 9), [])).toBe(0);
    expect(reader.others).toEqual(['9 ']);
  });

  it('masks what it sends with a mask that is not zero', () => {
    const frame: Buffer = WIRES.websocket.frame(SHORT);
    const mask = frame.subarray(2, 6);
    expect([...mask]).not.toContain(0);
    expect(frame.subarray(6).map((byte, index) => byte ^ (mask[index % 4] ?? 0))).toEqual(Buffer.from(SHORT));
  });

  it('does not count messages of another length', () => {
    const reader = new Reader(WIRES.websocket.expected(SHORT));
    expect(read('websocket', reader, Buffer.concat([serverFrame(`${SHORT}xx`), serverFrame(MIDDLE)]), [20, 100])).toBe(
      0,
    );
  });
});
