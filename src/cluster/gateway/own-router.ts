import type { Buffer } from 'node:buffer';
import type { WorkerPeer } from '../link/mod.js';
import type { GatewayConnection } from './gateway-connection.js';
import type { BindingRouter } from './router.js';

/** A worker as code inside the gateway process sees it. */
export interface ConnectedWorker {
  /**
   * `remoteIp:workerName:number`, as `127.0.0.1:ChatWorker:0`. A process that has replaced another one at a reload has one
   * number more, `127.0.0.1:ChatWorker:0:1`, and another one each time.
   */
  readonly key: string;
  /** Clients of this gateway process whose last event went to it. */
  readonly clients: number;
  /** It does not keep up: its clients are not read for now. */
  readonly full: boolean;
}

/** What is to be routed, by the name of its handler. */
export type RoutedEvent = 'onConnect' | 'onWebSocketConnect' | 'onMessage' | 'onClose';

/**
 * A router of your own, asked for every event. It must answer at once.
 *
 * @param workers those that are there, at least one, by their keys in the order of joining
 * @param body the message's bytes, good only during the call; empty for other events but `onWebSocketConnect`
 * @returns the key of one of `workers`; anything else is reported, and the default router decides
 */
export type Router = (
  workers: ReadonlyMap<string, ConnectedWorker>,
  client: GatewayConnection,
  event: RoutedEvent,
  body: Buffer,
) => string;

/** The workers of one gateway process, as routers and hooks see them. */
export class WorkerTable {
  readonly #workers = new Map<string, ConnectedWorker>();
  readonly #router: BindingRouter;

  constructor(router: BindingRouter) {
    this.#router = router;
  }

  get all(): ReadonlyMap<string, ConnectedWorker> {
    return this.#workers;
  }

  add(peer: WorkerPeer): ConnectedWorker {
    const router = this.#router;
    const worker: ConnectedWorker = {
      key: peer.key,
      get clients() {
        return router.boundTo(peer.key);
      },
      get full() {
        return peer.full;
      },
    };
    // One that joins again is the newest.
    this.#workers.delete(peer.key);
    this.#workers.set(peer.key, worker);
    return worker;
  }

  delete(key: string): ConnectedWorker | undefined {
    const worker = this.#workers.get(key);
    this.#workers.delete(key);
    return worker;
  }
}

/** What is wrong with a router's answer, or undefined. */
export function faultOfAnswer(answer: unknown, workers: ReadonlyMap<string, unknown>): string | undefined {
  if (typeof answer === 'string') {
    return workers.has(answer) ? undefined : `there is no worker '${answer.slice(0, 100)}'`;
  }
  if (answer instanceof Promise) return 'it returned a promise, and an event does not wait';
  return `it returned ${answer === null ? 'null' : typeof answer}, not the key of a worker`;
}
