export type {
  GatewayClientOptions,
  Group,
  Message,
  MessageOptions,
  SendToAllOptions,
  SendToGroupOptions,
  Uid,
} from './cluster/api/mod.js';
export { ApiError, GatewayApi, GatewayClient, QueryError } from './cluster/api/mod.js';
export { LinkError } from './cluster/link/mod.js';
export { PhpSerializeError } from './cluster/protocol/mod.js';
export { AddressError } from './core/net/mod.js';
export type { Logger, LogLevel } from './util/mod.js';
export { GatewayWorkerError, OptionsError } from './util/mod.js';
