import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
// @ts-expect-error: plain JavaScript, without types.
import { median, verdictOf } from '../../bench/macro/report/figures.mjs';
import { testFolders } from '../support/folder.js';
import { endScripts, startScript } from '../support/processes.js';

const RUN = fileURLToPath(new URL('../../bench/macro/run.mjs', import.meta.url));
/** Two servers and their load, of several processes each, beside other tests. */
const RUN_MS = 120_000;
const folder = testFolders();

afterEach(endScripts);

describe('npm run bench', () => {
  it(
    'measures a row with ours and ws, and writes what it found',
    async () => {
      const file = join(folder(), 'result.json');
      const args = ['--quick', '--rows', 'echo-200x1', '--peers', 'ours,ws', '--json', file];
      const script = startScript(RUN, { args });
      expect(await script.exit(RUN_MS), script.output).toEqual({ code: 0, signal: null });
      const result = JSON.parse(readFileSync(file, 'utf8'));
      expect(result).toMatchObject({ quick: true, repeat: 1, peers: ['ours', 'ws'], node: process.version });
      for (const name of ['date', 'cpu', 'kernel', 'memory']) expect(result[name], name).toMatch(/./);
      expect(result.rows).toHaveLength(1);
      const [row] = result.rows;
      expect(row.name).toBe('echo-200x1');
      expect(row.figures[0]).toMatchObject({ name: 'CPU per message', unit: 'µs', max: 6.5, leads: true, verdict: '' });
      for (const peer of ['ours', 'ws']) {
        for (const { name, values } of row.figures) expect(values[peer], `${name} of ${peer}`).toBeGreaterThan(0);
        expect(row.runs[peer]).toHaveLength(1);
      }
      expect(script.output).toMatch(
        /echo-200x1: .*\n\s+CPU per message, µs\s+≤ 6.5 µs, ahead\s+[\d.,]+\s+[\d.,]+ \([\d.,]+×\)/,
      );
    },
    RUN_MS,
  );

  it('says what is wrong with its options', async () => {
    const script = startScript(RUN, { args: ['--rows', 'eco'] });
    expect(await script.exit()).toEqual({ code: 2, signal: null });
    expect(script.output).toBe('--rows: there is no eco\n');
  });
});

describe('a bar', () => {
  const figure = { unit: 'µs', max: 1.5, leads: true };

  it('is met by ours within the limit and ahead of all that were measured', () => {
    expect(verdictOf(figure, { ours: 1.5, ws: 4, php: null })).toBe('met');
    expect(verdictOf(figure, { ours: 1.51, ws: 4 })).toBe('not met');
    expect(verdictOf(figure, { ours: 1.4, ws: 1.3 })).toBe('not met');
    expect(verdictOf({ unit: '/s', leads: true, more: true }, { ours: 10, ws: 11 })).toBe('not met');
    expect(verdictOf({ unit: '', min: 100 }, { ours: 99 })).toBe('not met');
  });

  it('is not judged without ours, without a bar, or without anyone to be ahead of', () => {
    expect(verdictOf(figure, { ours: null, ws: 4 })).toBe('');
    expect(verdictOf({ unit: 'µs' }, { ours: 1, ws: 4 })).toBe('');
    expect(verdictOf({ unit: 'µs', leads: true }, { ours: 1, ws: null })).toBe('');
  });

  it('is held against the median', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, null, 2, 3])).toBe(2.5);
    expect(median([])).toBeNull();
  });
});
