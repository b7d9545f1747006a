import { GatewayWorkerError } from '../../util/mod.js';

/** The events module can't be used: it is missing, throws while loading, or has no event in it. Codes `GW_EVENTS_…`. */
export class EventsError extends GatewayWorkerError {}
