import type { ChildProcess } from 'node:child_process';
import process from 'node:process';
import { Readable } from 'node:stream';
import { Worker } from 'node:worker_threads';
import { type Logger, messageOf } from '../../util/mod.js';
import { DEBUGGED, type WatchSettings, watchMainThread } from './watchdog-thread.js';

/** The file descriptor of the pipe to the master, behind the standard ones and Node's own channel. */
const PIPE = 4;

/** The standard streams of the processes, and the pipe for what a blocked one has to say. */
export const CHILD_STDIO = Object.freeze(['inherit', 'inherit', 'inherit', 'ipc', 'pipe'] as const);

/** The master's end of the pipe; undefined where no process was made. */
export function pipeOf(child: ChildProcess): Readable | undefined {
  const pipe = child.stdio?.[PIPE];
  return pipe instanceof Readable ? pipe : undefined;
}

/**
 * Longest time between two looks, in milliseconds. Measured, with the main thread's part: half a second costs 0.4 ms of
 * processor time a second, a quarter of one 0.8 ms.
 */
const LONGEST_TICK = 500;
const SHORTEST_TICK = 10;

/**
 * In MB. Measured: without limits the thread takes 9.1, with these 8.3. More than what the inspector tells of each script,
 * source maps included, may ever need: a thread that dies in the middle of its question takes the process with it, because
 * Node.js aborts when the main thread's answer finds nobody.
 */
const MEMORY = Object.freeze({ maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 1024 });

export interface WatchdogOptions {
  /** How long the event loop may stand still until it is reported. Milliseconds. */
  readonly blockedAfter: number;
  /** How long it may stand still in a process whose master is gone. Milliseconds. */
  readonly orphanedAfter: number;
  readonly logger: Logger;
}

/**
 * Has a thread of this process watch the main one: it tells the master when the event loop stands still, and ends the
 * process when it does so without a master. Neither keeps the process alive.
 */
export function startWatchdog({ blockedAfter, orphanedAfter, logger }: WatchdogOptions): void {
  const beat = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  const tick = Math.max(SHORTEST_TICK, Math.min(LONGEST_TICK, blockedAfter / 4));
  const beats = new Int32Array(beat);
  turned(beats);
  const timer = setInterval(turned, tick, beats).unref();
  const lost = (error: unknown) => {
    clearInterval(timer);
    logger.warn('nobody watches whether this process is blocked: its watching thread has failed', {
      reason: messageOf(error),
    });
  };
  const settings: WatchSettings = { beat, tick, blockedAfter, orphanedAfter, pipe: PIPE };
  try {
    // What is loaded into every process by the command line or the environment is not for this thread.
    const only = { env: {}, execArgv: [], trackUnmanagedFds: false, resourceLimits: MEMORY };
    const thread = new Worker(`(${watchMainThread})(require, ${DEBUGGED})`, {
      eval: true,
      workerData: settings,
      ...only,
    });
    thread.on('error', lost);
    thread.unref();
  } catch (error) {
    lost(error);
  }
}

/** The inspector of this process, where Node.js was built with one. */
const inspector = process.features.inspector ? process.getBuiltinModule('node:inspector') : null;

/** The event loop turns. Who debugs the process may stop it as long as he likes. */
function turned(beats: Int32Array): void {
  const next = (Atomics.load(beats, 0) + 1) & 0x7fff_ffff;
  Atomics.store(beats, 0, inspector?.url() === undefined ? next : DEBUGGED);
}
