export type { RunOptions } from './cli/mod.js';
export { run } from './cli/mod.js';
export type {
  GatewayClientOptions,
  Group,
  Message,
  MessageOptions,
  SendToAllOptions,
  SendToGroupOptions,
  Uid,
} from './cluster/api/mod.js';
export { ApiError, GatewayApi, GatewayClient, gateway, QueryError, WorkerGatewayApi } from './cluster/api/mod.js';
export type {
  BusinessWorkerOptions,
  Delivery,
  Events,
  EventsSource,
  WebSocketRequest,
} from './cluster/business/mod.js';
export { BusinessWorker, Client, EventsError } from './cluster/business/mod.js';
export type {
  Authenticate,
  ConnectedWorker,
  GatewayHooks,
  GatewayOptions,
  RoutedEvent,
  Router,
} from './cluster/gateway/mod.js';
export { Gateway, GatewayConnection } from './cluster/gateway/mod.js';
export { LinkError } from './cluster/link/mod.js';
export { PhpSerializeError } from './cluster/protocol/mod.js';
export type { RegisterOptions } from './cluster/register/mod.js';
export { Register } from './cluster/register/mod.js';
export type { CertificateOptions, LinkTlsOptions, OriginCheck, TlsListenOptions } from './core/net/mod.js';
export { AddressError, ConnectionError, ListenError } from './core/net/mod.js';
export type {
  ProcessState,
  ReloadOptions,
  ReloadResult,
  Service,
  ServiceCallbacks,
  ServiceOptions,
  WatchOptions,
  WorkerCallbacks,
  WorkerExit,
  WorkerOptions,
} from './core/process/mod.js';
export { ReloadError, StartError, stopAll, Worker, WorkerConnection } from './core/process/mod.js';
export type {
  HandshakeRefusal,
  HandshakeRequest,
  HandshakeResponse,
  PerMessageDeflateOptions,
  Protocol,
  ProtocolConnection,
} from './core/protocols/mod.js';
export { ProtocolError } from './core/protocols/mod.js';
export { Timer } from './core/timers/mod.js';
export type { LogFormat, Logger, LogLevel } from './util/mod.js';
export { GatewayWorkerError, OptionsError } from './util/mod.js';
