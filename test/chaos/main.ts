import { writeFileSync } from 'node:fs';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { noHosts, removeHosts } from '../support/hosts.js';
import { endScripts } from '../support/processes.js';
import { type ChaosResult, chaos } from './chaos.js';
import type { Lie } from './cluster.js';
import { FAULTS, type FaultName } from './faults.js';

const USAGE = `npm run chaos -- [options]

  --minutes n   how long faults are made; default 10
  --faults n    so many, whatever time they take
  --seed n      default: another one each time; it is printed
  --only a,b    these faults; default: all
  --json file   where the figures go; default nowhere
  --one-host    all on 127.0.0.1; default: on hosts of their own (network namespaces), where there can be any
  --patience n  seconds without a note from a handler until what is missing at the end is lost; default 20
  --lie a,b     handlers do wrong, to see that it is found: lose, swap, unmark, leave
  --quiet       does not tell each fault
  --list        the faults`;

/** Of a failure, what led to it: the last so many faults. */
const LAST = 15;
/** Of what is wrong so much is shown; the file with the figures has all. */
const SHOWN = 20;

/** @returns the exit code: 1 when a promise was broken; throws when the options make no sense */
export async function main(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      minutes: { type: 'string' },
      faults: { type: 'string' },
      seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 32)) },
      only: { type: 'string', default: '' },
      json: { type: 'string' },
      'one-host': { type: 'boolean', default: false },
      patience: { type: 'string', default: '20' },
      lie: { type: 'string', default: '' },
      quiet: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return say(USAGE);
  if (values.list) {
    for (const { name, what } of Object.values(FAULTS)) say(`${name.padEnd(10)} ${what}`);
    return 0;
  }
  const lacking = values['one-host'] ? 'as was asked for' : noHosts();
  const apart = lacking === undefined;
  if (!apart) say(`on one host: ${lacking}`);
  const only = chosen(values.only, apart);
  const seed = number('--seed', values.seed);
  const faults = values.faults === undefined ? Number.POSITIVE_INFINITY : number('--faults', values.faults);
  const untold = values.faults === undefined ? '10' : 'Infinity';
  const minutes = number('--minutes', values.minutes ?? untold);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, async () => {
      await endScripts();
      removeHosts();
      process.exit(130);
    });
  }
  say(`seed ${seed}`);
  const history: string[] = [];
  const told = (line: string) => {
    history.push(line);
    if (!values.quiet) say(line);
  };
  const patience = number('--patience', values.patience);
  const lies = values.lie === '' ? {} : { lies: values.lie.split(',') as Lie[] };
  const result = await chaos({ seed, minutes, faults, only, apart, patience, ...lies, say: told });
  show(result);
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(result, null, 2)}\n`);
  if (result.faults.length === 0) return 0;
  say(`the last faults: ${history.slice(-LAST).join('; ')}`);
  const count = Object.values(result.made).reduce((sum, times) => sum + times, 0);
  const again = ['--seed', seed, '--only', only.join(), '--faults', count];
  say(`again: npm run chaos -- ${[...again, ...(apart ? [] : ['--one-host'])].join(' ')}`);
  say(`the notes: ${result.notes}`);
  return 1;
}

function show(result: ChaosResult): void {
  const {
    made,
    workersKilled,
    seconds,
    clients,
    sent,
    handled,
    again,
    overlaps,
    unhandled,
    missingAnswers,
    slowestCloses,
  } = result;
  const kinds = Object.entries(made).map(([name, count]) => `${count} ${name}`);
  if (workersKilled > 0) kinds.push(`${workersKilled} workers killed in all`);
  say(`${seconds.toFixed(0)} s: ${kinds.join(', ')}`);
  say(`${clients} clients sent ${sent} messages; ${handled} times one was handled, ${again} of them marked`);
  if (overlaps > 0) say(`${overlaps} unmarked behind a marked one, when a link had ended and its worker lived on`);
  if (unhandled.gatewayKilled > 0) say(`${unhandled.gatewayKilled} not handled were with a gateway that was killed`);
  if (unhandled.counted > 0) say(`${unhandled.counted} not handled were of clients that no worker came for`);
  if (missingAnswers > 0) say(`${missingAnswers} answers did not reach clients that do not read`);
  if (slowestCloses > 0) say(`onClose for a killed gateway: within ${(slowestCloses / 1000).toFixed(1)} s`);
  for (const [what, count] of Object.entries(result.dropped)) say(`dropped: ${what} ${count}`);
  for (const fault of result.faults.slice(0, SHOWN)) say(`FAULT ${fault}`);
  say(result.faults.length === 0 ? 'every promise was kept' : `${result.faults.length} promises were broken`);
}

function chosen(text: string, apart: boolean): FaultName[] {
  const possible = Object.values(FAULTS).filter((fault) => apart || fault.apart !== true);
  if (text === '') return possible.map(({ name }) => name);
  return text.split(',').map((name) => {
    const found = possible.find((fault) => fault.name === name);
    if (found === undefined) throw new Error(`--only: there is no ${name}${name in FAULTS ? ' on one host' : ''}`);
    return found.name;
  });
}

function number(name: string, text: string): number {
  const value = Number(text);
  if (value >= 0) return value;
  throw new Error(`${name}: ${text} is no number from 0 on`);
}

function say(line: string): 0 {
  process.stdout.write(`${line}\n`);
  return 0;
}
