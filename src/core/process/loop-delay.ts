import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';

/** How often the loop is looked at. Milliseconds: rare enough to cost nothing, often enough to see what a client feels. */
const RESOLUTION = 20;

/** For how long a delay is remembered, at least; twice as long at most. Milliseconds. */
const WINDOW = 10_000;

const NANOSECONDS = 1e6;

/** How late the event loop of this process is, over the last seconds, however often it is asked. */
export class LoopDelay {
  readonly #histogram: IntervalHistogram = monitorEventLoopDelay({ resolution: RESOLUTION });
  readonly #timer: NodeJS.Timeout;
  #before = 0;

  constructor() {
    this.#histogram.enable();
    this.#timer = setInterval(() => {
      this.#before = this.#longest();
      this.#histogram.reset();
    }, WINDOW).unref();
  }

  /** Milliseconds. */
  get longest(): number {
    return Math.max(this.#before, this.#longest());
  }

  close(): void {
    clearInterval(this.#timer);
    this.#histogram.disable();
  }

  #longest(): number {
    // The histogram counts the interval itself as well; nothing measured yet reads as 0.
    return Math.max(0, this.#histogram.max / NANOSECONDS - RESOLUTION);
  }
}
