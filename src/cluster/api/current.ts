import { currentDispatch } from './dispatch.js';
import { ApiError } from './errors.js';
import { GatewayApi } from './gateway-api.js';
import { WorkerGatewayApi } from './worker-gateway-api.js';

/** The names of the functions that ask, as the original has them. What asks answers with a promise, also of an error. */
const QUESTION = /^(?:is|get|batchGet)[A-Z]/;

/** The APIs of the workers that run in this process: one, unless all share a process. */
const running: { readonly api: WorkerGatewayApi; readonly cluster: string }[] = [];

/** A worker has started. @param cluster what tells its cluster from another: register addresses */
export function apiStarted(api: WorkerGatewayApi, cluster: string): void {
  running.push({ api, cluster });
}

export function apiStopped(api: WorkerGatewayApi): void {
  const index = running.findIndex((entry) => entry.api === api);
  if (index >= 0) running.splice(index, 1);
}

function currentApi(): WorkerGatewayApi {
  const dispatch = currentDispatch();
  if (dispatch !== null) return dispatch.api;
  const first = running[0];
  if (first === undefined) {
    throw new ApiError(
      'GW_API_NOT_RUNNING',
      'the gateway functions work in a BusinessWorker that has started; in another program use GatewayClient',
    );
  }
  if (running.some((entry) => entry.cluster !== first.cluster)) {
    throw new ApiError(
      'GW_API_AMBIGUOUS',
      "workers of several clusters share this process: use 'worker.gateway', or 'client.gateway' of the client meant",
    );
  }
  return first.api;
}

/**
 * The gateway API of the worker in whose process this runs: every function of WorkerGatewayApi.
 *
 * While a handler is being called, that is its worker, up to the handler's first `await`; else any worker of this process,
 * when all are of one cluster.
 *
 * @throws ApiError `GW_API_NOT_RUNNING`, `GW_API_AMBIGUOUS`; questions reject with it
 */
export const gateway: WorkerGatewayApi = facade();

/** An object with each method of the API, which looks up whose it is at the call. */
function facade(): WorkerGatewayApi {
  const functions: Record<string, unknown> = {};
  for (const prototype of [GatewayApi.prototype, WorkerGatewayApi.prototype]) {
    for (const name of Object.getOwnPropertyNames(prototype)) {
      if (name === 'constructor') continue;
      const call = (...args: unknown[]) => {
        const api = currentApi() as unknown as Record<string, (...args: unknown[]) => unknown>;
        return api[name]?.(...args);
      };
      functions[name] = QUESTION.test(name) ? async (...args: unknown[]) => call(...args) : call;
    }
  }
  return functions as unknown as WorkerGatewayApi;
}
