import { expect, test } from 'vitest';
import { sameSecret } from '../../src/util/mod.js';

test('secrets are the same or not, whatever their length', () => {
  expect(sameSecret('abc', 'abc')).toBe(true);
  expect(sameSecret('', '')).toBe(true);
  expect(sameSecret('schlüssel', 'schlüssel')).toBe(true);
  expect(sameSecret('abc', 'abd')).toBe(false);
  expect(sameSecret('abc', 'abcd')).toBe(false);
  expect(sameSecret('abc', '')).toBe(false);
});

test('what is no text is no secret, not even an empty one', () => {
  expect(sameSecret('', null)).toBe(false);
});
