import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { Command } from '../../../../src/cluster/protocol/mod.js';

const HEAD_BYTES = 28;

/** A packet that passed, as far as it matters who may send it to whom. */
export interface Seen {
  /** `PhpWorker`, `OurWorker`; for who is no worker, `other`. */
  readonly worker: string;
  readonly toGateway: boolean;
  readonly cmd: number;
  readonly flag: number;
}

/**
 * Stands where a gateway says that its inner port is, and passes everything on to where it is: the same port at another
 * loopback address, so that what client ids say stays true.
 */
export class Tap {
  readonly seen: Seen[] = [];
  readonly lanIp: string;
  readonly innerIp: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(lanIp: string, innerIp: string) {
    this.lanIp = lanIp;
    this.innerIp = innerIp;
    this.#server = createServer((socket) => this.#relay(socket));
  }

  static async open(lanIp: string, innerIp: string): Promise<Tap> {
    const tap = new Tap(lanIp, innerIp);
    tap.#server.listen(0, lanIp);
    await once(tap.#server, 'listening');
    return tap;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #relay(outer: Socket): void {
    const inner = connect(this.port, this.innerIp);
    const link = { worker: 'other', isLink: false };
    const commands = new Packets((cmd, flag, body) => {
      if (cmd === Command.WORKER_CONNECT) {
        link.isLink = true;
        link.worker = String(JSON.parse(body.toString()).worker_key).split(':')[0] ?? '';
      }
      this.seen.push({ worker: link.worker, toGateway: true, cmd, flag });
    });
    const events = new Packets((cmd, flag) => {
      this.seen.push({ worker: link.worker, toGateway: false, cmd, flag });
    });
    outer.on('data', (bytes) => commands.take(bytes));
    inner.on('data', (bytes) => {
      // Who only asks gets answers, which are no packets.
      if (link.isLink) events.take(bytes);
    });
    for (const socket of [outer, inner]) {
      this.#sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        this.#sockets.delete(socket);
        (socket === outer ? inner : outer).destroySoon();
      });
    }
    outer.pipe(inner);
    inner.pipe(outer);
  }
}

/** Finds the packets in a stream; keeps only the bodies of those that introduce a worker. */
class Packets {
  readonly #onPacket: (cmd: number, flag: number, body: Buffer) => void;
  #pending = Buffer.alloc(0);
  #skip = 0;

  constructor(onPacket: (cmd: number, flag: number, body: Buffer) => void) {
    this.#onPacket = onPacket;
  }

  take(bytes: Buffer): void {
    const skipped = Math.min(this.#skip, bytes.length);
    this.#skip -= skipped;
    let rest = Buffer.concat([this.#pending, bytes.subarray(skipped)]);
    while (rest.length >= HEAD_BYTES) {
      const length = rest.readUInt32BE(0);
      const cmd = rest.readUInt8(4);
      if (cmd === Command.WORKER_CONNECT && rest.length < length) break;
      this.#onPacket(cmd, rest.readUInt8(21), rest.subarray(HEAD_BYTES, length));
      this.#skip = Math.max(0, length - rest.length);
      rest = rest.subarray(Math.min(length, rest.length));
    }
    this.#pending = rest;
  }
}
