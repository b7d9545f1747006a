import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { noHosts } from '../support/hosts.js';
import { endScripts, startScript } from '../support/processes.js';
import { type ChaosResult, chaos } from './chaos.js';
import type { FaultName } from './faults.js';

const RUN = new URL('./run.mjs', import.meta.url).pathname;
const SEED = 20_261_125;
/** Those that take no waiting for a timeout. */
const SHORT: readonly FaultName[] = [
  'worker',
  'gateway',
  'register',
  'freeze',
  'cut',
  'reload',
  'slow',
  'block',
  'full',
];
const FEW = 12;
const LIMIT_MS = 180_000;

const apart = noHosts() === undefined;

afterAll(endScripts);

describe('a cluster that is killed, frozen, cut and reloaded under load', () => {
  it(
    'loses nothing, keeps the order, and marks what comes again',
    async () => {
      const only: readonly FaultName[] = apart ? [...SHORT, 'unplug'] : SHORT;
      const result = await chaos({ seed: SEED, minutes: 1, faults: FEW, only, apart, patience: 20 });
      expect(result.faults).toEqual([]);
      expect(Object.values(result.made).reduce((sum, count) => sum + count, 0)).toBe(FEW);
      expect(result.handled).toBeGreaterThan(500);
      expect(result.notes).toBeNull();
    },
    LIMIT_MS,
  );
});

describe('npm run chaos', () => {
  it(
    'finds out handlers that lie, and tells by its exit code, with what runs it again and the notes',
    async () => {
      const folder = mkdtempSync(join(tmpdir(), 'gatewayworker-'));
      const json = join(folder, 'figures.json');
      const script = startScript(RUN, {
        args: ['--seed', '7', '--faults', '8', '--only', 'worker,cut', '--one-host', '--patience', '3'].concat([
          '--lie',
          'lose,swap,unmark,leave',
          '--json',
          json,
        ]),
      });
      expect(await script.exit(LIMIT_MS), script.output).toEqual({ code: 1, signal: null });
      expect(script.output).toContain('again: npm run chaos -- --seed 7 --only worker,cut --faults 8 --one-host');
      const { faults, notes } = JSON.parse(readFileSync(json, 'utf8')) as ChaosResult;
      const text = faults.join('\n');
      expect(text).toMatch(/: of \d+ messages \d+ were not handled/);
      expect(text).toMatch(/: \d+ came behind \d+/);
      expect(text).toMatch(/: \d+ was handled again without the mark/);
      expect(text).toMatch(/: no onClose/);
      expect(script.output).toContain(`the notes: ${notes}\n`);
      expect(existsSync(join(String(notes), 'notes'))).toBe(true);
      rmSync(String(notes), { recursive: true });
      rmSync(folder, { recursive: true });
    },
    LIMIT_MS,
  );

  it('says what is wrong with its options', async () => {
    const script = startScript(RUN, { args: ['--only', 'nothing', '--one-host'] });
    expect(await script.exit()).toEqual({ code: 2, signal: null });
    expect(script.output).toContain('--only: there is no nothing\n');
  });
});
