import type { Readable } from 'node:stream';
import type { Logger } from '../../util/mod.js';
import type { Blocked } from './status.js';
import type { WatchReport } from './watchdog-thread.js';

/** Beyond it the pipe is not what we think it is. */
const LONGEST_LINE = 65_536;

export interface BlockedReportsOptions {
  /** Names the process in the log: `ChatWorker:0 (pid 123)`. */
  readonly who: string;
  readonly logger: Logger;
  /** Its event loop stands still: told once for each time. */
  readonly onBlocked: () => void;
}

/** What the watching thread of one process tells the master, over its pipe. */
export class BlockedReports {
  readonly #pipe: Readable;
  readonly #options: BlockedReportsOptions;
  #line = '';
  #stack: string | null = null;
  /** When the event loop last turned, by our clock; null: it turns. */
  #since: number | null = null;

  constructor(pipe: Readable, options: BlockedReportsOptions) {
    this.#pipe = pipe;
    this.#options = options;
    pipe.setEncoding('utf8');
    pipe.on('data', (text: string) => this.#read(text));
    // It ends with the process, in whatever way.
    pipe.on('error', ignore);
  }

  get blocked(): Blocked | null {
    if (this.#since === null) return null;
    return { seconds: (performance.now() - this.#since) / 1000, stack: this.#stack };
  }

  /** The process has ended. */
  close(): void {
    this.#since = null;
    this.#pipe.destroy();
  }

  #read(text: string): void {
    const lines = (this.#line + text).split('\n');
    const rest = lines.pop() ?? '';
    this.#line = rest.length > LONGEST_LINE ? '' : rest;
    for (const line of lines) {
      const report = line === '' ? undefined : parse(line);
      if (report !== undefined) this.#take(report);
    }
  }

  #take({ seconds, stack, over }: WatchReport): void {
    const { who, logger, onBlocked } = this.#options;
    const known = this.#since !== null;
    this.#since = over ? null : performance.now() - seconds * 1000;
    // Asked again it may stand where it can't be seen; where it stood before says more than nothing.
    this.#stack = over ? null : (stack ?? this.#stack);
    if (over !== known) return;
    const fields = { seconds: Math.round(seconds * 10) / 10 };
    if (over) {
      logger.info(`worker ${who} goes on`, fields);
      return;
    }
    const at = stack?.split('\n', 1)[0] ?? 'inside the system, or in code that is not JavaScript';
    logger.warn(`worker ${who} is blocked: its event loop does not turn`, { ...fields, at });
    onBlocked();
  }
}

/** Undefined for what is no report: the pipe is open to all code of the process. */
function parse(line: string): WatchReport | undefined {
  try {
    const { seconds, stack, over } = JSON.parse(line) as Readonly<Record<keyof WatchReport, unknown>>;
    const fits = typeof seconds === 'number' && (stack === null || typeof stack === 'string');
    return fits ? { seconds, stack, over: over === true } : undefined;
  } catch {
    return undefined;
  }
}

function ignore(): void {}
