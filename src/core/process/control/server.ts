import { once } from 'node:events';
import type { Server, Socket } from 'node:net';
import { createServer } from 'node:net';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { GatewayWorkerError, messageOf } from '../../../util/mod.js';
import type { Engine, ReloadOptions, ReloadResult } from '../engine.js';
import { ControlError } from './errors.js';
import type { Command, Failure, Hello, Numbered, Reply, Request } from './protocol.js';
import { encode, LONGEST_REQUEST, readLines, readRequest } from './protocol.js';

/** A connection on which nothing moves for so long is closed: who hangs, or does not read. Milliseconds. */
const IDLE = 30_000;

/** Between two words about a stop or reload that goes on. Milliseconds. */
const PROGRESS_EVERY = 1000;

/** More than people and monitors need; what hangs goes after `IDLE`. */
const MOST_CONNECTIONS = 256;

/** The service, as the control socket sees it. */
export interface ControlTarget extends Pick<Engine, 'processes' | 'status' | 'connections'> {
  hello(): Hello;
  /** Resolves when all has stopped. */
  stop(graceful: boolean): Promise<void>;
  /** @throws ReloadError */
  reload(options: ReloadOptions): Promise<ReloadResult>;
}

type Replies = AsyncIterable<Reply>;

/** Adding a command is adding a row. */
const COMMANDS: {
  readonly [C in Command]: (target: ControlTarget, request: Extract<Request, { command: C }>) => Replies;
} = {
  hello,
  stop: (target, { graceful = false }) => withProgress(target, target.stop(graceful).then(nothing)),
  reload: (target, { graceful, workers }) => withProgress(target, target.reload({ graceful, workers })),
  status,
  connections,
};

/**
 * Answers who connects to the control socket. Never keeps the process alive, and never lets a peer harm it: a line is
 * limited, a bad one closes its connection, and a reader that is slow makes only itself wait.
 */
export class ControlServer {
  readonly #target: ControlTarget;
  readonly #idle: number;
  readonly #server: Server;
  #closed = false;

  /** @param idle milliseconds without a byte in either direction, after which a connection is closed */
  constructor(target: ControlTarget, idle = IDLE) {
    this.#target = target;
    this.#idle = idle;
    this.#server = createServer((socket) => void this.#serve(socket));
    this.#server.maxConnections = MOST_CONNECTIONS;
    this.#server.unref();
  }

  /**
   * Nobody but this user may connect, from the first moment on.
   *
   * @throws the system's error
   */
  async listen(path: string): Promise<void> {
    const listening = once(this.#server, 'listening');
    // The system makes the file during the call, with the rights that the mask leaves.
    const mask = process.umask(0o177);
    try {
      this.#server.listen({ path, exclusive: true });
    } finally {
      process.umask(mask);
    }
    await listening;
    // A connection that can't be taken, for want of a descriptor, is the peer's loss.
    this.#server.on('error', ignore);
  }

  /** Takes no new connections and requests; who has asked gets the answer. */
  close(): void {
    this.#closed = true;
    this.#server.close();
  }

  async #serve(socket: Socket): Promise<void> {
    socket.unref();
    socket.on('error', ignore);
    socket.setTimeout(this.#idle, () => socket.destroy());
    try {
      for await (const line of readLines(socket, LONGEST_REQUEST)) {
        if (this.#closed) break;
        const request = readRequest(line);
        for await (const reply of this.#answer(request)) {
          if (!(await written(socket, { id: request.id, ...reply }))) return;
        }
      }
      socket.end();
    } catch (error) {
      // Only ours is an error of what was asked; any other is the connection's, which is over then.
      if (!(error instanceof ControlError)) return void socket.destroy();
      const { id = null } = error.fields as { id?: number | null };
      socket.write(encode({ id, error: failure(error) }));
      socket.destroySoon();
    }
  }

  async *#answer(request: Request): AsyncGenerator<Reply> {
    try {
      const answer = COMMANDS[request.command] as (target: ControlTarget, request: Request) => Replies;
      yield* answer(this.#target, request);
    } catch (error) {
      yield { error: failure(error) };
    }
  }
}

async function* hello(target: ControlTarget): Replies {
  yield { answer: target.hello() };
}

async function* status(target: ControlTarget): Replies {
  yield { answer: await target.status() };
}

async function* connections(target: ControlTarget): Replies {
  for await (const part of target.connections()) yield { part };
  yield { answer: null };
}

/** Says how far it is until the work has settled, then its result. Whoever asked may have left by then. */
async function* withProgress<Answer extends ReloadResult | null>(
  target: ControlTarget,
  work: Promise<Answer>,
): Replies {
  for (;;) {
    const done = await Promise.race([work.then(yes), sleep(PROGRESS_EVERY, false, { ref: false })]);
    if (done) break;
    yield { progress: { processes: target.processes() } };
  }
  yield { answer: await work };
}

/** Resolves when the socket has room for more; false when it is closed. */
async function written(socket: Socket, reply: Numbered<Reply>): Promise<boolean> {
  if (socket.destroyed) return false;
  if (socket.write(encode(reply))) return true;
  return new Promise((resolve) => {
    const settle = () => {
      socket.off('drain', settle);
      socket.off('close', settle);
      resolve(!socket.destroyed);
    };
    socket.on('drain', settle);
    socket.on('close', settle);
  });
}

/** Without a stack: what a caller can do about it stands in the message. */
function failure(error: unknown): Failure {
  if (error instanceof GatewayWorkerError) {
    const { code, message, fields } = error;
    return { code, message, fields };
  }
  return { code: 'GW_CONTROL_FAILED', message: messageOf(error), fields: {} };
}

function yes(): true {
  return true;
}

function nothing(): null {
  return null;
}

function ignore(): void {}
