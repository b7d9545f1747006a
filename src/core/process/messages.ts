import { GatewayWorkerError, messageOf, stackOf } from '../../util/mod.js';
import type { ConnectionRow, ProcessFigures } from './status.js';

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

/** A process asks to be replaced, as `stopAll` does. */
export interface LeaveMessage {
  readonly gatewayworker: 'leave';
}

/** The service is being reloaded: this process is kept, or `stop` follows. */
export interface ReloadMessage {
  readonly gatewayworker: 'reload';
}

export interface StopMessage {
  readonly gatewayworker: 'stop';
  /** Connections are left to end by themselves. A second message without it ends that patience. */
  readonly graceful: boolean;
}

/** What a process can be asked for, and what it answers. */
export interface Answers {
  readonly figures: ProcessFigures;
  /** In parts: a list of many connections is not one message. */
  readonly connections: readonly ConnectionRow[];
}

export type Question = keyof Answers;

export interface AskMessage {
  readonly gatewayworker: 'ask';
  readonly question: Question;
  /** Stands in the answer. */
  readonly number: number;
}

export interface AnswerMessage {
  readonly gatewayworker: 'answer';
  readonly number: number;
  readonly answer: Answers[Question];
  /** More parts follow. */
  readonly more: boolean;
}

/** The log file has been put aside: leave it for the one that has its name now. */
export interface ReopenMessage {
  readonly gatewayworker: 'reopen';
  /** Stands in the answer. */
  readonly number: number;
}

export interface ReopenedMessage {
  readonly gatewayworker: 'reopened';
  readonly number: number;
}

/** A line of a process that may not write to the log file itself. */
export interface LogMessage {
  readonly gatewayworker: 'log';
  readonly line: string;
}

export type FromChild = ReadyMessage | FailedMessage | LeaveMessage | AnswerMessage | ReopenedMessage | LogMessage;
export type FromMaster = ReloadMessage | StopMessage | AskMessage | ReopenMessage;

const FROM_CHILD: ReadonlySet<unknown> = new Set<FromChild['gatewayworker']>([
  'ready',
  'failed',
  'leave',
  'answer',
  'reopened',
  'log',
]);
const FROM_MASTER: ReadonlySet<unknown> = new Set<FromMaster['gatewayworker']>(['reload', 'stop', 'ask', 'reopen']);

export const READY: ReadyMessage = Object.freeze({ gatewayworker: 'ready' });
export const LEAVE: LeaveMessage = Object.freeze({ gatewayworker: 'leave' });
export const RELOAD: ReloadMessage = Object.freeze({ gatewayworker: 'reload' });

export function stopMessage(graceful: boolean): StopMessage {
  return { gatewayworker: 'stop', graceful };
}

/** Which process of which worker a child is to be: `index:id:generation:name` in this variable of its environment. */
export const SLOT_VARIABLE = 'GATEWAYWORKER_PROCESS';

export function failed(error: unknown): FailedMessage {
  return { gatewayworker: 'failed', code: codeOf(error), message: messageOf(error), stack: stackOf(error) };
}

export function fromChild(message: unknown): FromChild | undefined {
  return FROM_CHILD.has(tagOf(message)) ? (message as FromChild) : undefined;
}

export function fromMaster(message: unknown): FromMaster | undefined {
  return FROM_MASTER.has(tagOf(message)) ? (message as FromMaster) : undefined;
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
