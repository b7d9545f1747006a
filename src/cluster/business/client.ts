import type { Buffer } from 'node:buffer';
import type { Group, Message, MessageOptions, Uid, WorkerGatewayApi } from '../api/mod.js';
import type { GatewayPeer } from '../link/mod.js';
import { Command, encodeClientId, numberToIp, type PacketView } from '../protocol/mod.js';
import { SessionState } from './session-state.js';

/** An event that waits until the ones before it are handled. */
export interface QueuedEvent {
  readonly cmd: number;
  readonly flag: number;
  /** Null where the gateway has not sent it: it is gone, and the session is what it was. */
  readonly session: Buffer | null;
  readonly body: Buffer;
  /** Of its link. */
  readonly number: number;
}

/** What a worker keeps of a client beside what user code sees. */
export class ClientState {
  readonly session = new SessionState();
  /** A handler's promise is pending. */
  busy = false;
  readonly queue: QueuedEvent[] = [];
  queuedBytes = 0;
  /** An event found no room in the queue; the client is being closed. */
  overflowed = false;
  /** `onClose` was called. */
  closing = false;
}

/**
 * One client, as your handlers get it. It stays good after an `await`; once the client is gone, sends reach nobody and say
 * so no more than the original's do.
 *
 * @typeParam Session shape of the session
 */
export class Client<Session extends object = Record<string, unknown>> {
  /** 20 hex digits: gateway address, port and connection id, as in the original. */
  readonly id: string;
  /** The gateway's lan address. */
  readonly gatewayAddress: string;
  /** The public port the client came in by. */
  readonly gatewayPort: number;
  /** The gateway API, of this client's cluster. */
  readonly gateway: WorkerGatewayApi;
  #peer: GatewayPeer;
  readonly #connectionId: number;
  readonly #state: ClientState;
  #remoteAddress: string;
  #remotePort: number;

  /** @internal */
  constructor(packet: PacketView, peer: GatewayPeer, gateway: WorkerGatewayApi, state: ClientState) {
    this.id = encodeClientId(packet.localIp, packet.localPort, packet.connectionId);
    this.#remoteAddress = numberToIp(packet.clientIp);
    this.#remotePort = packet.clientPort;
    this.gatewayAddress = numberToIp(packet.localIp);
    this.gatewayPort = packet.gatewayPort;
    this.gateway = gateway;
    this.#peer = peer;
    this.#connectionId = packet.connectionId;
    this.#state = state;
  }

  /**
   * IPv4 address of the client; `0.0.0.0` where it has none (IPv6). Until `onWebSocketConnect` that of the proxy, if one has
   * told of the client in the handshake (`trustedProxies`).
   */
  get remoteAddress(): string {
    return this.#remoteAddress;
  }

  /** 0 where a proxy has told the address and no port. */
  get remotePort(): number {
    return this.#remotePort;
  }

  /** @internal Its gateway is reached over another link now. */
  movedTo(peer: GatewayPeer): void {
    this.#peer = peer;
  }

  /** @internal The gateway has learned where it really comes from. */
  cameFrom(packet: PacketView): void {
    this.#remoteAddress = numberToIp(packet.clientIp);
    this.#remotePort = packet.clientPort;
  }

  /**
   * The session: a plain object. What a handler changes in it is written to the gateway once the handler has settled, and
   * is there at the client's next event, whichever worker gets it. Values are what PHP knows: null, booleans, numbers,
   * bigints, text, Buffers, lists and plain objects; a session that holds anything else is reported and not saved. `{}` is
   * no session. A change made in `onClose` goes nowhere.
   *
   * @throws ApiError `GW_API_SESSION` when set to what is no plain object
   */
  get session(): Session {
    return this.#state.session.value as Session;
  }

  set session(session: Session) {
    this.#state.session.value = session as Record<string, unknown>;
  }

  send(message: Message, options: MessageOptions = {}): boolean {
    return this.gateway.sendToPeer(this.#peer, this.#connectionId, message, options);
  }

  /** Ends the connection once all that was sent is written; `message` is the last of it. */
  close(message?: Message): boolean {
    return this.gateway.closePeer(this.#peer, this.#connectionId, message);
  }

  /** Ends the connection at once; what waits for the client is lost. */
  destroy(): boolean {
    return this.gateway.changePeer(this.#peer, Command.DESTROY, this.#connectionId, '');
  }

  bindUid(uid: Uid): boolean {
    return this.gateway.bindUidOfPeer(this.#peer, this.#connectionId, uid);
  }

  unbindUid(): boolean {
    return this.gateway.changePeer(this.#peer, Command.UNBIND_UID, this.#connectionId, '');
  }

  joinGroup(group: Group): boolean {
    return this.gateway.joinGroupOfPeer(this.#peer, this.#connectionId, group);
  }

  leaveGroup(group: Group): boolean {
    return this.gateway.leaveGroupOfPeer(this.#peer, this.#connectionId, group);
  }

  toString(): string {
    return this.id;
  }
}
