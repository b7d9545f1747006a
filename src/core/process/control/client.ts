import { once } from 'node:events';
import type { Socket } from 'node:net';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { GatewayWorkerError, isPrivateFolder, messageOf } from '../../../util/mod.js';
import type { ConnectionRow } from '../status.js';
import { ControlError, isControlError } from './errors.js';
import type { ControlPaths, SocketPlace } from './paths.js';
import { readPid } from './paths.js';
import type { Answers, Hello, Progress, Reply, Request } from './protocol.js';
import { encode, LONGEST_REPLY, readLines, readReply } from './protocol.js';

/** A service that says nothing for so long, not even how far it is, is stuck. Milliseconds. */
export const ANSWER_WITHIN = 5000;

/** Milliseconds. */
const DIAL_AGAIN_AFTER = 20;

/** What the system says where nobody listens. */
const NOBODY: ReadonlySet<string> = new Set(['ENOENT', 'ECONNREFUSED', 'ENOTDIR']);

/** What it says to a user who may not ask. */
const FORBIDDEN: ReadonlySet<string> = new Set(['EACCES', 'EPERM']);

/** A connection to a service that runs. Its requests are carried out one after the other. */
export class ControlClient {
  readonly #socket: Socket;
  readonly #lines: AsyncGenerator<string>;
  readonly #pidFile: string;
  #requests = 0;
  #hello: Hello | undefined;

  private constructor(socket: Socket, pidFile: string) {
    this.#socket = socket;
    this.#lines = readLines(socket, LONGEST_REPLY);
    this.#pidFile = pidFile;
    socket.on('error', ignore);
  }

  /**
   * @throws ControlError `GW_CONTROL_NOT_RUNNING`; `GW_CONTROL_NO_ANSWER`: it runs and is stuck;
   *   `GW_CONTROL_FORBIDDEN`: it belongs to another user; `GW_CONTROL_LOST`, `GW_CONTROL_UNREACHABLE`
   */
  static async open(paths: ControlPaths): Promise<ControlClient> {
    const begun = performance.now();
    for (;;) {
      const client = new ControlClient(await dial(paths.found, paths.pidFile), paths.pidFile);
      try {
        client.#hello = await client.ask({ command: 'hello' });
        return client;
      } catch (error) {
        client.close();
        // One that is just ending has taken the connection and drops it; in a moment it will be gone.
        if (!isControlError(error, 'GW_CONTROL_LOST') || performance.now() - begun > ANSWER_WITHIN) throw error;
        await sleep(DIAL_AGAIN_AFTER);
      }
    }
  }

  /** As it was when the connection was made. */
  get hello(): Hello {
    if (this.#hello === undefined) throw new Error('there was no hello yet');
    return this.#hello;
  }

  /**
   * @throws ControlError `GW_CONTROL_NO_ANSWER`, `GW_CONTROL_LOST`
   * @throws GatewayWorkerError what the service says is in the way, with its code
   */
  async ask<Asked extends Request>(
    request: Asked,
    onProgress: (progress: Progress) => void = ignore,
  ): Promise<Answers[Asked['command']]> {
    for await (const reply of this.#replies(request)) {
      if ('answer' in reply) return reply.answer as Answers[Asked['command']];
      if ('progress' in reply) onProgress(reply.progress);
    }
    throw this.#lost();
  }

  /** All connections of the service, in parts. @throws as `ask` */
  async *connections(): AsyncGenerator<readonly ConnectionRow[]> {
    for await (const reply of this.#replies({ command: 'connections' })) {
      if ('part' in reply) yield reply.part;
    }
  }

  /** Resolves when the service has closed the connection, as it does at its end; or after so many milliseconds. */
  async closed(within: number): Promise<void> {
    if (this.#socket.closed) return;
    this.#socket.resume();
    await Promise.race([once(this.#socket, 'close'), sleep(within)]);
  }

  close(): void {
    this.#socket.destroy();
  }

  /** Up to the last one. */
  async *#replies(request: Request): AsyncGenerator<Reply> {
    const id = ++this.#requests;
    this.#socket.write(encode({ id, ...request }));
    for (let last = false; !last; ) {
      const reply = readReply(await this.#line());
      if ('error' in reply) {
        const { code, message, fields } = reply.error;
        throw new GatewayWorkerError(code, message, fields);
      }
      last = 'answer' in reply;
      yield reply;
    }
  }

  async #line(): Promise<string> {
    const timer = setTimeout(() => this.#socket.destroy(noAnswer(this.#pidFile)), ANSWER_WITHIN);
    try {
      const { value, done } = await this.#lines.next();
      if (done !== true) return value;
    } catch (error) {
      if (error instanceof ControlError) throw error;
    } finally {
      clearTimeout(timer);
    }
    throw this.#lost();
  }

  #lost(): ControlError {
    return new ControlError('GW_CONTROL_LOST', 'the service ended before it had answered', {
      pid: this.#hello?.pid ?? readPid(this.#pidFile),
    });
  }
}

/** Whether somebody takes connections there, which a stuck process does as well. */
export async function isListening(place: SocketPlace, pidFile: string): Promise<boolean> {
  try {
    const socket = await dial(place, pidFile);
    socket.destroy();
    return true;
  } catch (error) {
    if (isControlError(error, 'GW_CONTROL_NOT_RUNNING')) return false;
    throw error;
  }
}

function dial(place: SocketPlace, pidFile: string): Promise<Socket> {
  const unsafe = unsafeFolder(place);
  if (unsafe !== undefined) return Promise.reject(unsafe);
  return new Promise((resolve, reject) => {
    const socket = connect(place.path);
    const refused = (error: NodeJS.ErrnoException) => reject(dialError(error, place, pidFile));
    socket.once('error', refused);
    socket.once('connect', () => {
      socket.off('error', refused);
      resolve(socket);
    });
  });
}

/** Why the folder of the socket can't be trusted: others could have put theirs into it. */
export function unsafeFolder({ privateFolder }: SocketPlace): ControlError | undefined {
  if (privateFolder === null) return undefined;
  const { path, uid } = privateFolder;
  if (isPrivateFolder(path, uid) !== false) return undefined;
  const text = `${path} is to be a folder that only its owner may enter; remove it, or give the option pidFile a shorter path`;
  return new ControlError('GW_CONTROL_FORBIDDEN', text, { path });
}

function dialError(error: NodeJS.ErrnoException, { path }: SocketPlace, pidFile: string): ControlError {
  const code = error.code ?? '';
  if (NOBODY.has(code)) return new ControlError('GW_CONTROL_NOT_RUNNING', 'not running', { pidFile });
  // The queue of those who wait to be taken is full.
  if (code === 'EAGAIN') return noAnswer(pidFile);
  if (FORBIDDEN.has(code)) {
    const text = `${path} belongs to another user; call the command as that user`;
    return new ControlError('GW_CONTROL_FORBIDDEN', text, { path }, error);
  }
  return new ControlError('GW_CONTROL_UNREACHABLE', `can't connect to ${path}: ${messageOf(error)}`, { path }, error);
}

function noAnswer(pidFile: string): ControlError {
  const pid = readPid(pidFile);
  const who = pid === undefined ? 'the service' : `the service (pid ${pid})`;
  return new ControlError(
    'GW_CONTROL_NO_ANSWER',
    `${who} runs, but has not answered for ${ANSWER_WITHIN / 1000} s: it is stuck`,
    {
      pid,
    },
  );
}

function ignore(): void {}
