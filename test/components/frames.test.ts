import { Buffer } from 'node:buffer';
import { describe, expect, test } from 'vitest';
import { type PhpSerializeError, serialize, unserialize } from '../../src/cluster/protocol/mod.js';
import { frameCodec } from '../../src/core/protocols/mod.js';
import { type Bytes, dump, exactValue, hex, plainValue, type Typed, vectors } from '../cluster/protocol/support.js';
import { encoded } from '../support/encoded.js';
import { read, readEveryWay } from '../support/recording-sink.js';

/** What Channel and GlobalData send: a frame with a PHP-serialized value, which a Channel event follows with LF. */
interface Recorded {
  readonly hex: string;
  readonly total_length?: number;
  readonly payload: Bytes;
  /** Absent where the payload is no request, or no value at all. */
  readonly value?: Typed;
  readonly bytes_after_value?: Bytes;
}

interface Step {
  readonly do: string;
  readonly hex?: string;
  readonly received: readonly (Recorded | { readonly closed: true })[];
}

type Vector =
  | { name: string; kind: 'frame'; hex: string; expected: Omit<Recorded, 'hex'>; reply?: Recorded }
  | { name: string; kind: 'server'; expected: readonly (Step | (Step & Recorded))[] };

interface Frame extends Recorded {
  /** The vector it comes from, and which of its frames it is. */
  readonly vector: string;
  readonly title: string;
}

/** What stands in a frame without a value: no serialized value either. */
const NO_VALUE = ['', '0', 'garbage', 'ping'];

const files = ['channel', 'global-data'].map((name) => {
  const all = vectors<Vector>(name);
  return { name, count: all.length, frames: all.flatMap(framesOf) };
});

test.each(files)('of $name every vector and every frame is read', ({ name, count, frames }) => {
  expect(new Set(frames.map(({ vector }) => vector)).size).toBe(count);
  expect([name, count, frames.length]).toEqual(
    name === 'channel' ? ['channel', 53, 38 + 74 + 29] : ['global-data', 65, 50 + 50 + 53 + 55 + 3],
  );
  expect(frames.filter(({ value }) => value !== undefined)).toHaveLength(name === 'channel' ? 136 : 199);
});

test('LF stands behind the events of Channel and behind nothing else', () => {
  for (const { value, bytes_after_value: rest, title } of files.flatMap(({ frames }) => frames)) {
    if (value === undefined) continue;
    const isEvent = (plainValue(value) as { type?: unknown } | null)?.type === 'event';
    expect([title, rest?.text ?? '']).toEqual([title, isEvent ? '\n' : '']);
  }
});

describe.each(files)('$name', ({ frames }) => {
  test.each(frames)('$title is read however it is cut, and written as it was', (frame) => {
    const bytes = hex(frame.hex);
    const payload = hex(frame.payload.hex);
    expect(bytes).toHaveLength(frame.total_length ?? payload.length + 4);
    expect(readEveryWay(frameCodec, bytes)).toEqual([['message', payload.toString('latin1'), true]]);
    expect(encoded(frameCodec, payload).toString('hex')).toBe(frame.hex);

    if (frame.value !== undefined) sameValue(frame, payload, frame.value);
    else if (NO_VALUE.includes(payload.toString())) expect(errorOf(payload).code).toBe('GW_PHP_MALFORMED');
    else expect(serialize(unserialize(payload, 0, payload.length, { exact: true }))).toEqual(payload);
  });

  test('all frames are read from one stream, in pieces of any size', () => {
    const stream = Buffer.concat(frames.map((frame) => hex(frame.hex)));
    const payloads = frames.map(({ payload }) => hex(payload.hex).toString('latin1'));
    for (const size of [1, 2, 3, 5, 64, 1460, stream.length]) {
      const pieces: Buffer[] = [];
      for (let at = 0; at < stream.length; at += size) pieces.push(stream.subarray(at, at + size));
      expect(read(frameCodec, pieces).messages).toEqual(payloads);
    }
  });
});

describe.each([
  ['publish', (value: string) => `a:2:{s:4:"type";s:7:"publish";s:4:"data";${value}}`],
  ['set', (value: string) => `a:3:{s:3:"cmd";s:3:"set";s:3:"key";s:1:"k";s:5:"value";${value}}`],
])('of %s', (_, payloadWith) => {
  test.each(['O:8:"stdClass":0:{}', 'o:0:{}', 'C:11:"ArrayObject":0:{}', 'E:7:"Suit:Up";', 'R:1;', 'r:1;'])(
    'an object or reference is refused: %s',
    (value) => {
      const [event] = readEveryWay(frameCodec, encoded(frameCodec, payloadWith(value)));
      const payload = Buffer.from(String(event?.[1]), 'latin1');
      const { code, fields } = errorOf(payload);
      expect([code, fields.type]).toEqual(['GW_PHP_REFUSED', value[0]]);
    },
  );
});

function framesOf(vector: Vector): Frame[] {
  const found: Recorded[] = [];
  if (vector.kind === 'frame') {
    found.push({ hex: vector.hex, ...vector.expected });
    if (vector.reply !== undefined) found.push(vector.reply);
  } else {
    for (const step of vector.expected) {
      found.push(...sentIn(step), ...step.received.filter((received) => 'hex' in received));
    }
  }
  return found.map((frame, index) => {
    return { ...frame, vector: vector.name, title: `${vector.name} ${index + 1} of ${found.length}` };
  });
}

function sentIn(step: Step | (Step & Recorded)): Recorded[] {
  switch (step.do) {
    case 'open':
    case 'close':
      return [];
    case 'send':
      return [step as Step & Recorded];
    case 'bytes':
      return piped(step.hex ?? '');
    default:
      throw new Error(`a step of another kind: ${step.do}`);
  }
}

/** Several frames in one write, of which the vector shows nothing else. */
function piped(text: string): Recorded[] {
  const bytes = hex(text);
  const found: Recorded[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + bytes.readUInt32BE(at);
    const frame = bytes.toString('hex', at, end);
    found.push({ hex: frame, payload: { hex: frame.slice(8) } });
    at = end;
  }
  return found;
}

function sameValue(frame: Frame, payload: Buffer, value: Typed): void {
  const exact = unserialize(payload, 0, payload.length, { exact: true });
  expect(dump(exact)).toEqual(dump(exactValue(value)));
  expect(unserialize(payload)).toEqual(plainValue(value));
  const rest = hex(frame.bytes_after_value?.hex ?? '');
  for (const written of [exact, exactValue(value)]) {
    expect(encoded(frameCodec, Buffer.concat([serialize(written), rest])).toString('hex')).toBe(frame.hex);
  }
}

function errorOf(payload: Buffer): PhpSerializeError {
  try {
    unserialize(payload);
  } catch (error) {
    return error as PhpSerializeError;
  }
  throw new Error(`was accepted: ${payload}`);
}
