import { GatewayWorkerError } from '../../util/mod.js';

/** Something about one connection: a message dropped, a peer that left. Codes `GW_CONNECTION_…`. */
export class ConnectionError extends GatewayWorkerError {}

/** A listener that could not be opened. Code `GW_LISTEN_FAILED`; `cause` is the system's error. */
export class ListenError extends GatewayWorkerError {}
