export { CLOSE_CODE } from './close-codes.js';
export { websocketCodec } from './websocket.js';
