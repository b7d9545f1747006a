export type { Authenticate } from './admission.js';
export { Gateway } from './gateway.js';
export { GatewayConnection } from './gateway-connection.js';
export type { GatewayHooks, GatewayOptions } from './options.js';
export type { ConnectedWorker, RoutedEvent, Router } from './own-router.js';
