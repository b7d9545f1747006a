import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import {
  Command,
  gatewayClientConnectBody,
  gatewayConnectLine,
  PacketReader,
  workerConnectBody,
  workerConnectLine,
} from '../../../src/cluster/protocol/mod.js';
import { eventually } from '../../support/eventually.js';
import { freePort } from '../../support/free-port.js';
import { packetBytes } from '../../support/gateway-link.js';
import { type FuzzedCluster, fuzzedCluster, SECRET } from '../cluster.js';
import { mutated } from '../mutate.js';
import { cut, type Random, type Target, within } from '../target.js';
import { CLIENT_PROTOCOLS } from './client-protocols.js';
import { REQUESTS } from './control.js';
import { EVENTS } from './events.js';
import { ANSWERS, PACKETS } from './link.js';
import { REGISTER_LINES } from './register.js';

/** A connection whose end we have sent is to end within this, however busy the machine is. */
const END_MS = 15_000;
/** What a fake gateway does wrong enough for its link to be dropped, once in so many cases: the next link takes its time. */
const RARELY = 2000;

const CLIENT = packetBytes(Command.GATEWAY_CLIENT_CONNECT, 0, '', gatewayClientConnectBody(SECRET));
const WORKER = packetBytes(
  Command.WORKER_CONNECT,
  0,
  '',
  workerConnectBody('Fuzz:0', SECRET, { extensions: ['binary'] }),
);
const STRANGER = packetBytes(Command.WORKER_CONNECT, 0, '', workerConnectBody('Fuzz:1', 'wrong'));

const seedsOf = (name: string) => CLIENT_PROTOCOLS.find((target) => target.name === name)?.seeds ?? [];
const HANDSHAKES = seedsOf('handshake');
/** A handshake that offers compression stands second. */
const OPENED = HANDSHAKES.slice(0, 2);
const FRAMES = seedsOf('websocket-deflate');

let gateway: FakeGateway | null = null;

const PORTS: readonly Target[] = [
  onPort('port-text', seedsOf('text'), ({ ports }) => ({ port: ports.text })),
  onPort('port-frame', seedsOf('frame'), ({ ports }) => ({ port: ports.frame })),
  onPort('port-handshake', HANDSHAKES, ({ ports }) => ({ port: ports.websocket })),
  {
    name: 'port-websocket',
    seeds: FRAMES,
    run: async (bytes, random) => {
      const { ports } = await fuzzedCluster();
      const handshake = OPENED[random(OPENED.length)] as Buffer;
      await exchange({ port: ports.websocket }, Buffer.concat([handshake, bytes]), random);
    },
  },
  {
    name: 'port-link-stranger',
    seeds: PACKETS,
    run: async (bytes, random) => {
      const { innerPorts } = await fuzzedCluster();
      const first = random(2) === 0 ? STRANGER : Buffer.alloc(0);
      const all = Object.values(innerPorts);
      const port = all[random(all.length)] as number;
      const said = await exchange({ port }, Buffer.concat([first, bytes]), random);
      if (said.length > 0) throw new Error(`a stranger was answered: ${said.toString('hex')}`);
    },
  },
  {
    name: 'port-link',
    seeds: PACKETS,
    run: async (bytes, random) => {
      const { innerPorts } = await fuzzedCluster();
      const first = random(8) === 0 ? WORKER : CLIENT;
      await exchange({ port: innerPorts.commanded }, Buffer.concat([first, bytes]), random);
    },
  },
  {
    name: 'port-register',
    seeds: REGISTER_LINES,
    run: async (bytes, random) => {
      const { registerPort } = await fuzzedCluster();
      const known = random(4) === 0;
      const first = known ? Buffer.from(workerConnectLine(SECRET)) : Buffer.alloc(0);
      const said = await exchange({ port: registerPort }, Buffer.concat([first, bytes]), random);
      if (!known && said.includes('broadcast_addresses')) throw new Error(`a stranger was told: ${said}`);
    },
  },
  {
    name: 'control-socket',
    seeds: REQUESTS,
    run: async (bytes, random) => {
      // What stops the service, or reloads it, is no garbage; a name may be written with escapes.
      if (/stop|reload|\\u/.test(bytes.toString('latin1'))) return;
      await exchange({ path: (await fuzzedCluster()).controlSocket }, bytes, random);
    },
  },
  {
    name: 'link-of-worker',
    seeds: EVENTS,
    run: async (bytes, random) => {
      gateway ??= new FakeGateway((await fuzzedCluster()).registerPort);
      await gateway.tell(bytes, random);
    },
    end: async () => {
      gateway?.close();
      gateway = null;
    },
  },
];

/** The ports of a running cluster, where nobody but the sender of the garbage may notice anything. */
export const SOCKETS: readonly Target[] = PORTS.map((target) => ({
  ...target,
  run: async (bytes: Buffer, random: Random) => {
    await target.run(bytes, random);
    (await fuzzedCluster()).check();
  },
}));

function onPort(
  name: string,
  seeds: readonly Buffer[],
  portOf: (cluster: FuzzedCluster) => { readonly port: number },
): Target {
  return {
    name,
    seeds,
    run: async (bytes, random) => void (await exchange(portOf(await fuzzedCluster()), bytes, random)),
  };
}

/** Sends the bytes, in pieces, and then the end; resolves with what came when the peer has ended it too. */
async function exchange(to: { port: number } | { path: string }, bytes: Buffer, random: Random): Promise<Buffer> {
  const socket = 'port' in to ? connect({ ...to, host: '127.0.0.1' }) : connect(to.path);
  const said: Buffer[] = [];
  socket.on('data', (chunk) => said.push(chunk));
  socket.on('error', () => {});
  const closed = new Promise((resolve) => socket.once('close', resolve));
  await once(socket, 'connect');
  const pieces = random(2) === 0 ? [bytes] : few(cut(bytes, random));
  for (const piece of pieces) {
    socket.write(piece);
    // So that they are not one read at the other end.
    if (random(4) === 0) await new Promise(setImmediate);
  }
  if (random(16) === 0) socket.destroy();
  else socket.end();
  try {
    await within('the end of the connection', closed, END_MS);
  } finally {
    socket.destroy();
  }
  return Buffer.concat(said);
}

/** The first pieces as they are, and the rest as one. */
function few(pieces: readonly Buffer[]): Buffer[] {
  return [...pieces.slice(0, 20), Buffer.concat(pieces.slice(20))];
}

/** A gateway that the workers of the cluster find through its Register, and that tells them anything. */
class FakeGateway {
  readonly #registerPort: number;
  #server: Server | null = null;
  #register: Socket | null = null;
  readonly #sockets = new Set<Socket>();
  /** Links of workers; other connections are for questions. */
  #links: Socket[] = [];
  /** The message that is to be answered by the link, or the link to end. */
  #awaited: { readonly mark: string; readonly link: Socket; readonly resolve: () => void } | null = null;
  #next = 1000;
  #random: Random = () => 0;

  constructor(registerPort: number) {
    this.#registerPort = registerPort;
  }

  /** Sends one packet, and then a message of a client that the worker must still answer. */
  async tell(bytes: Buffer, random: Random): Promise<void> {
    if (this.#server === null) await this.#open();
    this.#random = random;
    const link = await this.#link();
    const id = this.#next++;
    const mark = `e${id} of the fake`;
    const answered = new Promise<void>((resolve) => {
      this.#awaited = { mark, link, resolve };
    });
    link.write(random(RARELY) === 0 ? bytes : framed(bytes, random));
    const question = [
      packetBytes(Command.ON_CONNECT, id),
      packetBytes(Command.ON_MESSAGE, id, '', mark),
      packetBytes(Command.ON_CLOSE, id),
    ];
    link.write(Buffer.concat(question));
    await within(`the answer '${mark}', or the end of the link`, answered, END_MS);
  }

  close(): void {
    this.#register?.destroy();
    for (const socket of this.#sockets) socket.destroy();
    this.#server?.close();
    this.#server = null;
    this.#links = [];
  }

  async #open(): Promise<void> {
    const port = await freePort();
    this.#server = createServer((socket) => this.#serve(socket)).listen(port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#register = connect(this.#registerPort, '127.0.0.1');
    this.#register.on('error', () => {});
    this.#register.write(gatewayConnectLine(`127.0.0.1:${port}`, SECRET));
  }

  /** The link of the worker, once there is one: after one that was dropped it takes a moment. */
  #link(): Promise<Socket> {
    return eventually('a link of the worker', () => this.#links.find(({ destroyed }) => !destroyed), END_MS);
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.setNoDelay();
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#sockets.delete(socket);
      this.#links = this.#links.filter((link) => link !== socket);
      if (this.#awaited?.link === socket) this.#awaited.resolve();
    });
    const reader = new PacketReader();
    const sink = {
      packet: ({
        cmd,
        buffer,
        bodyStart,
        bodyEnd,
      }: {
        cmd: number;
        buffer: Buffer;
        bodyStart: number;
        bodyEnd: number;
      }) => {
        if (cmd === Command.WORKER_CONNECT) this.#links.push(socket);
        else if (cmd === Command.SEND_TO_ONE) this.#hear(buffer.toString('latin1', bodyStart, bodyEnd));
        else if (cmd === Command.GET_SESSION_BY_CLIENT_ID) socket.write(this.#answer());
        return true;
      },
      fail: () => socket.destroy(),
    };
    socket.on('data', (bytes) => reader.push(bytes, sink));
  }

  #hear(body: string): void {
    if (body === this.#awaited?.mark) this.#awaited.resolve();
  }

  #answer(): Buffer {
    const payload = mutated(ANSWERS, this.#random);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(payload.length);
    return Buffer.concat([length, payload]);
  }
}

const TOLD = [...Object.values(Command)].filter((cmd) => cmd !== Command.WORKER_CONNECT);

/** A packet whose lengths are right and whose rest is anything. */
function framed(bytes: Buffer, random: Random): Buffer {
  const at = random(bytes.length + 1);
  const cmd = random(8) === 0 ? random(256) : (TOLD[random(TOLD.length)] as number);
  // Few, because a worker keeps each client until it is told of its end.
  return packetBytes(cmd, random(8), bytes.subarray(28, 28 + at), bytes.subarray(28 + at), random(256));
}
