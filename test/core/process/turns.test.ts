import { expect, test } from 'vitest';
import { Turns } from '../../../src/core/process/turns.js';
import { deferred, turn } from '../../support/fake-link.js';

test('one thing runs at a time, in the order of asking, and what waits for the same thing shares a run', async () => {
  const turns = new Turns<string>();
  const begun: string[] = [];
  const gates = [deferred(), deferred(), deferred(), deferred()];
  const ask = (key: string) =>
    turns.take(key, async () => {
      const number = begun.push(key);
      await gates[number - 1]?.promise;
      return `${key} ${number}`;
    });
  const first = ask('a');
  await turn();
  const waiting = [ask('a'), ask('b'), ask('a')];
  expect(begun).toEqual(['a']);
  gates[0]?.resolve();
  expect(await first).toBe('a 1');
  await turn();
  expect(begun).toEqual(['a', 'a']);
  const late = ask('a');
  for (const gate of gates) gate.resolve();
  expect(await Promise.all(waiting)).toEqual(['a 2', 'b 3', 'a 2']);
  expect(await late).toBe('a 4');
});

test('one that fails is told to those who share it, and to nobody else', async () => {
  const turns = new Turns<string>();
  const failing = () => Promise.reject(new Error('no'));
  const results = await Promise.allSettled([
    turns.take('a', failing),
    turns.take('a', async () => 'never run'),
    turns.take('b', async () => 'fine'),
  ]);
  expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'fulfilled']);
});
