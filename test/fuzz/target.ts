import type { Buffer } from 'node:buffer';

/** Integers from 0 to below n. */
export type Random = (n: number) => number;

/** A parser under fire. */
export interface Target {
  readonly name: string;
  /** Valid inputs, which most cases are made of. */
  readonly seeds: readonly Buffer[];
  /**
   * Feeds the input to the parser and throws when it breaks a promise: an error that is none of its own, another result when the
   * bytes come in pieces, a value that does not come back. The bytes are the target's own.
   *
   * @param random for what the case chooses besides the input; the same for the same case
   */
  run(bytes: Buffer, random: Random): void | Promise<void>;
  /** Closes what it has opened. */
  end?(): Promise<void>;
}

/** Calls a parser that may refuse its input with errors of its own, and with no others. @returns undefined when it did */
export function orRefused<T>(refusal: abstract new (...args: never[]) => Error, parse: () => T): T | undefined {
  try {
    return parse();
  } catch (error) {
    if (error instanceof refusal) return undefined;
    throw error;
  }
}

/** The bytes in some pieces. */
export function cut(bytes: Buffer, random: Random): Buffer[] {
  const pieces: Buffer[] = [];
  // Byte by byte now and then; a few large pieces mostly.
  const most = [1, 4, 64, Math.max(1, bytes.length)][random(4)] as number;
  for (let at = 0; at < bytes.length; ) {
    const end = at + 1 + random(most);
    pieces.push(bytes.subarray(at, end));
    at = end;
  }
  return pieces;
}

/** @throws Error when the promise has not settled by then */
export async function within<T>(what: string, promise: Promise<T>, milliseconds: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${milliseconds} ms: ${what}`)), milliseconds);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
