import { Buffer } from 'node:buffer';
import { expect, test } from 'vitest';
import { mergeSession, PhpSerializeError } from '../../../src/cluster/protocol/mod.js';
import { type Bytes, hex, mutated, randomOf, vectors } from './support.js';

const merges = vectors<{ name: string; stored: Bytes; update: Bytes; expected: { session: Bytes } }>('session-merge');

test('there are 27 merges to compare with', () => {
  expect(merges.length).toBe(27);
});

test.each(merges)('$name gives the session text that PHP stores', ({ stored, update, expected }) => {
  expect(mergeSession(hex(stored.hex), hex(update.hex)).toString('hex')).toBe(expected.session.hex);
});

test('an update of an empty session is stored as it is, whatever it is', () => {
  expect(mergeSession(Buffer.alloc(0), Buffer.from('anything')).toString()).toBe('anything');
});

test('a text that is not a serialized array is a typed error that says which', () => {
  const array = Buffer.from('a:0:{}');
  for (const text of ['hello', 'N;', 'i:5;', 's:1:"x";', 'O:8:"stdClass":0:{}', 'a:1:{i:0;R:1;}', 'a:1:{', '{"a":1}']) {
    for (const which of ['stored', 'update'] as const) {
      const other = Buffer.from(text);
      const error = errorOf(() => (which === 'stored' ? mergeSession(other, array) : mergeSession(array, other)));
      expect([error.code, error.fields]).toEqual(['GW_PHP_SESSION', { text: which }]);
    }
  }
  expect(errorOf(() => mergeSession(array, Buffer.alloc(0))).fields).toEqual({ text: 'update' });
});

test('mutated texts give a session or a typed error', () => {
  const random = randomOf(7);
  for (let round = 0; round < 3000; round++) {
    const { stored, update } = merges[random(merges.length)]!;
    try {
      mergeSession(mutated(hex(stored.hex), random), mutated(hex(update.hex), random));
    } catch (error) {
      expect(error).toBeInstanceOf(PhpSerializeError);
    }
  }
});

function errorOf(run: () => unknown): PhpSerializeError {
  try {
    run();
  } catch (error) {
    return error as PhpSerializeError;
  }
  throw new Error('no error came');
}
