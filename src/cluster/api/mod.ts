export { apiStarted, apiStopped, gateway } from './current.js';
export { type CurrentClient, type Dispatch, enterDispatch, leaveDispatch } from './dispatch.js';
export { ApiError, QueryError } from './errors.js';
export type { SendToAllOptions, SendToGroupOptions } from './gateway-api.js';
export { GatewayApi } from './gateway-api.js';
export type { Group, Uid } from './names.js';
export type { Message, MessageOptions } from './outbox.js';
export { checkSession, type LocalSession, type LocalSessions, sessionOf } from './sessions.js';
export { WorkerGatewayApi } from './worker-gateway-api.js';
