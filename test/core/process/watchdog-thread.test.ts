import { EventEmitter } from 'node:events';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { DEBUGGED, type WatchReport, watchMainThread } from '../../../src/core/process/watchdog-thread.js';

const TICK = 100;
const BLOCKED_AFTER = 1000;
const ORPHANED_AFTER = 500;

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** Answers a `Debugger.pause` with two frames, or never. */
class FakeSession extends EventEmitter {
  static answers = true;
  /** A debugger has stopped the main thread. */
  static held = false;
  static open = 0;
  static closed = 0;

  #connected = false;
  readonly #unanswered = new Set<(error: Error | null) => void>();

  connectToMainThread(): void {
    this.#connected = true;
    FakeSession.open++;
  }

  /** As Node's: who still waits for an answer is told that there will be none. */
  disconnect(): void {
    this.#connected = false;
    FakeSession.open--;
    FakeSession.closed++;
    for (const answered of this.#unanswered) queueMicrotask(() => answered(new Error('closed')));
  }

  post(method: string, answered: (error: Error | null) => void = () => {}): void {
    if (!this.#connected) throw new Error('not connected');
    this.#unanswered.add(answered);
    if (!FakeSession.answers) return;
    queueMicrotask(() => {
      if (method === 'Debugger.enable') {
        this.emit('Debugger.scriptParsed', { params: { scriptId: '7', url: 'file:///app/events.js' } });
      }
      if (method === 'Debugger.pause' || FakeSession.held) this.emit('Debugger.paused', { params: { callFrames } });
      if (this.#connected && this.#unanswered.delete(answered)) answered(null);
    });
  }
}

const callFrames = [
  { functionName: 'spin', location: { scriptId: '7', lineNumber: 11, columnNumber: 3 } },
  { functionName: '', location: { scriptId: '8', lineNumber: 0 } },
];

/** The thread's program on a thread of the test's own, with a main thread that turns when the test says so. */
class Watch {
  readonly beats = new Int32Array(new SharedArrayBuffer(4));
  readonly reports: WatchReport[] = [];
  readonly kills: unknown[] = [];
  /** Thrown by writes. */
  broken: string | undefined;

  constructor({ answers = true, held = false }: { answers?: boolean; held?: boolean } = {}) {
    FakeSession.answers = answers;
    FakeSession.held = held;
    FakeSession.open = 0;
    FakeSession.closed = 0;
    const settings = {
      beat: this.beats.buffer,
      tick: TICK,
      blockedAfter: BLOCKED_AFTER,
      orphanedAfter: ORPHANED_AFTER,
      pipe: 4,
    };
    const writeSync = (pipe: number, text: string) => {
      expect(pipe).toBe(4);
      if (this.broken !== undefined) throw Object.assign(new Error('broken'), { code: this.broken });
      if (text !== '\n') this.reports.push(JSON.parse(text));
    };
    const modules: Readonly<Record<string, unknown>> = {
      'node:fs': { writeSync },
      'node:inspector': { Session: FakeSession },
      'node:process': { pid: 4711, kill: (...args: unknown[]) => this.kills.push(args) },
      'node:worker_threads': { workerData: settings },
    };
    watchMainThread(((id: string) => modules[id]) as NodeJS.Require, DEBUGGED);
  }

  turn(): void {
    this.beats[0] = (this.beats[0] ?? 0) + 1;
  }

  /** The main thread turns all the time. */
  async turning(milliseconds: number): Promise<void> {
    for (let passed = 0; passed < milliseconds; passed += TICK) {
      this.turn();
      await vi.advanceTimersByTimeAsync(TICK);
    }
  }

  async silent(milliseconds: number): Promise<void> {
    await vi.advanceTimersByTimeAsync(milliseconds);
  }
}

describe('the thread that watches the main one', () => {
  test('says nothing while that turns', async () => {
    const watch = new Watch();
    await watch.turning(10 * BLOCKED_AFTER);
    expect([watch.reports, FakeSession.open]).toEqual([[], 0]);
  });

  test('reports the place in the code when the time is over, and when it goes on', async () => {
    const watch = new Watch();
    await watch.turning(300);
    await watch.silent(BLOCKED_AFTER - TICK);
    expect(watch.reports).toEqual([]);
    await watch.silent(TICK);
    const stack = 'spin (file:///app/events.js:12:4)\n(anonymous) (unknown:1:1)';
    expect(watch.reports).toEqual([{ seconds: 1, stack, over: false }]);
    expect(FakeSession.open).toBe(0);
    await watch.turning(300);
    expect(watch.reports.slice(1)).toEqual([{ seconds: 1, stack: null, over: true }]);
  });

  test('reports again rarer and rarer', async () => {
    const watch = new Watch();
    await watch.turning(300);
    await watch.silent(20 * BLOCKED_AFTER);
    expect(watch.reports.map(({ seconds }) => seconds)).toEqual([1, 2, 4, 8, 16]);
  });

  test('gives up asking after a second, and lets go of the main thread', async () => {
    const watch = new Watch({ answers: false });
    await watch.turning(300);
    await watch.silent(BLOCKED_AFTER + 900);
    expect([watch.reports, FakeSession.closed]).toEqual([[], 0]);
    await watch.silent(200);
    expect([watch.reports, FakeSession.closed]).toEqual([[{ seconds: 2, stack: null, over: false }], 1]);
  });

  test('does not take the end of one silence for the beginning of another', async () => {
    const watch = new Watch({ answers: false });
    await watch.turning(300);
    await watch.silent(BLOCKED_AFTER + 200);
    watch.turn();
    // Silent again, for less than it takes, when the answer to the first question is given up.
    await watch.silent(900);
    expect(watch.reports.filter(({ over }) => !over)).toEqual([]);
  });

  test('says nothing, and asks nothing, while an inspector is open', async () => {
    const watch = new Watch();
    watch.beats[0] = DEBUGGED;
    await watch.silent(10 * BLOCKED_AFTER);
    expect([watch.reports, FakeSession.closed]).toEqual([[], 0]);
  });

  test('says nothing where a debugger holds the main thread of which it had not heard', async () => {
    const watch = new Watch({ held: true });
    await watch.turning(300);
    await watch.silent(BLOCKED_AFTER);
    expect([watch.reports, FakeSession.closed]).toEqual([[], 1]);
  });

  test('is not deceived by a clock that jumped: the machine slept, or the process was stopped', async () => {
    const watch = new Watch();
    await watch.turning(300);
    const real = performance.now.bind(performance);
    vi.spyOn(performance, 'now').mockImplementation(() => real() + 3_600_000);
    // Whether the main thread or this one wakes first is up to the system.
    await watch.silent(2 * TICK);
    await watch.turning(300);
    expect(watch.reports).toEqual([]);
  });

  test('ends a silent process whose master is gone, and only a silent one', async () => {
    const watch = new Watch({ answers: false });
    await watch.turning(300);
    watch.broken = 'EPIPE';
    await watch.turning(10 * ORPHANED_AFTER);
    await watch.silent(ORPHANED_AFTER - TICK);
    expect(watch.kills).toEqual([]);
    await watch.silent(TICK);
    expect(watch.kills).toEqual([[4711, 'SIGKILL']]);
  });

  test('does not take a pipe that is not there for a master that is gone', async () => {
    const watch = new Watch();
    await watch.turning(300);
    watch.broken = 'EBADF';
    await watch.silent(10 * ORPHANED_AFTER);
    expect(watch.kills).toEqual([]);
  });
});
