import { Buffer } from 'node:buffer';
import type {
  CommandSource,
  GatewayIdentity,
  GatewayLink,
  GatewayLinkEvents,
  GatewayPeer,
  WorkerLink,
  WorkerLinkEvents,
  WorkerPeer,
} from '../../src/cluster/link/mod.js';
import {
  Command,
  FLAG_SCALAR,
  isQuery,
  type PacketHead,
  type PacketView,
  packetHead,
} from '../../src/cluster/protocol/mod.js';
import { eventually } from './eventually.js';

/** A packet as it was shown, with values to keep. */
export interface ShownPacket {
  readonly head: PacketHead;
  readonly ext: Buffer;
  readonly body: Buffer;
}

/** A gateway's end of any link, which keeps what it is told. */
export class GatewayEnd implements GatewayLinkEvents {
  readonly link: GatewayLink;
  readonly history: string[] = [];
  readonly workers = new Map<string, WorkerPeer>();
  readonly commands: ShownPacket[] = [];
  identity: GatewayIdentity = { localIp: 0, localPort: 0 };
  drained = 0;
  /** Called with each event of the link, before it is kept. */
  onTold: () => void = () => {};
  onJoined: (worker: WorkerPeer) => void = () => {};
  onCommand: (packet: PacketView, from: CommandSource) => void = () => {};
  /** Answers a question; default: with its connection id. */
  answer: (packet: PacketView, from: CommandSource) => void = ({ connectionId }, from) => {
    from.reply(`i:${connectionId};`);
  };

  constructor(link: GatewayLink) {
    this.link = link;
  }

  get address(): string {
    return `127.0.0.1:${this.identity.localPort}`;
  }

  /** The only worker. */
  get worker(): WorkerPeer {
    const [worker] = this.workers.values();
    if (worker === undefined) throw new Error('no worker has joined');
    return worker;
  }

  /** Bodies of the commands, without questions. */
  get bodies(): string[] {
    return this.commands.filter(({ head }) => !isQuery(head.cmd)).map(({ body }) => body.toString());
  }

  async open(): Promise<void> {
    this.identity = await this.link.open(this);
  }

  /** Sends an event to the only worker. */
  event(body: string | Buffer, worker = this.worker): boolean {
    const bytes = Buffer.from(body as string);
    return worker.sendEvent(eventHead(1), Buffer.alloc(0), bytes, 0, bytes.length);
  }

  workerJoined(worker: WorkerPeer): void {
    this.onTold();
    this.history.push(`+${worker.key}`);
    this.workers.set(worker.key, worker);
    this.onJoined(worker);
  }

  workerLeft(worker: WorkerPeer): void {
    this.onTold();
    this.history.push(`-${worker.key}`);
    this.workers.delete(worker.key);
  }

  workerDrained(): void {
    this.onTold();
    this.drained++;
  }

  command(packet: PacketView, from: CommandSource): void {
    this.onTold();
    this.commands.push(shown(packet));
    this.onCommand(packet, from);
    if (isQuery(packet.cmd)) this.answer(packet, from);
  }
}

/** A worker's end of any link, which keeps what it is told. */
export class WorkerEnd implements WorkerLinkEvents {
  readonly link: WorkerLink;
  readonly history: string[] = [];
  readonly events: ShownPacket[] = [];
  onTold: () => void = () => {};
  onEvent: (packet: PacketView, gateway: GatewayPeer) => void = () => {};

  constructor(link: WorkerLink) {
    this.link = link;
  }

  /** The gateways it is connected to. */
  get live(): GatewayPeer[] {
    return [...this.link.gateways].filter(({ live }) => live);
  }

  /** The only gateway. */
  get gateway(): GatewayPeer {
    const [gateway] = this.link.gateways;
    if (gateway === undefined) throw new Error('no gateway is known');
    return gateway;
  }

  get bodies(): string[] {
    return this.events.map(({ body }) => body.toString());
  }

  send(body: string, gateway = this.gateway): boolean {
    return gateway.send(commandHead(Command.SEND_TO_ONE), '', body);
  }

  async ask(connectionId: number, gateway = this.gateway): Promise<string> {
    return (await gateway.ask(commandHead(Command.IS_ONLINE, connectionId), '', '')).toString();
  }

  gatewayJoined(gateway: GatewayPeer): void {
    this.onTold();
    this.history.push(`+${gateway.address}`);
  }

  gatewayIdentified(): void {}

  gatewayLeft(gateway: GatewayPeer): void {
    this.onTold();
    this.history.push(`-${gateway.address}`);
  }

  event(packet: PacketView, gateway: GatewayPeer): void {
    this.onTold();
    this.events.push(shown(packet));
    this.onEvent(packet, gateway);
  }
}

/** Waits until each gateway is linked with each worker. */
export async function linked(gateways: readonly GatewayEnd[], workers: readonly WorkerEnd[]): Promise<void> {
  await eventually('the links', () => {
    const seen = gateways.every((gateway) => gateway.workers.size === workers.length);
    return seen && workers.every((worker) => worker.live.length === gateways.length);
  });
}

export function commandHead(cmd: number, connectionId = 0): PacketHead {
  return packetHead({ cmd, connectionId, flag: FLAG_SCALAR });
}

export function eventHead(connectionId: number): PacketHead {
  return packetHead({ cmd: Command.ON_MESSAGE, connectionId, flag: FLAG_SCALAR });
}

function shown(packet: PacketView): ShownPacket {
  const { cmd, localIp, localPort, clientIp, clientPort, connectionId, flag, gatewayPort } = packet;
  return {
    head: { cmd, localIp, localPort, clientIp, clientPort, connectionId, flag, gatewayPort },
    ext: packet.extBytes(),
    body: packet.bodyBytes(),
  };
}
