import { PassThrough } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { BlockedReports } from '../../../src/core/process/blocked-reports.js';
import { RecordingLogger } from '../../support/recording-logger.js';

const STACK = 'spin (file:///app/events.js:12:4)\nonMessage (file:///app/events.js:3:1)';

function reports(): { pipe: PassThrough; reports: BlockedReports; logger: RecordingLogger; told: () => number } {
  const pipe = new PassThrough();
  const logger = new RecordingLogger();
  let told = 0;
  const onBlocked = () => told++;
  return {
    pipe,
    logger,
    told: () => told,
    reports: new BlockedReports(pipe, { who: 'W:0 (pid 7)', logger, onBlocked }),
  };
}

function line(seconds: number, stack: string | null, over = false): string {
  return `${JSON.stringify({ seconds, stack, over })}\n`;
}

describe('what a blocked process says', () => {
  test('is logged once for each time, and kept while it lasts', () => {
    const { pipe, reports: it, logger, told } = reports();
    expect(it.blocked).toBeNull();
    pipe.write(line(5.04, STACK));
    pipe.write(line(10, STACK));
    expect(it.blocked).toEqual({ seconds: expect.closeTo(10, 0), stack: STACK });
    expect(logger.entries).toEqual([
      {
        level: 'warn',
        message: 'worker W:0 (pid 7) is blocked: its event loop does not turn',
        fields: { seconds: 5, at: 'spin (file:///app/events.js:12:4)' },
      },
    ]);
    pipe.write(line(12.34, null, true));
    expect(it.blocked).toBeNull();
    expect(logger.entries[1]).toEqual({
      level: 'info',
      message: 'worker W:0 (pid 7) goes on',
      fields: { seconds: 12.3 },
    });
    pipe.write(line(5, null));
    expect(it.blocked?.stack).toBeNull();
    expect([logger.entries.length, told()]).toEqual([3, 2]);
  });

  test('keeps the last place that could be seen', () => {
    const { pipe, reports: it } = reports();
    pipe.write(line(5, STACK));
    pipe.write(line(10, null));
    expect(it.blocked?.stack).toBe(STACK);
    pipe.write(line(20, 'later'));
    expect(it.blocked?.stack).toBe('later');
    pipe.write(line(21, null, true));
    pipe.write(line(5, null));
    expect(it.blocked?.stack).toBeNull();
  });

  test('may come in pieces, with empty lines between', () => {
    const { pipe, reports: it } = reports();
    for (const byte of Buffer.from(`\n\n${line(5, 'öffne (file:///ä.js:1:1)')}\n`)) pipe.write(Buffer.of(byte));
    expect(it.blocked?.stack).toBe('öffne (file:///ä.js:1:1)');
  });

  test('is ignored where it is no report, however long', () => {
    const { pipe, reports: it, logger } = reports();
    pipe.write('hello\nnull\n[]\n{"seconds":"5","stack":null}\n{"seconds":5,"stack":7}\n');
    const long = line(5, 'x'.repeat(100_000));
    pipe.write(long.slice(0, 90_000));
    pipe.write(long.slice(90_000));
    expect(it.blocked).toBeNull();
    pipe.write(line(5, STACK));
    expect(it.blocked?.stack).toBe(STACK);
    expect(logger.entries).toHaveLength(1);
  });

  test('is over when the process has ended', () => {
    const { pipe, reports: it } = reports();
    pipe.write(line(5, STACK));
    it.close();
    expect([it.blocked, pipe.destroyed]).toEqual([null, true]);
  });
});
