import type { TcpConnection } from '../../core/net/mod.js';
import type { Codec } from '../../core/protocols/mod.js';
import type { LogFields } from '../../util/mod.js';
import type { CommandSource, WorkerPeer } from '../link/mod.js';
import type { PacketView } from '../protocol/mod.js';
import type { Absences } from './absences.js';
import type { ClientEntry, Clients } from './clients.js';
import type { ClientLimits } from './options.js';

/** A client of this gateway with its connection. */
export type GatewayClientEntry = ClientEntry<TcpConnection>;

/** Limits that a command may have passed, as figures name them. */
export type PassedLimit = 'sessionTooLarge' | 'tooManyGroups';

/** What the commands need of the gateway they are carried out in. */
export interface GatewayContext {
  readonly clients: Clients<TcpConnection>;
  /** The protocol of this gateway's clients. */
  readonly codec: Codec;
  readonly clientLimits: ClientLimits;
  /** What workers were told of groups without members. */
  readonly absences: Absences;
  /** The client has a uid: nobody waits for that any more. */
  signedIn(client: GatewayClientEntry): void;
  /** The worker leaves: it is sent a last packet that says so, and its clients' events wait until it is done with them. */
  workerDrains(worker: WorkerPeer): void;
  /** Of the clients of a worker that leaves all go to others now, but these. */
  workerBusy(worker: WorkerPeer, connectionIds: readonly number[]): void;
  /** This client of a worker that leaves goes to another now. */
  workerDone(worker: WorkerPeer, connectionId: number): void;
  /** A command for this client would have passed a limit, and was not carried out: counted and said likewise. */
  beyondLimit(client: GatewayClientEntry, limit: PassedLimit, fields: LogFields): void;
  /** A command could not be carried out: counted, and said once per message and interval. */
  unusable(packet: PacketView, message: string, fields?: LogFields): void;
}

/** Carries out one command. A query answers exactly once, also when it finds nothing. */
export type CommandHandler = (gateway: GatewayContext, packet: PacketView, from: CommandSource) => void;
