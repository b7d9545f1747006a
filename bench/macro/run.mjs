// The benchmark: ours beside its peers, on this machine, in one run. `npm run build && npm run bench -- --help`
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BUSY_LOAD, connectionsPerProcess, hardware, pinning, raiseFileLimit } from './measure/machine.mjs';
import { readOptions, USAGE } from './options.mjs';
import { median, verdictOf } from './report/figures.mjs';
import { printHead, printRow } from './report/table.mjs';
import { ROWS } from './rows/rows.mjs';
import { Stage } from './stage.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** What is being measured with at the moment; none of it is to outlive the benchmark. */
let playing;

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, async () => {
    await playing?.end();
    process.exit(130);
  });
}

try {
  const options = readOptions(process.argv.slice(2));
  if (options.help) console.log(USAGE);
  else if (options.list) for (const { name, title } of ROWS) console.log(`${name.padEnd(24)} ${title}`);
  else process.exitCode = await bench(options);
} catch (error) {
  console.error(error.message);
  process.exitCode = 2;
}

/** Measures what is asked for; answers with the exit code: 1 when a row could not be measured. */
async function bench(options) {
  if (!existsSync('/proc/self/stat')) throw new Error('CPU time and memory are read from /proc: this needs Linux');
  if (!existsSync(join(ROOT, 'dist/mod.js'))) throw new Error('this measures the built package: npm run build');
  raiseFileLimit();
  const cores = pinning();
  const { rows, peers, seconds, warmUp, repeat, quick, profile, php, phpExtension } = options;
  const settings = { cores, seconds, warmUp, quick, profile, php, phpExtension };
  const about = {
    date: new Date().toISOString(),
    ...hardware(),
    versions: versions(),
    seconds,
    repeat,
    quick,
    pinned: cores,
  };
  introduce(about);
  printHead(peers);
  const results = [];
  let failed = false;
  for (const row of rows) {
    const { result, failures } = await measureRow(row, { peers, repeat, settings });
    failed ||= failures > 0;
    results.push(result);
    printRow(result, peers);
  }
  const file = options.json ?? (quick ? null : join(ROOT, 'bench/results', nameOf(about)));
  if (file !== null) {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, `${JSON.stringify({ ...about, peers, rows: results }, null, 2)}\n`);
    console.log(`\nwritten to ${file}`);
  }
  return failed ? 1 : 0;
}

async function measureRow(row, { peers, repeat, settings }) {
  const runs = Object.fromEntries(peers.map((peer) => [peer, []]));
  const notes = {};
  let profile = null;
  let failures = 0;
  // Peer after peer, and then again: what disturbs the machine for a while disturbs all of them.
  for (let round = 0; round < repeat; round++) {
    for (const peer of peers.filter((name) => row.peers.includes(name))) {
      const stage = new Stage(peer, settings);
      playing = stage;
      try {
        runs[peer].push(await row.run(stage));
      } catch (error) {
        failures++;
        stage.notes.add(`failed: ${error.message}`);
      } finally {
        await stage.end();
      }
      profile = stage.profile ?? profile;
      if (stage.notes.size > 0) notes[peer] = [...new Set([...(notes[peer] ?? []), ...stage.notes])];
    }
  }
  const figures = row.figures.map((figure) => {
    const values = Object.fromEntries(peers.map((peer) => [peer, median(runs[peer].map((run) => run[figure.name]))]));
    return { ...figure, values, verdict: settings.quick ? '' : verdictOf(figure, values) };
  });
  const result = { name: row.name, title: row.title, figures, notes, runs, ...(profile === null ? {} : { profile }) };
  return { result, failures };
}

function introduce({ cpu, cores, memory, kernel, node, loadBefore, versions: { ws, socketio }, pinned, quick }) {
  console.log(`${cpu}, ${cores} cores, ${memory}, ${kernel}, Node.js ${node}, ws ${ws}, Socket.IO ${socketio}`);
  console.log(
    pinned === null
      ? 'nothing is pinned: this needs two cores and taskset'
      : `servers on core ${pinned.servers}, the load on core ${pinned.load}`,
  );
  console.log(`a process may hold ${connectionsPerProcess()} connections (limit on open files)`);
  if (loadBefore > BUSY_LOAD)
    console.log(`others use this machine: load average ${loadBefore.toFixed(1)} before it began`);
  if (quick) console.log('quick: whether it runs; the figures mean nothing');
  console.log();
}

function versions() {
  const require = createRequire(import.meta.url);
  const versionOf = (name) => JSON.parse(readFileSync(require.resolve(`${name}/package.json`), 'utf8')).version;
  const own = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).version;
  return { gatewayworker: own, ws: versionOf('ws'), socketio: versionOf('socket.io') };
}

function nameOf({ date, cpu }) {
  const model = cpu.toLowerCase().replace(/[^a-z0-9]+/g, '-');
  return `${date.slice(0, 10)}-${model.replace(/^-+|-+$/g, '')}.json`;
}
