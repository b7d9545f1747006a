export { BACKOFF } from './backoff.js';
export type { PlannedListen, ProcessContext, StopPhase } from './base-worker.js';
export { BaseWorker, STOP_PHASE } from './base-worker.js';
export { assignedSlot } from './child.js';
export type { ProcessState } from './engine.js';
export type { StartErrorCode } from './errors.js';
export { StartError } from './errors.js';
export type { Service, ServiceOptions } from './service.js';
export { SERVICE_DEFAULTS, startService } from './service.js';
