import { Buffer } from 'node:buffer';
import { Acknowledgements } from '../../src/cluster/business/acknowledgements.js';
import {
  type CommandSource,
  type GatewayLinkEvents,
  GatewayMesh,
  type GatewayMeshOptions,
  type GatewayPeer,
  WorkerMesh,
  type WorkerMeshOptions,
  type WorkerPeer,
} from '../../src/cluster/link/mod.js';
import {
  Command,
  FLAG_SCALAR,
  isEvent,
  isQuery,
  MAX_PACKET_SIZE,
  type PacketHead,
  PacketReader,
  type PacketView,
  packetHead,
} from '../../src/cluster/protocol/mod.js';
import { packetBytes } from './gateway-link.js';
import { RecordingLogger } from './recording-logger.js';
import { TcpClient } from './tcp-client.js';

export interface SeenPacket {
  readonly cmd: number;
  readonly connectionId: number;
  readonly flag: number;
  readonly ext: string;
  readonly body: string;
}

export function seen(packet: PacketView): SeenPacket {
  const { cmd, connectionId, flag } = packet;
  return { cmd, connectionId, flag, ext: packet.extText(), body: packet.bodyText() };
}

/** A gateway's end of the mesh, with everything it is told kept. */
export class MeshGateway implements GatewayLinkEvents, AsyncDisposable {
  readonly mesh: GatewayMesh;
  readonly logger = new RecordingLogger();
  readonly workers = new Map<string, WorkerPeer>();
  readonly history: string[] = [];
  readonly commands: SeenPacket[] = [];
  drained = 0;
  port = 0;
  /** Answers a question; nothing: never. Default: the connection id. */
  answer: (packet: PacketView, from: CommandSource) => void = ({ connectionId }, from) => {
    from.reply(`i:${connectionId};`);
  };

  /** Told of every command. */
  takeCommand: (packet: PacketView, from: CommandSource) => void = () => {};

  constructor(options: Partial<GatewayMeshOptions> = {}) {
    this.mesh = new GatewayMesh({
      lanIp: '127.0.0.1',
      lanPort: 0,
      listenIp: '127.0.0.1',
      registerAddresses: [],
      secretKey: '',
      sendToWorkerBufferSize: 10_240_000,
      maxUnacknowledgedBytes: 16_777_216,
      workerTimeout: 60,
      maxPacketSize: MAX_PACKET_SIZE,
      logger: this.logger,
      ...options,
    });
  }

  static async start(options: Partial<GatewayMeshOptions> = {}): Promise<MeshGateway> {
    const gateway = new MeshGateway(options);
    gateway.port = (await gateway.mesh.open(gateway)).localPort;
    gateway.mesh.announce();
    return gateway;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  workerJoined(worker: WorkerPeer): void {
    this.workers.set(worker.key, worker);
    this.history.push(`+${worker.key}`);
  }

  workerLeft(worker: WorkerPeer): void {
    if (this.workers.get(worker.key) === worker) this.workers.delete(worker.key);
    this.history.push(`-${worker.key}`);
  }

  workerDrained(): void {
    this.drained++;
  }

  command(packet: PacketView, from: CommandSource): void {
    this.commands.push(seen(packet));
    this.takeCommand(packet, from);
    if (isQuery(packet.cmd)) this.answer(packet, from);
  }

  /** Sends an event with this body to a worker; default: the only one. */
  event(body: string | Buffer, flag = FLAG_SCALAR, worker = [...this.workers.values()][0]): boolean {
    const bytes = Buffer.from(body as string);
    const head = packetHead({ cmd: Command.ON_MESSAGE, connectionId: 1, flag });
    return worker?.sendEvent(head, Buffer.alloc(0), bytes, 0, bytes.length) ?? false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.mesh.close();
  }
}

/** A worker's end of the mesh, with everything it is told kept. */
export class MeshWorker implements AsyncDisposable {
  readonly mesh: WorkerMesh;
  readonly logger = new RecordingLogger();
  readonly history: string[] = [];
  readonly events: SeenPacket[] = [];
  readonly #acknowledgements = new Map<GatewayPeer, Acknowledgements>();

  constructor(registerAddresses: readonly string[], options: Partial<WorkerMeshOptions> = {}) {
    this.mesh = new WorkerMesh({
      workerKey: 'worker:0',
      registerAddresses,
      secretKey: '',
      sendToGatewayBufferSize: 10_240_000,
      maxPacketSize: MAX_PACKET_SIZE,
      queryTimeout: 5,
      gatewayTimeout: 60,
      logger: this.logger,
      ...options,
    });
    this.mesh.open({
      gatewayJoined: (gateway) => void this.history.push(`+${gateway.address}`),
      gatewayIdentified: () => {},
      gatewayLeft: (gateway) => {
        this.#acknowledgements.delete(gateway);
        this.history.push(`-${gateway.address}`);
      },
      event: (packet, gateway) => {
        this.events.push(seen(packet));
        if (isEvent(packet.cmd)) this.#acknowledge(gateway);
      },
    });
  }

  /** Everything is handled when it has come. */
  #acknowledge(gateway: GatewayPeer): void {
    const acknowledgements = this.#acknowledgements.get(gateway) ?? new Acknowledgements();
    this.#acknowledgements.set(gateway, acknowledgements);
    acknowledgements.received();
    setImmediate(() => acknowledgements.send(gateway));
  }

  get live(): GatewayPeer[] {
    return [...this.mesh.gateways].filter(({ live }) => live);
  }

  get addresses(): string[] {
    return this.live.map(({ address }) => address);
  }

  send(cmd: number, connectionId = 0, body = ''): boolean {
    return this.live[0]?.send(head(cmd, connectionId), '', body) ?? false;
  }

  ask(connectionId: number): Promise<string> {
    const [gateway] = this.mesh.gateways;
    if (gateway === undefined) throw new Error('no gateway');
    return gateway.ask(head(Command.IS_ONLINE, connectionId), '', '').then((payload) => payload.toString());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.mesh.close();
  }
}

/** A peer on the inner port that speaks as PHP does: it announces nothing, and keeps the packets it is sent. */
export class PhpPeer extends TcpClient {
  readonly #reader = new PacketReader();
  readonly packets: SeenPacket[] = [];

  constructor(port: number, allowHalfOpen = false) {
    super(port, '127.0.0.1', allowHalfOpen);
    this.socket.on('data', (chunk) => {
      this.#reader.push(chunk, {
        packet: (view) => {
          this.packets.push(seen(view));
          return true;
        },
        fail: () => {},
      });
    });
  }

  command(cmd: number, connectionId = 0, ext = '', body = ''): void {
    this.write(packetBytes(cmd, connectionId, ext, body));
  }

  /** WORKER_CONNECT with these fields. */
  join(fields: Record<string, unknown> = { worker_key: 'php:0', secret_key: '' }): void {
    this.command(Command.WORKER_CONNECT, 0, '', JSON.stringify(fields));
  }

  /** Answers read on a connection for questions. */
  get answers(): string[] {
    const { bytes } = this;
    const answers: string[] = [];
    for (let at = 0; at + 4 <= bytes.length; ) {
      const end = at + 4 + bytes.readUInt32BE(at);
      answers.push(bytes.toString('latin1', at + 4, end));
      at = end;
    }
    return answers;
  }
}

function head(cmd: number, connectionId: number): PacketHead {
  return packetHead({ cmd, connectionId, flag: FLAG_SCALAR });
}
