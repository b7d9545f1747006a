export { CLOSE_CODE } from './close-codes.js';
export { websocketDeflateCodec } from './deflate-codec.js';
export type { PerMessageDeflateOptions } from './deflate-options.js';
export { perMessageDeflateCheck, readPerMessageDeflate } from './deflate-options.js';
export type { HandshakeRefusal } from './handshake.js';
export { handshakeRefusal } from './handshake.js';
export { websocketCodec } from './websocket.js';
