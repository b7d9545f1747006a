import { Buffer } from 'node:buffer';
import { afterAll, describe, expect, it } from 'vitest';
import { endScripts, startScript } from '../support/processes.js';
import { endFuzzedCluster } from './cluster.js';
import { FuzzFailure, fuzz, inputOf, runCase } from './runner.js';
import type { Target } from './target.js';
import { PARSERS, SOCKETS } from './targets/mod.js';

const FIXED_SEED = 20_261_125;
const PARSER_CASES = 200;
const SOCKET_CASES = 25;
const RUN = new URL('./run.mjs', import.meta.url).pathname;

const otherSeed = Math.floor(Math.random() * 2 ** 32);
process.stdout.write(`fuzz: the seed of this run is ${otherSeed}\n`);

describe.each([FIXED_SEED, otherSeed])('seed %i', (seed) => {
  it.each(PARSERS)('$name keeps its promises whatever it is fed', async (target) => {
    const run = await fuzz(target, seed, { cases: PARSER_CASES });
    expect(run.cases).toBe(PARSER_CASES);
  });
});

describe('a running cluster', () => {
  afterAll(endFuzzedCluster);

  it.each(SOCKETS)('answers those who do nothing wrong while $name is under fire', async (target) => {
    for (const seed of [FIXED_SEED, otherSeed]) await fuzz(target, seed, { cases: SOCKET_CASES });
  });
});

describe('the runner', () => {
  const target = (run: Target['run']): Target => ({ name: 'made', seeds: [Buffer.from('valid')], run });

  it('tells of a broken promise with what runs it again, and that breaks it again', async () => {
    const broken = target((bytes) => {
      if (bytes.length % 7 === 3) throw new Error('broken');
    });
    const failure = await fuzz(broken, 1, { cases: 1000 }).catch((error) => error);
    expect(failure).toBeInstanceOf(FuzzFailure);
    const [, number] = /again: npm run fuzz -- --only made --seed 1 --case (\d+)/.exec(failure.message) ?? [];
    expect(inputOf(broken, 1, Number(number)).bytes.toString('hex')).toBe(failure.hex);
    await expect(runCase(broken, 1, Number(number))).rejects.toThrow('broken');
  });

  it('ends a parser that never returns, and one that never settles', async () => {
    const endless = target(() => {
      for (;;);
    });
    await expect(runCase(endless, 1, 0, 50)).rejects.toThrow('timed out after 50ms');
    const pending = target(() => new Promise(() => {}));
    await expect(runCase(pending, 1, 0, 1000)).rejects.toThrow('not within 1000 ms');
  });

  it('finds the case that leaves a rejection to nobody', async () => {
    // Vitest would take it for a fault of this test.
    const others = process.listeners('unhandledRejection');
    process.removeAllListeners('unhandledRejection');
    try {
      const careless = target((bytes) => {
        if (bytes.length % 7 === 3) void Promise.reject(new Error('left alone'));
      });
      const failure = await fuzz(careless, 1, { cases: 1000 }).catch((error) => error);
      expect(failure).toBeInstanceOf(FuzzFailure);
      expect(failure.message).toContain('left alone');
      expect((failure.hex.length / 2) % 7).toBe(3);
    } finally {
      for (const listener of others) process.on('unhandledRejection', listener);
    }
  });

  it('finds a parser that holds on to what it is fed', async () => {
    const held: Buffer[] = [];
    const leaking = target(() => void held.push(Buffer.alloc(10_000, 1)));
    await expect(fuzz(leaking, 1, { cases: 6000 })).rejects.toThrow(/bytes more are held after 6000 cases/);
  });
});

describe('npm run fuzz', () => {
  afterAll(endScripts);

  it('runs one case again, with its input', async () => {
    const script = startScript(RUN, { args: ['--only', 'text', '--seed', '7', '--case', '3'] });
    expect(await script.exit(), script.output).toEqual({ code: 0, signal: null });
    const text = PARSERS.find(({ name }) => name === 'text') as Target;
    expect(script.output).toContain(`input: ${inputOf(text, 7, 3).bytes.toString('hex')}\n`);
  });

  it('says what is wrong with its options', async () => {
    const script = startScript(RUN, { args: ['--only', 'nothing'] });
    expect(await script.exit()).toEqual({ code: 2, signal: null });
    expect(script.output).toBe('--only: there is no nothing\n');
  });
});
