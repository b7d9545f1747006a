export type { NetAddress } from './address.js';
export { AddressError, hostPort, parseAddress, parseHostPort } from './address.js';
export { endedConnection } from './ended-connection.js';
export { ConnectionError, ListenError } from './errors.js';
export type { ListenerTls } from './listener.js';
export { Listener } from './listener.js';
export { LocalListener } from './local-socket.js';
export { SocketWire } from './socket-wire.js';
export type { ConnectionLimits, ConnectionOwner, ConnectionStatus, SendOptions } from './tcp-connection.js';
export {
  CONNECTION_LIMITS,
  ConnectionCounters,
  connectNear,
  connectTcp,
  frameFor,
  sendQueues,
  shareFrame,
  sharePing,
  shareRaw,
  TcpConnection,
} from './tcp-connection.js';
export type { CertificateOptions, TlsListenOptions } from './tls.js';
export { checkTls } from './tls.js';
export { SharedFrame, turnWriter } from './turn-writer.js';
export type { Wire } from './wire.js';
