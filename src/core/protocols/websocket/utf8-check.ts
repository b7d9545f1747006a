import { type Buffer, isUtf8 } from 'node:buffer';

/**
 * Checks UTF-8 that comes in pieces, cut anywhere. Finds an error with the first byte that can't be right (Unicode
 * table 3-7), so that a peer can be refused before its message is complete.
 */
export class Utf8Check {
  /** Continuation bytes that the open character still lacks. */
  #missing = 0;
  /** Range of the next continuation byte: narrower than 80…BF right after some leads (no overlong forms, surrogates). */
  #lowest = 0x80;
  #highest = 0xbf;

  /** Whether no character is open. */
  get complete(): boolean {
    return this.#missing === 0;
  }

  /** False when buffer[start…end) can't follow what came before. */
  push(buffer: Buffer, start: number, end: number): boolean {
    let at = start;
    while (this.#missing > 0 && at < end) if (!this.#step(buffer[at++])) return false;
    const tail = lastOpenLead(buffer, at, end);
    if (tail > at && !isUtf8(buffer.subarray(at, tail))) return false;
    for (at = tail; at < end; at++) if (!this.#step(buffer[at])) return false;
    return true;
  }

  #step(byte: number): boolean {
    if (this.#missing === 0) return this.#lead(byte);
    if (byte < this.#lowest || byte > this.#highest) return false;
    this.#missing--;
    this.#lowest = 0x80;
    this.#highest = 0xbf;
    return true;
  }

  #lead(byte: number): boolean {
    if (byte < 0x80) return true;
    if (byte < 0xc2 || byte > 0xf4) return false;
    this.#missing = continuations(byte);
    if (byte === 0xe0) this.#lowest = 0xa0;
    else if (byte === 0xed) this.#highest = 0x9f;
    else if (byte === 0xf0) this.#lowest = 0x90;
    else if (byte === 0xf4) this.#highest = 0x8f;
    return true;
  }
}

/** Where the character begins that buffer[start…end) ends in the middle of; `end` when there is none. */
function lastOpenLead(buffer: Buffer, start: number, end: number): number {
  for (let at = end - 1; at >= start && at >= end - 3; at--) {
    const byte = buffer[at];
    if (byte < 0x80) return end;
    if (byte >= 0xc0) return at + continuations(byte) >= end ? at : end;
  }
  return end;
}

function continuations(lead: number): number {
  if (lead >= 0xf0) return 3;
  return lead >= 0xe0 ? 2 : 1;
}
