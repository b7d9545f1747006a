import { Buffer } from 'node:buffer';
import type { Logger } from '../../util/mod.js';
import type { GatewayPeer } from '../link/mod.js';
import { busyBody, Command, FLAG_SCALAR, packetHead } from '../protocol/mod.js';

const NO_BODY: Buffer = Buffer.alloc(0);

/** A gateway that has not sent the last event by then is left all the same, unless it is we who do not read. */
const LAST_EVENT_WITHIN = 5000;

/** When the gateway's queue was full, or it has yet to say whether it knows of workers that leave. */
const RETRY_AFTER = 20;

/** What a worker that leaves has to know of the clients it has at one gateway. */
export interface DepartingClients {
  /** Nothing is read from the gateway for now. */
  isPaused(): boolean;
  /** Saves the sessions of those that no handler is at work for, and names the others. */
  settle(): readonly number[];
  /** Saves the session of one whose handlers are done. */
  save(connectionId: number): void;
}

/**
 * How a worker leaves one gateway without losing an event (extension `draining`): DRAIN, the gateway's last event, then the
 * clients it is done with, and of each of the others that it is done with it too. Times are in milliseconds.
 */
export class Departure {
  readonly #gateway: GatewayPeer;
  readonly #clients: DepartingClients;
  readonly #logger: Logger;
  /** Connection ids it is not done with; null until the gateway was told of them. */
  #busy: Set<number> | null = null;
  #timer: NodeJS.Timeout | undefined;
  /** What could not be sent yet, in order. */
  readonly #unsent: (() => boolean)[] = [];
  #retry: NodeJS.Timeout | undefined;
  #left!: () => void;
  /** Nothing of this gateway is left to do here, as far as it can be known. */
  readonly left = new Promise<void>((resolve) => {
    this.#left = resolve;
  });

  constructor(gateway: GatewayPeer, clients: DepartingClients, logger: Logger) {
    this.#gateway = gateway;
    this.#clients = clients;
    this.#logger = logger;
  }

  begin(): void {
    if (this.#gateway.supports('draining')) {
      this.#send(() => this.#say(Command.DRAIN));
      this.#expectLast();
    } else if (this.#gateway.undecided) {
      this.#timer = setTimeout(() => this.begin(), RETRY_AFTER);
    } else {
      this.end();
    }
  }

  /** The gateway has sent its last event, and all before it have come. */
  drained(): void {
    clearTimeout(this.#timer);
    this.#send(() => {
      const busy = this.#clients.settle();
      if (!this.#say(Command.BUSY, 0, busyBody(busy))) return false;
      this.#busy = new Set(busy);
      this.#endIfDone();
      return true;
    });
  }

  /** No handler is at work for this client any more. */
  done(connectionId: number): void {
    if (!this.#busy?.delete(connectionId)) return;
    this.#send(() => {
      this.#clients.save(connectionId);
      if (!this.#say(Command.DONE, connectionId)) return false;
      this.#endIfDone();
      return true;
    });
  }

  /** The link is gone, or is not waited for any longer. */
  end(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#retry);
    this.#unsent.length = 0;
    this.#left();
  }

  #endIfDone(): void {
    // The one being sent is still in the row.
    if (this.#busy?.size === 0 && this.#unsent.length <= 1) this.end();
  }

  #expectLast(): void {
    this.#timer = setTimeout(() => {
      if (this.#clients.isPaused()) {
        this.#expectLast();
        return;
      }
      const seconds = LAST_EVENT_WITHIN / 1000;
      const message = `the gateway did not let go of this worker within ${seconds} s; it is left all the same`;
      this.#logger.warn(message, { gateway: this.#gateway.address });
      this.#left();
    }, LAST_EVENT_WITHIN);
  }

  #send(attempt: () => boolean): void {
    this.#unsent.push(attempt);
    if (this.#unsent.length === 1) this.#sendNext();
  }

  #sendNext(): void {
    for (let attempt = this.#unsent[0]; attempt !== undefined; attempt = this.#unsent[0]) {
      if (!attempt()) {
        this.#retry = setTimeout(() => this.#sendNext(), RETRY_AFTER);
        return;
      }
      this.#unsent.shift();
    }
  }

  #say(cmd: number, connectionId = 0, body = NO_BODY): boolean {
    return this.#gateway.send(packetHead({ cmd, connectionId, flag: FLAG_SCALAR }), '', body);
  }
}
