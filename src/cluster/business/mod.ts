export type { BusinessWorkerOptions } from './business-worker.js';
export { BusinessWorker } from './business-worker.js';
export { Client } from './client.js';
export { EventsError } from './errors.js';
export type { Delivery, Events, EventsSource } from './events.js';
export type { WebSocketRequest } from './web-socket-request.js';
