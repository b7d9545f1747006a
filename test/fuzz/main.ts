import process from 'node:process';
import { parseArgs } from 'node:util';
import { endFuzzedCluster } from './cluster.js';
import { fuzz, inputOf, runCase } from './runner.js';
import type { Target } from './target.js';
import { PARSERS, TARGETS } from './targets/mod.js';

const USAGE = `npm run fuzz -- [options]

  --seconds n   in all, shared by the targets; default 60
  --cases n     for each target, instead of a time
  --seed n      default: another one each time; it is printed
  --only a,b    targets by name or by the beginning of it; default: all
  --case n      this one case of one target (--only), with its seed; prints the input. n-m: all from n to m, for what keeps a
                state between cases, as the processes of a cluster do
  --in-process  leaves out the targets that fire at a running cluster
  --list        the targets`;

/** @returns the exit code: 1 when a promise was broken, 2 when the options make no sense */
export async function main(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seconds: { type: 'string', default: '60' },
      cases: { type: 'string' },
      seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 32)) },
      only: { type: 'string', default: '' },
      case: { type: 'string' },
      'in-process': { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    say(USAGE);
    return 0;
  }
  const seed = number('--seed', values.seed);
  const wanted = values.only.split(',').filter((name) => name !== '');
  // A name as it is means that target alone, though others may begin with it.
  const exact = (name: string) => TARGETS.some((target) => target.name === name);
  const means = (name: string, target: Target) => (exact(name) ? target.name === name : target.name.startsWith(name));
  const chosen = (target: Target) => wanted.length === 0 || wanted.some((name) => means(name, target));
  let failures = 0;
  const fail = (error: unknown) => {
    failures++;
    say(error instanceof Error ? (error.name === 'FuzzFailure' ? error.message : String(error.stack)) : String(error));
  };
  const targets = (values['in-process'] ? PARSERS : TARGETS).filter(chosen);
  if (targets.length === 0) throw new Error(`--only: there is no ${values.only}`);
  if (values.list) {
    for (const { name } of targets) say(name);
    return 0;
  }
  process.on('unhandledRejection', fail);
  process.on('uncaughtException', fail);
  if (values.case !== undefined) await again(targets, seed, values.case).catch(fail);
  else {
    say(`seed ${seed}`);
    let cases = 0;
    const seconds = number('--seconds', values.seconds) / targets.length;
    const budget = values.cases === undefined ? { seconds } : { cases: number('--cases', values.cases) };
    for (const target of targets) {
      try {
        const run = await fuzz(target, seed, budget);
        cases += run.cases;
        const growth = run.growth === null ? '' : `, ${Math.round(run.growth / 1024)} KB more held`;
        const slowest = `case ${run.slowest.number} took ${run.slowest.ms.toFixed(1)} ms`;
        say(`${target.name.padEnd(20)} ${run.cases} cases in ${run.seconds.toFixed(1)} s, ${slowest}${growth}`);
      } catch (error) {
        fail(error);
      }
    }
    say(`${cases} cases of ${targets.length} targets, seed ${seed}`);
  }
  await endFuzzedCluster().catch(fail);
  say(failures === 0 ? 'every promise was kept' : `${failures} promises were broken`);
  return failures === 0 ? 0 : 1;
}

/** Runs one case, or all from one to another, and prints the last input. */
async function again(targets: readonly Target[], seed: number, range: string): Promise<void> {
  const [target, other] = targets;
  if (target === undefined || other !== undefined) throw new Error('--case: of which target? Name it with --only');
  const [first = 0, last = first] = range.split('-').map((text) => number('--case', text));
  say(`input: ${inputOf(target, seed, last).bytes.toString('hex')}`);
  for (let one = first; one <= last; one++) await runCase(target, seed, one);
  await target.end?.();
}

function number(name: string, text: string): number {
  const value = Number(text);
  if (Number.isFinite(value) && value >= 0) return value;
  throw new Error(`${name}: ${text} is no number from 0 on`);
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
