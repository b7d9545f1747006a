interface Entry {
  readonly bytes: number;
  readonly carryOut: () => void;
}

/**
 * One direction between two ends in the same process: what is handed over is carried out in order, in a later turn of the
 * event loop, so never inside the call that hands it over.
 */
export class Lane {
  readonly #emptied: () => void;
  #entries: Entry[] = [];
  #bytes = 0;
  #paused = false;
  #cut = false;
  #scheduled = false;

  /** @param emptied told after the last entry was carried out */
  constructor(emptied: () => void = ignore) {
    this.#emptied = emptied;
  }

  /** Bytes that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  push(bytes: number, carryOut: () => void): void {
    if (this.#cut) return;
    this.#entries.push({ bytes, carryOut });
    this.#bytes += bytes;
    this.#schedule();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#schedule();
  }

  /** Drops what waits, and what comes. */
  cut(): void {
    this.#cut = true;
    this.#entries = [];
    this.#bytes = 0;
  }

  get isCut(): boolean {
    return this.#cut;
  }

  #schedule(): void {
    if (this.#scheduled || this.#paused || this.#entries.length === 0) return;
    this.#scheduled = true;
    setImmediate(() => this.#turn());
  }

  #turn(): void {
    this.#scheduled = false;
    // What comes during this turn waits for the next one.
    for (let left = this.#entries.length; left > 0 && !this.#paused; left--) {
      const entry = this.#entries.shift();
      // Cut meanwhile.
      if (entry === undefined) return;
      this.#bytes -= entry.bytes;
      entry.carryOut();
    }
    if (this.#entries.length > 0) this.#schedule();
    else if (!this.#cut) this.#emptied();
  }
}

function ignore(): void {}
