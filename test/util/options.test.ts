import { expect, test } from 'vitest';
import {
  type Checks,
  callback,
  flag,
  integer,
  nearest,
  nonEmptyText,
  OptionsError,
  oneOf,
  orNull,
  orZero,
  readOptions,
  seconds,
  text,
} from '../../src/util/mod.js';

interface Sample {
  name: string;
  count: number;
  onMessage: (() => void) | null;
}

const DEFAULTS: Readonly<Sample> = Object.freeze({ name: 'none', count: 1, onMessage: null });
const CHECKS: Checks<Sample> = { name: nonEmptyText, count: integer(1, 8), onMessage: orNull(callback) };

const read = (given: unknown) => readOptions('Sample', DEFAULTS, CHECKS, given);

function errorOf(given: unknown): OptionsError {
  try {
    read(given);
  } catch (error) {
    if (error instanceof OptionsError) return error;
  }
  throw new Error('no OptionsError');
}

test('what was given lies over the defaults, and undefined counts as not given', () => {
  const given = { count: 3, name: undefined };
  const options = read(given);
  expect(options).toEqual({ name: 'none', count: 3, onMessage: null });
  expect(Object.isFrozen(options)).toBe(true);
  expect(Object.isFrozen(given)).toBe(false);
  expect(DEFAULTS.count).toBe(1);
});

test('an unknown key names the nearest known one', () => {
  const error = errorOf({ onmesage: null });
  expect(error.code).toBe('GW_OPTION_UNKNOWN');
  expect(error.message).toBe("Sample: unknown option 'onmesage'; did you mean 'onMessage'?");
  expect(error.fields).toMatchObject({ owner: 'Sample', option: 'onmesage', nearest: 'onMessage' });
});

test('an unknown key that is near to none lists them all, even given as undefined', () => {
  expect(errorOf({ zzzzzzzz: undefined }).message).toContain('known options: name, count, onMessage');
});

test('names that every object has are unknown options too', () => {
  expect(errorOf(JSON.parse('{"__proto__": 1}')).code).toBe('GW_OPTION_UNKNOWN');
  expect(errorOf({ toString: 1 }).code).toBe('GW_OPTION_UNKNOWN');
});

test.each([
  [{ count: 0 }, "option 'count' must be an integer from 1 to 8, got 0"],
  [{ count: 9 }, "option 'count' must be an integer from 1 to 8, got 9"],
  [{ count: 1.5 }, "option 'count' must be an integer from 1 to 8, got 1.5"],
  [{ count: '2' }, "option 'count' must be an integer from 1 to 8, got '2'"],
  [{ name: '' }, "option 'name' must be a string that is not empty, got ''"],
  [{ name: {} }, "option 'name' must be a string that is not empty, got an object"],
  [{ onMessage: [] }, "option 'onMessage' must be a function, or null, got an array"],
  [null, 'expected an options object, got null'],
  [[], 'expected an options object, got an array'],
  ['x', "expected an options object, got 'x'"],
])('%j is refused with what was expected and what came', (given, message) => {
  const error = errorOf(given);
  expect(error.code).toBe('GW_OPTION_INVALID');
  expect(error.message).toBe(`Sample: ${message}`);
});

test('limits are inclusive', () => {
  expect(read({ count: 1 }).count).toBe(1);
  expect(read({ count: 8 }).count).toBe(8);
  expect(integer(0)(Number.MAX_SAFE_INTEGER)).toBeUndefined();
  expect(seconds(0.1)(0.1)).toBeUndefined();
  expect(seconds(0.1)(0.09)).toBe('a number of seconds from 0.1 to 2147483');
});

test('seconds end where the timers of the platform would fire at once', () => {
  expect(seconds()(2_147_483)).toBeUndefined();
  expect(seconds()(2_147_483.647)).toBeUndefined();
  expect(seconds()(2_147_483.648)).toBe('a number of seconds from 0 to 2147483');
  expect(seconds()(2_147_484)).toBe('a number of seconds from 0 to 2147483');
});

test('checks say what they expect', () => {
  expect(seconds()(Number.NaN)).toBe('a number of seconds from 0 to 2147483');
  expect(seconds()(Number.POSITIVE_INFINITY)).toBe('a number of seconds from 0 to 2147483');
  expect(text(1)).toBe('a string');
  expect(flag(1)).toBe('true or false');
  expect(oneOf('a', 'b')('c')).toBe("'a' or 'b'");
  expect(orNull(text)(null)).toBeUndefined();
  expect(orZero(seconds(30))(0)).toBeUndefined();
  expect(orZero(seconds(30))(30)).toBeUndefined();
  expect(orZero(seconds(30))(29.9)).toBe('0, or a number of seconds from 30 to 2147483');
});

test('the nearest name is the one a person most likely meant', () => {
  expect(nearest('websockt', ['tcp', 'text', 'websocket'])).toBe('websocket');
  expect(nearest('PINGINTERVAL', ['pingData', 'pingInterval'])).toBe('pingInterval');
  expect(nearest('secret', ['count'])).toBeUndefined();
  expect(nearest('x', [])).toBeUndefined();
});
