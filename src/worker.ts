export type { RunOptions } from './cli/mod.js';
export { run } from './cli/mod.js';
export type { CertificateOptions, TlsListenOptions } from './core/net/mod.js';
export { AddressError, ConnectionError, ListenError } from './core/net/mod.js';
export type {
  ProcessState,
  ReloadOptions,
  ReloadResult,
  Service,
  ServiceCallbacks,
  ServiceOptions,
  WorkerCallbacks,
  WorkerExit,
  WorkerOptions,
} from './core/process/mod.js';
export { ReloadError, StartError, stopAll, Worker, WorkerConnection } from './core/process/mod.js';
export type {
  HandshakeRequest,
  HandshakeResponse,
  PerMessageDeflateOptions,
  Protocol,
  ProtocolConnection,
} from './core/protocols/mod.js';
export { ProtocolError } from './core/protocols/mod.js';
export { Timer } from './core/timers/mod.js';
export type { Logger, LogLevel } from './util/mod.js';
export { GatewayWorkerError, OptionsError } from './util/mod.js';
