export { run } from './cli/mod.js';
export { AddressError, ConnectionError, ListenError } from './core/net/mod.js';
export { StartError, Worker, WorkerConnection } from './core/process/mod.js';
export { ProtocolError } from './core/protocols/mod.js';
export { Timer } from './core/timers/mod.js';
export { GatewayWorkerError, OptionsError } from './util/mod.js';

export type { RunOptions } from './cli/mod.js';
export type { Service, ServiceOptions, WorkerCallbacks, WorkerOptions } from './core/process/mod.js';
export type { HandshakeRequest, HandshakeResponse, Protocol, ProtocolConnection } from './core/protocols/mod.js';
export type { Logger, LogLevel } from './util/mod.js';
