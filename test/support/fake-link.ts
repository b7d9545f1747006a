import { Buffer } from 'node:buffer';
import { BusinessProcess, type BusinessProcessOptions } from '../../src/cluster/business/business-process.js';
import type { Events } from '../../src/cluster/business/mod.js';
import {
  AbsentGroups,
  type Extension,
  type GatewayPeer,
  type LinkFigures,
  type WorkerLink,
} from '../../src/cluster/link/mod.js';
import { Command, FLAG_SCALAR, type PacketHead, PacketView, serialize } from '../../src/cluster/protocol/mod.js';
import { RecordingLogger } from './recording-logger.js';

export interface Sent {
  readonly cmd: number;
  readonly connectionId: number;
  readonly flag: number;
  readonly ext: string;
  readonly body: string;
  /** The body as it was sent. */
  readonly bytes: Buffer;
}

/** A gateway that keeps what it is sent. */
export class FakePeer implements GatewayPeer {
  readonly address: string;
  readonly localIp: number;
  readonly localPort: number;
  live = true;
  undecided = false;
  process: string | null = null;
  extensions: Extension[] = ['binary'];
  readonly absentGroups = new AbsentGroups();
  readonly sent: Sent[] = [];
  answer: (head: PacketHead, ext: string) => Promise<Buffer> = () => new Promise(() => {});

  constructor(localPort = 2900) {
    this.address = `127.0.0.1:${localPort}`;
    this.localIp = 0x7f000001;
    this.localPort = localPort;
  }

  supports(extension: Extension): boolean {
    return this.extensions.includes(extension);
  }

  send(head: PacketHead, ext: string | Buffer, body: string | Buffer): boolean {
    if (!this.live) return false;
    const { cmd, connectionId, flag } = head;
    this.sent.push({ cmd, connectionId, flag, ext: ext.toString(), body: body.toString(), bytes: Buffer.from(body) });
    return true;
  }

  ask(head: PacketHead, ext: string | Buffer): Promise<Buffer> {
    return this.answer({ ...head }, ext.toString());
  }

  of(cmd: number): Sent[] {
    return this.sent.filter((sent) => sent.cmd === cmd);
  }
}

/** A link without a wire: events are delivered at once, or held while it is paused. */
export class FakeLink implements WorkerLink {
  readonly peers: FakePeer[];
  announced = true;
  paused = false;
  left = false;
  pauses = 0;
  resumes = 0;
  process!: BusinessProcess;
  readonly #held: (() => void)[] = [];

  constructor(peers: FakePeer[] = [new FakePeer()]) {
    this.peers = peers;
  }

  get gateways(): Iterable<GatewayPeer> {
    return this.peers;
  }

  gateway(localIp: number, localPort: number): GatewayPeer | undefined {
    return this.peers.find((peer) => peer.localIp === localIp && peer.localPort === localPort);
  }

  open(): void {}

  async linked(): Promise<void> {}

  announces(): boolean {
    return this.announced;
  }

  leave(): void {
    this.left = true;
  }

  pause(): void {
    this.paused = true;
    this.pauses++;
  }

  /** As the mesh does: what is held is delivered before this returns. */
  resume(): void {
    this.paused = false;
    this.resumes++;
    while (!this.paused && this.#held.length > 0) this.#held.shift()?.();
  }

  figures(): LinkFigures {
    const up = this.peers.filter(({ live }) => live).length;
    return { up, down: this.peers.length - up, queuedBytes: 0, sendFail: 0, dropped: {} };
  }

  openConnections(): [] {
    return [];
  }

  async close(): Promise<void> {}

  get peer(): FakePeer {
    return this.peers[0] as FakePeer;
  }

  event(cmd: number, connectionId: number, body: string | Buffer = '', session: Buffer = Buffer.alloc(0)): void {
    const deliver = () =>
      this.process.event(packet(cmd, connectionId, Buffer.from(body as string), session), this.peer);
    if (this.paused) this.#held.push(deliver);
    else deliver();
  }

  connect(connectionId: number): void {
    this.event(Command.ON_CONNECT, connectionId);
  }

  message(connectionId: number, body: string | Buffer, session?: Record<string, unknown>): void {
    this.event(Command.ON_MESSAGE, connectionId, body, session === undefined ? undefined : serialize(session));
  }

  hangUp(connectionId: number): void {
    this.event(Command.ON_CLOSE, connectionId);
  }

  /** The gateway has sent its last event. */
  last(): void {
    this.event(Command.DRAIN, 0);
  }
}

export interface Bench {
  readonly link: FakeLink;
  readonly logger: RecordingLogger;
  readonly process: BusinessProcess;
}

export function bench(events: Events, options: Partial<BusinessProcessOptions> = {}): Bench {
  const link = new FakeLink();
  const logger = new RecordingLogger();
  const all = {
    binary: false,
    maxPendingBytesPerClient: 1_048_576,
    maxPendingBytes: 67_108_864,
    handlerTimeout: 300,
    lostGatewayTimeout: 10,
    ...options,
  };
  const process = new BusinessProcess(all, events, link, logger);
  link.process = process;
  process.gatewayJoined(link.peer);
  return { link, logger, process };
}

export interface Deferred {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (thrown: unknown) => void;
}

export function deferred(): Deferred {
  let resolve!: () => void;
  let reject!: (thrown: unknown) => void;
  const promise = new Promise<void>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

/** Long enough for every promise that is due. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function packet(cmd: number, connectionId: number, body: Buffer, session: Buffer): PacketView {
  const view = new PacketView();
  view.cmd = cmd;
  view.localIp = 0x7f000001;
  view.localPort = 2900;
  view.clientIp = 0x0a000001;
  view.clientPort = 40_000;
  view.connectionId = connectionId;
  view.flag = FLAG_SCALAR;
  view.gatewayPort = 8282;
  view.buffer = Buffer.concat([session, body]);
  view.extEnd = session.length;
  view.bodyStart = session.length;
  view.bodyEnd = view.buffer.length;
  return view;
}
