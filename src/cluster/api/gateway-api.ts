import { Buffer } from 'node:buffer';
import type { GatewayDirectory, GatewayPeer } from '../link/mod.js';
import {
  Command,
  connectionsExt,
  decodeClientId,
  encodeClientId,
  excludeExt,
  FLAG_BINARY,
  FLAG_RAW,
  FLAG_SCALAR,
  groupExt,
  MAX_PACKET_SIZE,
  nameListExt,
  PACKET_HEAD_BYTES,
  type PacketHead,
  PHP_MAX_PACKET_SIZE,
  packetHead,
  serialize,
  unserialize,
} from '../protocol/mod.js';
import { ApiError, QueryError } from './errors.js';

/** A message: text, bytes, or a value (which WebSocket clients get as JSON). Numbers and booleans become text. */
export type Message = string | Buffer | number | boolean | null | object;

/** A uid: not empty and not 0, which the original takes for "none". Numbers and their digits are the same uid. */
export type Uid = string | number | bigint;

/** The name of a group; the rule is the uid's. */
export type Group = string | number | bigint;

export interface MessageOptions {
  /** The gateway writes the bytes as they are, without the framing of the client's protocol; default false. */
  readonly raw?: boolean;
  /** The message is binary, where the client's protocol tells; default: true for a Buffer, false for text. */
  readonly binary?: boolean;
}

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
 * client, uid or group that does not exist is nothing. Questions return promises, ask all gateways concerned at once, and
 * reject with QueryError rather than give a partial answer.
 *
 * A malformed client id, uid, group or message throws ApiError before anything is sent: `GW_API_CLIENT_ID`, `GW_API_NAME`,
 * `GW_API_MESSAGE`; questions reject with it. A value that PHP has no form for throws PhpSerializeError.
 */
export class GatewayApi {
  readonly #directory: GatewayDirectory;
  /** Filled anew for each packet. */
  readonly #head: PacketHead = packetHead();

  constructor(directory: GatewayDirectory) {
    this.#directory = directory;
  }

  // ---- sends ----

  /** To every client of every gateway, to a list of clients, or to everybody but some. */
  sendToAll(message: Message, options: SendToAllOptions = {}): boolean {
    const exclude = idsByGateway(options.exclude ?? []);
    if (options.clientIds !== undefined) {
      const wanted = idsByGateway(options.clientIds);
      let sent = true;
      for (const [gateway, ids] of wanted) {
        const left = without(ids, exclude.get(gateway));
        if (left.length > 0) sent = this.#sendMessageTo(gateway, connectionsExt(left), message, options) && sent;
      }
      return sent;
    }
    return this.#sendToEvery(Command.SEND_TO_ALL, message, options, (gateway) =>
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
    return this.#sendToEvery(Command.SEND_TO_UID, message, options, () => ext);
  }

  /** To every member of one group, or of several; a member of two of them gets it twice, as in the original. */
  sendToGroup(group: Group | readonly Group[], message: Message, options: SendToGroupOptions = {}): boolean {
    const groups = namesOf('group', group);
    if (groups.length === 0) return true;
    const exclude = idsByGateway(options.exclude ?? []);
    return this.#sendToEvery(Command.SEND_TO_GROUP, message, options, (gateway) =>
      groupExt(groups, exclude.get(gatewayKey(gateway)) ?? []),
    );
  }

  // ---- changes of one client ----

  /** Ends the connection once all that was sent to it is written; `message` is the last of it. */
  closeClient(clientId: string, message?: Message): boolean {
    const { gateway, connectionId } = this.#find(clientId);
    return gateway !== undefined && this.closePeer(gateway, connectionId, message);
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
    return this.#change(Command.JOIN_GROUP, clientId, nameOf('group', group));
  }

  leaveGroup(clientId: string, group: Group): boolean {
    return this.#change(Command.LEAVE_GROUP, clientId, nameOf('group', group));
  }

  // ---- questions ----

  /** Whether the client is connected. @throws QueryError (rejects) when its gateway is known and does not answer */
  async isOnline(clientId: string): Promise<boolean> {
    const { gateway, connectionId } = this.#find(clientId);
    if (gateway === undefined) return false;
    const head = packetHead({ cmd: Command.IS_ONLINE, connectionId });
    try {
      return unserialize(await gateway.ask(head, '', '')) === 1;
    } catch (cause) {
      throw new QueryError(false, [gateway.address], cause);
    }
  }

  /** How many clients there are. @throws QueryError<number> (rejects) */
  getAllClientIdCount(): Promise<number> {
    return this.#sum('');
  }

  /** How many clients are in the group. @throws QueryError<number> (rejects) */
  async getClientIdCountByGroup(group: Group): Promise<number> {
    return this.#sum(nameOf('group', group));
  }

  /**
   * Client id → session, of every client. A client without a session, or with one that can't be read, has an empty one.
   *
   * @throws QueryError (rejects)
   */
  getAllClientSessions(): Promise<Map<string, Record<string, unknown>>> {
    const sessions = new Map<string, Record<string, unknown>>();
    return this.#askAll(Command.GET_ALL_CLIENT_SESSIONS, '', sessions, (gateway, answer) => {
      if (typeof answer !== 'object' || answer === null) throw senseless(gateway);
      for (const [connectionId, text] of Object.entries(answer)) {
        const id = encodeClientId(gateway.localIp, gateway.localPort, Number(connectionId));
        sessions.set(id, readableSession(text));
      }
    });
  }

  // ---- for the client object of a worker, which knows its gateway ----

  /** @internal */
  sendToPeer(gateway: GatewayPeer, connectionId: number, message: Message, options: MessageOptions): boolean {
    return this.#sendMessage(gateway, Command.SEND_TO_ONE, connectionId, '', message, options);
  }

  /** @internal */
  closePeer(gateway: GatewayPeer, connectionId: number, message?: Message): boolean {
    if (message !== undefined && message !== null) {
      return this.#sendMessage(gateway, Command.KICK, connectionId, '', message, {});
    }
    return this.#send(gateway, Command.KICK, connectionId, 0, '', NO_MESSAGE);
  }

  /** @internal */
  changePeer(gateway: GatewayPeer, cmd: number, connectionId: number, ext: string | Buffer): boolean {
    return this.#send(gateway, cmd, connectionId, FLAG_SCALAR, ext, '');
  }

  /** @internal */
  bindUidOfPeer(gateway: GatewayPeer, connectionId: number, uid: Uid): boolean {
    return this.changePeer(gateway, Command.BIND_UID, connectionId, nameOf('uid', uid));
  }

  /** @internal */
  groupOfPeer(gateway: GatewayPeer, cmd: number, connectionId: number, group: Group): boolean {
    return this.changePeer(gateway, cmd, connectionId, nameOf('group', group));
  }

  #change(cmd: number, clientId: string, ext: string): boolean {
    const { gateway, connectionId } = this.#find(clientId);
    return gateway !== undefined && this.changePeer(gateway, cmd, connectionId, ext);
  }

  #find(clientId: string): { readonly gateway: GatewayPeer | undefined; readonly connectionId: number } {
    const address = addressOf(clientId);
    return {
      gateway: this.#directory.gateway(address.localIp, address.localPort),
      connectionId: address.connectionId,
    };
  }

  #sendMessageTo(gateway: number, ext: string, message: Message, options: MessageOptions): boolean {
    const peer = this.#directory.gateway(Math.floor(gateway / PORTS), gateway % PORTS);
    return peer !== undefined && this.#sendMessage(peer, Command.SEND_TO_ALL, 0, ext, message, options);
  }

  #sendToEvery(
    cmd: number,
    message: Message,
    options: MessageOptions,
    extFor: (gateway: GatewayPeer) => string,
  ): boolean {
    let sent = true;
    let known = false;
    for (const gateway of this.#directory.gateways) {
      known = true;
      sent = this.#sendMessage(gateway, cmd, 0, extFor(gateway), message, options) && sent;
    }
    return known && sent;
  }

  #sendMessage(
    gateway: GatewayPeer,
    cmd: number,
    connectionId: number,
    ext: string,
    message: Message,
    options: MessageOptions,
  ): boolean {
    const raw = options.raw === true ? FLAG_RAW : 0;
    switch (typeof message) {
      case 'string': {
        const binary = options.binary === true && gateway.supports('binary') ? FLAG_BINARY : 0;
        return this.#send(gateway, cmd, connectionId, FLAG_SCALAR | raw | binary, ext, message);
      }
      case 'object': {
        if (!(message instanceof Uint8Array)) return this.#send(gateway, cmd, connectionId, 0, ext, serialize(message));
        const binary = options.binary !== false && gateway.supports('binary') ? FLAG_BINARY : 0;
        return this.#send(gateway, cmd, connectionId, FLAG_SCALAR | raw | binary, ext, message as Buffer);
      }
      case 'number':
      case 'boolean':
      case 'bigint':
        return this.#send(gateway, cmd, connectionId, FLAG_SCALAR | raw, ext, String(message));
      default:
        throw new ApiError(
          'GW_API_MESSAGE',
          `a message can't be ${typeof message}; expected a text, a Buffer or a value`,
          {
            type: typeof message,
          },
        );
    }
  }

  /** Every packet but the questions leaves here. */
  #send(
    gateway: GatewayPeer,
    cmd: number,
    connectionId: number,
    flag: number,
    ext: string | Buffer,
    body: string | Buffer,
  ): boolean {
    // A gateway drops the link, with all its events, at a packet beyond its limit.
    if (isTooLarge(ext, body, gateway.supports('binary') ? MAX_PACKET_SIZE : PHP_MAX_PACKET_SIZE)) return false;
    const head = this.#head;
    head.cmd = cmd;
    head.connectionId = connectionId;
    head.flag = flag;
    return gateway.send(head, ext, body);
  }

  async #sum(group: string): Promise<number> {
    const total = { count: 0 };
    await this.#askAll(
      Command.GET_CLIENT_COUNT_BY_GROUP,
      group,
      () => total.count,
      (gateway, answer) => {
        if (typeof answer !== 'number') throw senseless(gateway);
        total.count += answer;
      },
    );
    return total.count;
  }

  /** Asks every gateway at once and hands each answer to `collect`; resolves with `result` when all have answered. */
  async #askAll<T>(
    cmd: number,
    ext: string,
    result: T | (() => T),
    collect: (gateway: GatewayPeer, answer: unknown) => void,
  ): Promise<T> {
    const asked: Promise<void>[] = [];
    const silent: string[] = [];
    let cause: unknown;
    for (const gateway of this.#directory.gateways) {
      const answered = gateway
        .ask(packetHead({ cmd }), ext, '')
        .then((answer) => collect(gateway, unserialize(answer)));
      asked.push(
        answered.catch((thrown) => {
          silent.push(gateway.address);
          cause = thrown;
        }),
      );
    }
    if (asked.length === 0) {
      throw new ApiError('GW_API_NO_GATEWAY', 'no gateway is known yet, so nobody can be asked');
    }
    await Promise.all(asked);
    const value = typeof result === 'function' ? (result as () => T)() : result;
    if (silent.length > 0) throw new QueryError(value, silent, cause);
    return value;
  }
}

/** One number for a gateway: address and port. */
const PORTS = 65_536;

function gatewayKey(gateway: { readonly localIp: number; readonly localPort: number }): number {
  return gateway.localIp * PORTS + gateway.localPort;
}

function addressOf(clientId: string): { localIp: number; localPort: number; connectionId: number } {
  const address = typeof clientId === 'string' ? decodeClientId(clientId) : undefined;
  if (address === undefined) {
    const given = shown(clientId);
    throw new ApiError('GW_API_CLIENT_ID', `${given} is not a client id (20 hex digits)`, { clientId: given });
  }
  return address;
}

/** gateway key → connection ids. */
function idsByGateway(clientIds: string | readonly string[]): Map<number, number[]> {
  const byGateway = new Map<number, number[]>();
  for (const clientId of Array.isArray(clientIds) ? clientIds : [clientIds]) {
    const address = addressOf(clientId);
    const key = gatewayKey(address);
    const ids = byGateway.get(key);
    if (ids === undefined) byGateway.set(key, [address.connectionId]);
    else ids.push(address.connectionId);
  }
  return byGateway;
}

function without(ids: readonly number[], excluded: readonly number[] | undefined): readonly number[] {
  if (excluded === undefined) return ids;
  const out = new Set(excluded);
  return ids.filter((id) => !out.has(id));
}

/** As texts: a number beyond the safe ones was refused, and JSON numbers can't lose digits on the way. */
function namesOf(what: 'uid' | 'group', given: Uid | readonly Uid[]): readonly string[] {
  return Array.isArray(given) ? given.map((name) => nameOf(what, name)) : [nameOf(what, given as Uid)];
}

/** The text of a uid or group. @throws ApiError `GW_API_NAME` for what PHP calls empty, and for other types */
function nameOf(what: 'uid' | 'group', name: Uid): string {
  const isName = typeof name === 'string' || typeof name === 'bigint' || Number.isSafeInteger(name);
  const text = isName ? String(name) : '';
  if (text === '' || text === '0') {
    const given = shown(name);
    throw new ApiError('GW_API_NAME', `a ${what} must be a text or an integer, not empty and not 0; got ${given}`, {
      what,
      name: given,
    });
  }
  return text;
}

/** A value of any type as a message shows it. */
function shown(value: unknown): string {
  if (typeof value === 'string') return `'${value.slice(0, 40)}'`;
  return typeof value === 'object' && value !== null ? 'an object' : String(value).slice(0, 40);
}

/** Whether a packet is larger than `limit`. Texts are measured only when they could be. */
function isTooLarge(ext: string | Buffer, body: string | Buffer, limit: number): boolean {
  if (PACKET_HEAD_BYTES + (ext.length + body.length) * 3 <= limit) return false;
  return PACKET_HEAD_BYTES + Buffer.byteLength(ext) + Buffer.byteLength(body) > limit;
}

function senseless(gateway: GatewayPeer): Error {
  return new Error(`the answer of gateway ${gateway.address} makes no sense`);
}

function readableSession(text: unknown): Record<string, unknown> {
  try {
    return sessionOf(text);
  } catch {
    return {};
  }
}

/**
 * A session text as an object; what is no array (somebody else's mistake) counts as none.
 *
 * @throws PhpSerializeError for what is no serialized value, or has PHP objects in it
 */
export function sessionOf(text: unknown): Record<string, unknown> {
  const bytes = typeof text === 'string' ? Buffer.from(text) : text;
  if (!Buffer.isBuffer(bytes) || bytes.length === 0) return {};
  const value = unserialize(bytes);
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return {};
  return Array.isArray(value) ? { ...value } : (value as Record<string, unknown>);
}
