import type { Message, MessageOptions } from './outbox.js';
import type { WorkerGatewayApi } from './worker-gateway-api.js';

/** The client whose handler is being called, as far as the current-client functions need it. */
export interface CurrentClient {
  send(message: Message, options?: MessageOptions): boolean;
  close(message?: Message): boolean;
  destroy(): boolean;
}

/** What user code is being called for. */
export interface Dispatch {
  readonly api: WorkerGatewayApi;
  /** Null where the worker itself is the subject: `onWorkerStart`, `onWorkerStop`. */
  readonly client: CurrentClient | null;
}

/**
 * Set while user code is being called, so during the synchronous part of a handler; what comes behind an `await` runs when
 * it is null again, or when it is somebody else's.
 */
let current: Dispatch | null = null;

/** @returns what was being called before, for `leaveDispatch` */
export function enterDispatch(dispatch: Dispatch): Dispatch | null {
  const outer = current;
  current = dispatch;
  return outer;
}

export function leaveDispatch(outer: Dispatch | null): void {
  current = outer;
}

export function currentDispatch(): Dispatch | null {
  return current;
}
