export { apiStarted, apiStopped, enterApi, gateway, leaveApi } from './current.js';
export { ApiError, QueryError } from './errors.js';
export type { Group, Message, MessageOptions, SendToAllOptions, SendToGroupOptions, Uid } from './gateway-api.js';
export { GatewayApi, sessionOf } from './gateway-api.js';
export type { GatewayClientOptions } from './gateway-client.js';
export { GatewayClient } from './gateway-client.js';
