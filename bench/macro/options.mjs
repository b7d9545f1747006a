// What the benchmark is asked for on its command line.
import { parseArgs } from 'node:util';
import { canProfile } from './measure/profile.mjs';
import { ROWS } from './rows/rows.mjs';
import { PEERS } from './servers/start.mjs';

export const USAGE = `npm run bench -- [options]

  --rows a,b        rows by name or by the beginning of it; default: all
  --peers a,b       of ${PEERS.join(', ')}; default: all, php where its folder is given
  --seconds n       each measurement takes; default 5
  --repeat n        each row is measured so often, the median counts; default 1
  --quick           whether everything runs, in a moment: figures mean nothing
  --php folder      with GatewayWorker, workerman, coroutine and GatewayClient, as their repositories are called or
                    owner+repository; default: the environment variable PHP_ORIGINALS
  --php-extension f an extension for PHP to load, such as event.so; default: PHP_EXTENSION
  --profile         also where ours spends its time, of rows that tell CPU time, by Linux's perf
  --json file       where the figures go; default bench/results/<date>-<cpu>.json, with --quick nowhere
  --list            the rows

Rows: ${ROWS.map(({ name }) => name).join(', ')}`;

/** Throws an Error with what is wrong. */
export function readOptions(args) {
  const { values } = parseArgs({
    args,
    options: {
      rows: { type: 'string', default: '' },
      peers: { type: 'string' },
      seconds: { type: 'string' },
      repeat: { type: 'string', default: '1' },
      quick: { type: 'boolean', default: false },
      php: { type: 'string', default: process.env.PHP_ORIGINALS ?? '' },
      'php-extension': { type: 'string', default: process.env.PHP_EXTENSION ?? '' },
      profile: { type: 'boolean', default: false },
      json: { type: 'string' },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const { quick, php, profile } = values;
  if (profile && !canProfile()) throw new Error('--profile needs perf (Debian: linux-perf)');
  const peers =
    values.peers === undefined ? PEERS.filter((peer) => peer !== 'php' || php !== '') : listOf(values.peers);
  for (const peer of peers) if (!PEERS.includes(peer)) throw new Error(`--peers: there is no ${peer}`);
  if (peers.includes('php') && php === '') throw new Error('--peers php needs --php or PHP_ORIGINALS');
  const wanted = listOf(values.rows);
  for (const name of wanted) {
    if (!ROWS.some((row) => row.name.startsWith(name))) throw new Error(`--rows: there is no ${name}`);
  }
  // A name as it is means that row alone, though others may begin with it.
  const exact = (name) => ROWS.some((row) => row.name === name);
  const chosen = (row) => wanted.some((name) => (exact(name) ? row.name === name : row.name.startsWith(name)));
  return {
    help: values.help,
    list: values.list,
    rows: wanted.length === 0 ? ROWS : ROWS.filter(chosen),
    peers,
    seconds: number('--seconds', values.seconds ?? (quick ? '0.5' : '5')),
    warmUp: quick ? 0.3 : 2,
    repeat: Math.round(number('--repeat', values.repeat)),
    quick,
    profile,
    php,
    phpExtension: values['php-extension'],
    json: values.json,
  };
}

function listOf(text) {
  return text.split(',').filter((part) => part !== '');
}

function number(name, text) {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`${name}: ${text} is no number above 0`);
  return value;
}
