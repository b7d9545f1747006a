import { MAX_DELAY_MS, OptionsError, processLogger, stackOf } from '../../util/mod.js';

const timers = new Map<number, NodeJS.Timeout>();
let lastId = 0;

/**
 * Timers of this process, as in the original: ids are numbers from 1 on, seconds may be fractions.
 *
 * A callback that throws, or whose promise rejects, is reported with its stack and the timer goes on. The next run of a
 * repeating timer is counted from the last one; runs that a blocked event loop missed are not made up.
 */
export const Timer = {
  /**
   * @param seconds 0 to 2,147,483; fractions down to a millisecond
   * @param args handed to the callback
   * @param persistent true: every `seconds`; false: once
   * @returns the id for `del`
   * @throws OptionsError `GW_OPTION_INVALID`
   */
  add<Args extends unknown[]>(
    seconds: number,
    callback: (...args: Args) => unknown,
    args: Args = [] as unknown as Args,
    persistent = true,
  ): number {
    if (!(seconds >= 0 && seconds * 1000 <= MAX_DELAY_MS)) {
      throw new OptionsError('GW_OPTION_INVALID', `Timer.add: seconds must be from 0 to 2147483, got ${seconds}`, {
        seconds,
      });
    }
    if (typeof callback !== 'function') {
      throw new OptionsError('GW_OPTION_INVALID', `Timer.add: callback must be a function, got ${typeof callback}`);
    }
    const id = ++lastId;
    const delay = seconds * 1000;
    const timer = persistent
      ? setInterval(() => run(id, callback, args), delay)
      : setTimeout(() => {
          timers.delete(id);
          run(id, callback, args);
        }, delay);
    timers.set(id, timer);
    return id;
  },

  /** Takes a timer back; false when there is none of that id (any more). */
  del(id: number): boolean {
    const timer = timers.get(id);
    if (timer === undefined) return false;
    clearTimeout(timer);
    return timers.delete(id);
  },

  /** Timers that have not fired for the last time. */
  get count(): number {
    return timers.size;
  },
};

function run<Args extends unknown[]>(id: number, callback: (...args: Args) => unknown, args: Args): void {
  try {
    const result = callback(...args);
    if (result instanceof Promise) result.catch((thrown) => report(id, thrown));
  } catch (thrown) {
    report(id, thrown);
  }
}

function report(id: number, thrown: unknown): void {
  processLogger().error(`a timer's callback threw: ${stackOf(thrown)}`, { timer: id });
}
