import type { Worker as ClusterWorker } from 'node:cluster';
import type { LogFile, Logger } from '../../util/mod.js';
import { messageOf } from '../../util/mod.js';
import type { ReopenMessage } from './messages.js';
import { fromChild } from './messages.js';

/** How often the log file is looked at. Milliseconds. */
const LOOK_EVERY = 1000;

/**
 * Looks after the log file for the processes that write to it: puts it aside when it has grown too large, and has all
 * of them reopen it when it was put aside, by this or by another program.
 *
 * Between two rotations each process has left the first file, or has ended: what is replaced by the second is a file
 * that nobody writes to any more, so no line is lost on the way. A process whose loop is blocked delays the rotation.
 */
export class LogKeeper {
  readonly #file: LogFile;
  readonly #maxSize: number;
  readonly #logger: Logger;
  /** Those who write as well, with the number of the last reopening that each has done. */
  readonly #others = new Map<ClusterWorker, number>();
  readonly #timer: NodeJS.Timeout;
  #number = 0;
  #failing = false;

  /**
   * @param maxSize bytes; 0: it may grow for ever
   * @param logger speaks for this process
   */
  constructor(file: LogFile, maxSize: number, logger: Logger, lookEvery = LOOK_EVERY) {
    this.#file = file;
    this.#maxSize = maxSize;
    this.#logger = logger;
    sayWhatIsLost(file, logger);
    this.#timer = setInterval(() => this.#look(), lookEvery).unref();
  }

  /** A process that has just been forked, and will open the file by its name. */
  add(child: ClusterWorker): void {
    // Where there was no process to be had, no end of it is ever told.
    if (child.process.pid === undefined) return;
    this.#others.set(child, this.#number);
    child.once('disconnect', () => this.#others.delete(child));
    child.on('message', (received) => {
      const message = fromChild(received);
      if (message?.gatewayworker === 'log') this.#file.write(message.line);
      else if (message?.gatewayworker === 'reopened') this.#others.set(child, message.number);
    });
  }

  /** Leaves the file for the one that has its name now, in all processes. */
  reopen(): void {
    this.#file.reopen();
    const message: ReopenMessage = { gatewayworker: 'reopen', number: ++this.#number };
    for (const child of this.#others.keys()) child.send(message, ignore);
  }

  close(): void {
    clearInterval(this.#timer);
    this.#file.close();
  }

  #look(): void {
    try {
      if (this.#file.moved) {
        this.reopen();
      } else if (this.#maxSize > 0 && this.#file.size > this.#maxSize && this.#allHaveReopened()) {
        this.#file.putAside();
        this.reopen();
      }
      this.#failing = false;
    } catch (error) {
      if (!this.#failing) this.#logger.warn(`the log file can't be rotated: ${messageOf(error)}`);
      this.#failing = true;
    }
  }

  #allHaveReopened(): boolean {
    return [...this.#others.values()].every((number) => number === this.#number);
  }
}

/** Once a full disk takes lines again. */
export function sayWhatIsLost(file: LogFile, logger: Logger): void {
  file.onLost = (lines, reason) => logger.warn('log lines were lost', { lines, reason });
}

function ignore(): void {}
