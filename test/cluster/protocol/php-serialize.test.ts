import { Buffer } from 'node:buffer';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import {
  PhpArray,
  PhpFloat,
  PhpSerializeError,
  phpFloatText,
  serialize,
  serializeInto,
  type UnserializeOptions,
  unserialize,
} from '../../../src/cluster/protocol/mod.js';
import { dump, exactValue, hex, mutated, plainValue, randomOf, type Typed, vectors, written } from './support.js';

interface SerializeVector {
  name: string;
  kind: 'value' | 'accept' | 'refuse' | 'malformed';
  hex: string;
  expected: { value: Typed; reencoded_hex: string };
}

const all = vectors<SerializeVector>('php-serialize');
const ofKind = (kind: SerializeVector['kind']) => all.filter((vector) => vector.kind === kind);
const values = ofKind('value');
const accepted = ofKind('accept');

test('there are 265 cases to compare with', () => {
  expect([values.length, accepted.length, ofKind('refuse').length, ofKind('malformed').length]).toEqual([
    142, 33, 26, 64,
  ]);
});

describe.each(values)('$name', ({ hex: text, expected }) => {
  test('is read exactly, and written as it was', () => {
    expect(dump(read(hex(text), { exact: true }))).toEqual(dump(exactValue(expected.value)));
    expect(serialize(exactValue(expected.value)).toString('hex')).toBe(text);
    expect(serialize(read(hex(text), { exact: true })).toString('hex')).toBe(text);
    expect(serialize(read(hex(text), { exact: true, bytes: true })).toString('hex')).toBe(text);
    expect(written((out) => serializeInto(out, read(hex(text), { exact: true })))).toBe(text);
  });

  test('is read as plain values', () => {
    expect(read(hex(text))).toEqual(plainValue(expected.value));
  });

  test('is read in the middle of other bytes', () => {
    const around = Buffer.concat([Buffer.from('i:9;'), hex(text), Buffer.from(';}')]);
    const value = unserialize(around, 4, around.length - 2, { exact: true });
    expect(dump(value)).toEqual(dump(exactValue(expected.value)));
  });

  test('is not read when its end is missing', () => {
    const bytes = hex(text);
    for (let end = 0; end < bytes.length; end++) {
      // The bytes behind the end are still there, to be read by mistake.
      expect(() => unserialize(bytes, 0, end)).toThrow(PhpSerializeError);
    }
  });
});

test.each(accepted)('$name is read as PHP reads it', ({ hex: text, expected }) => {
  const value = read(hex(text), { exact: true });
  expect(dump(value)).toEqual(dump(exactValue(expected.value)));
  expect(serialize(value).toString('hex')).toBe(expected.reencoded_hex);
  expect(read(hex(text))).toEqual(plainValue(expected.value));
});

test.each(ofKind('refuse'))('$name is refused', ({ hex: text }) => {
  for (const options of [{}, { exact: true }]) {
    const error = errorOf(() => read(hex(text), options));
    expect([error.code, error.fields.type]).toEqual(['GW_PHP_REFUSED', expect.stringMatching(/^[OoCERr]$/)]);
  }
});

test.each(ofKind('malformed'))('$name is malformed', ({ name, hex: text }) => {
  for (const options of [{}, { exact: true }]) {
    const { code } = errorOf(() => read(hex(text), options));
    expect(code).toBe(name === 'malformed-too-deep' ? 'GW_PHP_LIMIT' : 'GW_PHP_MALFORMED');
  }
});

describe('limits of reading', () => {
  const nested = (depth: number) => Buffer.from(`${'a:1:{i:0;'.repeat(depth)}N;${'}'.repeat(depth)}`);

  test('nesting: 512 levels are read and 513 refused, or as many as the option says', () => {
    expect(() => read(nested(512))).not.toThrow();
    expect(errorOf(() => read(nested(513))).fields).toEqual({ what: 'depth', limit: 512 });
    expect(() => read(nested(3), { maxDepth: 3 })).not.toThrow();
    expect(errorOf(() => read(nested(4), { maxDepth: 3 })).code).toBe('GW_PHP_LIMIT');
  });

  test('nesting: never deeper than 1024, whatever the option says', () => {
    for (const exact of [false, true]) {
      expect(() => read(nested(1024), { maxDepth: Number.POSITIVE_INFINITY, exact })).not.toThrow();
      expect(errorOf(() => read(nested(1025), { maxDepth: 1_000_000, exact })).code).toBe('GW_PHP_LIMIT');
    }
  });

  test('entries: as many as the option says in all arrays together', () => {
    const bytes = Buffer.from('a:2:{i:0;a:1:{i:0;N;}i:1;a:0:{}}');
    expect(() => read(bytes, { maxElements: 3 })).not.toThrow();
    expect(errorOf(() => read(bytes, { maxElements: 2 })).fields).toEqual({ what: 'elements', limit: 2 });
  });

  test('bytes: as many as the option says', () => {
    expect(read(Buffer.from('i:12;'), { maxBytes: 5 })).toBe(12);
    expect(errorOf(() => read(Buffer.from('i:12;'), { maxBytes: 4 })).fields).toEqual({ what: 'bytes', limit: 4 });
  });

  test('a count or length that the bytes left cannot hold is refused before anything is made of it', () => {
    const claims = [
      'a:99999999:{',
      's:99999999:"',
      'S:99999999:"',
      'a:9999999999999999999999999:{',
      'a:2000000000000:{i:0;N;}',
    ];
    for (const claim of claims) expect(errorOf(() => read(Buffer.from(claim))).code).toBe('GW_PHP_MALFORMED');
    expect(errorOf(() => read(Buffer.from(`i:${'9'.repeat(2_000_000)}`))).code).toBe('GW_PHP_MALFORMED');
    expect(read(Buffer.from(`i:${'9'.repeat(2_000_000)};`))).toBe(9223372036854775807n);
    expect(read(Buffer.from(`i:-${'0'.repeat(2_000_000)}12;`))).toBe(-12);
  });
});

describe('reading', () => {
  test('gives strings always as Buffers when told to, and copies', () => {
    const bytes = Buffer.from('a:2:{i:0;s:2:"hi";s:1:"k";S:2:"\\68i";}');
    const value = read(bytes, { bytes: true });
    bytes.fill(0);
    expect(value).toEqual({ 0: Buffer.from('hi'), k: Buffer.from('hi') });
  });

  test('makes __proto__ a property of its own', () => {
    const value = read(Buffer.from('a:1:{s:9:"__proto__";a:1:{s:8:"polluted";b:1;}}')) as Record<string, unknown>;
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect(Object.keys(value)).toEqual(['__proto__']);
    expect(value.polluted).toBeUndefined();
    expect(serialize(value).toString()).toBe('a:1:{s:9:"__proto__";a:1:{s:8:"polluted";b:1;}}');
  });

  test('keeps the first place and the last value of a repeated key, in a list too', () => {
    expect(read(Buffer.from('a:3:{i:0;i:1;i:1;i:2;i:0;i:3;}'))).toEqual([3, 2]);
    expect(read(Buffer.from('a:4:{i:0;i:1;i:2;i:2;i:0;i:3;s:1:"2";N;}'))).toEqual({ 0: 3, 2: null });
  });

  test('takes the replacement character for what it is, and other bytes for bytes', () => {
    expect(read(Buffer.from('s:3:"\ufffd";'))).toBe('\ufffd');
    expect(read(Buffer.from('s:1:"\xff";', 'latin1'))).toEqual(Buffer.from([0xff]));
  });

  test('answers mutated bytes with a value or a typed error, equal in both modes', () => {
    const random = randomOf(42);
    for (let round = 0; round < 8000; round++) {
      const bytes = mutated(hex(all[random(all.length - 1)]!.hex), random);
      const outcomes = [{}, { exact: true }, { bytes: true }].map((options) => attempt(() => read(bytes, options)));
      expect(outcomes.map(({ error }) => error?.code)).toEqual(Array(3).fill(outcomes[0]!.error?.code));
      for (const { error } of outcomes) if (error !== undefined) expect(error).toBeInstanceOf(PhpSerializeError);
      if (outcomes[1]!.error !== undefined) continue;
      // What could be read is written in its normal form, which reads as the same.
      const again = serialize(outcomes[1]!.value);
      expect(dump(read(again, { exact: true }))).toEqual(dump(outcomes[1]!.value));
    }
  });
});

describe('writing', () => {
  const written = (value: unknown) => serialize(value).toString();

  test('numbers: safe integers as integers, others as floats', () => {
    expect(written([0, -1, 2147483647, 2147483648, Number.MAX_SAFE_INTEGER, -Number.MAX_SAFE_INTEGER])).toBe(
      'a:6:{i:0;i:0;i:1;i:-1;i:2;i:2147483647;i:3;i:2147483648;i:4;i:9007199254740991;i:5;i:-9007199254740991;}',
    );
    expect(written([0.5, -0, 2 ** 53, 1e17, Number.NaN])).toBe(
      'a:5:{i:0;d:0.5;i:1;d:-0;i:2;d:9007199254740992;i:3;d:1.0E+17;i:4;d:NAN;}',
    );
    expect(written(new PhpFloat(3))).toBe('d:3;');
    for (const value of [9, 10, 99, 100, 101, 999_999_999, 1_000_000_000]) expect(written(value)).toBe(`i:${value};`);
  });

  test('bigints as integers, within 64 bits', () => {
    expect(written([5n, 2n ** 63n - 1n, -(2n ** 63n)])).toBe(
      'a:3:{i:0;i:5;i:1;i:9223372036854775807;i:2;i:-9223372036854775808;}',
    );
    for (const value of [2n ** 63n, -(2n ** 63n) - 1n])
      expect(errorOf(() => serialize(value)).code).toBe('GW_PHP_UNSUPPORTED');
  });

  test('strings with their length in bytes', () => {
    for (const length of [0, 1, 9, 10, 47, 48, 49, 1000]) {
      for (const unit of ['x', 'é', '🎈']) {
        const text = 'x'.repeat(length) + unit;
        expect(written(text)).toBe(`s:${Buffer.byteLength(text)}:"${text}";`);
      }
    }
    expect(written('\ud800')).toBe('s:3:"\ufffd";');
    expect(serialize(Buffer.from([0xff, 0x22])).toString('latin1')).toBe('s:2:"\xff"";');
    expect(written(new Uint8Array([65, 66]))).toBe('s:2:"AB";');
    const large = 'y'.repeat(3_000_000);
    expect(written([large, 1])).toBe(`a:2:{i:0;s:3000000:"${large}";i:1;i:1;}`);
  });

  test('objects and Maps with the keys PHP would have', () => {
    expect(written({ b: 1, 5: 2, '05': 3, '-5': 4, '-0': 5, '9223372036854775808': 6 })).toBe(
      'a:6:{i:5;i:2;s:1:"b";i:1;s:2:"05";i:3;i:-5;i:4;s:2:"-0";i:5;s:19:"9223372036854775808";i:6;}',
    );
    const map = new Map<unknown, unknown>([
      ['5', 'a'],
      ['x', 1],
      [5, 'b'],
      [7n, undefined],
      [Buffer.from([255]), null],
    ]);
    expect(serialize(map).toString('latin1')).toBe('a:3:{i:5;s:1:"b";s:1:"x";i:1;s:1:"\xff";N;}');
    expect(written(Object.assign(Object.create(null), { a: true }))).toBe('a:1:{s:1:"a";b:1;}');
    expect(written(runInNewContext('({ a: [1] })'))).toBe('a:1:{s:1:"a";a:1:{i:0;i:1;}}');
  });

  test('undefined: left out of objects, null in lists', () => {
    expect(written({ a: undefined, b: { c: undefined }, d: 1 })).toBe('a:2:{s:1:"b";a:0:{}s:1:"d";i:1;}');
    expect(written({ a: 1, __proto__: undefined })).toBe('a:1:{s:1:"a";i:1;}');
    expect(written([undefined, 1])).toBe('a:2:{i:0;N;i:1;i:1;}');
  });

  test('everything else is an error with a code', () => {
    const others = [undefined, () => 1, Symbol('x'), new Date(0), new Set(), new (class Thing {})(), Promise.resolve()];
    for (const value of others) {
      expect(errorOf(() => serialize(value)).code).toBe('GW_PHP_UNSUPPORTED');
      if (value !== undefined) expect(errorOf(() => serialize({ deep: [value] })).code).toBe('GW_PHP_UNSUPPORTED');
    }
    for (const key of [1.5, {}, true, 2n ** 63n]) {
      expect(errorOf(() => serialize(new Map([[key, 1]]))).code).toBe('GW_PHP_UNSUPPORTED');
    }
  });

  test('512 levels are written; 513, and a cycle, are an error', () => {
    const nested = (depth: number) => {
      let value: unknown = 1;
      for (let level = 0; level < depth; level++) value = level % 2 === 0 ? [value] : { a: value };
      return value;
    };
    expect(() => serialize(nested(512))).not.toThrow();
    expect(errorOf(() => serialize(nested(513))).code).toBe('GW_PHP_LIMIT');
    const cycle: Record<string, unknown> = {};
    cycle.self = cycle;
    expect(errorOf(() => serialize(cycle)).code).toBe('GW_PHP_LIMIT');
    const array = new PhpArray();
    array.set('self', array);
    expect(errorOf(() => serialize(array)).code).toBe('GW_PHP_LIMIT');
  });

  test('may be called by a getter of the value being written', () => {
    const value = {
      before: 'before',
      get inner() {
        return serialize({ deep: 'x'.repeat(10_000) }).length;
      },
      after: 'after',
    };
    expect(written(value)).toBe('a:3:{s:6:"before";s:6:"before";s:5:"inner";i:10028;s:5:"after";s:5:"after";}');
  });

  test('goes on after an error as if nothing had been', () => {
    expect(() => serialize(['x', Symbol('y')])).toThrow();
    expect(written('z')).toBe('s:1:"z";');
  });
});

describe('PhpArray', () => {
  test('finds a key as PHP does, and keeps its place', () => {
    const array = new PhpArray();
    array.set('b', 1);
    array.set('5', 2);
    array.set(5, 3);
    array.set(Buffer.from('b'), 4);
    array.set(Buffer.from([0xff]), 5);
    expect(dump(array)).toEqual({
      entries: [
        ['b', 4],
        [5, 3],
        [{ hex: 'ff' }, 5],
      ],
    });
    expect([array.get(5n), array.get('5'), array.get(Buffer.from([0xff])), array.get('c'), array.size]).toEqual([
      3,
      3,
      5,
      undefined,
      3,
    ]);
    expect([array.has(-0), array.has('5'), array.has('05')]).toEqual([false, true, false]);
  });

  test('appends under the next integer until there is none', () => {
    const array = new PhpArray();
    array.set(-7, 'a');
    array.append('b');
    array.set(9, 'c');
    array.append('d');
    expect([...array].map(([key]) => key)).toEqual([-7, 0, 9, 10]);
    array.set(9223372036854775806n, 'e');
    expect([array.append('f'), array.append('g')]).toEqual([true, false]);
    expect([...array].at(-1)).toEqual([9223372036854775807n, 'f']);
  });
});

test('floats have the text of PHP, in JSON with a small e', () => {
  const texts = [
    [1e16, '10000000000000000'],
    [1e17, '1.0e+17'],
    [1.5e-5, '1.5e-5'],
    [0.0001, '0.0001'],
  ] as const;
  for (const [value, text] of texts) {
    expect(phpFloatText(value, 'e')).toBe(text);
    expect(phpFloatText(-value)).toBe(`-${text}`.replace('e', 'E'));
  }
});

function read(bytes: Buffer, options: UnserializeOptions = {}): unknown {
  return unserialize(bytes, 0, bytes.length, options);
}

function attempt(run: () => unknown): { value?: unknown; error?: PhpSerializeError } {
  try {
    return { value: run() };
  } catch (error) {
    return { error: error as PhpSerializeError };
  }
}

function errorOf(run: () => unknown): PhpSerializeError {
  const { error } = attempt(run);
  expect(error).toBeInstanceOf(PhpSerializeError);
  return error as PhpSerializeError;
}
