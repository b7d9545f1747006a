import { type Check, type Checks, integer, readOptions } from '../../../util/mod.js';

/** How messages are compressed (permessage-deflate, RFC 7692). */
export interface PerMessageDeflateOptions {
  /**
   * Bytes of a message from which on it is compressed; default 1024. Below, and where compressing does not make it smaller,
   * it leaves as it is.
   */
  threshold: number;
  /**
   * 1 (fastest) to 9 (smallest); default 1: all others wait while a message is compressed. Measured with JSON: 16 KB take 37
   * µs with 1 and 0.10 ms with 6, which makes them a tenth smaller; 128 KB take 0.23 and 1.4 ms.
   */
  level: number;
  /** 1 to 9; default 8. 2 ^ (memLevel + 9) bytes are taken while a message is compressed, and given back. */
  memLevel: number;
  /**
   * 9 to 15; default 15. 2 ^ serverMaxWindowBits is how far back a message is looked through for repetitions; four times that
   * in bytes is taken while it is compressed. A client that asks for less gets less.
   */
  serverMaxWindowBits: number;
}

export const PER_MESSAGE_DEFLATE_DEFAULTS: Readonly<PerMessageDeflateOptions> = Object.freeze({
  threshold: 1024,
  level: 1,
  memLevel: 8,
  serverMaxWindowBits: 15,
});

/** zlib's: raw deflate knows no window of 2 ^ 8. */
export const MIN_WINDOW_BITS = 9;
export const MAX_WINDOW_BITS = 15;

export const PER_MESSAGE_DEFLATE_CHECKS: Checks<PerMessageDeflateOptions> = {
  threshold: integer(0),
  level: integer(1, 9),
  memLevel: integer(1, 9),
  serverMaxWindowBits: integer(MIN_WINDOW_BITS, MAX_WINDOW_BITS),
};

/** Of the option as a whole; what stands in the object is looked at by `readPerMessageDeflate`. */
export const perMessageDeflateCheck: Check = (value) =>
  typeof value === 'boolean' || (typeof value === 'object' && value !== null)
    ? undefined
    : 'true, false or an object of options';

/**
 * The options with their defaults; null: off.
 *
 * @param owner name of the class, for the messages
 * @throws OptionsError `GW_OPTION_UNKNOWN`, `GW_OPTION_INVALID`
 */
export function readPerMessageDeflate(
  owner: string,
  given: boolean | Partial<PerMessageDeflateOptions>,
): Readonly<PerMessageDeflateOptions> | null {
  if (given === false) return null;
  return readOptions(
    `${owner}, perMessageDeflate`,
    PER_MESSAGE_DEFLATE_DEFAULTS,
    PER_MESSAGE_DEFLATE_CHECKS,
    given === true ? {} : given,
  );
}
