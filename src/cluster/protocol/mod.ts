export { ackNumbers, countAckNumbers, readAckNumber } from './ack-numbers.js';
export { busyBody, parseBusyBody } from './busy-body.js';
export { byteKey } from './byte-key.js';
export { decodeClientId, encodeClientId, isClientId } from './client-id.js';
export {
  Command,
  commandName,
  EVENT_COMMANDS,
  FLAG_BINARY,
  FLAG_RAW,
  FLAG_SCALAR,
  FLAGS_REDELIVERED,
  isEvent,
  isQuery,
  LEAVING_COMMANDS,
  LONG_COMMANDS,
  MAX_REDELIVERIES,
  QUERY_COMMANDS,
  redelivered,
  redeliveries,
} from './commands.js';
export { gatewayClientConnectBody, parseConnectBody, workerConnectBody } from './connect-body.js';
export { LinkProtocolError, PhpSerializeError } from './errors.js';
export {
  connectionsExt,
  excludeExt,
  groupExt,
  nameListExt,
  parseGroupExt,
  parseSelectExt,
  parseSendToAllExt,
  parseUidList,
  selectExt,
} from './ext-data.js';
export { ipToNumber, numberToIp } from './ip.js';
export {
  DEFAULT_MAX_REPLY_SIZE,
  MAX_PACKET_SIZE,
  PacketReader,
  PacketView,
  PHP_MAX_PACKET_SIZE,
  ReplyReader,
} from './packet-reader.js';
export { PACKET_HEAD_BYTES, packetHead, writePacket, writePacketRange, writeReply } from './packet-writer.js';
export { phpFloatText } from './php-float.js';
export { phpJson } from './php-json.js';
export { serialize, serializeInto } from './php-serialize.js';
export { serializeLike } from './php-serialize-like.js';
export { unserialize } from './php-unserialize.js';
export { PhpArray, PhpFloat } from './php-values.js';
export {
  broadcastAddressesLine,
  gatewayConnectLine,
  parseRegisterLine,
  pingLine,
  workerConnectLine,
} from './register-lines.js';
export { mergeSession } from './session-merge.js';
export { websocketConnectBody } from './websocket-connect.js';

// Types.

export type { ClientAddress } from './client-id.js';
export type { CommandName, EventCommand, LeavingCommand, LongCommand, QueryCommand } from './commands.js';
export type { ConnectBody } from './connect-body.js';
export type { Name, SelectCondition, SelectExt, SendToAllExt, SendToGroupExt } from './ext-data.js';
export type { PacketReaderLimits, PacketSink, ReplyReaderLimits, ReplySink } from './packet-reader.js';
export type { PacketHead, PacketRoom } from './packet-writer.js';
export type { UnserializeOptions } from './php-unserialize.js';
export type { PhpKey, PhpValue } from './php-values.js';
export type { ExtraFields, RegisterFault, RegisterMessage } from './register-lines.js';
export type { WebsocketConnectInput } from './websocket-connect.js';
