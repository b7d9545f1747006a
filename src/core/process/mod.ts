export type { PlannedListen, ProcessContext, StopPhase } from './base-worker.js';
export { BaseWorker, STOP_PHASE } from './base-worker.js';
export { assignedSlot } from './child.js';
export type { ProcessState } from './engine.js';
export { StartError } from './errors.js';
export type { Service, ServiceOptions } from './service.js';
export { startService } from './service.js';
export type { WorkerCallbacks, WorkerOptions } from './worker.js';
export {
  checkProtocolScheme,
  closeAll,
  LIMIT_CHECKS,
  LISTEN_SCHEMES,
  listenCodec,
  protocolCheck,
  Worker,
  WorkerConnection,
} from './worker.js';
