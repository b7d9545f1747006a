import { messageOf, nearest } from '../../util/mod.js';
import type { BusinessWorker } from './business-worker.js';
import type { Client } from './client.js';
import { EventsError } from './errors.js';
import type { WebSocketRequest } from './web-socket-request.js';

/** How an event has come. */
export interface Delivery {
  /**
   * It was sent to a worker before, which may have handled it, in part or whole, and did not say so: its process died or its
   * link broke.
   */
  readonly redelivered: boolean;
}

/**
 * What your events module may export. Handlers may be async: the events of one client are handled one after the other, each
 * when the promise of the one before has settled; those of different clients at once. A handler that throws, or whose
 * promise rejects, is reported and counts as done.
 */
export interface Events {
  /** In each process of the worker, before it takes events. Throwing is a failed start. */
  onWorkerStart?(worker: BusinessWorker): unknown;
  /** A client has connected. With WebSocket this is before the handshake: what is sent now arrives after it. */
  // biome-ignore lint/suspicious/noExplicitAny: an app types its own session
  onConnect?(client: Client<any>, delivery: Delivery): unknown;
  /** A client's WebSocket handshake was right. */
  // biome-ignore lint/suspicious/noExplicitAny: an app types its own session
  onWebSocketConnect?(client: Client<any>, request: WebSocketRequest, delivery: Delivery): unknown;
  /**
   * @param message text as a string, binary as a Buffer; what a user-defined protocol decodes to a value, as that value
   */
  // biome-ignore lint/suspicious/noExplicitAny: an app types its own session, and its protocol decides what a message is
  onMessage?(client: Client<any>, message: any, delivery: Delivery): unknown;
  /** The client is gone, or its gateway; by now no question finds it any more. */
  // biome-ignore lint/suspicious/noExplicitAny: an app types its own session
  onClose?(client: Client<any>, delivery: Delivery): unknown;
  /** In each process at a reload: one that is replaced calls it before it leaves, one that is kept goes on. */
  onWorkerReload?(worker: BusinessWorker): unknown;
  /** In each process when it stops in order, after the last event was handled. */
  onWorkerStop?(worker: BusinessWorker): unknown;
}

/** The events, or a function that gives them: `() => import('./events.js')`. */
export type EventsSource = Events | (() => Events | Promise<Events>);

export const EVENT_NAMES = [
  'onWorkerStart',
  'onConnect',
  'onWebSocketConnect',
  'onMessage',
  'onClose',
  'onWorkerReload',
  'onWorkerStop',
] as const satisfies readonly (keyof Events)[];

/**
 * Loads the events module and looks at what it exports.
 *
 * @param warn told of an export that looks like a misspelt event
 * @throws EventsError `GW_EVENTS_NOT_LOADED`, `GW_EVENTS_INVALID`
 */
export async function loadEvents(source: EventsSource, warn: (message: string) => void): Promise<Events> {
  const module = await load(source);
  if (typeof module !== 'object' || module === null) {
    throw new EventsError(
      'GW_EVENTS_INVALID',
      `'events' must give a module or an object, got ${module === null ? 'null' : typeof module}`,
    );
  }
  // `export default { onMessage … }` means the same.
  const events = 'default' in module && !EVENT_NAMES.some((name) => name in module) ? module.default : module;
  const given = events as Record<string, unknown>;
  const found = EVENT_NAMES.filter((name) => given?.[name] !== undefined);
  const wrong = found.find((name) => typeof given[name] !== 'function');
  if (wrong !== undefined) {
    throw new EventsError('GW_EVENTS_INVALID', `the events module exports '${wrong}', which is not a function`, {
      name: wrong,
    });
  }
  const misspelt = Object.keys(given ?? {}).flatMap((name) => misspeltEvent(name) ?? []);
  if (found.length === 0) {
    const hints = misspelt.map((hint) => `; it exports ${hint}`).join('');
    throw new EventsError('GW_EVENTS_INVALID', `the events module exports none of ${EVENT_NAMES.join(', ')}${hints}`);
  }
  for (const hint of misspelt) warn(`the events module exports ${hint}`);
  return given as Events;
}

function misspeltEvent(name: string): string | undefined {
  if (!/^on[A-Z]/i.test(name) || (EVENT_NAMES as readonly string[]).includes(name)) return undefined;
  const meant = nearest(name, EVENT_NAMES);
  return meant === undefined ? undefined : `'${name}', which is no event; did you mean '${meant}'?`;
}

async function load(source: EventsSource): Promise<unknown> {
  try {
    return await (typeof source === 'function' ? source() : source);
  } catch (cause) {
    throw new EventsError(
      'GW_EVENTS_NOT_LOADED',
      `the events module can't be loaded: ${messageOf(cause)}; check the path in \`events: () => import('./events.js')\` and that it was built`,
      {},
      cause,
    );
  }
}
