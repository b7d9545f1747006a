import { Buffer } from 'node:buffer';
import { counted, type WorkerFigures } from '../../core/process/mod.js';
import { type LogFields, type Logger, LogThrottle, stackOf } from '../../util/mod.js';
import {
  type Dispatch,
  enterDispatch,
  type LocalSession,
  type LocalSessions,
  leaveDispatch,
  sessionAt,
  WorkerGatewayApi,
} from '../api/mod.js';
import type { GatewayPeer, WorkerLink, WorkerLinkEvents } from '../link/mod.js';
import { Command, FLAG_BINARY, FLAG_SCALAR, type PacketView, unserialize } from '../protocol/mod.js';
import { Client, ClientState, type QueuedEvent } from './client.js';
import { type DepartingClients, Departure } from './departure.js';
import type { Events } from './events.js';
import { webSocketRequestOf } from './web-socket-request.js';

/** Below this share of the limit the links are read again. */
const RESUME_SHARE = 0.5;

/** What one queued event costs beside its bytes. */
const EVENT_OVERHEAD_BYTES = 200;

export interface BusinessProcessOptions {
  readonly binary: boolean;
  readonly maxPendingBytesPerClient: number;
  readonly maxPendingBytes: number;
}

interface Known extends Dispatch {
  readonly client: Client;
  readonly state: ClientState;
  readonly connectionId: number;
}

/** A gateway that is linked. */
interface Joined {
  /** Its clients that have been heard of, by connection id. */
  readonly clients: Map<number, Known>;
  /** This worker leaves it. */
  departure: Departure | null;
}

/** One worker process at work: events in, your handlers, what they command out. */
export class BusinessProcess implements WorkerLinkEvents, LocalSessions {
  /** Events handled, and handlers that failed. */
  handled = 0;
  failed = 0;
  /** Events that no handler got. */
  readonly dropped = { handlerQueueFull: 0, gatewayLost: 0, unknownEvents: 0 };
  /** What handlers command and ask with. */
  readonly api: WorkerGatewayApi;
  readonly #options: BusinessProcessOptions;
  readonly #events: Events;
  readonly #link: WorkerLink;
  readonly #logger: Logger;
  readonly #throttle = new LogThrottle();
  readonly #gateways = new Map<GatewayPeer, Joined>();
  /** The gateway of the last event, and what is known there: events come many from one gateway at a time. */
  #lastGateway: GatewayPeer | null = null;
  #lastClients: Map<number, Known> | undefined;
  /** Clients whose handler's promise is pending. */
  #busy = 0;
  #pendingBytes = 0;
  /** Too much waits for handlers; the links are not read. */
  #paused = false;
  #stopping = false;
  #idle: (() => void) | null = null;

  constructor(options: BusinessProcessOptions, events: Events, link: WorkerLink, logger: Logger) {
    this.#options = options;
    this.#events = events;
    this.api = new WorkerGatewayApi(link, this);
    this.#link = link;
    this.#logger = logger;
  }

  figures(): WorkerFigures {
    const { api, failed: failedHandlers, handled: totalRequest, dropped } = this;
    const { up, down, ...link } = this.#link.figures();
    const tooLargeForGateway = api.tooLargeForPeer + (link.dropped.tooLargeForGateway ?? 0);
    return {
      connections: [...this.#link.openConnections()].length,
      sendFail: link.sendFail + api.tooLargeForPeer,
      totalRequest,
      queuedBytes: link.queuedBytes + this.#pendingBytes,
      links: { up, down },
      dropped: counted({ failedHandlers, ...dropped, ...link.dropped, tooLargeForGateway }),
    };
  }

  gatewayJoined(gateway: GatewayPeer): void {
    this.#gateways.set(gateway, { clients: new Map(), departure: null });
    this.#lastGateway = null;
  }

  gatewayLeft(gateway: GatewayPeer): void {
    // Handlers at work keep their client; of the others nothing is owed to a gateway that is gone.
    const joined = this.#gateways.get(gateway);
    for (const { state } of joined?.clients.values() ?? []) {
      for (const event of state.queue.splice(0)) {
        this.#took(state, event);
        this.dropped.gatewayLost++;
      }
    }
    this.#gateways.delete(gateway);
    this.#lastGateway = null;
    joined?.departure?.end();
    this.#resumeWithRoom();
  }

  event(packet: PacketView, gateway: GatewayPeer): void {
    if (packet.cmd === Command.DRAIN) {
      this.#gateways.get(gateway)?.departure?.drained();
      return;
    }
    const known = this.#known(packet, gateway);
    if (known === undefined) return;
    if (packet.cmd === Command.ON_WEBSOCKET_CONNECT) known.client.cameFrom(packet);
    const { state } = known;
    if (state.busy) {
      this.#enqueue(known, packet);
      return;
    }
    const { cmd, flag, buffer } = packet;
    const certain = state.session.arrived(buffer, packet.extStart, packet.extEnd);
    if (certain || cmd === Command.ON_CLOSE) {
      this.#handle(known, gateway, cmd, flag, buffer, packet.bodyStart, packet.bodyEnd);
    } else {
      this.#askFirst(known, gateway, queued(packet));
    }
  }

  session(gateway: GatewayPeer, connectionId: number): LocalSession | undefined {
    return this.#gateways.get(gateway)?.clients.get(connectionId)?.state.session;
  }

  /**
   * Gives the clients to other workers, each when no handler is at work for it any more, where the gateway knows how. Of
   * other gateways nothing more is read then. Resolves when no handler is at work at all, and nothing waits for one.
   */
  async stop(): Promise<void> {
    this.#link.leave();
    const departures = [...this.#gateways].map(([gateway, joined]) => this.#depart(gateway, joined));
    await Promise.all(departures.map(({ left }) => left));
    this.#stopping = true;
    this.#link.pause();
    if (this.#busy === 0) return;
    await new Promise<void>((resolve) => {
      this.#idle = resolve;
    });
  }

  #depart(gateway: GatewayPeer, joined: Joined): Departure {
    const departing: DepartingClients = {
      isPaused: () => this.#paused,
      settle: () => {
        const all = [...joined.clients.values()];
        for (const known of all) if (!known.state.busy) this.#save(known, gateway);
        return all.filter(({ state }) => state.busy).map(({ connectionId }) => connectionId);
      },
      save: (connectionId) => {
        const known = joined.clients.get(connectionId);
        if (known !== undefined) this.#save(known, gateway);
      },
    };
    joined.departure = new Departure(gateway, departing, this.#logger);
    joined.departure.begin();
    return joined.departure;
  }

  #known(packet: PacketView, gateway: GatewayPeer): Known | undefined {
    if (this.#lastGateway !== gateway) {
      this.#lastGateway = gateway;
      this.#lastClients = this.#gateways.get(gateway)?.clients;
    }
    const clients = this.#lastClients;
    if (clients === undefined) return undefined;
    const found = clients.get(packet.connectionId);
    if (found !== undefined) return found;
    const state = new ClientState();
    const client = new Client(packet, gateway, this.api, state);
    const known: Known = { api: this.api, client, state, connectionId: packet.connectionId };
    clients.set(packet.connectionId, known);
    return known;
  }

  /**
   * Calls the handler of one event; what a synchronous one leaves to do is done before this returns.
   *
   * @returns false when the handler's promise is pending: `#settled` will come
   */
  #handle(
    known: Known,
    gateway: GatewayPeer,
    cmd: number,
    flag: number,
    buffer: Buffer,
    start: number,
    end: number,
  ): boolean {
    const outer = enterDispatch(known);
    try {
      const result = this.#callUser(known.client, cmd, flag, buffer, start, end);
      if (isThenable(result)) {
        known.state.busy = true;
        this.#busy++;
        // What is thenable may call back twice, or throw; for a real promise this is the promise itself.
        Promise.resolve(result).then(
          () => this.#settled(known, gateway, cmd),
          (thrown) => {
            this.#report(cmd, known.client, thrown);
            this.#settled(known, gateway, cmd);
          },
        );
        return false;
      }
    } catch (thrown) {
      this.#report(cmd, known.client, thrown);
    } finally {
      leaveDispatch(outer);
    }
    this.#finish(known, gateway, cmd);
    return true;
  }

  /** The one place where user code is called for an event. */
  #callUser(client: Client, cmd: number, flag: number, buffer: Buffer, start: number, end: number): unknown {
    const events = this.#events;
    switch (cmd) {
      case Command.ON_MESSAGE:
        return events.onMessage?.(client, this.#message(flag, buffer, start, end));
      case Command.ON_CONNECT:
        return events.onConnect?.(client);
      case Command.ON_CLOSE:
        return events.onClose?.(client);
      case Command.ON_WEBSOCKET_CONNECT:
        return events.onWebSocketConnect?.(client, webSocketRequestOf(buffer.subarray(start, end)));
      default:
        this.dropped.unknownEvents++;
        this.#warn('an event of an unknown kind was ignored', { command: cmd });
        return undefined;
    }
  }

  #message(flag: number, buffer: Buffer, start: number, end: number): unknown {
    if ((flag & FLAG_SCALAR) === 0) return unserialize(buffer, start, end);
    if ((flag & FLAG_BINARY) !== 0 || this.#options.binary) return Buffer.from(buffer.subarray(start, end));
    return buffer.toString('utf8', start, end);
  }

  #finish(known: Known, gateway: GatewayPeer, cmd: number): void {
    this.handled++;
    if (cmd === Command.ON_CLOSE) {
      const clients = this.#gateways.get(gateway)?.clients;
      // A link that came back meanwhile has clients of its own.
      if (clients?.get(known.connectionId) === known) clients.delete(known.connectionId);
      return;
    }
    this.#save(known, gateway);
  }

  #save(known: Known, gateway: GatewayPeer): void {
    const { session } = known.state;
    try {
      const text = session.takeChange();
      if (text === null || this.api.changePeer(gateway, Command.SET_SESSION, known.connectionId, text)) return;
      session.notSent();
      // With a gateway that is gone its clients are.
      if (this.#gateways.has(gateway)) {
        this.#warn("the session of a client could not be sent; it is tried again after the client's next event", {
          client: known.client.id,
          bytes: text.length,
        });
      }
    } catch (thrown) {
      this.failed++;
      this.#logger.error(`the session of a client can't be saved: ${stackOf(thrown)}`, { client: known.client.id });
    }
  }

  /** A handler's promise has settled: the session is saved, then what waited is handled, in order. */
  #settled(known: Known, gateway: GatewayPeer, cmd: number): void {
    this.#finish(known, gateway, cmd);
    this.#goOn(known, gateway, true);
  }

  /**
   * The session that the event carries is doubtful: the gateway is asked for it, and the event waits for the answer. Without
   * one the session stands. The client counts as busy.
   */
  #askFirst(known: Known, gateway: GatewayPeer, { cmd, flag, body }: QueuedEvent): void {
    const { state, connectionId } = known;
    state.busy = true;
    this.#busy++;
    const go = (session: Buffer | null) => {
      if (session !== null) state.session.answered(session);
      // Of a link that broke meanwhile what had come and not begun is lost.
      const left = this.#gateways.get(gateway)?.clients.get(connectionId) !== known;
      this.#goOn(known, gateway, left || this.#handle(known, gateway, cmd, flag, body, 0, body.length));
    };
    sessionAt(gateway, connectionId, state.session, (text) => text).then(go, () => go(null));
  }

  /** Handles what waits, in order. @param free no handler of the client is at work, and it counts as busy all the same */
  #goOn(known: Known, gateway: GatewayPeer, free: boolean): void {
    const { state } = known;
    // The client counts as busy meanwhile, so that nothing overtakes what waits.
    let done = free;
    while (done) {
      const next = state.queue.shift();
      if (next === undefined) break;
      this.#took(state, next);
      const certain = state.session.arrived(next.session, 0, next.session.length);
      if (certain || next.cmd === Command.ON_CLOSE) {
        done = this.#handle(known, gateway, next.cmd, next.flag, next.body, 0, next.body.length);
      } else {
        done = false;
        this.#askFirst(known, gateway, next);
      }
    }
    if (done) {
      state.busy = false;
      this.#gateways.get(gateway)?.departure?.done(known.connectionId);
    }
    this.#busy--;
    this.#resumeWithRoom();
    if (this.#busy === 0 && this.#idle !== null) this.#idle();
  }

  #enqueue(known: Known, packet: PacketView): void {
    const { state } = known;
    // Behind an event that found no room, none is handled but the last.
    if (state.overflowed && packet.cmd !== Command.ON_CLOSE) {
      this.dropped.handlerQueueFull++;
      return;
    }
    const event = queued(packet);
    const cost = costOf(event);
    // The last event always finds room, for handlers are owed their onClose; so does the first, or a message that the gateway
    // takes could be one that no handler ever gets.
    const fits = state.queue.length === 0 || state.queuedBytes + cost <= this.#options.maxPendingBytesPerClient;
    if (event.cmd !== Command.ON_CLOSE && !fits) {
      this.dropped.handlerQueueFull++;
      this.#warn('a client is closed: it sends faster than its events are handled', {
        client: known.client.id,
        limitBytes: this.#options.maxPendingBytesPerClient,
      });
      state.overflowed = known.client.destroy();
      return;
    }
    state.queue.push(event);
    state.queuedBytes += cost;
    this.#pendingBytes += cost;
    if (this.#paused || this.#pendingBytes <= this.#options.maxPendingBytes) return;
    this.#paused = true;
    this.#warn('too many events wait for handlers; the gateways are not read for now', {
      limitBytes: this.#options.maxPendingBytes,
    });
    this.#link.pause();
  }

  #took(state: ClientState, event: QueuedEvent): void {
    const cost = costOf(event);
    state.queuedBytes -= cost;
    this.#pendingBytes -= cost;
  }

  /** Never while an event is being handled: the links may deliver what they hold at once. */
  #resumeWithRoom(): void {
    if (!this.#paused || this.#stopping) return;
    if (this.#pendingBytes > this.#options.maxPendingBytes * RESUME_SHARE) return;
    this.#paused = false;
    this.#link.resume();
  }

  #report(cmd: number, client: Client, thrown: unknown): void {
    this.failed++;
    this.#logger.error(`${HANDLER_NAMES[cmd] ?? 'a handler'} threw: ${stackOf(thrown)}`, { client: client.id });
  }

  #warn(message: string, fields: LogFields): void {
    const passed = this.#throttle.pass(message, performance.now(), fields);
    if (passed !== null) this.#logger.warn(message, passed);
  }
}

const HANDLER_NAMES: Readonly<Record<number, string>> = {
  [Command.ON_CONNECT]: 'onConnect',
  [Command.ON_WEBSOCKET_CONNECT]: 'onWebSocketConnect',
  [Command.ON_MESSAGE]: 'onMessage',
  [Command.ON_CLOSE]: 'onClose',
};

function queued(packet: PacketView): QueuedEvent {
  return { cmd: packet.cmd, flag: packet.flag, session: packet.extBytes(), body: packet.bodyBytes() };
}

function costOf(event: QueuedEvent): number {
  return event.body.length + event.session.length + EVENT_OVERHEAD_BYTES;
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  if (value === null || (typeof value !== 'object' && typeof value !== 'function')) return false;
  return typeof (value as PromiseLike<unknown>).then === 'function';
}
