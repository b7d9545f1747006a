import { afterEach, expect, test } from 'vitest';
import {
  type LogFields,
  type LogFormat,
  type LogLevel,
  lineLogger,
  processLogger,
  setProcessLogger,
  silentLogger,
} from '../../src/util/mod.js';

afterEach(() => setProcessLogger(silentLogger));

function linesOf(
  level: LogLevel = 'info',
  format: LogFormat = 'text',
): { lines: string[]; logger: ReturnType<typeof lineLogger> } {
  const lines: string[] = [];
  return { lines, logger: lineLogger('Chat:0', level, (line) => lines.push(line), format) };
}

test('a line has the time, the process, the level unless it is info, the source, the message and the fields', () => {
  const { lines, logger } = linesOf();
  logger.info('up');
  logger.warn('slow', { peer: '1.2.3.4:5', left: undefined, count: 3 });
  expect(lines[0]).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d pid:\d+ Chat:0 up\n$/);
  expect(lines[1]).toMatch(/ pid:\d+ warn Chat:0 slow peer=1\.2\.3\.4:5 count=3\n$/);
});

test('what is below the level is not written', () => {
  const { lines, logger } = linesOf('warn');
  logger.debug('a');
  logger.info('b');
  logger.warn('c');
  logger.error('d');
  expect(lines).toHaveLength(2);
});

test('a field can forge neither a line nor a colour', () => {
  const { lines, logger } = linesOf();
  logger.warn('x', { a: 'two words', b: 'line\nline', c: '\u001b[31m', d: 'say "hi"' });
  expect(lines[0]).toContain(' a="two words" b="line\\nline" c="\\u001b[31m" d="say \\"hi\\""\n');
});

test('no field makes a logger throw', () => {
  const { lines, logger } = linesOf();
  logger.warn('x', { circle, big: 10n, none: null, list: [1], fn: () => 1, bare: Object.create(null) });
  expect(lines[0]).toContain('big=10');
  expect(lines[0]).toContain('none=null list=[1]');
  expect(lines[0]).toContain('bare={}');
});

const circle: { self?: unknown } = {};
circle.self = circle;

const ODD: LogFields = {
  circle,
  big: 10n,
  bigInside: { list: [10n] },
  fn: function several() {
    return 'lines';
  },
  bare: Object.create(null),
  error: new Error('two\nlines'),
  throwing: {
    toJSON() {
      throw new Error('no');
    },
  },
  symbol: Symbol('s'),
  half: '\ud800',
  notANumber: Number.NaN,
  left: undefined,
  time: 'not the time',
  'a "key"\n': 1,
};

test('odd values leave a text line one line', () => {
  const { lines, logger } = linesOf();
  logger.warn('x', ODD);
  expect(lines).toHaveLength(1);
  expect(lines[0]?.trimEnd()).not.toContain('\n');
  expect(lines[0]).toContain('error="two\\nlines"');
});

test('a JSON line has the time in UTC, the level, the process, the source, the message and the fields', () => {
  const { lines, logger } = linesOf('debug', 'json');
  logger.debug('up');
  logger.error('stack\n  at here', { peer: '1.2.3.4:5', left: undefined, count: 3 });
  expect(lines.every((line) => line.indexOf('\n') === line.length - 1)).toBe(true);
  const [up, stack] = lines.map((line) => JSON.parse(line));
  expect(Object.keys(up)).toEqual(['time', 'level', 'pid', 'source', 'message']);
  expect(up).toMatchObject({ level: 'debug', pid: process.pid, source: 'Chat:0', message: 'up' });
  expect(up.time).toBe(new Date(up.time).toISOString());
  expect(stack).toMatchObject({ level: 'error', message: 'stack\n  at here', fields: { peer: '1.2.3.4:5', count: 3 } });
  expect(Object.keys(stack.fields)).toEqual(['peer', 'count']);
});

test('no value breaks a JSON line, nor takes the place of another', () => {
  const { lines, logger } = linesOf('info', 'json');
  logger.warn('x', ODD);
  const line = JSON.parse(lines[0] ?? '');
  expect(line.time).not.toBe('not the time');
  expect(line.fields).toEqual({
    circle: '[object]',
    big: '10',
    bigInside: { list: ['10'] },
    fn: expect.stringContaining('several'),
    bare: {},
    error: 'two\nlines',
    throwing: '[object]',
    symbol: 'Symbol(s)',
    half: '\ud800',
    notANumber: null,
    time: 'not the time',
    'a "key"\n': 1,
  });
});

test('the logger of the process is what was set', () => {
  const lines: string[] = [];
  setProcessLogger(lineLogger('me', 'info', (line) => lines.push(line)));
  processLogger().info('hello');
  expect(lines[0]).toMatch(/ me hello\n$/);
});
