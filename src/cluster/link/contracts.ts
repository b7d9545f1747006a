import type { Buffer } from 'node:buffer';
import type { TcpConnection } from '../../core/net/mod.js';
import type { PacketHead, PacketView } from '../protocol/mod.js';
import type { AbsentGroups } from './absent-groups.js';

/**
 * The seam between gateways and workers. A gateway and a worker know these contracts and nothing of what carries them.
 * The mesh (TCP links found through a Register) fills them, and for tests a hub in memory; a message broker could.
 * test/cluster/link/contract.ts holds whatever does to each of their sentences.
 *
 * Nothing here throws for a peer that is away: sends say false, and questions reject with a LinkError.
 */

/** What peers of our own may agree on beyond what the original can carry. `docs/protocols/link.md` describes each. */
export type Extension = 'binary' | 'draining' | 'groups' | 'acknowledgements';

/** What this version offers to a peer. */
export const OUR_EXTENSIONS: readonly Extension[] = ['binary', 'draining', 'groups', 'acknowledgements'];

/** A worker, as a gateway sees it. */
export interface WorkerPeer {
  /** `remoteIp:workerName:number`, and one number more behind a colon for a process that replaced one at a reload. */
  readonly key: string;
  /** What waits for it, or was not acknowledged, has reached a limit: clients of this worker are not to be read for now. */
  readonly full: boolean;
  supports(extension: Extension): boolean;
  /**
   * Hands over one event, with body[start…end). Taken in order; also when `full`, within a hard limit behind which it is
   * not taken and false is returned. Of a worker that supports `acknowledgements`, what is sent once more and ON_CLOSE are taken
   * behind it too: others held as much of the one, and each client has one of the other. False as well when the link has
   * begun to end: `workerLeft` was told by then, so the event is to go to another worker.
   */
  sendEvent(head: PacketHead, session: Buffer, body: Buffer, start: number, end: number): boolean;
  /**
   * Hands over what a worker must not miss, in order with the events, and also behind the hard limit: whoever tells bounds how
   * much that can be. Nothing when the link has begun to end.
   */
  tell(head: PacketHead, ext: Buffer): void;
  /** Bytes of events that it has not acknowledged; 0 of one that does not support `acknowledgements`. */
  readonly unacknowledgedBytes: number;
  /**
   * Once it has left: shows the events that it did not acknowledge, in the order in which they were sent, each good only
   * during the call, and keeps them no longer. None of a worker that does not support `acknowledgements`.
   */
  takeUnacknowledged(show: (event: PacketView) => void): void;
}

/** Who sent a command to a gateway: a worker, or a program that pushes. */
export interface CommandSource {
  /** Null: it is no worker. */
  readonly worker: WorkerPeer | null;
  /** Answers the question being carried out. Each question is answered exactly once, in order. */
  reply(payload: Buffer | string): void;
}

/** What the link tells a gateway. */
export interface GatewayLinkEvents {
  /** A worker can take events. One that joins under a key that is in use replaces the old one, which has left before. */
  workerJoined(worker: WorkerPeer): void;
  workerLeft(worker: WorkerPeer): void;
  /** A worker that was `full` has room again, or has acknowledged what there was. */
  workerDrained(worker: WorkerPeer): void;
  /** A command, good only during the call. */
  command(packet: PacketView, from: CommandSource): void;
}

/** Who a gateway process is, in packets and client ids. */
export interface GatewayIdentity {
  /** The lan address as an unsigned number. */
  readonly localIp: number;
  readonly localPort: number;
}

/** What an end of the link says of itself, for `status`. Counts are since it was opened. */
export interface LinkFigures {
  /** Peers, and the registers that name them where there are such, that can be reached. */
  readonly up: number;
  /** The same that are known and can't. */
  readonly down: number;
  /** Bytes that wait for peers. */
  readonly queuedBytes: number;
  /** Messages for peers that were dropped. */
  readonly sendFail: number;
  /** What was lost or refused, by reason. */
  readonly dropped: Readonly<Record<string, number>>;
}

/** An end of the link that can be looked at. */
interface Shown {
  figures(): LinkFigures;
  /** Of this process for the link, where it has such. */
  openConnections(): Iterable<TcpConnection>;
}

/** A gateway's end of the link. */
export interface GatewayLink extends Shown {
  /** Becomes reachable for workers. @throws ListenError */
  open(events: GatewayLinkEvents): Promise<GatewayIdentity>;
  /** Tells the registers; from now on workers come. */
  announce(): void;
  /** Writes what is queued and leaves. */
  close(): Promise<void>;
}

/** A gateway, as a worker sees it. */
export interface GatewayPeer {
  /** `lanIp:port` as announced. */
  readonly address: string;
  readonly localIp: number;
  readonly localPort: number;
  /** Connected: sends are taken. */
  readonly live: boolean;
  supports(extension: Extension): boolean;
  /** The link is new, and it is not known yet what the gateway supports. */
  readonly undecided: boolean;
  /** Which process it is: random, another one after a restart. Null as long as it has not said so, and of one of the original. */
  readonly process: string | null;
  /**
   * The groups that have no member there, as it has said in answer to SEND_TO_GROUP. Nothing is there of a gateway that does
   * not support `groups`, nor while the worker's end is paused, and all is forgotten when a link ends.
   */
  readonly absentGroups: AbsentGroups;
  /** Sends one command. @returns false when the gateway is not connected or its queue is full: nothing was sent */
  send(head: PacketHead, ext: string | Buffer, body: string | Buffer): boolean;
  /**
   * Asks one question; resolves with the payload of the answer, good until the next turn only if copied by the asker.
   *
   * @throws LinkError `GW_LINK_UNREACHABLE`, `GW_LINK_TIMEOUT`
   */
  ask(head: PacketHead, ext: string | Buffer, body: string | Buffer): Promise<Buffer>;
}

/** The gateways that can be reached: what the gateway API works on. */
export interface GatewayDirectory {
  /** Every gateway that is announced or connected. */
  readonly gateways: Iterable<GatewayPeer>;
  /** The gateway of a client id, announced or connected. */
  gateway(localIp: number, localPort: number): GatewayPeer | undefined;
}

/** What the link tells a worker. */
export interface WorkerLinkEvents {
  gatewayJoined(gateway: GatewayPeer): void;
  /** It has said which process it is; before any event. Not told of one of the original. */
  gatewayIdentified(gateway: GatewayPeer): void;
  gatewayLeft(gateway: GatewayPeer): void;
  /** An event of a client, good only during the call. */
  event(packet: PacketView, gateway: GatewayPeer): void;
}

/** A worker's end of the link. */
export interface WorkerLink extends GatewayDirectory, Shown {
  /** Begins to look for gateways; returns at once. */
  open(events: WorkerLinkEvents): void;
  /**
   * Resolves when every gateway that is announced was joined; after three seconds also when one is away.
   *
   * @throws LinkError `GW_LINK_NO_REGISTER` when by then no register has said which there are
   */
  linked(): Promise<void>;
  /** A gateway is announced at this address, as far as is known. */
  announces(address: string): boolean;
  /** Joins no gateway any more, nor again one whose link breaks; what is linked goes on. */
  leave(): void;
  /** Stops and starts the stream of events from all gateways: backpressure inward. */
  pause(): void;
  resume(): void;
  /** Takes no further events; what is queued for gateways is still written. */
  close(): Promise<void>;
}

/** The end of the link of a program that is no worker and pushes. */
export interface ClientLink extends GatewayDirectory {
  /** Begins to look for gateways; returns at once. */
  open(): void;
  /**
   * Resolves when a gateway is known.
   *
   * @throws LinkError `GW_LINK_NO_REGISTER`, `GW_LINK_REGISTER_REFUSED`, `GW_LINK_NO_GATEWAY`, `GW_LINK_CLOSED`
   */
  ready(): Promise<void>;
  /**
   * Resolves when everything taken so far was written. What was lost before counts too, once.
   *
   * @throws LinkError `GW_LINK_NOT_DRAINED`
   */
  drain(): Promise<void>;
  /** Takes no further commands, drains and leaves, also when draining fails. @throws LinkError `GW_LINK_NOT_DRAINED` */
  close(): Promise<void>;
}
