import { expect, test } from 'vitest';
import { cleanName, hueOf, initialsOf, labelOf, MAX_NAME } from '../public/names.js';

const ID = '7f0000010b5400001f3a';

test('makes one line of single spaces of a name', () => {
  expect(cleanName('  Ann \t Lee\n')).toBe('Ann Lee');
  expect(cleanName('A\u0000n\u202en')).toBe('A n n');
  expect(cleanName(' \u202e\n ')).toBe('');
});

test(`keeps ${MAX_NAME} characters of a name, and no half of one`, () => {
  expect(cleanName('🎈'.repeat(MAX_NAME))).toBe('🎈'.repeat(MAX_NAME));
  expect(cleanName('🎈'.repeat(MAX_NAME + 1))).toBe('🎈'.repeat(MAX_NAME));
});

test('calls who has no name after the end of the id', () => {
  expect(labelOf({ id: ID, name: null })).toBe('guest 1f3a');
  expect(labelOf({ id: ID, name: 'Ann' })).toBe('Ann');
});

test.each([
  ['Ann', 'A'],
  ['ann lee', 'AL'],
  ['Ann van der Lee', 'AL'],
  ['élan', 'É'],
  ['<b>', 'B'],
  ['🎈 🎉', '🎈'],
  [null, '#'],
])('shortens %j to %j', (name, initials) => {
  expect(initialsOf(name)).toBe(initials);
});

test('gives a name its colour, whoever bears it, and similar ids different ones', () => {
  expect(hueOf({ id: ID, name: 'Ann' })).toBe(hueOf({ id: ID.replace('a', 'b'), name: 'Ann' }));
  const hues = new Set([...'0123456789'].map((digit) => hueOf({ id: ID.slice(0, -1) + digit, name: null })));
  expect(hues.size).toBeGreaterThan(7);
});
