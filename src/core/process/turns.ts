interface Waiting<Result> {
  readonly key: string;
  readonly result: Promise<Result>;
}

/** Runs one thing at a time. Whoever asks for something that waits for its turn already shares that run. */
export class Turns<Result> {
  #waiting: Waiting<Result>[] = [];
  #last: Promise<unknown> = Promise.resolve();

  /** @param key what is asked for: equal keys mean the same */
  take(key: string, run: () => Promise<Result>): Promise<Result> {
    const waiting = this.#waiting.find((entry) => entry.key === key);
    if (waiting !== undefined) return waiting.result;
    const result = this.#last.then(() => {
      this.#waiting = this.#waiting.filter((entry) => entry.key !== key);
      return run();
    });
    this.#waiting.push({ key, result });
    this.#last = result.catch(() => {});
    return result;
  }
}
