import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Command, isQuery, PacketReader, type PacketView, unserialize } from '../../../src/cluster/protocol/mod.js';
import { eventually } from '../../support/eventually.js';
import { type FakeWorker, startGateway, type TestGateway } from '../../support/gateway-link.js';
import type { Random, Target } from '../target.js';
import { PACKETS } from './link.js';

const CLIENTS = 4;
const COMMANDS_TO_GATEWAYS = [...Object.values(Command)].filter((cmd) => cmd < 200 || cmd > 202);

let gateway: TestGateway | null = null;
let worker: FakeWorker;
/** By connection id. */
const clients = new Map<number, Socket>();

/** What workers and GatewayClients command, carried out by a gateway that has clients: each question gets one answer. */
export const COMMANDS: Target = {
  name: 'gateway-commands',
  seeds: PACKETS,
  async run(bytes: Buffer, random: Random) {
    const { link } = await present();
    const ids = [...clients.keys()];
    const worded = random(2) === 0;
    let questions = 0;
    let replies = 0;
    const take = (view: PacketView) => {
      // Recorded ids are of nobody here.
      if (random(2) === 0) view.connectionId = ids[random(ids.length)] as number;
      if (worded) view.cmd = COMMANDS_TO_GATEWAYS[random(COMMANDS_TO_GATEWAYS.length)] as number;
      const before = replies;
      const reply = (payload: Buffer | string) => {
        replies++;
        // A session is handed out as it was stored, whatever it is.
        if (view.cmd !== Command.GET_SESSION_BY_CLIENT_ID) unserialize(Buffer.from(payload as string, 'latin1'));
      };
      link.events.command(view, { worker: random(2) === 0 ? worker : null, reply });
      if (isQuery(view.cmd)) questions++;
      if (replies !== before + Number(isQuery(view.cmd))) throw new Error(`${replies - before} answers to ${view.cmd}`);
      return questions < 100;
    };
    new PacketReader().push(bytes, { packet: take, fail: () => {} });
    await new Promise(setImmediate);
    worker.events.length = 0;
    gateway?.logger.entries.splice(0);
  },
  async end() {
    for (const socket of clients.values()) socket.destroy();
    clients.clear();
    await gateway?.[Symbol.asyncDispose]();
    gateway = null;
  },
};

/** The gateway with all of its clients: those that were kicked are replaced. */
async function present(): Promise<TestGateway> {
  if (gateway === null) {
    gateway = await startGateway();
    worker = gateway.link.join();
  }
  for (const [id, socket] of clients) if (socket.destroyed || socket.readableEnded) clients.delete(id);
  while (clients.size < CLIENTS) {
    const socket = connect(gateway.port, '127.0.0.1');
    socket.on('error', () => {});
    await once(socket, 'connect');
    socket.resume();
    const joined = () =>
      worker.events.find(({ head }) => head.cmd === Command.ON_CONNECT && !clients.has(head.connectionId));
    clients.set((await eventually('the client to be known', joined)).head.connectionId, socket);
    worker.events.length = 0;
  }
  return gateway;
}
