import { expect, test } from 'vitest';
import { codecByName } from '../../../src/core/protocols/mod.js';

test.each(['tcp', 'text', 'frame', 'websocket'])('%s is known by its name', (name) => {
  expect(codecByName(name)?.name).toBe(name);
});

test.each(['', 'ws', 'TCP', 'constructor', '__proto__'])("'%s' is not known", (name) => {
  expect(codecByName(name)).toBeUndefined();
});
