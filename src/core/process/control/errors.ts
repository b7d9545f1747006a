import type { ErrorFields } from '../../../util/mod.js';
import { GatewayWorkerError } from '../../../util/mod.js';

export type ControlErrorCode =
  | 'GW_CONTROL_NOT_RUNNING'
  | 'GW_CONTROL_NO_ANSWER'
  | 'GW_CONTROL_LOST'
  | 'GW_CONTROL_FORBIDDEN'
  | 'GW_CONTROL_UNREACHABLE'
  | 'GW_CONTROL_MALFORMED'
  | 'GW_CONTROL_TOO_LARGE'
  | 'GW_CONTROL_UNKNOWN_COMMAND'
  | 'GW_CONTROL_FAILED';

/** A running service could not be asked, or could not understand what it was asked. */
export class ControlError extends GatewayWorkerError {
  declare readonly code: ControlErrorCode;

  constructor(code: ControlErrorCode, message: string, fields?: ErrorFields, cause?: unknown) {
    super(code, message, fields, cause);
  }
}

export function isControlError(error: unknown, code: ControlErrorCode): error is ControlError {
  return error instanceof ControlError && error.code === code;
}
