import { Buffer } from 'node:buffer';
import type { GatewayDirectory, GatewayPeer } from '../link/mod.js';
import { Command, connectionsExt, excludeExt, groupExt, nameListExt, serialize } from '../protocol/mod.js';
import { addressOf, addressOfKey, gatewayKey, idsByGateway, without } from './client-ids.js';
import { type Group, nameList, nameOf, namesOf, type Uid } from './names.js';
import { bodyOf, flagOf, type Message, type MessageOptions, Outbox } from './outbox.js';
import {
  clientIdsByGroup,
  clientIdsOf,
  clientIdsOfUid,
  clientIdsOfUids,
  countClients,
  countsOfGroups,
  groupNames,
  isOnline,
  lengths,
  select,
  sessionAt,
  sessions,
  uidOf,
  uidsByGroup,
  uidsOf,
} from './questions.js';
import { checkSession, type LocalSessions, sessionOf } from './sessions.js';

export interface SendToAllOptions extends MessageOptions {
  /** Only to these clients; an empty list is nobody. Default: everybody. */
  readonly clientIds?: readonly string[];
  /** Not to these clients. */
  readonly exclude?: string | readonly string[];
}

export interface SendToGroupOptions extends MessageOptions {
  /** Not to these clients. */
  readonly exclude?: string | readonly string[];
}

const NO_MESSAGE = Buffer.from('N;');

/**
 * The gateway API: what GatewayWorker's `Lib\Gateway` offers, over the gateways that a directory knows.
 *
 * Sends and changes return at once: true when every gateway concerned has a live link with room for it, and the packet is
 * within the limit of the link (33,554,432 bytes; 10,485,760 to a gateway of the original). What a gateway then does with a
 * client, uid or group that does not exist is nothing.
 *
 * Questions return promises, ask all gateways concerned at once, and reject with QueryError rather than give a partial
 * answer; its `partial` is of the answer's type. Uids and groups come back as strings, also those that PHP makes integers
 * of. Where the original gives a map of x → x this gives a list.
 *
 * A malformed client id, uid, group, message or session throws ApiError before anything is sent: `GW_API_CLIENT_ID`,
 * `GW_API_NAME`, `GW_API_MESSAGE`, `GW_API_SESSION`; questions reject with it, with `GW_API_NO_GATEWAY` while no gateway is
 * known, and with `GW_API_TOO_LARGE`. A value that PHP has no form for throws PhpSerializeError.
 */
export class GatewayApi {
  readonly #directory: GatewayDirectory;
  readonly #outbox: Outbox;
  readonly #local: LocalSessions | null;

  /** @param local clients whose sessions are also kept here; they are kept in step */
  constructor(directory: GatewayDirectory, local: LocalSessions | null = null) {
    this.#directory = directory;
    this.#outbox = new Outbox(directory);
    this.#local = local;
  }

  /** @internal Messages and changes that were not sent because no gateway would take one so large. */
  get tooLargeForPeer(): number {
    return this.#outbox.tooLarge;
  }

  // ---- sends ----

  /** To every client of every gateway, to a list of clients, or to everybody but some. */
  sendToAll(message: Message, options: SendToAllOptions = {}): boolean {
    const exclude = idsByGateway(options.exclude ?? []);
    if (options.clientIds !== undefined) {
      const wanted = idsByGateway(options.clientIds);
      let sent = true;
      for (const [key, ids] of wanted) {
        const left = without(ids, exclude.get(key));
        if (left.length > 0) sent = this.#sendToSome(key, left, message, options) && sent;
      }
      return sent;
    }
    return this.#outbox.messageToEvery(Command.SEND_TO_ALL, message, options, (gateway) =>
      excludeExt(exclude.get(gatewayKey(gateway)) ?? []),
    );
  }

  sendToClient(clientId: string, message: Message, options: MessageOptions = {}): boolean {
    const { gateway, connectionId } = this.#find(clientId);
    return gateway !== undefined && this.sendToPeer(gateway, connectionId, message, options);
  }

  /** To every client of one uid, or of several; one that is named twice gets it twice. An empty list reaches nobody. */
  sendToUid(uid: Uid | readonly Uid[], message: Message, options: MessageOptions = {}): boolean {
    const uids = namesOf('uid', uid);
    if (uids.length === 0) return true;
    const ext = nameListExt(uids);
    return this.#outbox.messageToEvery(Command.SEND_TO_UID, message, options, () => ext);
  }

  /**
   * To every member of one group, or of several; a member of two of them gets it twice, as in the original. A gateway of ours
   * that has said to this worker that none of the groups has a member there is left out: it is not concerned.
   */
  sendToGroup(group: Group | readonly Group[], message: Message, options: SendToGroupOptions = {}): boolean {
    const groups = namesOf('group', group);
    if (groups.length === 0) return true;
    const exclude = idsByGateway(options.exclude ?? []);
    const body = bodyOf(message);
    const flag = flagOf(message, options);
    const ext = groupExt(groups);
    let sent = true;
    let known = false;
    for (const gateway of this.#directory.gateways) {
      known = true;
      if (gateway.absentGroups.hasAll(groups)) continue;
      const ids = exclude.get(gatewayKey(gateway));
      const extHere = ids === undefined ? ext : groupExt(groups, ids);
      const joins = gateway.supports('groups') ? gateway.absentGroups.joins : 0;
      sent = this.#outbox.send(gateway, Command.SEND_TO_GROUP, joins, extHere, body, flag) && sent;
    }
    return known && sent;
  }

  // ---- changes ----

  /** Ends the connection once all that was sent to it is written; `message` is the last of it. */
  closeClient(clientId: string, message?: Message): boolean {
    const { gateway, connectionId } = this.#find(clientId);
    return gateway !== undefined && this.closePeer(gateway, connectionId, message);
  }

  /** Ends the connection at once; what waits for the client is lost. The original calls it `destoryClient`. */
  destroyClient(clientId: string): boolean {
    return this.#change(Command.DESTROY, clientId, '');
  }

  /** A client has at most one uid, a uid any number of clients. */
  bindUid(clientId: string, uid: Uid): boolean {
    return this.#change(Command.BIND_UID, clientId, nameOf('uid', uid));
  }

  /** Takes the client's uid away, whichever it is; the original's second argument means nothing and may be left out. */
  unbindUid(clientId: string, uid: Uid = ''): boolean {
    return this.#change(Command.UNBIND_UID, clientId, String(uid));
  }

  joinGroup(clientId: string, group: Group): boolean {
    const name = nameOf('group', group);
    const { gateway, connectionId } = this.#find(clientId);
    return gateway !== undefined && this.#join(gateway, connectionId, name);
  }

  leaveGroup(clientId: string, group: Group): boolean {
    return this.#change(Command.LEAVE_GROUP, clientId, nameOf('group', group));
  }

  /** Every member leaves the group, on every gateway. It may be joined again. */
  ungroup(group: Group): boolean {
    return this.#outbox.commandToEvery(Command.UNGROUP, nameOf('group', group));
  }

  /**
   * Replaces the client's session; `{}` clears it. In the worker that handles the client's events `client.session` is
   * replaced too, with what a running handler has changed in it and not saved.
   *
   * @throws ApiError `GW_API_SESSION`, PhpSerializeError
   */
  setSession(clientId: string, session: object): boolean {
    const { gateway, connectionId } = this.#find(clientId);
    checkSession(session);
    const text = serialize(session);
    if (gateway === undefined || !this.changePeer(gateway, Command.SET_SESSION, connectionId, text)) return false;
    this.#local?.session(gateway, connectionId)?.replaced(text);
    return true;
  }

  /**
   * Lays changes over the client's session: where both hold a list or an object they are merged by the same rule (lists by
   * index), else the new value takes the old one's place. The gateway does it. In the worker that handles the client's events
   * `client.session` gets the changes too, and keeps what a running handler has changed in it.
   *
   * @throws ApiError `GW_API_SESSION`, PhpSerializeError
   */
  updateSession(clientId: string, changes: object): boolean {
    const { gateway, connectionId } = this.#find(clientId);
    checkSession(changes);
    const text = serialize(changes);
    if (gateway === undefined || !this.changePeer(gateway, Command.UPDATE_SESSION, connectionId, text)) return false;
    this.#local?.session(gateway, connectionId)?.updated(text);
    return true;
  }

  // ---- questions about one client ----

  /** Whether the client is connected. @throws QueryError (rejects) when its gateway is known and does not answer */
  async isOnline(clientId: string): Promise<boolean> {
    const { gateway, connectionId } = this.#find(clientId);
    return gateway === undefined ? false : isOnline(gateway, connectionId);
  }

  /** The client's uid; null when it has none, or there is no such client. @throws QueryError<null> (rejects) */
  async getUidByClientId(clientId: string): Promise<string | null> {
    const { gateway, connectionId } = this.#find(clientId);
    return gateway === undefined ? null : uidOf(gateway, connectionId);
  }

  /**
   * The client's session as its gateway has it, `{}` when it has none; null when there is no such client. Changing the object
   * changes nothing. What a running handler has changed and not saved is not in it; what this worker has written, is.
   *
   * @throws QueryError<null> (rejects), also for a session that can't be read
   */
  async getSession(clientId: string): Promise<Record<string, unknown> | null> {
    const { gateway, connectionId } = this.#find(clientId);
    if (gateway === undefined) return null;
    return sessionAt(gateway, connectionId, this.#local?.session(gateway, connectionId), sessionOf);
  }

  // ---- questions about clients ----

  /** The ids of all clients. */
  getAllClientIdList(): Promise<string[]> {
    return select(this.#directory, ['uid'], {}, clientIdsOf);
  }

  /** How many clients there are. */
  getAllClientIdCount(): Promise<number> {
    return countClients(this.#directory, '');
  }

  /** The ids of the members of one group, or of any of several; each once. An empty list has no members. */
  async getClientIdListByGroup(group: Group | readonly Group[]): Promise<string[]> {
    const groups = namesOf('group', group);
    return groups.length === 0 ? [] : select(this.#directory, ['uid'], { groups }, clientIdsOf);
  }

  /** How many clients are in the group. */
  async getClientIdCountByGroup(group: Group): Promise<number> {
    return countClients(this.#directory, nameOf('group', group));
  }

  /** Group → how many members, in the order given. */
  async batchGetClientIdCountByGroup(groups: readonly Group[]): Promise<Map<string, number>> {
    return countsOfGroups(this.#directory, nameList('group', groups));
  }

  /**
   * Client id → session, of every client or of the members of a group. A client without a session, or with one that can't be
   * read, has an empty one.
   */
  async getAllClientSessions(group?: Group): Promise<Map<string, Record<string, unknown>>> {
    return sessions(this.#directory, group === undefined ? undefined : nameOf('group', group));
  }

  /** Client id → session, of the members of a group. */
  async getClientSessionsByGroup(group: Group): Promise<Map<string, Record<string, unknown>>> {
    return sessions(this.#directory, nameOf('group', group));
  }

  // ---- questions about uids ----

  /** Whether any client has the uid. */
  async isUidOnline(uid: Uid): Promise<boolean> {
    return clientIdsOfUid(this.#directory, nameOf('uid', uid), (answers) => answers.some((ids) => ids.length > 0));
  }

  /** Uid → whether any client has it, in the order given. */
  async isUidsOnline(uids: readonly Uid[]): Promise<Map<string, boolean>> {
    return clientIdsOfUids(this.#directory, nameList('uid', uids), (ids) => ids.length > 0);
  }

  /** The ids of the uid's clients, on all gateways. */
  async getClientIdByUid(uid: Uid): Promise<string[]> {
    return clientIdsOfUid(this.#directory, nameOf('uid', uid), (answers) => answers.flat());
  }

  /** Uid → the ids of its clients, in the order given; an empty list for a uid that nobody has. */
  async batchGetClientIdByUid(uids: readonly Uid[]): Promise<Map<string, string[]>> {
    return clientIdsOfUids(this.#directory, nameList('uid', uids), (ids) => ids);
  }

  /** Each uid that any client has, once. */
  getAllUidList(): Promise<string[]> {
    return select(this.#directory, ['uid'], {}, uidsOf);
  }

  /** How many different uids there are in the cluster. */
  getAllUidCount(): Promise<number> {
    return select(this.#directory, ['uid'], {}, (rows) => uidsOf(rows).length);
  }

  /** Each uid in one group, or in any of several, once. An empty list has none. */
  async getUidListByGroup(group: Group | readonly Group[]): Promise<string[]> {
    const groups = namesOf('group', group);
    return groups.length === 0 ? [] : select(this.#directory, ['uid'], { groups }, uidsOf);
  }

  /** How many different uids there are in one group, or in any of several. */
  async getUidCountByGroup(group: Group | readonly Group[]): Promise<number> {
    const groups = namesOf('group', group);
    return groups.length === 0 ? 0 : select(this.#directory, ['uid'], { groups }, (rows) => uidsOf(rows).length);
  }

  // ---- questions about groups ----

  /** Every group that has a member, once. */
  getAllGroupIdList(): Promise<string[]> {
    return groupNames(this.#directory);
  }

  /** Group → each uid in it, once. A group without any uid is not there. */
  getAllGroupUidList(): Promise<Map<string, string[]>> {
    return select(this.#directory, ['uid', 'groups'], {}, uidsByGroup);
  }

  /** Group → how many different uids are in it. A group without any uid is not there. */
  getAllGroupUidCount(): Promise<Map<string, number>> {
    return select(this.#directory, ['uid', 'groups'], {}, (rows) => lengths(uidsByGroup(rows)));
  }

  /** Group → the ids of its members. */
  getAllGroupClientIdList(): Promise<Map<string, string[]>> {
    return select(this.#directory, ['groups'], {}, clientIdsByGroup);
  }

  /** Group → how many members. */
  getAllGroupClientIdCount(): Promise<Map<string, number>> {
    return select(this.#directory, ['groups'], {}, (rows) => lengths(clientIdsByGroup(rows)));
  }

  // ---- for the client object of a worker, which knows its gateway ----

  /** @internal */
  sendToPeer(gateway: GatewayPeer, connectionId: number, message: Message, options: MessageOptions): boolean {
    return this.#outbox.message(gateway, Command.SEND_TO_ONE, connectionId, '', message, options);
  }

  /** @internal */
  closePeer(gateway: GatewayPeer, connectionId: number, message?: Message): boolean {
    if (message !== undefined && message !== null) {
      return this.#outbox.message(gateway, Command.KICK, connectionId, '', message, {});
    }
    return this.#outbox.packet(gateway, Command.KICK, connectionId, 0, '', NO_MESSAGE);
  }

  /** @internal */
  changePeer(gateway: GatewayPeer, cmd: number, connectionId: number, ext: string | Buffer): boolean {
    return this.#outbox.command(gateway, cmd, connectionId, ext);
  }

  /** @internal */
  bindUidOfPeer(gateway: GatewayPeer, connectionId: number, uid: Uid): boolean {
    return this.changePeer(gateway, Command.BIND_UID, connectionId, nameOf('uid', uid));
  }

  /** @internal */
  joinGroupOfPeer(gateway: GatewayPeer, connectionId: number, group: Group): boolean {
    return this.#join(gateway, connectionId, nameOf('group', group));
  }

  /** @internal */
  leaveGroupOfPeer(gateway: GatewayPeer, connectionId: number, group: Group): boolean {
    return this.changePeer(gateway, Command.LEAVE_GROUP, connectionId, nameOf('group', group));
  }

  /** What is sent to the group from now on goes there again, whatever the gateway has said or is saying. */
  #join(gateway: GatewayPeer, connectionId: number, group: string): boolean {
    gateway.absentGroups.joining(group);
    return this.changePeer(gateway, Command.JOIN_GROUP, connectionId, group);
  }

  #change(cmd: number, clientId: string, ext: string): boolean {
    const { gateway, connectionId } = this.#find(clientId);
    return gateway !== undefined && this.changePeer(gateway, cmd, connectionId, ext);
  }

  #find(clientId: string): { readonly gateway: GatewayPeer | undefined; readonly connectionId: number } {
    const { localIp, localPort, connectionId } = addressOf(clientId);
    return { gateway: this.#directory.gateway(localIp, localPort), connectionId };
  }

  #sendToSome(key: number, ids: readonly number[], message: Message, options: MessageOptions): boolean {
    const { localIp, localPort } = addressOfKey(key);
    const gateway = this.#directory.gateway(localIp, localPort);
    if (gateway === undefined) return false;
    return this.#outbox.message(gateway, Command.SEND_TO_ALL, 0, connectionsExt(ids), message, options);
  }
}
