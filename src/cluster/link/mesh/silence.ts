/** How often it is looked whether a peer is silent. */
export const WATCH_MS = 1000;

/** Tells a peer that owes us something and is gone without a word from one that has nothing to say: a value. */
export class Silence {
  #owed = false;
  #bytes = 0;
  #ticks = 0;

  /**
   * Called every `WATCH_MS`.
   *
   * @param bytes that have come from the peer so far
   * @param owes it is to say something
   * @returns milliseconds in which it owed something all the time and not a byte came
   */
  tick(bytes: number, owes: boolean): number {
    const silent = owes && this.#owed && bytes === this.#bytes;
    this.#owed = owes;
    this.#bytes = bytes;
    this.#ticks = silent ? this.#ticks + 1 : 0;
    return this.#ticks * WATCH_MS;
  }
}
