export type { NetAddress } from './address.js';
export { AddressError, hostPort, parseAddress, parseHostPort } from './address.js';
export type { DoorLimits, ReportRefused } from './door.js';
export { DOOR_LIMITS, Door } from './door.js';
export { endedConnection } from './ended-connection.js';
export type { EntranceOptions } from './entrance.js';
export { checkEntrance, ENTRANCE_CHECKS, ENTRANCE_DEFAULTS, Entrance } from './entrance.js';
export { ConnectionError, ListenError } from './errors.js';
export type { AcceptWire, ListenerProxy, ListenerTls } from './listener.js';
export { Listener } from './listener.js';
export { LocalListener } from './local-socket.js';
export type { OriginCheck, Origins } from './origins.js';
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
export type { CertificateOptions, LinkTlsOptions, TlsListenOptions } from './tls.js';
export { checkLinkTls, checkTls, linkServerTls } from './tls.js';
export type { PeerAddress } from './trusted-proxies.js';
export { SharedFrame, turnWriter } from './turn-writer.js';
export type { Wire } from './wire.js';
