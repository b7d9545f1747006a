// A process of the load: does what the benchmark asks over its channel, see load.mjs.
import { setPriority } from 'node:os';
import { Group } from './group.mjs';

const groups = new Map();
const operations = {
  /** Lets others go first, for clients whose latency nobody measures. */
  yield: () => setPriority(10),
  create: ({ group, target }) => void groups.set(group, new Group(target)),
  open: ({ group, count, atOnce }) => groups.get(group).open(count, atOnce),
  prepare: ({ group, texts }) => groups.get(group).prepare(texts),
  start: ({ group, flow }) => groups.get(group).start(flow),
  stop: ({ group }) => groups.get(group).stop(),
  read: ({ group }) => groups.get(group).read(),
  close: ({ group, count }) => groups.get(group).close(count),
};

process.on('message', async ({ id, operation, ...rest }) => {
  try {
    process.send({ id, answer: await operations[operation](rest) });
  } catch (error) {
    process.send({ id, error: error.stack });
  }
});
process.on('disconnect', () => process.exit());
