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
export { customCodec } from './custom.js';
export { ProtocolError } from './errors.js';
export { frameCodec } from './frame.js';
export { tcpCodec } from './tcp.js';
export { textCodec } from './text.js';
