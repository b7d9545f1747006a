/** What the thread is given. Times in milliseconds. */
export interface WatchSettings {
  /** One Int32: changes each time the main thread's loop turns; `DEBUGGED` while the thread may stand at a breakpoint. */
  readonly beat: SharedArrayBuffer;
  /** Between two looks. */
  readonly tick: number;
  /** Silence of the main thread that is reported. */
  readonly blockedAfter: number;
  /** Silence of the main thread after which a process without a master ends. */
  readonly orphanedAfter: number;
  /** The pipe to the master: a file descriptor. */
  readonly pipe: number;
}

/** In place of a beat: an inspector is open, so that silence says nothing, and whoever debugs is not to be disturbed. */
export const DEBUGGED = -1;

/** What the thread tells the master, as a line of JSON. An empty line only asks whether there is a master. */
export interface WatchReport {
  /** Of silence so far. */
  readonly seconds: number;
  /** One frame a line; null: not known. */
  readonly stack: string | null;
  /** The main thread goes on. */
  readonly over: boolean;
}

/**
 * The program of the thread that watches the main one. Its text is run in a worker thread, where nothing of this file
 * is: all that it needs comes in by `require` and `DEBUGGED`. It must not throw while it asks: the main thread's answer to a
 * thread that is ending makes Node.js abort.
 *
 * Silence is counted in looks, not read from a clock: while the machine sleeps, or the process is stopped, neither thread
 * runs, and whatever a clock says afterwards is not the main thread's fault.
 */
export function watchMainThread(require: NodeJS.Require, debugged: number): void {
  const { writeSync } = require('node:fs') as typeof import('node:fs');
  const process = require('node:process') as typeof import('node:process');
  const { workerData } = require('node:worker_threads') as typeof import('node:worker_threads');
  const { beat, tick, blockedAfter, orphanedAfter, pipe } = workerData as WatchSettings;
  const beats = new Int32Array(beat);
  const longestLine = 300;
  const longestStack = 30;
  let last = debugged;
  let looked = performance.now();
  let silent = 0;
  let nextReport = blockedAfter;
  let asking = false;

  function look(): void {
    const now = performance.now();
    const passed = Math.min(now - looked, 2 * tick);
    looked = now;
    const turns = Atomics.load(beats, 0);
    if (turns !== last || turns === debugged) {
      if (nextReport > blockedAfter) tell({ seconds: silent / 1000, stack: null, over: true });
      last = turns;
      silent = 0;
      nextReport = blockedAfter;
      return;
    }
    silent += passed;
    // Nothing else can end it any more: the main thread, which would have heard that the master is gone, hears nothing.
    if (silent >= orphanedAfter && isOrphan()) process.kill(process.pid, 'SIGKILL');
    if (silent < nextReport || asking) return;
    // Rarer and rarer: what is asked takes the main thread time, the more the larger its scripts and their source maps.
    nextReport = 2 * silent;
    asking = true;
    askWhere((stack) => {
      asking = false;
      // Unless somebody debugs it, or it has gone on meanwhile.
      if (stack === undefined || last !== turns || Atomics.load(beats, 0) !== turns) return;
      tell({ seconds: silent / 1000, stack, over: false });
    });
  }

  /**
   * Stops the main thread for a moment to see where it is. Null: it can't be stopped inside the system or in native code;
   * undefined: a debugger holds it.
   */
  function askWhere(done: (stack: string | null | undefined) => void): void {
    const scripts = new Map<string, string>();
    let stopping = false;
    try {
      const { Session } = require('node:inspector') as typeof import('node:inspector');
      const session = new Session();
      session.connectToMainThread();
      const end = (stack: string | null | undefined) => {
        clearTimeout(late);
        // With us the main thread is released, also when it is yet to be stopped.
        session.disconnect();
        done(stack);
      };
      const late = setTimeout(end, 1000, null);
      session.on('Debugger.scriptParsed', ({ params }) => scripts.set(params.scriptId, params.url));
      session.once('Debugger.paused', ({ params }) => {
        if (!stopping) {
          end(undefined);
          return;
        }
        // For a debugger that has come meanwhile it would stay stopped.
        session.post('Debugger.resume');
        const frames = params.callFrames.slice(0, longestStack).map(({ functionName, location }) => {
          const { scriptId, lineNumber, columnNumber = 0 } = location;
          const place = `${scripts.get(scriptId) || 'unknown'}:${lineNumber + 1}:${columnNumber + 1}`;
          return `${functionName || '(anonymous)'} (${place})`.slice(0, longestLine);
        });
        end(frames.join('\n'));
      });
      // One that is held already is told of before the answer to this. Where there was none in time, there is one at the end.
      session.post('Debugger.enable', (ended) => {
        if (ended !== null) return;
        stopping = true;
        session.post('Debugger.pause');
      });
    } catch {
      // Node.js can be built without an inspector.
      done(null);
    }
  }

  function tell(report: WatchReport): void {
    write(`${JSON.stringify(report)}\n`);
  }

  function isOrphan(): boolean {
    const code = write('\n');
    return code === 'EPIPE' || code === 'EOF' || code === 'ECONNRESET';
  }

  /** The code of the error, if there was one. */
  function write(text: string): string | undefined {
    try {
      writeSync(pipe, text);
      return undefined;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code;
    }
  }

  setInterval(look, tick);
}
