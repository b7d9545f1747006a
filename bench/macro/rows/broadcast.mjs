// A message of one client goes to all.
import { messageOf } from '../stage.mjs';

const CLIENTS = 500;

const rows = [
  ['websocket', 10, ['ours', 'ws', 'socketio', 'php']],
  ['websocket', 1, ['ours', 'ws', 'socketio', 'php']],
  ['text', 10, ['ours', 'php']],
];

export const BROADCAST_ROWS = rows.map(([protocol, inFlight, peers]) => ({
  name: `broadcast-${protocol === 'text' ? 'text-' : ''}${CLIENTS}x${inFlight}`,
  title: `broadcast to ${CLIENTS}, ${protocol}, ${inFlight} in flight`,
  peers,
  // One at a time is one write for each client whatever a server does: the bar is for several that can share a write.
  figures: [{ name: 'CPU per delivery', unit: 'µs', max: inFlight > 1 ? 0.3 : undefined, leads: true }],
  async run(stage) {
    await stage.begin({ protocol });
    const group = await stage.clients(stage.load(), CLIENTS);
    await group.start({ message: messageOf('b', 64), inFlight, senders: 1 });
    const { cpu, rate, loadCpu } = await stage.measure(group);
    return { 'CPU per delivery': cpu, rate, loadCpu };
  },
}));
