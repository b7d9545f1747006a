// A message goes to the server and comes back to its client.
import { messageOf } from '../stage.mjs';

const WEBSOCKET = ['ours', 'ws', 'socketio', 'php'];
/** Those that have a text protocol: a line for a message. */
const TEXT = ['ours', 'php'];

const BARS = { '50x10': 1.5, '200x1': 6.5, '10x1': 9 };

const small = ['websocket', 'text'].flatMap((protocol) =>
  [
    [50, 10],
    [200, 1],
    [10, 1],
  ].map(([connections, inFlight]) => {
    const shape = `${connections}x${inFlight}`;
    return echo({
      name: protocol === 'text' ? `echo-text-${shape}` : `echo-${shape}`,
      title: `echo, ${protocol}, ${connections} connections with ${inFlight} in flight`,
      peers: protocol === 'text' ? TEXT : WEBSOCKET,
      max: BARS[shape],
      leadsInLatency: shape === '10x1',
      protocol,
      connections,
      inFlight,
    });
  }),
);

const large = [
  ['1k', 1024, 50, 10],
  ['16k', 16 * 1024, 50, 2],
  ['1m', 1024 * 1024, 5, 1],
].map(([name, bytes, connections, inFlight]) =>
  echo({
    name: `echo-${name}`,
    title: `echo of ${name.toUpperCase()}B, websocket, ${connections} connections with ${inFlight} in flight`,
    peers: WEBSOCKET,
    bytes,
    connections,
    inFlight,
  }),
);

const sessions = [
  ['read', 's'],
  ['changed', 'c'],
].map(([name, kind]) =>
  echo({
    name: `session-${name}`,
    title: `echo with a session of 1 KB that is ${name} each time, 50 connections with 10 in flight`,
    peers: ['ours', 'php'],
    kind,
    prepare: '!session',
    connections: 50,
    inFlight: 10,
  }),
);

export const ECHO_ROWS = [...small, ...large, ...sessions];

function echo(row) {
  const { name, title, peers, max, leadsInLatency = false, protocol = 'websocket' } = row;
  const { connections, inFlight, bytes = 64, kind = 'e', prepare } = row;
  const latency = inFlight === 1;
  const times = [
    { name: 'p50', unit: 'µs' },
    { name: 'p99', unit: 'µs', leads: leadsInLatency },
    { name: 'p99.9', unit: 'µs' },
  ];
  return {
    name,
    title,
    peers,
    figures: [{ name: 'CPU per message', unit: 'µs', max, leads: true }, ...(latency ? times : [])],
    async run(stage) {
      await stage.begin({ protocol });
      const group = await stage.clients(stage.load(), connections);
      if (prepare !== undefined) await group.prepare(Array(connections).fill([prepare]));
      await group.start({ message: messageOf(kind, bytes), inFlight, latency });
      const { cpu, rate, loadCpu, ...rest } = await stage.measure(group);
      const { p50, p99, p999 } = rest.latency ?? {};
      return { 'CPU per message': cpu, p50, p99, 'p99.9': p999, rate, loadCpu };
    },
  };
}
