import { afterEach, expect, test } from 'vitest';
import { type LogLevel, lineLogger, processLogger, setProcessLogger, silentLogger } from '../../src/util/mod.js';

afterEach(() => setProcessLogger(silentLogger));

function linesOf(level: LogLevel = 'info'): { lines: string[]; logger: ReturnType<typeof lineLogger> } {
  const lines: string[] = [];
  return { lines, logger: lineLogger('Chat:0', level, (line) => lines.push(line)) };
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
  const circle: { self?: unknown } = {};
  circle.self = circle;
  logger.warn('x', { circle, big: 10n, none: null, list: [1], fn: () => 1, bare: Object.create(null) });
  expect(lines[0]).toContain('big=10');
  expect(lines[0]).toContain('none=null list=[1]');
  expect(lines[0]).toContain('bare={}');
});

test('the logger of the process is what was set', () => {
  const lines: string[] = [];
  setProcessLogger(lineLogger('me', 'info', (line) => lines.push(line)));
  processLogger().info('hello');
  expect(lines[0]).toMatch(/ me hello\n$/);
});
