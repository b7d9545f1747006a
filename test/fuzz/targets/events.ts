import { Buffer } from 'node:buffer';
import type { Client, Events, WebSocketRequest } from '../../../src/cluster/business/mod.js';
import { Command, PacketReader, serialize } from '../../../src/cluster/protocol/mod.js';
import { vectors } from '../../cluster/protocol/support.js';
import { bench, turn } from '../../support/fake-link.js';
import { packetBytes } from '../../support/gateway-link.js';
import type { Random, Target } from '../target.js';

const SESSION = serialize({ name: 'joe', cart: [1, 2.5, { id: 7 }] });

const requests = vectors<{ readonly expected: { readonly body?: { readonly hex: string }; readonly hex?: string } }>(
  'websocket-connect',
).flatMap(({ expected: { body, hex } }) => {
  const text = body?.hex ?? hex;
  return text === undefined ? [] : [Buffer.from(text, 'hex')];
});

/** Events of two clients, as gateways send them. */
export const EVENTS: readonly Buffer[] = [
  packetBytes(Command.ON_CONNECT, 1),
  packetBytes(Command.ON_MESSAGE, 1, SESSION, 'hello'),
  packetBytes(Command.ON_MESSAGE, 1, SESSION, serialize([1, { two: 2 }]), 0),
  packetBytes(Command.ON_CLOSE, 1, SESSION),
  packetBytes(Command.DRAIN, 0),
  ...requests.slice(0, 8).map((body) => packetBytes(Command.ON_WEBSOCKET_CONNECT, 2, '', body)),
];

const events: Events = {
  onConnect: (client: Client) => void client.send('hello'),
  onWebSocketConnect: (client: Client, request: WebSocketRequest) => {
    client.session = { query: request.query, cookies: request.cookies, agent: request.headers['user-agent'] };
  },
  // Every other one settles later, so that what follows waits.
  onMessage: (client: Client<Record<string, unknown>>, message: unknown) => {
    client.session.last = typeof message;
    return typeof message === 'string' && message.length % 2 === 0 ? turn() : undefined;
  },
  onClose: (client: Client) => void Object.keys(client.session),
};

/** What gateways tell a business worker: nothing that stands in an event may do more than be reported. */
export const BUSINESS_EVENTS: Target = {
  name: 'events',
  seeds: [...EVENTS, Buffer.concat(EVENTS), Buffer.concat([...EVENTS].reverse())],
  async run(bytes: Buffer, random: Random) {
    const { link, process, logger } = bench(events, { maxPendingBytesPerClient: 2000, binary: random(2) === 0 });
    link.peer.answer = () => (random(2) === 0 ? Promise.resolve(SESSION) : Promise.reject(new Error('no answer')));
    new PacketReader({ maxPacketSize: 1 << 20 }).push(Buffer.from(bytes), {
      packet: (view) => {
        process.event(view, link.peer);
        return true;
      },
      fail: () => {},
    });
    await turn();
    await turn();
    if (random(4) === 0) process.gatewayLeft(link.peer);
    // What is not the user's or the peer's fault has no place among the reports.
    const wrong = logger.entries.find(({ message }) => /TypeError|RangeError|ReferenceError/.test(message));
    if (wrong !== undefined) throw new Error(wrong.message);
  },
};
