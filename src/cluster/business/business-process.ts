import { Buffer } from 'node:buffer';
import { counted, type WorkerFigures } from '../../core/process/mod.js';
import { type LogFields, type Logger, LogThrottle, stackOf } from '../../util/mod.js';
import {
  type Dispatch,
  enterDispatch,
  isTooLarge,
  type LocalSession,
  type LocalSessions,
  leaveDispatch,
  sessionAt,
  WorkerGatewayApi,
} from '../api/mod.js';
import type { GatewayPeer, WorkerLink, WorkerLinkEvents } from '../link/mod.js';
import {
  Command,
  FLAG_BINARY,
  FLAG_SCALAR,
  FLAGS_REDELIVERED,
  isEvent,
  type PacketView,
  unserialize,
} from '../protocol/mod.js';
import { Acknowledgements } from './acknowledgements.js';
import { Client, ClientState, type QueuedEvent } from './client.js';
import { type DepartingClients, Departure } from './departure.js';
import type { Delivery, Events } from './events.js';
import { webSocketRequestOf } from './web-socket-request.js';

/** Below this share of the limit the links are read again. */
const RESUME_SHARE = 0.5;

/** What one queued event costs beside its bytes. */
const EVENT_OVERHEAD_BYTES = 200;

/** How often what takes time is looked at: handlers, and gateways that are away. */
const SWEEP_MS = 250;

/** When a gateway's queue had no room for an ACK. */
const RETRY_MS = 20;

/**
 * A gateway ends a link on which nothing is acknowledged: while events are not read it is told that we live. Often, for its
 * `workerTimeout` is not known here.
 */
const SIGN_OF_LIFE_MS = 2000;

/** Clients of a gateway that died whose onClose is called in one turn of the loop. */
const CLOSES_A_TURN = 200;

const FIRST_DELIVERY: Delivery = Object.freeze({ redelivered: false });
const REDELIVERY: Delivery = Object.freeze({ redelivered: true });

const NO_BODY: Buffer = Buffer.alloc(0);

export interface BusinessProcessOptions {
  readonly binary: boolean;
  readonly maxPendingBytesPerClient: number;
  readonly maxPendingBytes: number;
  readonly handlerTimeout: number;
  readonly lostGatewayTimeout: number;
}

interface Known extends Dispatch {
  readonly client: Client;
  readonly state: ClientState;
  readonly connectionId: number;
  /** Another one when the link broke and was made again while a handler was at work. */
  joined: Joined;
  /** It is another worker's now, and is forgotten when its handlers are done. */
  forgotten: boolean;
}

/** A gateway that is linked, or was. */
interface Joined {
  readonly gateway: GatewayPeer;
  /** Its clients that have been heard of, by connection id. */
  readonly clients: Map<number, Known>;
  readonly acknowledgements: Acknowledgements;
  /** Those whose session found no room, and their events that are not acknowledged before it is sent. */
  readonly unsaved: Map<Known, number[]>;
  /** ACK is due at the end of this turn. */
  due: boolean;
  /** `away`: the link has ended, and whether the gateway has is to be seen. What waits for handlers waits until then. */
  state: 'linked' | 'away' | 'dead';
  /** Which process it is, where it has said so. */
  process: string | null;
  /** Since when no register lists it, while it is away; null: one does. */
  unlistedSince: number | null;
  /** This worker leaves it. */
  departure: Departure | null;
  /** Of what waits for handlers, while it is away. */
  setAside: number;
}

/** An event whose handler's promise is pending. */
interface Running {
  readonly known: Known;
  /** Of the link by which the event came. */
  readonly acknowledgements: Acknowledgements;
  readonly number: number;
  readonly cmd: number;
  readonly since: number;
}

/** One worker process at work: events in, your handlers, what they command out. */
export class BusinessProcess implements WorkerLinkEvents, LocalSessions {
  /** Events handled, and handlers that failed. */
  handled = 0;
  failed = 0;
  /** Events that no handler got. */
  readonly dropped = { handlerQueueFull: 0, handlerTimeouts: 0, gatewayLost: 0, unknownEvents: 0 };
  /** What handlers command and ask with. */
  readonly api: WorkerGatewayApi;
  readonly #options: BusinessProcessOptions;
  readonly #events: Events;
  readonly #link: WorkerLink;
  readonly #logger: Logger;
  readonly #throttle = new LogThrottle();
  readonly #gateways = new Map<GatewayPeer, Joined>();
  /** Gateways whose link has ended and that may be dead, with the clients they had. */
  readonly #away = new Set<Joined>();
  /** Those that are sent ACK at the end of this turn. */
  #acknowledging: Joined[] = [];
  /** Oldest first. */
  readonly #running = new Set<Running>();
  #sweeper: NodeJS.Timeout | null = null;
  #signs: NodeJS.Timeout | null = null;
  /** The gateway of the last event, and what is known of it: events come many from one gateway at a time. */
  #lastGateway: GatewayPeer | null = null;
  #lastJoined: Joined | undefined;
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
    this.#gateways.set(gateway, {
      gateway,
      clients: new Map(),
      acknowledgements: new Acknowledgements(),
      unsaved: new Map(),
      due: false,
      state: 'linked',
      process: null,
      unlistedSince: null,
      departure: null,
      setAside: 0,
    });
    this.#lastGateway = null;
  }

  gatewayIdentified(gateway: GatewayPeer): void {
    const joined = this.#gateways.get(gateway);
    if (joined === undefined) return;
    joined.process = gateway.process;
    for (const away of [...this.#away]) {
      if (away.gateway.address !== gateway.address) continue;
      if (away.process === gateway.process) this.#cameBack(away, joined);
      else void this.#died(away);
    }
  }

  gatewayLeft(gateway: GatewayPeer): void {
    const joined = this.#gateways.get(gateway);
    if (joined === undefined) return;
    this.#gateways.delete(gateway);
    this.#lastGateway = null;
    joined.state = 'away';
    joined.departure?.end();
    if (joined.process === null || this.#stopping) {
      this.#dropQueues(joined);
    } else if (joined.clients.size > 0) {
      this.#away.add(joined);
      this.#sweepSoon();
      // Nothing of it is handled until that is known, and links that are not read for it would never tell.
      for (const { state } of joined.clients.values()) joined.setAside += state.queuedBytes;
      this.#pendingBytes -= joined.setAside;
    }
    this.#resumeWithRoom();
  }

  event(packet: PacketView, gateway: GatewayPeer): void {
    if (this.#lastGateway !== gateway) {
      this.#lastGateway = gateway;
      this.#lastJoined = this.#gateways.get(gateway);
    }
    const joined = this.#lastJoined;
    if (joined === undefined) return;
    const { cmd, flag, buffer } = packet;
    if (!isEvent(cmd)) {
      this.#told(packet, joined);
      return;
    }
    const number = this.#number(joined);
    const known = this.#known(packet, joined);
    if (cmd === Command.ON_WEBSOCKET_CONNECT) known.client.cameFrom(packet);
    const { state } = known;
    if (state.busy) {
      this.#enqueue(known, packet, number);
      return;
    }
    const certain = state.session.arrived(buffer, packet.extStart, packet.extEnd);
    if (certain || cmd === Command.ON_CLOSE) {
      const done = this.#handle(known, number, cmd, flag, buffer, packet.bodyStart, packet.bodyEnd);
      if (!done || isUnsaved(known, number)) joined.acknowledgements.pending(number);
    } else {
      joined.acknowledgements.pending(number);
      this.#askFirst(known, queued(packet, number));
    }
  }

  /** What a gateway says that is no event of a client. */
  #told(packet: PacketView, joined: Joined): void {
    switch (packet.cmd) {
      case Command.DRAIN:
        joined.departure?.drained();
        return;
      case Command.KEEP: {
        const { state } = this.#known(packet, joined);
        if (!state.busy) state.session.arrived(packet.buffer, packet.extStart, packet.extEnd);
        return;
      }
      case Command.FORGET: {
        const known = joined.clients.get(packet.connectionId);
        if (known === undefined) return;
        known.forgotten = true;
        if (!known.state.busy) this.#forget(known);
        return;
      }
      default:
        this.dropped.unknownEvents++;
        this.#warn('an event of an unknown kind was ignored', { command: packet.cmd });
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
    const link = this.#link;
    // Of those that no register lists any more nobody else will tell.
    for (const away of this.#away) if (!link.announces(away.gateway.address)) void this.#died(away);
    link.leave();
    const departures = [...this.#gateways.values()].map((joined) => this.#depart(joined));
    await Promise.all(departures.map(({ left }) => left));
    this.#stopping = true;
    link.pause();
    for (const away of [...this.#away]) {
      this.#isNoLongerAway(away);
      this.#dropQueues(away);
    }
    if (this.#busy > 0) {
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
    }
    if (this.#sweeper !== null) clearInterval(this.#sweeper);
    if (this.#signs !== null) clearInterval(this.#signs);
  }

  #depart(joined: Joined): Departure {
    const { gateway, acknowledgements } = joined;
    const departing: DepartingClients = {
      isPaused: () => this.#paused,
      settle: () => {
        const all = [...joined.clients.values()];
        for (const known of all) if (!known.state.busy) this.#save(known);
        // Before the gateway gives them to others, so that it does not give them what is handled.
        acknowledgements.send(gateway);
        return all.filter(({ state }) => state.busy).map(({ connectionId }) => connectionId);
      },
      save: (connectionId) => {
        const known = joined.clients.get(connectionId);
        if (known !== undefined) this.#save(known);
        acknowledgements.send(gateway);
      },
    };
    joined.departure = new Departure(gateway, departing, this.#logger);
    joined.departure.begin();
    return joined.departure;
  }

  #known(packet: PacketView, joined: Joined): Known {
    const { clients } = joined;
    const { connectionId } = packet;
    const found = clients.get(connectionId);
    if (found !== undefined) {
      found.forgotten = false;
      return found;
    }
    const state = new ClientState();
    const client = new Client(packet, joined.gateway, this.api, state);
    const known: Known = { api: this.api, client, state, connectionId, joined, forgotten: false };
    clients.set(connectionId, known);
    return known;
  }

  /** A link that came back meanwhile has clients of its own. */
  #forget(known: Known): void {
    // Its session is another worker's now, or nobody's.
    this.#saved(known);
    known.joined.clients.delete(known.connectionId);
  }

  // ---- acknowledgements ----

  #number(joined: Joined): number {
    if (!joined.due) this.#acknowledgeLater(joined);
    return joined.acknowledgements.received();
  }

  /** An event that had to wait, or whose handler's promise was pending, is handled. */
  #handledLate(known: Known, acknowledgements: Acknowledgements, number: number): void {
    const { joined } = known;
    // Of a link that has ended nobody wants to know.
    if (joined.acknowledgements !== acknowledgements || joined.state !== 'linked') return;
    if (isUnsaved(known, number)) return;
    acknowledgements.handled(number);
    if (!joined.due) this.#acknowledgeLater(joined);
  }

  #acknowledgeLater(joined: Joined): void {
    joined.due = true;
    if (this.#acknowledging.push(joined) === 1) setImmediate(acknowledge, this);
  }

  /** @internal The turn is over. What handlers have sent in it stands before the ACK, the sessions too. */
  acknowledge(): void {
    const due = this.#acknowledging;
    this.#acknowledging = [];
    for (const joined of due) {
      joined.due = false;
      if (joined.state !== 'linked') continue;
      if (this.#savesAll(joined) && joined.acknowledgements.send(joined.gateway)) continue;
      setTimeout(() => {
        if (joined.state === 'linked' && !joined.due) this.#acknowledgeLater(joined);
      }, RETRY_MS).unref();
    }
  }

  /** Whoever gets a client's events next gets the session that those which are acknowledged have left. */
  #savesAll({ unsaved }: Joined): boolean {
    // One that is at work again is saved when that is done.
    for (const known of unsaved.keys()) if (!known.state.busy && !this.#save(known)) return false;
    return true;
  }

  // ---- gateways that are away ----

  #isNoLongerAway(away: Joined): void {
    this.#away.delete(away);
    this.#pendingBytes += away.setAside;
    away.setAside = 0;
  }

  /** Only the link had ended. What was not acknowledged the gateway sends once more, and it names who keeps which client. */
  #cameBack(away: Joined, joined: Joined): void {
    this.#isNoLongerAway(away);
    for (const known of away.clients.values()) {
      this.#takeQueue(known.state);
      if (!known.state.busy) continue;
      // Its next event is to wait for the handler that is at work.
      known.forgotten = true;
      known.joined = joined;
      known.client.movedTo(joined.gateway);
      joined.clients.set(known.connectionId, known);
    }
    this.#resumeWithRoom();
  }

  /** The gateway is gone and so are its clients: those that this worker kept have their last event told here. */
  async #died(away: Joined): Promise<void> {
    this.#isNoLongerAway(away);
    away.state = 'dead';
    const { address } = away.gateway;
    this.#logger.warn('a gateway is gone; onClose is called for the clients it had', {
      gateway: address,
      clients: away.clients.size,
    });
    // As long as they are told of, this worker does not count as idle.
    this.#busy++;
    let told = 0;
    for (const known of [...away.clients.values()]) {
      this.#closeForGateway(known);
      if (++told % CLOSES_A_TURN === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    this.#lessBusy();
  }

  #closeForGateway(known: Known): void {
    const { state } = known;
    if (!known.forgotten && !state.closing && !state.queue.some(({ cmd }) => cmd === Command.ON_CLOSE)) {
      const event = { cmd: Command.ON_CLOSE, flag: FLAG_SCALAR, session: null, body: NO_BODY, number: 0 };
      this.#queue(state, event);
    }
    if (state.busy) return;
    state.busy = true;
    this.#busy++;
    this.#goOn(known, true);
  }

  #dropQueues(joined: Joined): void {
    for (const { state } of joined.clients.values()) this.dropped.gatewayLost += this.#takeQueue(state);
  }

  /** @returns how many had waited */
  #takeQueue(state: ClientState): number {
    const events = state.queue.splice(0);
    for (const event of events) this.#took(state, event);
    return events.length;
  }

  #sweepSoon(): void {
    this.#sweeper ??= setInterval(() => this.#sweep(), SWEEP_MS).unref();
  }

  #sweep(): void {
    const now = performance.now();
    for (const away of this.#away) {
      if (this.#link.announces(away.gateway.address)) {
        away.unlistedSince = null;
        continue;
      }
      away.unlistedSince ??= now;
      if (now - away.unlistedSince >= this.#options.lostGatewayTimeout * 1000) void this.#died(away);
    }
    const { handlerTimeout } = this.#options;
    for (const running of this.#running) {
      if (handlerTimeout === 0 || now - running.since < handlerTimeout * 1000) break;
      const { known, cmd } = running;
      this.dropped.handlerTimeouts++;
      const message = `${HANDLER_NAMES[cmd] ?? 'a handler'} has not settled within ${handlerTimeout} s; its event counts as handled`;
      this.#logger.error(message, { client: known.client.id });
      this.#settled(running);
    }
    if (this.#away.size > 0 || this.#running.size > 0 || this.#sweeper === null) return;
    clearInterval(this.#sweeper);
    this.#sweeper = null;
  }

  // ---- handlers ----

  /**
   * Calls the handler of one event; what a synchronous one leaves to do is done before this returns.
   *
   * @returns false when the handler's promise is pending: `#settled` will come
   */
  #handle(
    known: Known,
    number: number,
    cmd: number,
    flag: number,
    buffer: Buffer,
    start: number,
    end: number,
  ): boolean {
    const outer = enterDispatch(known);
    if (cmd === Command.ON_CLOSE) known.state.closing = true;
    try {
      const result = this.#callUser(known.client, cmd, flag, buffer, start, end);
      if (isThenable(result)) {
        known.state.busy = true;
        this.#busy++;
        const { acknowledgements } = known.joined;
        const running: Running = { known, acknowledgements, number, cmd, since: performance.now() };
        this.#running.add(running);
        this.#sweepSoon();
        // What is thenable may call back twice, or throw; for a real promise this is the promise itself.
        Promise.resolve(result).then(
          () => this.#settled(running),
          (thrown) => {
            this.#report(cmd, known.client, thrown);
            this.#settled(running);
          },
        );
        return false;
      }
    } catch (thrown) {
      this.#report(cmd, known.client, thrown);
    } finally {
      leaveDispatch(outer);
    }
    this.#finish(known, cmd, number);
    return true;
  }

  /** The one place where user code is called for an event. */
  #callUser(client: Client, cmd: number, flag: number, buffer: Buffer, start: number, end: number): unknown {
    const events = this.#events;
    const delivery = (flag & FLAGS_REDELIVERED) === 0 ? FIRST_DELIVERY : REDELIVERY;
    switch (cmd) {
      case Command.ON_MESSAGE:
        return events.onMessage?.(client, this.#message(flag, buffer, start, end), delivery);
      case Command.ON_CONNECT:
        return events.onConnect?.(client, delivery);
      case Command.ON_CLOSE:
        return events.onClose?.(client, delivery);
      default:
        return events.onWebSocketConnect?.(client, webSocketRequestOf(buffer.subarray(start, end)), delivery);
    }
  }

  #message(flag: number, buffer: Buffer, start: number, end: number): unknown {
    if ((flag & FLAG_SCALAR) === 0) return unserialize(buffer, start, end);
    if ((flag & FLAG_BINARY) !== 0 || this.#options.binary) return Buffer.from(buffer.subarray(start, end));
    return buffer.toString('utf8', start, end);
  }

  #finish(known: Known, cmd: number, number: number): void {
    this.handled++;
    if (cmd === Command.ON_CLOSE) this.#forget(known);
    else if (!this.#save(known)) known.joined.unsaved.get(known)?.push(number);
  }

  /** @returns false when the gateway had no room for it, and may have later */
  #save(known: Known): boolean {
    const { session } = known.state;
    const { gateway, state, unsaved } = known.joined;
    // It stays as it is, for onClose should the gateway be dead. If it comes back, it has sent the event to another.
    if (state !== 'linked') return true;
    try {
      const text = session.takeChange();
      if (text === null || this.api.changePeer(gateway, Command.SET_SESSION, known.connectionId, text)) {
        this.#saved(known);
        return true;
      }
      session.notSent();
      this.#warn('the session of a client could not be sent; it is tried again', {
        client: known.client.id,
        bytes: text.length,
      });
      if (isTooLarge(gateway, text, '')) {
        this.#saved(known);
        return true;
      }
      if (gateway.supports('acknowledgements') && !unsaved.has(known)) unsaved.set(known, []);
      return false;
    } catch (thrown) {
      this.failed++;
      this.#logger.error(`the session of a client can't be saved: ${stackOf(thrown)}`, { client: known.client.id });
      this.#saved(known);
      return true;
    }
  }

  /** Its events that waited for that are handled. */
  #saved(known: Known): void {
    const { unsaved, acknowledgements, due } = known.joined;
    const numbers = unsaved.get(known);
    if (numbers === undefined) return;
    unsaved.delete(known);
    for (const number of numbers) acknowledgements.handled(number);
    if (!due) this.#acknowledgeLater(known.joined);
  }

  /** A handler's promise has settled, or is not waited for: the session is saved, then what waited is handled, in order. */
  #settled(running: Running): void {
    // It was not waited for any longer.
    if (!this.#running.delete(running)) return;
    const { known, acknowledgements, number, cmd } = running;
    // Its link broke and was made again. The gateway has sent the event to another, whose session must not be overwritten.
    if (known.joined.acknowledgements !== acknowledgements) known.state.session.discard();
    this.#finish(known, cmd, number);
    this.#handledLate(known, acknowledgements, number);
    this.#goOn(known, true);
  }

  /**
   * The session that the event carries is doubtful: the gateway is asked for it, and the event waits for the answer. Without
   * one the session stands. The client counts as busy.
   */
  #askFirst(known: Known, event: QueuedEvent): void {
    const { state, connectionId, joined } = known;
    const { cmd, flag, body, number } = event;
    state.busy = true;
    this.#busy++;
    const go = (session: Buffer | null) => {
      if (session !== null) state.session.answered(session);
      // Its link broke meanwhile. When that is back the event is sent again; when it is the gateway that broke, it is not.
      if (known.joined !== joined || joined.state === 'away') {
        if (known.joined === joined && joined.process !== null) this.#queueFirst(state, event);
        this.#goOn(known, true);
        return;
      }
      const done = this.#handle(known, number, cmd, flag, body, 0, body.length);
      if (done) this.#handledLate(known, joined.acknowledgements, number);
      this.#goOn(known, done);
    };
    sessionAt(joined.gateway, connectionId, state.session, (text) => text).then(go, () => go(null));
  }

  /** Handles what waits, in order. @param free no handler of the client is at work, and it counts as busy all the same */
  #goOn(known: Known, free: boolean): void {
    const { state } = known;
    // The client counts as busy meanwhile, so that nothing overtakes what waits.
    let done = free;
    while (done && known.joined.state !== 'away') {
      const next = state.queue.shift();
      if (next === undefined) break;
      this.#took(state, next);
      const { acknowledgements } = known.joined;
      const { session, number, cmd, flag, body } = next;
      const certain = session === null || state.session.arrived(session, 0, session.length);
      // A gateway that is gone can't be asked.
      if (certain || cmd === Command.ON_CLOSE || known.joined.state === 'dead') {
        done = this.#handle(known, number, cmd, flag, body, 0, body.length);
        if (done) this.#handledLate(known, acknowledgements, number);
      } else {
        done = false;
        this.#askFirst(known, next);
      }
    }
    if (done) {
      state.busy = false;
      if (known.forgotten) this.#forget(known);
      known.joined.departure?.done(known.connectionId);
    }
    this.#lessBusy();
  }

  #lessBusy(): void {
    this.#busy--;
    this.#resumeWithRoom();
    if (this.#busy === 0 && this.#idle !== null) this.#idle();
  }

  #enqueue(known: Known, packet: PacketView, number: number): void {
    const { state } = known;
    // Behind an event that found no room, none is handled but the last.
    if (state.overflowed && packet.cmd !== Command.ON_CLOSE) {
      this.dropped.handlerQueueFull++;
      return;
    }
    const event = queued(packet, number);
    // The last event always finds room, for handlers are owed their onClose; so does the first, or a message that the gateway
    // takes could be one that no handler ever gets.
    const fits =
      state.queue.length === 0 || state.queuedBytes + costOf(event) <= this.#options.maxPendingBytesPerClient;
    if (event.cmd !== Command.ON_CLOSE && !fits) {
      this.dropped.handlerQueueFull++;
      this.#warn('a client is closed: it sends faster than its events are handled', {
        client: known.client.id,
        limitBytes: this.#options.maxPendingBytesPerClient,
      });
      state.overflowed = known.client.destroy();
      return;
    }
    known.joined.acknowledgements.pending(number);
    this.#queue(state, event);
    if (this.#paused || this.#pendingBytes <= this.#options.maxPendingBytes) return;
    this.#paused = true;
    this.#warn('too many events wait for handlers; the gateways are not read for now', {
      limitBytes: this.#options.maxPendingBytes,
    });
    this.#link.pause();
    this.#signs ??= setInterval(() => {
      for (const { acknowledgements, gateway } of this.#gateways.values()) acknowledgements.say(gateway);
    }, SIGN_OF_LIFE_MS).unref();
  }

  #queue(state: ClientState, event: QueuedEvent): void {
    state.queue.push(event);
    this.#counts(state, event);
  }

  #queueFirst(state: ClientState, event: QueuedEvent): void {
    state.queue.unshift(event);
    this.#counts(state, event);
  }

  #counts(state: ClientState, event: QueuedEvent): void {
    const cost = costOf(event);
    state.queuedBytes += cost;
    this.#pendingBytes += cost;
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
    if (this.#signs !== null) clearInterval(this.#signs);
    this.#signs = null;
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

/** What the event that was just handled has left of the session is yet to be sent. */
function isUnsaved(known: Known, number: number): boolean {
  const { unsaved } = known.joined;
  return unsaved.size > 0 && unsaved.get(known)?.at(-1) === number;
}

function queued(packet: PacketView, number: number): QueuedEvent {
  return { cmd: packet.cmd, flag: packet.flag, session: packet.extBytes(), body: packet.bodyBytes(), number };
}

function costOf(event: QueuedEvent): number {
  return event.body.length + (event.session?.length ?? 0) + EVENT_OVERHEAD_BYTES;
}

function acknowledge(process: BusinessProcess): void {
  process.acknowledge();
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  if (value === null || (typeof value !== 'object' && typeof value !== 'function')) return false;
  return typeof (value as PromiseLike<unknown>).then === 'function';
}
