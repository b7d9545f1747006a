export type {
  Codec,
  CodecLimits,
  HandshakeRequest,
  HandshakeResponse,
  HandshakeVerdict,
  Protocol,
  ProtocolConnection,
  Reader,
  ReaderSink,
} from './codec.js';
export { codecByName } from './codec-by-name.js';
export { customCodec } from './custom.js';
export { ProtocolError } from './errors.js';
export { frameCodec } from './frame.js';
export type { ProxyHeader, ProxyVersions } from './proxy-header.js';
export { parseProxyHeader } from './proxy-header.js';
export { tcpCodec } from './tcp.js';
export { textCodec } from './text.js';
export type { HandshakeRefusal, PerMessageDeflateOptions } from './websocket/mod.js';
export {
  CLOSE_CODE,
  handshakeRefusal,
  perMessageDeflateCheck,
  readPerMessageDeflate,
  websocketCodec,
  websocketDeflateCodec,
} from './websocket/mod.js';
