import type { Buffer } from 'node:buffer';
import { GatewayWorkerError, type ErrorFields } from '../../util/mod.js';

/** A peer broke a protocol or a limit. Codes: `docs/reference/errors.md`. */
export class ProtocolError extends GatewayWorkerError {
  /** What to write to the peer before its connection is closed, complete with framing; empty for nothing. */
  readonly reply: Buffer | null;

  constructor(code: string, message: string, fields: ErrorFields = {}, reply: Buffer | null = null) {
    super(code, message, fields);
    this.reply = reply;
  }
}
