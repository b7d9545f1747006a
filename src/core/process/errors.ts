import type { ErrorFields } from '../../util/mod.js';
import { GatewayWorkerError } from '../../util/mod.js';

export type StartErrorCode =
  | 'GW_START_NO_WORKERS'
  | 'GW_START_NO_ENTRY'
  | 'GW_START_NESTED'
  | 'GW_START_TWICE'
  | 'GW_START_RUNNING'
  | 'GW_START_PID_FILE'
  | 'GW_START_CONTROL'
  | 'GW_START_NAME_TWICE'
  | 'GW_START_ONLY_UNKNOWN'
  | 'GW_START_ADDRESS_TWICE'
  | 'GW_START_PORT_IN_USE'
  | 'GW_START_PORT_FORBIDDEN'
  | 'GW_START_ADDRESS_UNKNOWN'
  | 'GW_START_LISTEN_FAILED'
  | 'GW_START_WORKER_MISSING'
  | 'GW_START_WORKER_FAILED'
  | 'GW_START_WORKER_ENDED'
  | 'GW_START_FILE_UNWRITABLE'
  | 'GW_START_USER_UNKNOWN'
  | 'GW_START_USER_FORBIDDEN'
  | 'GW_START_USERS_DIFFER';

/** The service did not start; nothing of it runs any more. */
export class StartError extends GatewayWorkerError {
  declare readonly code: StartErrorCode;

  constructor(code: StartErrorCode, message: string, fields?: ErrorFields, cause?: unknown) {
    super(code, message, fields, cause);
  }
}

export type ReloadErrorCode =
  | 'GW_RELOAD_IMPOSSIBLE'
  | 'GW_RELOAD_UNKNOWN_WORKER'
  | 'GW_RELOAD_FAILED'
  | 'GW_RELOAD_STOPPED';

/** A reload was not carried out, or not to its end; what runs goes on. */
export class ReloadError extends GatewayWorkerError {
  declare readonly code: ReloadErrorCode;

  constructor(code: ReloadErrorCode, message: string, fields?: ErrorFields, cause?: unknown) {
    super(code, message, fields, cause);
  }
}
