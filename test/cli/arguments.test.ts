import { expect, test } from 'vitest';
import type { Arguments } from '../../src/cli/arguments.js';
import { partsOf, readArguments } from '../../src/cli/arguments.js';

const COMMANDS = {
  start: { options: { '-d': 'daemon', '-q': 'quiet', '--watch': 'watch' }, names: null, does: 'start' },
  reload: { options: { '-g': 'graceful' }, names: 'worker', does: 'reload' },
  status: { options: { '-d': 'live', '--json': 'json' }, names: null, does: 'status' },
} as const;

function read(line: string) {
  return readArguments(
    line.split(' ').filter((word) => word !== ''),
    COMMANDS,
    'start',
  );
}

test.each<[string, Partial<Arguments>]>([
  ['', { command: 'start' }],
  ['start', { command: 'start' }],
  ['start -d', { command: 'start', daemon: true }],
  ['-d start', { command: 'start', daemon: true }],
  ['-d', { command: 'start', daemon: true }],
  ['-q start -d', { command: 'start', daemon: true, quiet: true }],
  ['start --watch -d', { command: 'start', daemon: true, watch: true }],
  ['-d status', { command: 'status', live: true }],
  ['status --json', { command: 'status', json: true }],
  ['reload', { command: 'reload', names: [] }],
  ['reload Chat Push -g', { command: 'reload', names: ['Chat', 'Push'], graceful: true }],
  ['Chat -g reload', { command: 'reload', names: ['Chat'], graceful: true }],
  ['reload status', { command: 'reload', names: ['status'] }],
  ['start -- -x status --help --only=x', { command: 'start' }],
  ['--only=register,ChatGateway start', { command: 'start', only: ['register', 'ChatGateway'] }],
  ['status --only=,gateway,', { command: 'status', only: ['gateway'] }],
])("'%s' is read as %o", (line, expected) => {
  const nothing = {
    names: [],
    only: null,
    daemon: false,
    graceful: false,
    live: false,
    quiet: false,
    json: false,
    watch: false,
  };
  expect(read(line)).toEqual({ ...nothing, ...expected });
});

test.each([
  ['statr', "Unknown command 'statr'; did you mean 'start'?", true],
  ['--json what', "Unknown command 'what'", true],
  ['start -g', "start has no option '-g'; it has -d, -q, --watch, --only=… and --help", false],
  ['start --json', "start has no option '--json'; it has -d, -q, --watch, --only=… and --help", false],
  ['-x', "start has no option '-x'; it has -d, -q, --watch, --only=… and --help", false],
  ['start --only', "start has no option '--only'; it has -d, -q, --watch, --only=… and --help", false],
  ['start --only=', 'start: --only= lists nothing', false],
  ['start constructor', "start takes no 'constructor'", false],
  ['constructor', "Unknown command 'constructor'", true],
  ['--help', null, true],
  ['statr --help -x', null, true],
])("'%s' is refused: %s", (line, problem, showUsage) => {
  expect(read(line)).toEqual({ problem, showUsage });
});

test('an option that every object has is none of ours', () => {
  expect(readArguments(['-toString'], COMMANDS, 'start')).toMatchObject({
    problem: expect.stringContaining('-toString'),
  });
  expect(partsOf(['a', '-b', '--', 'c', '-d'])).toEqual({ words: ['a'], options: ['-b'] });
});
