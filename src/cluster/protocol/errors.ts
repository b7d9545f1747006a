import { GatewayWorkerError } from '../../util/mod.js';

/**
 * The peer on a link broke the packet format or a limit; the bytes behind it mean nothing any more, so the link closes.
 *
 * Codes: `GW_LINK_PACKET_LENGTH`, `GW_LINK_PACKET_TOO_LARGE`, `GW_LINK_EXT_LENGTH`, `GW_LINK_REPLY_TOO_LARGE`.
 */
export class LinkProtocolError extends GatewayWorkerError {}

/**
 * Bytes that are no acceptable PHP-serialized value, or a value that has no PHP form.
 *
 * Codes: `GW_PHP_MALFORMED`, `GW_PHP_REFUSED`, `GW_PHP_LIMIT`, `GW_PHP_UNSUPPORTED`, `GW_PHP_SESSION`.
 */
export class PhpSerializeError extends GatewayWorkerError {}
