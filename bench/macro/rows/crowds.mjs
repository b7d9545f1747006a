// Very many connections, and how those fare who talk among them.
import { connectionsPerProcess } from '../measure/machine.mjs';
import { messageOf, openAll, sleep } from '../stage.mjs';

const PEERS = ['ours', 'ws', 'socketio', 'php'];
const HELD = 100_000;
const HEARERS = 50_000;
/** Clients that go on talking: so many, each with a message every so often. */
const TALKERS = 50;
const EVERY_MS = 100;
/** Of the connections that are held a tenth is cut off and comes back. */
const STORM = 0.1;
/** So many are there before memory and connects are counted. */
const FIRST = 0.1;
const WINDOW_S = 10;
/** Long enough for a broadcast a second. */
const QUICK_WINDOW_S = 3;
/** A server that answers nobody for so long is not slow but broken. */
const SILENCE_MS = 10_000;

const held = {
  name: 'connections-100000',
  title: `${HELD} connections, websocket, and a storm of reconnects`,
  peers: PEERS,
  figures: [
    { name: 'connections held', unit: '', more: true, min: HELD },
    { name: 'connects per second', unit: '/s', more: true, leads: true },
    { name: 'memory', unit: 'KB', leads: true },
    { name: 'p50, calm', unit: 'µs' },
    { name: 'p99, calm', unit: 'µs' },
    { name: 'reconnects per second', unit: '/s', more: true },
    { name: 'p50, storm', unit: 'µs' },
    { name: 'p99, storm', unit: 'µs' },
  ],
  async run(stage) {
    const gateways = Math.ceil((HELD + TALKERS) / connectionsPerProcess());
    await stage.begin({ gateways, collect: true });
    const count = stage.connections(scaled(stage, HELD) + TALKERS, gateways) - TALKERS;
    const talkers = await stage.clients(stage.load(), TALKERS);
    const crowd = await stage.crowd();
    // Code is compiled and pools are filled in all gateways by then.
    const first = Math.floor(count * FIRST);
    await crowd.grow(first);
    const before = await stage.settledMemory();
    const begun = performance.now();
    await crowd.grow(count);
    const seconds = (performance.now() - begun) / 1000;
    const memory = (await stage.settledMemory()) - before;
    await crowd.check();
    await talk(talkers);
    const calm = await latencyOf(talkers, sleep(windowMs(stage)));
    const leaving = Math.ceil((count * STORM) / crowd.groups.length);
    const stormBegun = performance.now();
    const storm = await latencyOf(talkers, Promise.all(crowd.groups.map((group) => reconnect(group, leaving))));
    const stormSeconds = (performance.now() - stormBegun) / 1000;
    await crowd.check();
    return {
      'connections held': count,
      'connects per second': (count - first) / seconds,
      memory: memory / (count - first) / 1024,
      'p50, calm': calm.p50,
      'p99, calm': calm.p99,
      'reconnects per second': (leaving * crowd.groups.length) / stormSeconds,
      'p50, storm': storm.p50,
      'p99, storm': storm.p99,
    };
  },
};

const waiting = {
  name: 'broadcast-50000',
  title: `single sends while ${HEARERS} clients get a broadcast every second, websocket`,
  peers: PEERS,
  figures: [
    { name: 'clients', unit: '', more: true, min: HEARERS },
    { name: 'p50, without', unit: 'µs' },
    { name: 'p99, without', unit: 'µs' },
    { name: 'p50', unit: 'µs' },
    { name: 'p99', unit: 'µs', leads: true },
    { name: 'CPU per delivery', unit: 'µs' },
  ],
  async run(stage) {
    const gateways = Math.ceil((HEARERS + TALKERS) / connectionsPerProcess());
    await stage.begin({ gateways });
    const count = stage.connections(scaled(stage, HEARERS) + TALKERS, gateways) - TALKERS;
    const talkers = await stage.clients(stage.load(), TALKERS);
    const crowd = await stage.crowd();
    await crowd.grow(count);
    await talk(talkers);
    const without = await latencyOf(talkers, sleep(windowMs(stage)));
    const cpu = stage.server.cpu();
    const before = await heardBy(crowd);
    // The clients that talk get it too; its length tells it from what they wait for.
    for (const [index, group] of crowd.groups.entries()) {
      await group.start({ message: messageOf('b', 72), senders: index === 0 ? 1 : 0, everyMs: 1000 });
    }
    const during = await latencyOf(talkers, sleep(windowMs(stage)));
    const heard = (await heardBy(crowd)) - before;
    await crowd.check();
    if (heard === 0) throw new Error('nobody heard a broadcast');
    return {
      clients: count,
      'p50, without': without.p50,
      'p99, without': without.p99,
      p50: during.p50,
      p99: during.p99,
      'CPU per delivery': ((stage.server.cpu() - cpu) * 1e6) / heard,
    };
  },
};

export const CROWD_ROWS = [held, waiting];

async function talk(talkers) {
  await talkers.start({ message: messageOf('e', 64), everyMs: EVERY_MS, latency: true });
  await sleep(1000);
}

/** How long single sends take until something is over. */
async function latencyOf(talkers, over) {
  await talkers.read();
  await over;
  const deadline = performance.now() + SILENCE_MS;
  let heard = await talkers.read();
  while (heard.latency === null && performance.now() < deadline) {
    await sleep(100);
    heard = await talkers.read();
  }
  const { latency, wrong, lost } = heard;
  if (latency === null || wrong > 0 || lost > 0) {
    throw new Error(`the clients that talk: ${lost} lost, ${wrong} messages wrong, ${latency?.count ?? 0} answers`);
  }
  return latency;
}

async function reconnect(group, count) {
  await group.close(count);
  await openAll(group, count);
}

async function heardBy(crowd) {
  const all = await Promise.all(crowd.groups.map((group) => group.read()));
  return all.reduce((sum, { messages }) => sum + messages, 0);
}

function scaled({ settings }, count) {
  return settings.quick ? 1000 : count;
}

function windowMs({ settings }) {
  return (settings.quick ? QUICK_WINDOW_S : WINDOW_S) * 1000;
}
