import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
// @ts-expect-error: plain JavaScript, without types.
import { judge, MOST_HEAP_GROWTH } from '../../bench/soak/judge.mjs';
import { testFolders } from '../support/folder.js';
import { endScripts, startScript } from '../support/processes.js';

const RUN = fileURLToPath(new URL('../../bench/soak/run.mjs', import.meta.url));
/** A cluster and its load, of several processes each, beside other tests. */
const RUN_MS = 120_000;
const folder = testFolders();

afterEach(endScripts);

describe('npm run soak', () => {
  it(
    'finds all within bounds after mixed load: memory, files, timers, connections',
    async () => {
      const file = join(folder(), 'soak.json');
      const script = startScript(RUN, { args: ['--minutes', '0.1', '--rate', '300', '--json', file] });
      expect(await script.exit(RUN_MS), script.output).toEqual({ code: 0, signal: null });
      expect(script.output).toMatch(/^all within bounds$/m);
      const { work, verdicts, faults } = JSON.parse(readFileSync(file, 'utf8'));
      for (const [what, count] of Object.entries(work)) expect(count, what).toBeGreaterThan(0);
      const judged = verdicts.map(({ name }: { name: string }) => name);
      expect(judged).toEqual(expect.arrayContaining(['WebSocket:0', 'Text:0', 'Tls:0', 'Steady:0', 'Register:0']));
      expect(faults).toEqual([]);
    },
    RUN_MS,
  );

  it(
    'finds a worker that keeps what it is sent',
    async () => {
      const script = startScript(RUN, { args: ['--minutes', '0.1', '--rate', '300', '--leak', '60000'] });
      expect(await script.exit(RUN_MS), script.output).toEqual({ code: 1, signal: null });
      expect(script.output).toMatch(/^Steady:0: its heap grew by \d+\.\d MB$/m);
      expect(script.output).not.toMatch(/^(?:WebSocket|Text|Tls|Register):0: /m);
    },
    RUN_MS,
  );

  it('says what is wrong with its options', async () => {
    const script = startScript(RUN, { args: ['--minutes', 'many'] });
    expect(await script.exit()).toEqual({ code: 2, signal: null });
    expect(script.output).toBe('--minutes: many is no number from 0 on\n');
  });
});

describe('a process', () => {
  /** A sample a second, from ten seconds before the load to ten after it. */
  const during = (heapAt: (second: number) => number, filesAt: (second: number) => number = () => 30) =>
    Array.from({ length: 120 }, (_, index) => {
      const second = index - 10;
      const heap = heapAt(second);
      return { at: second * 1000, name: 'Made:0', rss: 50_000_000 + heap, heap, timers: 1, files: filesAt(second) };
    });
  const load = { begun: 0, ended: 100_000 };

  it('may grow while it warms up, and go up and down', () => {
    const { faults } = judge(
      during((second) => Math.min(second, 20) * 5_000_000 + (second % 7) * 1_000_000),
      load,
    );
    expect(faults).toEqual([]);
  });

  it('is out of bounds when its heap grows by more than the bound, and not when by that', () => {
    // What is judged are 71 samples, whose outer thirds lie 48 seconds apart.
    const growing = (bytes: number) =>
      judge(
        during((second) => (second * bytes) / 48),
        load,
      );
    expect(growing(MOST_HEAP_GROWTH).faults).toEqual([]);
    expect(growing(MOST_HEAP_GROWTH + 480).faults).toEqual(['its heap grew by 3.0 MB']);
    expect(growing(MOST_HEAP_GROWTH).heap.perHour).toBe(Math.round((MOST_HEAP_GROWTH / 48) * 3600));
  });

  it('is out of bounds when files stay open', () => {
    const { faults } = judge(
      during(
        () => 0,
        (second) => (second < 0 ? 30 : 43),
      ),
      load,
    );
    expect(faults).toEqual(['30 open files became 43']);
  });

  it('is not judged when it was there for a moment only', () => {
    // Of one that began 35 seconds before the end of the load, 24 are behind the warm-up.
    expect(judge(during(() => 0).slice(-45), load)).toBeNull();
    expect(judge(during(() => 0).slice(-46), load)).not.toBeNull();
  });
});
