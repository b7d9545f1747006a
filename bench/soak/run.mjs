// A cluster under mixed load, for long, and a checker of all it holds. `npm run soak -- --help`
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Load } from '../macro/load/load.mjs';
import { raiseFileLimit } from '../macro/measure/machine.mjs';
import { messageOf, openAll, sleep } from '../macro/stage.mjs';
import { Cluster } from './cluster.mjs';
import { garbage, slowReader } from './faults.mjs';
import { judge, megabytes } from './judge.mjs';

const USAGE = `npm run soak -- [options]

  --minutes n   how long the load lasts; default 60
  --rate n      messages a second of the clients that stay; default 1000
  --connects n  instead of mixed load so many connects and disconnects
  --json file   where the figures go; default nowhere
  --leak bytes  has the workers keep so much of every message, to see that it is found`;

const WIRES = ['websocket', 'text', 'tls'];
/** Clients that stay, of each wire. */
const STAYING = 30;
/** Clients that come and go at once, and how many of them a second. */
const CHURN = 30;
const CHURN_MS = 500;
const CONNECTS_AT_ONCE = 500;
const FAULT_MS = 200;
/** So often in the whole time. */
const RELOADS = 12;
const SAMPLES = 120;
const LINKED_MS = 30_000;
const SETTLED_MS = 60_000;
/** A steady client that hears nothing for so long is not served. */
const SILENCE_MS = 30_000;

let cluster;
const loads = [];

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, async () => {
    await end();
    process.exit(130);
  });
}

try {
  const options = readOptions(process.argv.slice(2));
  if (options === null) console.log(USAGE);
  else process.exitCode = (await soak(options)) ? 0 : 1;
} catch (error) {
  console.error(error.message);
  process.exitCode = 2;
} finally {
  await end();
}

/** @returns whether all has stayed within bounds */
async function soak({ minutes, rate, connects, json, leak }) {
  raiseFileLimit();
  const milliseconds = minutes * 60_000;
  // Of a million connects nobody knows how long they take: a minute or more.
  const sampleMs = connects > 0 ? 500 : Math.max(100, Math.min(30_000, milliseconds / SAMPLES));
  cluster = await Cluster.start({ sampleMs, leak });
  await eventually('the links of all', LINKED_MS, async () => isLinked(await cluster.processes()));
  await sleep(2 * sampleMs);
  const begun = Date.now();
  const faults = [];
  const work = connects > 0 ? await connectOften(connects) : await mixedLoad(milliseconds, rate, faults);
  const ended = Date.now();
  let processes;
  await eventually('connections to be zero', SETTLED_MS, async () => {
    processes = await cluster.processes();
    return clientsOf(processes) === 0;
  }).catch((error) => faults.push(`${error.message}: there are ${clientsOf(processes)}`));
  // Deadlines and lingering links of processes that were replaced are over then.
  await sleep(Math.max(2000, 2 * sampleMs));
  const verdicts = cluster
    .samples()
    .map((samples) => judge(samples, { begun, ended }))
    .filter((verdict) => verdict !== null);
  if (verdicts.length === 0) faults.push('no process has lived long enough to be judged');
  for (const { name, faults: own } of verdicts) faults.push(...own.map((fault) => `${name}: ${fault}`));
  const code = await cluster.stop();
  if (code !== 0) faults.push(`the cluster ended with ${code ?? 'a signal'}`);
  show(verdicts, work, (ended - begun) / 1000, faults);
  const dropped = processes?.map(({ worker, id, figures }) => ({ worker, id, dropped: figures?.dropped }));
  const result = {
    date: new Date(begun).toISOString(),
    seconds: (ended - begun) / 1000,
    work,
    verdicts,
    dropped,
    faults,
  };
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(result, null, 2)}\n`);
  return faults.length === 0;
}

/** Connects and disconnects: each joins a group, gets a uid and a session, and goes. */
async function connectOften(wanted) {
  const load = newLoad();
  const groups = [];
  for (const wire of WIRES.slice(0, 2)) groups.push(await load.group(target(wire)));
  let connects = 0;
  await Promise.all(
    groups.map(async (group) => {
      while (connects < wanted) {
        const count = Math.min(CONNECTS_AT_ONCE, wanted - connects);
        connects += count;
        await openAll(group, count);
        await group.prepare(Array(count).fill(['!own']));
        await group.close();
      }
    }),
  );
  return { connects };
}

/** All at once for so long: what is wrong goes to `faults`. */
async function mixedLoad(milliseconds, rate, faults) {
  const done = { connects: 0, messages: 0, reloads: 0, garbage: 0, slowReaders: 0 };
  const steady = await steadyClients(rate);
  const comeAndGo = await churn(done);
  const until = Date.now() + milliseconds;
  const every = (pause, act) => repeat(until, pause, act);
  await Promise.all([
    every(CHURN_MS, comeAndGo),
    every(Math.max(2000, milliseconds / RELOADS), async () => {
      await cluster.reload();
      done.reloads++;
    }),
    every(FAULT_MS, async () => {
      await Promise.all(Object.values(cluster.ports).map(garbage));
      done.garbage += Object.keys(cluster.ports).length;
    }),
    every(FAULT_MS * 5, async () => {
      await slowReader(cluster.ports.text);
      done.slowReaders++;
    }),
    every(1000, () => {
      if (!cluster.running) throw new Error('the cluster has ended');
    }),
    watch(until, steady, faults),
  ]);
  for (const { group, what } of steady) {
    await group.stop();
    const { messages, lost, wrong } = await group.read();
    done.messages += messages;
    if (lost > 0) faults.push(`${lost} of the clients that stay (${what}) were disconnected`);
    if (wrong > 0) faults.push(`${wrong} messages (${what}) were wrong`);
  }
  for (const load of loads.splice(0)) await load.end();
  return done;
}

/** Clients that stay: echoes at once and later, sessions, groups, and now and then a word for everybody. */
async function steadyClients(rate) {
  const steady = [];
  const load = newLoad();
  const everyMs = Math.max(1, (STAYING * WIRES.length * 1000) / rate);
  for (const wire of WIRES) {
    for (const [kind, count, pace] of [
      ['e', STAYING / 3, everyMs],
      ['a', STAYING / 3, everyMs],
      ['c', STAYING / 3, everyMs],
    ]) {
      const group = await load.group(target(wire));
      await openAll(group, count);
      await group.start({ message: messageOf(kind, 64), everyMs: pace });
      steady.push({ group, what: `${wire}, ${kind}` });
    }
  }
  const all = await load.group(target('websocket'));
  await openAll(all, 2);
  await all.start({ message: messageOf('b', 80), senders: 1, everyMs: 1000 });
  steady.push({ group: all, what: 'websocket, b' });
  const members = await load.group(target('websocket'));
  await openAll(members, 10);
  // Groups are named by the length of their messages: 90 is of group 40, which those of rest 1 join.
  await members.prepare(Array(10).fill(['!member 1']));
  await members.start({ message: messageOf('g', 90), senders: 1, everyMs: 100 });
  steady.push({ group: members, what: 'websocket, g' });
  return steady;
}

/** Those that come, join groups, get a uid and a session, and go. */
async function churn(done) {
  const load = newLoad();
  const groups = [];
  for (const wire of WIRES) groups.push(await load.group(target(wire)));
  let turn = 0;
  return async () => {
    const group = groups[turn++ % groups.length];
    await openAll(group, CHURN);
    done.connects += CHURN;
    await group.prepare(Array.from({ length: CHURN }, (_, index) => [`!member ${index % 3}`]));
    await group.close();
  };
}

/** Each kind of the clients that stay has to hear something all the time. */
async function watch(until, steady, faults) {
  const heard = new Map();
  while (Date.now() < until) {
    await sleep(1000);
    for (const { group, what } of steady) {
      const { messages } = await group.read();
      const last = heard.get(what);
      if (last === undefined || last.messages < messages) heard.set(what, { messages, at: Date.now() });
      else if (Date.now() - last.at > SILENCE_MS) {
        faults.push(`those of ${what} have heard nothing for ${SILENCE_MS / 1000} s`);
        return;
      }
    }
  }
}

/** Acts again and again until it is time; one after the other, however long each takes. */
async function repeat(until, milliseconds, act) {
  for (;;) {
    const due = Date.now() + milliseconds;
    if (due >= until) break;
    await act();
    await sleep(Math.max(0, due - Date.now()));
  }
}

function target(wire) {
  const [port, name] = [Number(cluster.ports[wire]), wire === 'text' ? 'text' : 'websocket'];
  return { host: '127.0.0.1', port, wire: name, tls: wire === 'tls', deflate: false };
}

function newLoad() {
  const load = new Load();
  loads.push(load);
  return load;
}

function isLinked(processes) {
  return (
    processes?.length > 0 &&
    processes.every(
      ({ state, figures }) => state === 'ready' && figures !== null && (figures.links?.down ?? 0) === 0,
    ) &&
    processes.filter(({ worker }) => worker === 'Steady').every(({ figures }) => figures.links.up >= WIRES.length)
  );
}

/** Of the gateways. */
function clientsOf(processes) {
  const gateways = processes?.filter(({ worker }) => ['WebSocket', 'Text', 'Tls'].includes(worker)) ?? [];
  if (gateways.length !== WIRES.length) return undefined;
  return gateways.reduce((sum, { figures }) => sum + (figures?.connections ?? Number.NaN), 0);
}

async function eventually(what, milliseconds, condition) {
  const deadline = Date.now() + milliseconds;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`not within ${milliseconds / 1000} s: ${what}`);
    await sleep(200);
  }
}

function show(verdicts, work, seconds, faults) {
  const all = Object.entries(work).map(([what, count]) => `${count} ${what}`);
  console.log(`${seconds.toFixed(0)} s: ${all.join(', ')}`);
  console.log(
    `${'process'.padEnd(14)} ${['heap', 'growth', 'an hour', 'memory', 'growth', 'files', 'timers'].map(cell).join(' ')}`,
  );
  for (const { name, heap, rss, files, timers } of verdicts) {
    const sizes = [heap.bytes, heap.growth, heap.perHour, rss.bytes, rss.growth].map(megabytes);
    console.log(`${name.padEnd(14)} ${[...sizes, files, timers].map(cell).join(' ')}`);
  }
  for (const fault of faults) console.log(fault);
  console.log(faults.length === 0 ? 'all within bounds' : `${faults.length} out of bounds`);
}

function cell(value) {
  return String(value).padStart(10);
}

async function end() {
  for (const load of loads.splice(0)) await load.end();
  await cluster?.stop();
  cluster = undefined;
}

/** Throws an Error with what is wrong; null: help is wanted. */
function readOptions(args) {
  const { values } = parseArgs({
    args,
    options: {
      minutes: { type: 'string', default: '60' },
      rate: { type: 'string', default: '1000' },
      connects: { type: 'string', default: '0' },
      json: { type: 'string' },
      leak: { type: 'string', default: '' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return null;
  const number = (name) => {
    const value = Number(values[name]);
    if (!(value >= 0)) throw new Error(`--${name}: ${values[name]} is no number from 0 on`);
    return value;
  };
  const [minutes, rate, connects] = ['minutes', 'rate', 'connects'].map(number);
  return { minutes, rate, connects, json: values.json, leak: values.leak };
}
