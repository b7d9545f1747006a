import { Buffer } from 'node:buffer';
import type { Expiring } from '../../core/timers/mod.js';
import type { WorkerPeer } from '../link/mod.js';
import type { GatewayConnection } from './gateway-connection.js';

const NO_SESSION = Buffer.alloc(0);
const MAX_CONNECTION_ID = 0xffff_ffff;

/**
 * A group with members. They stand under their connections, which are all that a send looks at: looking at each client as well
 * made a delivery half as dear again where there are more clients than a processor's caches hold (bench/micro/group-send.ts).
 */
export class Group<Connection = unknown> {
  readonly name: string;
  readonly members = new Map<Connection, ClientEntry<Connection>>();

  constructor(name: string) {
    this.name = name;
  }
}

/**
 * What a gateway knows of one client. uid and groups are byte strings: each character is one byte (see `byteKey`), so that
 * names which are not UTF-8 stay distinct, as in the original.
 */
export class ClientEntry<Connection = unknown> {
  readonly connectionId: number;
  readonly connection: Connection;
  /** IPv4 of the client as a number; 0 where it has none. Behind a proxy that is trusted the handshake tells. */
  clientIp: number;
  clientPort: number;
  /** PHP-serialized text, as it came; empty: none. Replaced, never changed in place. */
  session: Buffer = NO_SESSION;
  uid: string | null = null;
  /** null: never joined one. The original tells this from "left the last one". */
  groups: Set<Group<Connection>> | null = null;
  /** The worker this client's events go to. */
  workerKey: string | null = null;
  /** The link of the worker that tells its `onClose` should this process die; see Keepers. */
  keeper: WorkerPeer | null = null;
  /** Ticks since the last message; −1 right after one. */
  heartbeat = -1;
  /** Bytes that had come from it when it was looked at last; see WebSocketPings. */
  heardBytes = 0;
  /** A worker was sent an event of it, and so is to hear of its end. */
  heard = false;
  /** An event of it was lost and it is being closed: workers hear of nothing but its end any more. */
  abandoned = false;
  /** Its deadline for signing in; null: it has signed in once, or need not. */
  signIn: Expiring | null = null;
  /** What hooks and routers are given; made when it is first needed. */
  view: GatewayConnection | null = null;

  constructor(connectionId: number, connection: Connection, clientIp: number, clientPort: number) {
    this.connectionId = connectionId;
    this.connection = connection;
    this.clientIp = clientIp;
    this.clientPort = clientPort;
  }
}

/**
 * The clients of one gateway process with their uids and groups: a value. Looking up and sending to a uid or a group costs
 * in proportion to its members, whatever else exists.
 */
export class Clients<Connection = unknown> {
  readonly #byId = new Map<number, ClientEntry<Connection>>();
  readonly #connections = new Set<Connection>();
  readonly #byUid = new Map<string, Set<ClientEntry<Connection>>>();
  readonly #groups = new Map<string, Group<Connection>>();
  readonly #noMembers: ReadonlyMap<Connection, ClientEntry<Connection>> = new Map();
  #lastId: number;

  /**
   * @param firstId the first connection id given out. The gateway passes a random one, so that a client id from before
   *   a restart does not reach somebody else (the original starts at 1)
   */
  constructor(firstId: number) {
    this.#lastId = firstId - 1;
  }

  get size(): number {
    return this.#byId.size;
  }

  get all(): Iterable<ClientEntry<Connection>> {
    return this.#byId.values();
  }

  /** Of all clients: what a broadcast looks at, for the reason that groups have. */
  get connections(): ReadonlySet<Connection> {
    return this.#connections;
  }

  /** Names of the groups that have members, in the order of their first joining. */
  get groupNames(): Iterable<string> {
    return this.#groups.keys();
  }

  add(connection: Connection, clientIp: number, clientPort: number): ClientEntry<Connection> {
    do {
      this.#lastId = this.#lastId >= MAX_CONNECTION_ID ? 1 : this.#lastId + 1;
    } while (this.#byId.has(this.#lastId));
    const entry = new ClientEntry(this.#lastId, connection, clientIp, clientPort);
    this.#byId.set(entry.connectionId, entry);
    this.#connections.add(connection);
    return entry;
  }

  get(connectionId: number): ClientEntry<Connection> | undefined {
    return this.#byId.get(connectionId);
  }

  /** Forgets the client: by then no lookup of any kind finds it. */
  remove(entry: ClientEntry<Connection>): void {
    this.#byId.delete(entry.connectionId);
    this.#connections.delete(entry.connection);
    this.unbindUid(entry);
    if (entry.groups === null) return;
    for (const group of entry.groups) this.#leave(entry, group);
    entry.groups = null;
  }

  /** A client has at most one uid: binding again moves it. */
  bindUid(entry: ClientEntry<Connection>, uid: string): void {
    if (entry.uid === uid) return;
    this.unbindUid(entry);
    entry.uid = uid;
    addTo(this.#byUid, uid, entry);
  }

  unbindUid(entry: ClientEntry<Connection>): void {
    if (entry.uid === null) return;
    removeFrom(this.#byUid, entry.uid, entry);
    entry.uid = null;
  }

  withUid(uid: string): ReadonlySet<ClientEntry<Connection>> {
    return this.#byUid.get(uid) ?? NOBODY;
  }

  /** @returns whether it is the first member: the group has just come into being */
  joinGroup(entry: ClientEntry<Connection>, name: string): boolean {
    const found = this.#groups.get(name);
    const group = found ?? new Group<Connection>(name);
    entry.groups ??= new Set();
    entry.groups.add(group);
    group.members.set(entry.connection, entry);
    if (found === undefined) this.#groups.set(name, group);
    return found === undefined;
  }

  isIn(entry: ClientEntry<Connection>, name: string): boolean {
    return this.#groups.get(name)?.members.has(entry.connection) ?? false;
  }

  leaveGroup(entry: ClientEntry<Connection>, name: string): void {
    const group = this.#groups.get(name);
    if (group !== undefined && entry.groups?.delete(group) === true) this.#leave(entry, group);
  }

  inGroup(name: string): ReadonlyMap<Connection, ClientEntry<Connection>> {
    return this.#groups.get(name)?.members ?? this.#noMembers;
  }

  /** All members leave; the group can be joined again. */
  ungroup(name: string): void {
    const group = this.#groups.get(name);
    if (group === undefined) return;
    for (const entry of group.members.values()) entry.groups?.delete(group);
    this.#groups.delete(name);
  }

  /** A group goes with its last member, so that names nobody uses any more cost nothing. */
  #leave(entry: ClientEntry<Connection>, { name, members }: Group<Connection>): void {
    members.delete(entry.connection);
    if (members.size === 0) this.#groups.delete(name);
  }
}

const NOBODY: ReadonlySet<never> = new Set();

function addTo<T>(index: Map<string, Set<T>>, key: string, member: T): void {
  const members = index.get(key);
  if (members === undefined) index.set(key, new Set([member]));
  else members.add(member);
}

/** A uid goes with its last client. */
function removeFrom<T>(index: Map<string, Set<T>>, key: string, member: T): void {
  const members = index.get(key);
  if (members === undefined) return;
  members.delete(member);
  if (members.size === 0) index.delete(key);
}
