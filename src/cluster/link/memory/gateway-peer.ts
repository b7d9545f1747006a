import { Buffer } from 'node:buffer';
import { deadlines, type Expiring } from '../../../core/timers/mod.js';
import type { PacketHead } from '../../protocol/mod.js';
import { AbsentGroups } from '../absent-groups.js';
import type { CommandSource, Extension, GatewayPeer } from '../contracts.js';
import { type LinkError, questionTooLarge, tooManyQuestions, unanswered, unreachable } from '../errors.js';
import type { MemoryGatewayLink } from './gateway-link.js';
import { Lane } from './lane.js';
import { packetOf } from './packets.js';

export interface MemoryPeerLimits {
  /** Seconds the gateway has to answer a question. */
  readonly queryTimeout: number;
  /** Bytes waiting for the gateway from which on nothing further is taken. */
  readonly sendBufferSize: number;
  /** Largest packet taken, in bytes. */
  readonly maxPacketSize: number;
  /** Questions that may wait for their answers. */
  readonly maxQuestions: number;
}

/** A program that pushes; what was not asked for needs no answer. */
const NO_WORKER: CommandSource = { worker: null, reply: () => {} };

/**
 * A gateway in the same process, as a worker or a program sees it. Commands and questions take one way, so they are carried
 * out in the order of the calls.
 */
export abstract class MemoryGatewayPeer implements GatewayPeer {
  readonly address: string;
  readonly localIp: number;
  readonly localPort: number;
  readonly absentGroups = new AbsentGroups();
  protected readonly commands = new Lane();
  protected readonly gateway: MemoryGatewayLink;
  readonly #limits: MemoryPeerLimits;
  readonly #questions = new Set<Question>();
  #commandsWaiting = 0;
  #unreachable: LinkError | null = null;

  constructor(gateway: MemoryGatewayLink, limits: MemoryPeerLimits) {
    this.gateway = gateway;
    this.address = gateway.address;
    this.localIp = gateway.identity.localIp;
    this.localPort = gateway.identity.localPort;
    this.#limits = limits;
  }

  abstract readonly live: boolean;
  /** What either end knows the other knows from the start. */
  readonly undecided = false;

  abstract readonly process: string | null;

  abstract supports(extension: Extension): boolean;

  /** @internal The gateway reads no more of us, and hands us nothing more. */
  abstract gatewayLeaves(): void;

  send(head: PacketHead, ext: string | Buffer, body: string | Buffer): boolean {
    const { sendBufferSize, maxPacketSize } = this.#limits;
    if (!this.live || this.commands.bytes >= sendBufferSize) return false;
    const packet = packetOf(head, ext, body);
    if (packet.length > maxPacketSize) return false;
    this.#commandsWaiting++;
    this.commands.push(packet.length, () => {
      this.#commandsWaiting--;
      this.gateway.command(packet, this.source);
    });
    return true;
  }

  ask(head: PacketHead, ext: string | Buffer, body: string | Buffer): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const { sendBufferSize, maxPacketSize, maxQuestions, queryTimeout } = this.#limits;
      const packet = packetOf(head, ext, body);
      if (this.#unreachable !== null) {
        reject(this.#unreachable);
      } else if (packet.length > maxPacketSize) {
        reject(questionTooLarge(this.address));
      } else if (this.#questions.size >= maxQuestions || this.commands.bytes >= sendBufferSize) {
        reject(tooManyQuestions(this.address));
      } else {
        const question = new Question(this.#questions, resolve, reject, () => unanswered(this.address, queryTimeout));
        deadlines.set(question, queryTimeout);
        this.commands.push(packet.length, () => this.gateway.command(packet, question));
      }
    });
  }

  /** Commands and questions that the gateway has not been handed. */
  get queuedBytes(): number {
    return this.commands.bytes;
  }

  /** Who the gateway sees behind a command. */
  protected get source(): CommandSource {
    return NO_WORKER;
  }

  /** Commands were taken that the gateway has not been handed. */
  protected get commandsWait(): boolean {
    return this.#commandsWaiting > 0;
  }

  /** Rejects the questions that wait for an answer, and those to come. */
  protected endQuestions(why: string): void {
    this.#unreachable ??= unreachable(this.address, why);
    for (const question of this.#questions) question.fail(this.#unreachable);
  }
}

class Question implements CommandSource, Expiring {
  readonly worker = null;
  readonly #open: Set<Question>;
  readonly #resolve: (payload: Buffer) => void;
  readonly #reject: (error: LinkError) => void;
  readonly #late: () => LinkError;

  /** @param open all that wait for their answers: this is one of them for as long as it does */
  constructor(
    open: Set<Question>,
    resolve: (payload: Buffer) => void,
    reject: (error: LinkError) => void,
    late: () => LinkError,
  ) {
    this.#open = open;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#late = late;
    open.add(this);
  }

  reply(payload: Buffer | string): void {
    if (this.#settled()) this.#resolve(Buffer.from(payload as string));
  }

  fail(error: LinkError): void {
    if (this.#settled()) this.#reject(error);
  }

  expire(): void {
    this.fail(this.#late());
  }

  /** False when it was before: an answer may come late. */
  #settled(): boolean {
    deadlines.delete(this);
    return this.#open.delete(this);
  }
}
