/** What the heartbeat does to one client at a tick. */
export type HeartbeatAction = 'nothing' | 'send' | 'destroy';

/** What the heartbeat keeps of a client. */
export interface Beating {
  /** Ticks since its last message; −1 right after one, and at connect. */
  heartbeat: number;
}

/**
 * The original's heartbeat, exactly, as a value. A silent client is pinged first after P to 1.5 P seconds, then every P, and
 * destroyed at tick 2 L + 2 (L > 0) or never (L = 0). `test/vectors/heartbeat.json` has the traces.
 */
export class Heartbeat {
  /** Seconds from tick to tick; 0: no ticks. */
  readonly tickSeconds: number;
  readonly #limit: number;
  readonly #sends: boolean;

  /**
   * @param pingInterval P, seconds; 0: off
   * @param pingNotResponseLimit L
   * @param sends whether there is ping data to send
   */
  constructor(pingInterval: number, pingNotResponseLimit: number, sends: boolean) {
    this.tickSeconds = pingNotResponseLimit > 0 ? pingInterval / 2 : pingInterval;
    this.#limit = pingNotResponseLimit;
    this.#sends = sends;
  }

  /** One tick for one client. */
  tick(client: Beating): HeartbeatAction {
    if (this.#limit > 0 && client.heartbeat >= this.#limit * 2) return 'destroy';
    client.heartbeat++;
    if (!this.#sends || client.heartbeat === 0) return 'nothing';
    if (this.#limit > 0 && client.heartbeat % 2 === 1) return 'nothing';
    return 'send';
  }
}

/** What PHP calls empty, `0` too, is no ping data. */
export function sendsPing(pingData: string): boolean {
  return pingData !== '' && pingData !== '0';
}
