// What a connection that does nothing takes.

/** Connections that are there before the counting starts: code is compiled and pools are filled by then. */
const FIRST = 1000;

const NAMES = { tls: 'websocket over TLS', deflate: 'websocket with permessage-deflate' };

const rows = [
  ['text', { protocol: 'text' }, 15_000, ['ours', 'php'], 5],
  ['websocket', { protocol: 'websocket' }, 15_000, ['ours', 'ws', 'socketio', 'php'], 5],
  ['tls', { protocol: 'websocket', tls: true }, 4000, ['ours', 'ws', 'socketio', 'php'], undefined],
  ['deflate', { protocol: 'websocket', deflate: true }, 15_000, ['ours', 'ws'], undefined],
];

export const MEMORY_ROWS = rows.map(([name, want, wanted, peers, max]) => ({
  name: `memory-${name}`,
  title: `memory of an idle connection, ${NAMES[name] ?? name}, ${wanted} of them`,
  peers,
  figures: [{ name: 'memory', unit: 'KB', max, leads: true }],
  async run(stage) {
    await stage.begin({ ...want, collect: true });
    const most = stage.connections(stage.settings.quick ? FIRST + 500 : wanted);
    const first = Math.min(FIRST, Math.floor(most / 2));
    const crowd = await stage.crowd();
    await crowd.grow(first);
    const before = await stage.settledMemory();
    await crowd.grow(most);
    const after = await stage.settledMemory();
    await crowd.check();
    return { memory: (after - before) / (most - first) / 1024 };
  },
}));
