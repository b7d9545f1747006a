export type { PlannedListen, ProcessContext, StopPhase } from './base-worker.js';
export { BaseWorker, STOP_PHASE } from './base-worker.js';
export { assignedSlot } from './child.js';
export type { ProcessState, ReloadOptions, ReloadResult } from './engine.js';
export { ReloadError, StartError } from './errors.js';
export type { Service, ServiceOptions } from './service.js';
export { startService } from './service.js';
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
export type { WorkerCallbacks, WorkerOptions } from './worker.js';
export {
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
