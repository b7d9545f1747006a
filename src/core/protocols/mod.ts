export type {
  Codec,
  CodecLimits,
  HandshakeRequest,
  HandshakeResponse,
  Protocol,
  ProtocolConnection,
  Reader,
  ReaderSink,
} from './codec.js';
export { codecByName } from './codec-by-name.js';
export { customCodec } from './custom.js';
export { ProtocolError } from './errors.js';
export { frameCodec } from './frame.js';
export { tcpCodec } from './tcp.js';
export { textCodec } from './text.js';
export type { PerMessageDeflateOptions } from './websocket/mod.js';
export {
  CLOSE_CODE,
  perMessageDeflateCheck,
  readPerMessageDeflate,
  websocketCodec,
  websocketDeflateCodec,
} from './websocket/mod.js';
