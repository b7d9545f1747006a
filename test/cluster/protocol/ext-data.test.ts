import { describe, expect, test } from 'vitest';
import { JsonFloat, scanJson } from '../../../src/cluster/protocol/json-scanner.js';
import {
  Command,
  connectionsExt,
  excludeExt,
  groupExt,
  nameListExt,
  PhpSerializeError,
  parseGroupExt,
  parseSelectExt,
  parseSendToAllExt,
  parseUidList,
  phpJson,
  selectExt,
} from '../../../src/cluster/protocol/mod.js';
import { type Bytes, hex, mutated, randomOf, vectors } from './support.js';

const packets = vectors<{ name: string; expected: { cmd: number; ext_data: Bytes } }>('gateway-protocol');
const extOf = (...commands: number[]) => [
  ...new Set(
    packets
      .filter(({ expected }) => commands.includes(expected.cmd))
      .map(({ expected }) => hex(expected.ext_data.hex).toString()),
  ),
];
const texts = packets.map(({ expected }) => hex(expected.ext_data.hex).toString()).filter((text) => /^[[{]/.test(text));

describe('what is written', () => {
  test('is what PHP writes for the same values', () => {
    const rebuilt = new Map<string, string>();
    for (const text of extOf(
      Command.SEND_TO_UID,
      Command.BATCH_GET_CLIENT_ID_BY_UID,
      Command.BATCH_GET_CLIENT_COUNT_BY_GROUP,
    )) {
      rebuilt.set(text, nameListExt(JSON.parse(text)));
    }
    for (const text of extOf(Command.SEND_TO_GROUP)) {
      rebuilt.set(text, groupExt(JSON.parse(text).group, parseGroupExt(text)?.exclude));
    }
    for (const text of extOf(Command.SEND_TO_ALL)) {
      const ext = parseSendToAllExt(text);
      rebuilt.set(text, ext?.connections ? connectionsExt(ext.connections) : excludeExt(ext?.exclude ?? []));
    }
    for (const text of extOf(Command.SELECT)) {
      if (!text.startsWith('{')) continue;
      const { fields, where } = JSON.parse(text);
      // Written by hand, not by PHP: ids as a list.
      if (Array.isArray(where.connection_id)) continue;
      const ids =
        where.connection_id === undefined ? {} : { connection_id: Object.values<number>(where.connection_id) };
      rebuilt.set(text, selectExt(fields, { ...where, ...ids }));
    }
    expect(rebuilt.size).toBeGreaterThan(20);
    for (const [text, again] of rebuilt) expect(again).toBe(text);
  });

  test('an id given twice is written once; nobody is an empty map; nothing left out is null', () => {
    expect(connectionsExt([3, 1, 3])).toBe('{"connections":{"3":3,"1":1}}');
    expect(connectionsExt([])).toBe('{"connections":{}}');
    expect(excludeExt([])).toBe('');
    expect(groupExt(['a', 7, 2n ** 60n], [2])).toBe('{"group":["a",7,1152921504606846976],"exclude":{"2":2}}');
    expect(selectExt(['uid'], { groups: ['g'], uid: [5], connection_id: [1] })).toBe(
      '{"fields":["uid"],"where":{"groups":["g"],"uid":[5],"connection_id":{"1":1}}}',
    );
  });
});

describe('lists of uids and groups', () => {
  test('are read as texts; a number and the text of it are the same', () => {
    expect(parseUidList('["user-1",1001,"1001","x\\/y \\"z\\" \\u4f60","05",-5,0]')).toEqual([
      'user-1',
      '1001',
      '1001',
      'x/y "z" 你',
      '05',
      '-5',
      '0',
    ]);
    expect(parseUidList(' [ ] ')).toEqual([]);
  });

  test('keep the digits of integers of any size, and the text of floats', () => {
    expect(
      parseUidList('[9007199254740993,9223372036854775807,-9007199254740993,123456789012345678901234567890]'),
    ).toEqual(['9007199254740993', '9223372036854775807', '-9007199254740993', '123456789012345678901234567890']);
    expect(parseUidList('[1.5,1.0,1e3,-0,1.0e+25]')).toEqual(['1.5', '1.0', '1e3', '-0', '1.0e+25']);
  });

  test('leave out what is no name', () => {
    expect(parseUidList('["a",true,false,null,[1],{"b":2},"c"]')).toEqual(['a', 'c']);
  });

  test('may be objects, whose values count', () => {
    expect(parseUidList('{"0":"a","2":7,"__proto__":"b"}')).toEqual(['a', '7', 'b']);
  });

  test('are not read from anything else', () => {
    for (const text of ['', 'x', '5', '"a"', 'null', 'true', '["a"', '["a"]]', '["a",]', "['a']"]) {
      expect(parseUidList(text)).toBeUndefined();
    }
  });
});

describe('SEND_TO_ALL', () => {
  test('without ext_data is for everybody', () => {
    for (const text of ['', '{}', '[]']) expect(parseSendToAllExt(text)).toEqual({ connections: null, exclude: [] });
  });

  test('connections count by value, as numbers or canonical texts; a list of nobody is nobody', () => {
    expect(
      parseSendToAllExt('{"connections":{"9":3,"8":"4","7":"05","6":1.0,"5":true,"4":null,"3":-1,"2":4294967296}}'),
    ).toEqual({
      connections: [3, 4],
      exclude: [],
    });
    expect(parseSendToAllExt('{"connections":[4294967295,0]}')?.connections).toEqual([4294967295, 0]);
    for (const none of ['[]', '{}', '5', '"x"', 'false']) {
      expect(parseSendToAllExt(`{"connections":${none}}`)?.connections).toEqual([]);
    }
    expect(parseSendToAllExt('{"connections":null,"exclude":{"1":1}}')).toEqual({ connections: null, exclude: [1] });
  });

  test('exclusions count by key, unless the value is null', () => {
    expect(parseSendToAllExt('{"exclude":{"5":5,"6":null,"7":0,"08":1,"x":1,"4294967296":1}}')?.exclude).toEqual([
      5, 7,
    ]);
    expect(parseSendToAllExt('{"exclude":[9,null,9]}')?.exclude).toEqual([0, 2]);
    expect(parseSendToAllExt('{"exclude":null}')?.exclude).toEqual([]);
  });

  test('that cannot be read is for nobody, where the original sends to everybody', () => {
    for (const text of ['x', '{', '{"exclude"', '5', '"a"', 'null', '[1]'])
      expect(parseSendToAllExt(text)).toBeUndefined();
  });
});

describe('SEND_TO_GROUP', () => {
  test('of one group is read alike on its short way and on the long one', () => {
    const names = ['', 'a', '0', 'room:1', 'größe', '🎈', '\x7f', '\ud800', '\\u0041', 'a\\/b', 'a\\"b', '\\', '\\\\'];
    const faulty = ['\x01', '\n', 'a"', '"', 'a"],"group":["b', 'a","b', '\\x', 'a"],"exclude":null} {"group":["b'];
    for (const name of [...names, ...faulty]) {
      const text = `{"group":["${name}"],"exclude":null}`;
      expect(parseGroupExt(text), text).toEqual(parseGroupExt(` ${text}`));
    }
    expect(parseGroupExt('{"group":["],"exclude":null}')).toBeUndefined();
    expect(parseGroupExt('{"group":["room:1"],"exclude":null}')).toEqual({ groups: ['room:1'], exclude: [] });
  });

  test('names groups and exclusions', () => {
    expect(parseGroupExt('{"group":["room-1",7,9007199254740993],"exclude":{"1":1,"2":null}}')).toEqual({
      groups: ['room-1', '7', '9007199254740993'],
      exclude: [1],
    });
    expect(parseGroupExt('{"group":{"a":"b"},"exclude":null}')).toEqual({ groups: ['b'], exclude: [] });
    expect(parseGroupExt('{}')).toEqual({ groups: [], exclude: [] });
    for (const text of ['', '[]', 'x', 'null']) expect(parseGroupExt(text)).toBeUndefined();
  });
});

describe('SELECT', () => {
  test('has fields, and conditions in their order', () => {
    expect(parseSelectExt('{"fields":["uid","groups"],"where":[]}')).toEqual({
      fields: ['uid', 'groups'],
      where: null,
    });
    expect(parseSelectExt('{"fields":{"0":"uid"},"where":{}}')).toEqual({ fields: ['uid'], where: null });
    expect(
      parseSelectExt(
        '{"fields":[],"where":{"connection_id":{"1":1},"groups":["a",7],"uid":{"x":5},"connection_id2":[1]}}',
      ),
    ).toEqual({
      fields: [],
      where: [
        { by: 'connection_id', values: [1] },
        { by: 'groups', values: ['a', '7'] },
        { by: 'uid', values: ['5'] },
      ],
    });
  });

  test('with conditions nobody knows is for nobody, not for everybody', () => {
    expect(parseSelectExt('{"fields":["uid"],"where":{"session":["x"]}}')?.where).toEqual([]);
    expect(parseSelectExt('{"fields":["uid"],"where":["x"]}')?.where).toEqual([]);
    expect(parseSelectExt('{"fields":["uid"],"where":{"groups":"x"}}')?.where).toEqual([{ by: 'groups', values: [] }]);
  });

  test('that cannot be read is none', () => {
    for (const text of ['', 'x', '[]', '0', 'null', '{"fields":']) expect(parseSelectExt(text)).toBeUndefined();
  });
});

describe('the JSON scanner', () => {
  test('reads what JSON.parse reads, and refuses what it refuses', () => {
    const random = randomOf(11);
    const samples = [
      ...texts,
      '{"a":[1,-2.5e-3,{"b":null}],"c":"\\ud83c\\udf88\\n","d":[true,false]}',
      '"\\u00e9é"',
      '[[],{},0]',
    ];
    for (let round = 0; round < 6000; round++) {
      const text = mutated(Buffer.from(samples[random(samples.length)]!), random).toString();
      let parsed: unknown;
      let fails = false;
      try {
        parsed = JSON.parse(text);
      } catch {
        fails = true;
      }
      const scanned = scanJson(text);
      expect([text, scanned === undefined]).toEqual([text, fails]);
      if (!fails) expect(plain(scanned)).toEqual(parsed);
    }
  });

  test('reads 512 levels and refuses 513', () => {
    const nested = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`;
    expect(scanJson(nested(512))).toBeDefined();
    expect(scanJson(nested(513))).toBeUndefined();
    expect(scanJson('['.repeat(1_000_000))).toBeUndefined();
    expect(scanJson('{"a":'.repeat(1_000_000))).toBeUndefined();
  });

  test('makes no huge integer of huge digits', () => {
    const digits = '9'.repeat(1_000_000);
    expect(parseUidList(`[${digits}]`)).toEqual([digits]);
  });

  test('takes the last of repeated names, in the first place', () => {
    expect([...(scanJson('{"a":1,"b":2,"a":3}') as Map<string, unknown>)]).toEqual([
      ['a', 3],
      ['b', 2],
    ]);
  });
});

describe('phpJson', () => {
  test('writes as json_encode does', () => {
    expect(phpJson(['/', 'é', '\b\f\n\r\t\v\0\x7f', '"\\', '🎈', "<>&'"])).toBe(
      '["\\/","\\u00e9","\\b\\f\\n\\r\\t\\u000b\\u0000\x7f","\\"\\\\","\\ud83c\\udf88","<>&\'"]',
    );
    expect(phpJson([0, -1, 1.5, 1e25, 0.00001, 9007199254740993n, true, false, null])).toBe(
      '[0,-1,1.5,1.0e+25,1.0e-5,9007199254740993,true,false,null]',
    );
    expect(
      phpJson({
        a: undefined,
        b: new Map([
          ['9', 1],
          ['1', 2],
        ]),
        c: {},
        d: [undefined],
      }),
    ).toBe('{"b":{"9":1,"1":2},"c":{},"d":[null]}');
    expect(phpJson(['\ud800', 'a\udc00b'])).toBe('["\\ufffd","a\\ufffdb"]');
  });

  test('is an error with a code for what has no JSON form', () => {
    const cycle: unknown[] = [];
    cycle.push(cycle);
    for (const value of [() => 1, Symbol('x'), Number.NaN, Number.POSITIVE_INFINITY, cycle]) {
      expect(() => phpJson(value)).toThrow(PhpSerializeError);
    }
  });
});

test('mutated ext_data is read or refused, never an error', () => {
  const random = randomOf(5);
  for (let round = 0; round < 5000; round++) {
    const text = mutated(Buffer.from(texts[random(texts.length)]!), random).toString();
    for (const parse of [parseUidList, parseGroupExt, parseSendToAllExt, parseSelectExt]) parse(text);
  }
});

/** The value in JSON.parse's terms. */
function plain(value: unknown): unknown {
  if (value instanceof JsonFloat) return Number(value.text);
  if (typeof value === 'bigint') return Number(value);
  if (Array.isArray(value)) return value.map(plain);
  if (!(value instanceof Map)) return value;
  const object: Record<string, unknown> = {};
  for (const [name, item] of value) {
    Object.defineProperty(object, name, { value: plain(item), enumerable: true, configurable: true, writable: true });
  }
  return object;
}
