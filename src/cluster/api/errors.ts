import { GatewayWorkerError } from '../../util/mod.js';

/** A call of the gateway API that can't be carried out as it stands. Codes `GW_API_…`; nothing was sent. */
export class ApiError extends GatewayWorkerError {}

/**
 * A question that not every gateway concerned has answered. Code `GW_QUERY_INCOMPLETE`.
 *
 * @typeParam T what the question would have resolved with
 */
export class QueryError<T = unknown> extends GatewayWorkerError {
  /** What the answers that did arrive amount to. */
  readonly partial: T;
  /** Addresses of the gateways that gave no answer. */
  readonly silent: readonly string[];

  constructor(partial: T, silent: readonly string[], cause: unknown) {
    super(
      'GW_QUERY_INCOMPLETE',
      `${silent.length} gateway(s) did not answer: ${silent.join(', ')}; what the others said is in 'partial'`,
      { silent },
      cause,
    );
    this.partial = partial;
    this.silent = silent;
  }
}
