import { GatewayWorkerError, messageOf, stackOf } from '../../util/mod.js';

/** What the master and its processes tell each other. Tagged, because user code may use `process.send` as well. */
export interface ReadyMessage {
  readonly gatewayworker: 'ready';
}

export interface FailedMessage {
  readonly gatewayworker: 'failed';
  /** Of an error that has one: `GW_…`, `EADDRINUSE`, `ERR_MODULE_NOT_FOUND`. */
  readonly code: string | undefined;
  readonly message: string;
  readonly stack: string;
}

export interface StopMessage {
  readonly gatewayworker: 'stop';
}

export type FromChild = ReadyMessage | FailedMessage;
export type FromMaster = StopMessage;

export const READY: ReadyMessage = Object.freeze({ gatewayworker: 'ready' });
export const STOP: StopMessage = Object.freeze({ gatewayworker: 'stop' });

/** Which process of which worker a child is to be: `index:id:name` in this variable of its environment. */
export const SLOT_VARIABLE = 'GATEWAYWORKER_PROCESS';

export function failed(error: unknown): FailedMessage {
  return { gatewayworker: 'failed', code: codeOf(error), message: messageOf(error), stack: stackOf(error) };
}

export function fromChild(message: unknown): FromChild | undefined {
  const tag = tagOf(message);
  return tag === 'ready' || tag === 'failed' ? (message as FromChild) : undefined;
}

export function fromMaster(message: unknown): FromMaster | undefined {
  return tagOf(message) === 'stop' ? (message as FromMaster) : undefined;
}

export function codeOf(error: unknown): string | undefined {
  if (error instanceof GatewayWorkerError) return error.code;
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' ? code : undefined;
}

function tagOf(message: unknown): unknown {
  return typeof message === 'object' && message !== null && 'gatewayworker' in message
    ? message.gatewayworker
    : undefined;
}
