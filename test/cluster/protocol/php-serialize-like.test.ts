import { Buffer } from 'node:buffer';
import { describe, expect, test } from 'vitest';
import { PhpArray, type PhpKey, serialize, serializeLike, unserialize } from '../../../src/cluster/protocol/mod.js';
import { exactValue, hex, type Typed, vectors } from './support.js';

interface SerializeVector {
  name: string;
  kind: string;
  hex: string;
  expected: { value: Typed };
}

const arrays = vectors<SerializeVector>('php-serialize')
  .filter(({ kind, expected }) => kind === 'value' && expected.value.t === 'array')
  .map((vector) => ({ ...vector, exact: exactValue(vector.expected.value) as PhpArray }));

test('there are arrays to change', () => {
  expect(arrays.length).toBeGreaterThan(40);
});

describe.each(arrays)('$name', ({ hex: text, exact }) => {
  const original = hex(text);

  test('is written as it was when nothing was changed', () => {
    expect(serializeLike(plain(original), original).toString('hex')).toBe(text);
  });

  test('keeps everything when a key is added', () => {
    const expected = new PhpArray();
    for (const [key, value] of exact) expected.set(key, value);
    expected.set('added by us', 1);
    const value = { ...plain(original), 'added by us': 1 };
    expect(serializeLike(value, original).toString('hex')).toBe(serialize(expected).toString('hex'));
  });

  test('keeps everything else when a key is changed', () => {
    for (const [changed] of exact) {
      const expected = new PhpArray();
      for (const [key, value] of exact) expected.set(key, key === changed ? 'changed' : value);
      const value = plain(original);
      value[nameOf(changed)] = 'changed';
      expect(serializeLike(value, original).toString('hex')).toBe(serialize(expected).toString('hex'));
    }
  });

  test('keeps everything else when a key is removed', () => {
    for (const [removed] of exact) {
      const expected = new PhpArray();
      for (const [key, value] of exact) if (key !== removed) expected.set(key, value);
      const value = plain(original);
      delete value[nameOf(removed)];
      expect(serializeLike(value, original).toString('hex')).toBe(serialize(expected).toString('hex'));
    }
  });

  test('is kept one level down as well', () => {
    const outer = Buffer.concat([Buffer.from('a:2:{s:1:"b";d:1;s:1:"a";'), original, Buffer.from('}')]);
    const value = unserialize(outer) as Record<string, unknown>;
    value.c = 2;
    expect(serializeLike(value, outer).toString('hex')).toBe(
      Buffer.concat([Buffer.from('a:3:{s:1:"b";d:1;s:1:"a";'), original, Buffer.from('s:1:"c";i:2;}')]).toString('hex'),
    );
  });
});

const changes: { what: string; from: string; change: (value: Record<string, unknown>) => unknown; to: string }[] = [
  {
    what: 'a float that becomes another whole number stays a float',
    from: 'a:2:{s:1:"a";d:3;s:1:"b";d:0.5;}',
    change: (value) => Object.assign(value, { a: 4, b: 1 }),
    to: 'a:2:{s:1:"a";d:4;s:1:"b";d:1;}',
  },
  {
    what: 'an infinite or huge float that becomes a whole number stays a float',
    from: 'a:3:{s:1:"a";d:INF;s:1:"b";d:NAN;s:1:"c";d:1.0E+25;}',
    change: (value) => Object.assign(value, { a: 1, b: 2, c: 3 }),
    to: 'a:3:{s:1:"a";d:1;s:1:"b";d:2;s:1:"c";d:3;}',
  },
  {
    what: 'an integer that becomes a fraction becomes a float, and one that becomes whole stays an integer',
    from: 'a:3:{i:0;d:1;s:1:"a";i:3;s:1:"b";i:3;}',
    change: (value) => Object.assign(value, { a: 0.5, b: 4 }),
    to: 'a:3:{i:0;d:1;s:1:"a";d:0.5;s:1:"b";i:4;}',
  },
  {
    what: 'an integer of 64 bits may become a small number',
    from: 'a:2:{s:1:"f";d:1;s:1:"a";i:9223372036854775807;}',
    change: (value) => Object.assign(value, { a: 1 }),
    to: 'a:2:{s:1:"f";d:1;s:1:"a";i:1;}',
  },
  {
    what: 'zero in place of minus zero loses its sign',
    from: 'a:1:{s:1:"a";d:-0;}',
    change: (value) => Object.assign(value, { a: 0 }),
    to: 'a:1:{s:1:"a";d:0;}',
  },
  {
    what: 'an item pushed onto a list of floats is written by the rule for new values',
    from: 'a:1:{s:1:"a";a:2:{i:0;d:1;i:1;d:2;}}',
    change: (value) => (value.a as number[]).push(3),
    to: 'a:1:{s:1:"a";a:3:{i:0;d:1;i:1;d:2;i:2;i:3;}}',
  },
  {
    what: 'a list from which the first item was taken keeps its form by index',
    from: 'a:1:{s:1:"a";a:2:{i:0;a:1:{s:1:"x";d:1;}i:1;a:1:{s:1:"x";d:2;}}}',
    change: (value) => (value.a as unknown[]).shift(),
    to: 'a:1:{s:1:"a";a:1:{i:0;a:1:{s:1:"x";d:2;}}}',
  },
  {
    what: 'a list in the place of a map is written as a list',
    from: 'a:1:{s:1:"a";a:2:{i:1;d:1;i:0;d:2;}}',
    change: (value) => Object.assign(value, { a: [5, 6] }),
    to: 'a:1:{s:1:"a";a:2:{i:0;d:5;i:1;d:6;}}',
  },
  {
    what: 'a map in the place of a list keeps the forms of its indexes',
    from: 'a:1:{s:1:"a";a:1:{i:0;d:1;}}',
    change: (value) => Object.assign(value, { a: { x: 1, 0: 1 } }),
    to: 'a:1:{s:1:"a";a:2:{i:0;d:1;s:1:"x";i:1;}}',
  },
  {
    what: 'a Map is written as it is',
    from: 'a:1:{s:1:"a";a:2:{i:1;d:1;i:0;d:2;}}',
    change: (value) => Object.assign(value, { a: new Map([['x', 1]]) }),
    to: 'a:1:{s:1:"a";a:1:{s:1:"x";i:1;}}',
  },
  {
    what: 'a key set to undefined is removed, and one set again keeps its place',
    from: 'a:3:{s:1:"c";d:1;i:5;i:2;s:1:"a";d:3;}',
    change: (value) => {
      delete value.c;
      Object.assign(value, { c: 1, 5: undefined, z: 1 });
    },
    to: 'a:3:{s:1:"c";d:1;s:1:"a";d:3;s:1:"z";i:1;}',
  },
  {
    what: 'integers between texts keep their places, new ones come last',
    from: 'a:3:{s:1:"b";i:1;i:7;i:2;s:1:"a";i:3;}',
    change: (value) => Object.assign(value, { 3: 'new', b: 9 }),
    to: 'a:4:{s:1:"b";i:9;i:7;i:2;s:1:"a";i:3;i:3;s:3:"new";}',
  },
  {
    what: 'of two keys that are one name to JavaScript the last is the one that is changed',
    from: 'a:3:{s:1:"\xff";d:1;s:1:"\xfe";d:2;s:1:"a";i:1;}',
    change: (value) => Object.assign(value, { '\ufffd': 5 }),
    to: 'a:3:{s:1:"\xff";d:1;s:1:"\xfe";d:5;s:1:"a";i:1;}',
  },
  {
    what: 'two keys that are one name to JavaScript are removed together',
    from: 'a:3:{s:1:"\xff";d:1;s:1:"\xfe";d:2;s:1:"a";i:1;}',
    change: (value) => delete value['\ufffd'],
    to: 'a:1:{s:1:"a";i:1;}',
  },
  {
    what: 'a key named __proto__ is a key',
    from: 'a:2:{s:9:"__proto__";d:1;s:1:"a";i:1;}',
    change: (value) => Object.assign(value, { a: 2 }),
    to: 'a:2:{s:9:"__proto__";d:1;s:1:"a";i:2;}',
  },
  {
    what: 'a key of the original that the value only inherits is not there',
    from: 'a:2:{s:8:"toString";d:1;s:1:"a";d:1;}',
    change: (value) => Reflect.deleteProperty(value, 'toString'),
    to: 'a:1:{s:1:"a";d:1;}',
  },
];

test.each(changes)('$what', ({ from, change, to }) => {
  const original = Buffer.from(from, 'latin1');
  const value = plain(original);
  change(value);
  expect(serializeLike(value, original).toString('latin1')).toBe(to);
});

test('what is no array has no say', () => {
  expect(serializeLike({ a: 3 }, Buffer.from('d:3;')).toString()).toBe('a:1:{s:1:"a";i:3;}');
});

test('a value that contains itself, or holds what has no form, is reported', () => {
  const original = Buffer.from('a:1:{s:1:"a";a:1:{s:1:"a";d:1;}}');
  const value: Record<string, unknown> = {};
  value.a = value;
  expect(() => serializeLike(value, original)).toThrow(expect.objectContaining({ code: 'GW_PHP_LIMIT' }));
  for (const bad of [() => {}, new Date(), Symbol('x')]) {
    expect(() => serializeLike({ a: bad }, original)).toThrow(expect.objectContaining({ code: 'GW_PHP_UNSUPPORTED' }));
  }
});

function plain(bytes: Buffer): Record<string, unknown> {
  const value = unserialize(bytes) as Record<string, unknown>;
  return Array.isArray(value) ? { ...value } : value;
}

function nameOf(key: PhpKey): string {
  return Buffer.isBuffer(key) ? key.toString('utf8') : String(key);
}
