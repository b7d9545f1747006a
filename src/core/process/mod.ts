export type { AccountOptions } from './account.js';
export { ACCOUNT_CHECKS, ACCOUNT_DEFAULTS } from './account.js';
export type { PlannedListen, ProcessContext, StopPhase } from './base-worker.js';
export { BaseWorker, STOP_PHASE } from './base-worker.js';
export type { ServiceCallbacks, WorkerExit } from './callbacks.js';
export { assignedSlot } from './child.js';
export type { ControlClient } from './control/client.js';
export { ControlError, isControlError } from './control/errors.js';
export { openControl } from './control/open.js';
export type { Hello, Progress } from './control/protocol.js';
export type { ProcessState, ReloadOptions, ReloadResult } from './engine.js';
export { besideEntry } from './entry.js';
export { ReloadError, StartError } from './errors.js';
export { untilNoneRemain } from './last-connection.js';
export { logFilePath, unwritable } from './logs.js';
export type { Service } from './service.js';
export { startService } from './service.js';
export type { ServiceOptions } from './service-options.js';
export { readServiceOptions } from './service-options.js';
export type {
  Blocked,
  ConnectionRow,
  ExitCount,
  ProcessFigures,
  ProcessStatus,
  ServiceStatus,
  WorkerFigures,
} from './status.js';
export { counted } from './status.js';
export { stopAll } from './stop-all.js';
export type { WatchOptions } from './watch-options.js';
export type { WorkerCallbacks, WorkerOptions } from './worker.js';
export {
  checkPerMessageDeflate,
  checkProtocolScheme,
  closeAll,
  LIMIT_CHECKS,
  LISTEN_SCHEMES,
  listenCodec,
  protocolCheck,
  shownAddress,
  Worker,
  WorkerConnection,
} from './worker.js';
