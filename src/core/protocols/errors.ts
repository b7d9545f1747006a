import type { Buffer } from 'node:buffer';
import { type ErrorFields, GatewayWorkerError } from '../../util/mod.js';

/** A peer broke a protocol or a limit, or a value can't be sent. Codes: `docs/reference/errors.md`. */
export class ProtocolError extends GatewayWorkerError {
  /** What to write to the peer before its connection is closed, complete with framing; null for nothing. */
  readonly reply: Buffer | null;

  constructor(code: string, message: string, fields: ErrorFields = {}, reply: Buffer | null = null, cause?: unknown) {
    super(code, message, fields, cause);
    this.reply = reply;
  }
}

/** The text is the same however the bytes came in, so it can't name the size. */
export function packageTooLarge(protocol: string, limit: number): ProtocolError {
  return new ProtocolError(
    'GW_PACKAGE_TOO_LARGE',
    `${protocol}: a package is larger than the limit of ${limit} bytes`,
    {
      protocol,
      limit,
    },
  );
}
