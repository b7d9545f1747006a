import { expect, test } from 'vitest';
import { GatewayWorkerError, messageOf, OptionsError, stackOf } from '../../src/util/mod.js';

test('an error carries its class, code, fields and cause', () => {
  const cause = new Error('inner');
  const error = new OptionsError('GW_OPTION_INVALID', 'no', { option: 'x' }, cause);
  expect(error).toBeInstanceOf(GatewayWorkerError);
  expect(error).toMatchObject({ name: 'OptionsError', code: 'GW_OPTION_INVALID', fields: { option: 'x' }, cause });
  expect('cause' in new GatewayWorkerError('GW_X', 'no')).toBe(false);
});

test('whatever was thrown has a text', () => {
  const error = new Error('real');
  expect(messageOf(error)).toBe('real');
  expect(stackOf(error)).toBe(error.stack);
  for (const [thrown, text] of [
    ['plain', 'plain'],
    [undefined, 'undefined'],
    [Symbol('s'), 'Symbol(s)'],
    [Object.create(null), '[object Object]'],
    [
      {
        toString: () => {
          throw new Error('twice');
        },
      },
      '[object Object]',
    ],
  ] as const) {
    expect(messageOf(thrown)).toBe(text);
    expect(stackOf(thrown)).toBe(text);
  }
});
