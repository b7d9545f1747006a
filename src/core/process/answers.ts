import process from 'node:process';
import { hostPort, type TcpConnection } from '../net/mod.js';
import { Timer } from '../timers/mod.js';
import type { BaseWorker } from './base-worker.js';
import type { LoopDelay } from './loop-delay.js';
import type { Answers, Question } from './messages.js';
import type { ConnectionRow, ProcessFigures } from './status.js';

/** Connections in one message. */
const ROWS_PER_PART = 1000;

export interface AnswerPart<Asked extends Question = Question> {
  readonly answer: Answers[Asked];
  /** More parts follow. */
  readonly more: boolean;
}

/** What a process says of itself, in one part or several. */
export function* answersOf(question: Question, worker: BaseWorker, delay: LoopDelay): Iterable<AnswerPart> {
  if (question === 'figures') yield { answer: figuresOf(worker, delay), more: false };
  else yield* connectionParts(worker);
}

export function figuresOf(worker: BaseWorker, delay: LoopDelay): ProcessFigures {
  return { ...worker.figures(), memory: process.memoryUsage.rss(), timers: Timer.count, delay: delay.longest };
}

/** The last part is the one that is not full, so there is always one. */
export function* connectionParts(worker: BaseWorker): Iterable<AnswerPart<'connections'>> {
  let rows: ConnectionRow[] = [];
  for (const connection of worker.openConnections()) {
    if (rows.length === ROWS_PER_PART) {
      yield { answer: rows, more: true };
      rows = [];
    }
    rows.push(connectionRow(worker, connection));
  }
  yield { answer: rows, more: false };
}

function connectionRow(worker: BaseWorker, connection: TcpConnection): ConnectionRow {
  return {
    pid: process.pid,
    worker: worker.name,
    id: connection.id,
    transport: transportOf(connection),
    protocol: connection.codec.name,
    ipv6: connection.isIpV6,
    receiveQueue: connection.recvQueueSize,
    sendQueue: connection.sendQueueSize,
    bytesRead: connection.bytesRead,
    bytesWritten: connection.bytesWritten,
    status: connection.status,
    localAddress: hostPort(connection.localAddress, connection.localPort),
    foreignAddress: hostPort(connection.remoteAddress, connection.remotePort),
  };
}

function transportOf({ encrypted, local }: TcpConnection): ConnectionRow['transport'] {
  if (encrypted) return 'ssl';
  return local ? 'unix' : 'tcp';
}
