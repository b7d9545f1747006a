// What a message to a group, a uid or a list of clients costs a delivery, when there are ever more others.
import { connectionsPerProcess } from '../measure/machine.mjs';
import { messageOf } from '../stage.mjs';

const MEMBERS = 100;
const IN_FLIGHT = 10;
/** From the first to the last point a delivery may cost so much more. */
const GROWTH = 1.1;
const CONNECTIONS = [1000, 10_000, 50_000];
const GROUPS = [10, 1000, 100_000];
const GROUPS_PER_CLIENT = 1000;

const byConnections = [
  ['group', 'g'],
  ['uid', 'u'],
  ['list', 'l'],
].map(([name, kind]) =>
  row(`${name}-connections`, `send to ${wordOf(name)} of ${MEMBERS}`, 'connections', CONNECTIONS, async (stage) => {
    const gateways = Math.ceil(CONNECTIONS.at(-1) / connectionsPerProcess());
    await stage.begin({ gateways });
    const members = await membersOf(stage);
    await costOf(stage, members, kind);
    const crowd = await stage.crowd();
    const all = [];
    for (const count of scaled(stage, CONNECTIONS)) {
      await crowd.grow(count - MEMBERS);
      all.push(await costOf(stage, members, kind));
      await crowd.check();
    }
    return all;
  }),
);

const byGroups = row(
  'group-groups',
  `send to a group of ${MEMBERS}, 1,100 connections`,
  'groups',
  GROUPS,
  async (stage) => {
    await stage.begin();
    const members = await membersOf(stage);
    const others = await stage.clients(stage.load(), 1000);
    const all = [];
    let from = 0;
    for (const count of scaled(stage, GROUPS)) {
      const texts = [];
      for (; from < count; from = Math.min(count, from + GROUPS_PER_CLIENT)) {
        texts.push([`!groups ${from} ${Math.min(count, from + GROUPS_PER_CLIENT)}`]);
      }
      await others.prepare(texts);
      all.push(await costOf(stage, members, 'g'));
    }
    return all;
  },
);

export const GROUP_ROWS = [...byConnections, byGroups];

function row(name, title, what, points, run) {
  const labels = points.map((count) => `CPU per delivery, ${count} ${what}`);
  return {
    name,
    title,
    peers: ['ours'],
    figures: [...labels.map((label) => ({ name: label, unit: 'µs' })), { name: 'growth', unit: '×', max: GROWTH }],
    async run(stage) {
      const costs = await run(stage);
      return {
        ...Object.fromEntries(labels.map((label, index) => [label, costs[index]])),
        growth: costs.at(-1) / costs[0],
      };
    },
  };
}

async function membersOf(stage) {
  const members = await stage.clients(stage.load(), MEMBERS);
  await members.prepare(Array(MEMBERS).fill(['!member']));
  return members;
}

/** Called once before the first point, so that all points are measured with the code compiled. */
async function costOf(stage, members, kind) {
  await members.start({ message: messageOf(kind, 64), inFlight: IN_FLIGHT, senders: 1 });
  const { cpu } = await stage.measure(members);
  await members.stop();
  return cpu;
}

function scaled({ settings }, points) {
  return settings.quick ? points.map((_, index) => 200 * (index + 1)) : points;
}

function wordOf(name) {
  return name === 'group' ? 'a group' : name === 'uid' ? 'a uid with clients' : 'a list';
}
