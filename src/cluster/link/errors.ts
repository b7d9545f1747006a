import { GatewayWorkerError } from '../../util/mod.js';

/** A peer that can't be reached, does not answer, or is refused. Codes `GW_LINK_…`. */
export class LinkError extends GatewayWorkerError {}
