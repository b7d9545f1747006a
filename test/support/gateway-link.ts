import { Buffer } from 'node:buffer';
import { GatewayProcess } from '../../src/cluster/gateway/gateway-process.js';
import { GATEWAY_DEFAULTS, type GatewayOptions } from '../../src/cluster/gateway/options.js';
import type {
  Extension,
  GatewayIdentity,
  GatewayLink,
  GatewayLinkEvents,
  LinkFigures,
  WorkerPeer,
} from '../../src/cluster/link/mod.js';
import { Unacknowledged } from '../../src/cluster/link/unacknowledged.js';
import {
  FLAG_SCALAR,
  isEvent,
  type PacketHead,
  PacketReader,
  type PacketView,
  packetHead,
  writePacket,
} from '../../src/cluster/protocol/mod.js';
import { parseAddress } from '../../src/core/net/mod.js';
import { Arena } from '../../src/util/mod.js';
import { RecordingLogger } from './recording-logger.js';

/** An event as a worker was handed it. */
export interface WorkerEvent {
  readonly head: PacketHead;
  readonly session: string;
  readonly body: Buffer;
}

/** A worker that takes what a gateway hands it, and does as the test says. */
export class FakeWorker implements WorkerPeer {
  readonly key: string;
  readonly events: WorkerEvent[] = [];
  full = false;
  /** Called before an event is taken; false refuses it. */
  take: (event: WorkerEvent) => boolean = () => true;
  /** What it keeps of its events, as a link does; null where the extension is not agreed on. */
  readonly kept: Unacknowledged | null;
  readonly #extensions: readonly Extension[];

  constructor(key: string, extensions: readonly Extension[] = []) {
    this.key = key;
    this.#extensions = extensions;
    this.kept = extensions.includes('acknowledgements') ? new Unacknowledged(16_777_216) : null;
  }

  get unacknowledgedBytes(): number {
    return this.kept?.bytes ?? 0;
  }

  takeUnacknowledged(show: (event: PacketView) => void): void {
    this.kept?.take(show);
  }

  /** The bodies of the events of one command. */
  bodies(cmd: number): string[] {
    return this.events.filter((event) => event.head.cmd === cmd).map((event) => event.body.toString());
  }

  get commands(): number[] {
    return this.events.map((event) => event.head.cmd);
  }

  supports(extension: Extension): boolean {
    return this.#extensions.includes(extension);
  }

  sendEvent(head: PacketHead, session: Buffer, body: Buffer, start: number, end: number): boolean {
    const event = {
      head: { ...head },
      session: session.toString('latin1'),
      body: Buffer.from(body.subarray(start, end)),
    };
    if (!this.take(event)) return false;
    if (isEvent(head.cmd)) this.kept?.write(head, session, body, start, end);
    this.events.push(event);
    return true;
  }

  tell(head: PacketHead, ext: Buffer): void {
    this.events.push({ head: { ...head }, session: ext.toString('latin1'), body: Buffer.alloc(0) });
  }
}

/** A gateway's end of a link that exists only in memory. */
export class FakeGatewayLink implements GatewayLink {
  events!: GatewayLinkEvents;
  announced = false;
  closed = false;
  shown: LinkFigures = { up: 0, down: 0, queuedBytes: 0, sendFail: 0, dropped: {} };

  async open(events: GatewayLinkEvents): Promise<GatewayIdentity> {
    this.events = events;
    return { localIp: 0x7f00_0001, localPort: 2900 };
  }

  announce(): void {
    this.announced = true;
  }

  figures(): LinkFigures {
    return this.shown;
  }

  openConnections(): [] {
    return [];
  }

  async close(): Promise<void> {
    this.closed = true;
  }

  join(key = '127.0.0.1:worker:0', extensions: readonly Extension[] = []): FakeWorker {
    const worker = new FakeWorker(key, extensions);
    this.events.workerJoined(worker);
    return worker;
  }

  leave(worker: FakeWorker): void {
    this.events.workerLeft(worker);
  }

  drained(worker: FakeWorker): void {
    worker.full = false;
    this.events.workerDrained(worker);
  }

  /** A worker says this to the gateway. */
  say(worker: FakeWorker, cmd: number, connectionId = 0, body: string | Buffer = ''): void {
    this.packet(packetBytes(cmd, connectionId, '', body), worker);
  }

  /** Has the gateway carry out one packet, as it stands; returns what it replied. */
  packet(bytes: Buffer, worker: FakeWorker | null = null): Buffer[] {
    const replies: Buffer[] = [];
    new PacketReader({ maxPacketSize: 1 << 26 }).push(bytes, {
      packet: (view) => {
        this.events.command(view, { worker, reply: (payload) => void replies.push(Buffer.from(payload as string)) });
        return true;
      },
      fail: (error) => {
        throw error;
      },
    });
    return replies;
  }

  /** Has the gateway carry out one command. */
  command(
    cmd: number,
    connectionId = 0,
    ext: string | Buffer = '',
    body: string | Buffer = '',
    flag = FLAG_SCALAR,
  ): void {
    this.packet(packetBytes(cmd, connectionId, ext, body, flag));
  }

  /** The gateway's one answer to a question. */
  ask(cmd: number, connectionId = 0, ext: string | Buffer = ''): string {
    const replies = this.packet(packetBytes(cmd, connectionId, ext));
    if (replies.length !== 1) throw new Error(`${replies.length} answers`);
    return (replies[0] as Buffer).toString('latin1');
  }
}

export function packetBytes(
  cmd: number,
  connectionId = 0,
  ext: string | Buffer = '',
  body: string | Buffer = '',
  flag = FLAG_SCALAR,
): Buffer {
  const out = new Arena();
  writePacket(out, packetHead({ cmd, connectionId, flag }), ext, body);
  return Buffer.from(out.buffer.subarray(0, out.offset));
}

export interface TestGateway extends AsyncDisposable {
  readonly process: GatewayProcess;
  readonly link: FakeGatewayLink;
  readonly logger: RecordingLogger;
  readonly port: number;
}

/** A gateway with a link in memory and a public port of the system's choice. */
export async function startGateway(
  options: Partial<GatewayOptions> = {},
  { scheme = 'text', firstConnectionId = 1 }: { scheme?: string; firstConnectionId?: number } = {},
): Promise<TestGateway> {
  const link = new FakeGatewayLink();
  const logger = new RecordingLogger();
  const address = parseAddress(`${scheme}://127.0.0.1:0`, [scheme]);
  const process = new GatewayProcess(address, { ...GATEWAY_DEFAULTS, ...options }, link, logger, firstConnectionId);
  await process.start();
  return { process, link, logger, port: process.port, [Symbol.asyncDispose]: () => process.stop(AbortSignal.abort()) };
}
