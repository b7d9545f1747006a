import type { HeartbeatAction } from './heartbeat.js';

/** What the pings keep of a client. */
export interface Pinged {
  /** Ticks since something came, as heartbeats count them; −1: this client is not known yet, or was excused. */
  heartbeat: number;
  /** Bytes that had come from it at the last tick. */
  heardBytes: number;
}

/**
 * Protocol pings for WebSocket clients, as a value. Browsers answer them by themselves, so that a client that is gone
 * without a word is found although the application has no heartbeat. Every byte that comes is a sign of life, a pong or a
 * part of a message too.
 *
 * At a tick, a client from whom something came since the last one is left alone. From whom nothing came is pinged; if
 * nothing came until the next tick either, it is destroyed: one interval after the ping, two to three after its last byte.
 */
export class WebSocketPings {
  /** Seconds from tick to tick; 0: no ticks. */
  readonly tickSeconds: number;

  constructor(interval: number) {
    this.tickSeconds = interval;
  }

  /**
   * One tick for one client.
   *
   * @param bytesRead all bytes that have come from it
   */
  tick(client: Pinged, bytesRead: number): HeartbeatAction {
    if (client.heartbeat < 0 || client.heardBytes !== bytesRead) {
      client.heartbeat = 0;
      client.heardBytes = bytesRead;
      return 'nothing';
    }
    client.heartbeat++;
    return client.heartbeat === 1 ? 'send' : 'destroy';
  }

  /** A tick for one that can't show that it is there: it gets a whole interval from the next tick on. */
  excuse(client: Pinged): void {
    client.heartbeat = -1;
  }
}
