import { expect, test } from 'vitest';

import { readArguments } from '../../src/cli/arguments.js';

test.each([
  ['', 'start', false],
  ['start', 'start', false],
  ['start -d', 'start', true],
  ['-d start', 'start', true],
  ['stop', 'stop', false],
  ['stop start', 'stop', false],
  ['statr', 'statr', false],
  ['--port 8080', 'start', false],
  ['start --port 8080', 'start', false],
])("'%s' is the command '%s', in the background: %s", (line, command, daemon) => {
  const given = line.split(' ').filter((word) => word !== '');
  expect(readArguments(given, ['start', 'stop'])).toEqual({ command, daemon });
});
