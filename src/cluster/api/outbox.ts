import { Buffer } from 'node:buffer';
import type { GatewayDirectory, GatewayPeer } from '../link/mod.js';
import {
  FLAG_BINARY,
  FLAG_RAW,
  FLAG_SCALAR,
  MAX_PACKET_SIZE,
  PACKET_HEAD_BYTES,
  type PacketHead,
  PHP_MAX_PACKET_SIZE,
  packetHead,
  serialize,
} from '../protocol/mod.js';
import { ApiError } from './errors.js';

/** A message: text, bytes (any Uint8Array), or a value (which WebSocket clients get as JSON). Numbers and booleans become text. */
export type Message = string | Buffer | number | boolean | null | object;

export interface MessageOptions {
  /** The gateway writes the bytes as they are, without the framing of the client's protocol; default false. */
  readonly raw?: boolean;
  /** The message is binary, where the client's protocol tells; default: true for a Buffer, false for text. */
  readonly binary?: boolean;
}

/** Where every packet but the questions leaves. */
export class Outbox {
  /** Packets that were not sent because no gateway would take one so large. */
  tooLarge = 0;
  readonly #directory: GatewayDirectory;
  /** Filled anew for each packet. */
  readonly #head: PacketHead = packetHead();

  constructor(directory: GatewayDirectory) {
    this.#directory = directory;
  }

  /** A message to one gateway. */
  message(
    gateway: GatewayPeer,
    cmd: number,
    connectionId: number,
    ext: string,
    message: Message,
    options: MessageOptions,
  ): boolean {
    return this.send(gateway, cmd, connectionId, ext, bodyOf(message), flagOf(message, options));
  }

  /** A message to every gateway. @returns false also when none is known */
  messageToEvery(
    cmd: number,
    message: Message,
    options: MessageOptions,
    extFor: (gateway: GatewayPeer) => string,
  ): boolean {
    const body = bodyOf(message);
    const flag = flagOf(message, options);
    let sent = true;
    let known = false;
    for (const gateway of this.#directory.gateways) {
      known = true;
      sent = this.send(gateway, cmd, 0, extFor(gateway), body, flag) && sent;
    }
    return known && sent;
  }

  /** A message to one of several gateways, for which `bodyOf` and `flagOf` were asked once. */
  send(
    gateway: GatewayPeer,
    cmd: number,
    connectionId: number,
    ext: string,
    body: string | Buffer,
    flag: number,
  ): boolean {
    if ((flag & FLAG_BINARY) === 0) return this.packet(gateway, cmd, connectionId, flag, ext, body);
    // As text, which is all that a gateway of the original has, bytes would make WebSocket clients of ours hang up.
    if ((flag & FLAG_RAW) === 0 && gateway.undecided) return false;
    const known = gateway.supports('binary') ? flag : flag & ~FLAG_BINARY;
    return this.packet(gateway, cmd, connectionId, known, ext, body);
  }

  /** A command without a body. */
  command(gateway: GatewayPeer, cmd: number, connectionId: number, ext: string | Buffer): boolean {
    return this.packet(gateway, cmd, connectionId, FLAG_SCALAR, ext, '');
  }

  /** A command without a body to every gateway. @returns false also when none is known */
  commandToEvery(cmd: number, ext: string): boolean {
    let sent = true;
    let known = false;
    for (const gateway of this.#directory.gateways) {
      known = true;
      sent = this.command(gateway, cmd, 0, ext) && sent;
    }
    return known && sent;
  }

  packet(
    gateway: GatewayPeer,
    cmd: number,
    connectionId: number,
    flag: number,
    ext: string | Buffer,
    body: string | Buffer,
  ): boolean {
    if (isTooLarge(gateway, ext, body)) {
      this.tooLarge++;
      return false;
    }
    const head = this.#head;
    head.cmd = cmd;
    head.connectionId = connectionId;
    head.flag = flag;
    return gateway.send(head, ext, body);
  }
}

/** @throws ApiError `GW_API_MESSAGE`; PhpSerializeError for a value that PHP has no form for */
export function bodyOf(message: Message): string | Buffer {
  switch (typeof message) {
    case 'string':
      return message;
    case 'object':
      return message instanceof Uint8Array ? bufferOf(message) : serialize(message);
    case 'number':
    case 'boolean':
    case 'bigint':
      return String(message);
    default:
      throw new ApiError(
        'GW_API_MESSAGE',
        `a message can't be ${typeof message}; expected a text, a Buffer or a value`,
        { type: typeof message },
      );
  }
}

/** The flags of a message to a gateway that knows all of them. */
export function flagOf(message: Message, options: MessageOptions): number {
  const raw = options.raw === true ? FLAG_RAW : 0;
  if (typeof message === 'string') return FLAG_SCALAR | raw | (options.binary === true ? FLAG_BINARY : 0);
  if (typeof message !== 'object') return FLAG_SCALAR | raw;
  if (!(message instanceof Uint8Array)) return 0;
  return FLAG_SCALAR | raw | (options.binary === false ? 0 : FLAG_BINARY);
}

/** The same bytes. What libraries of the web give is a Uint8Array. */
function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * Whether a packet is larger than the gateway takes: it would drop the link, with all its events. Texts are measured only
 * when they could be.
 */
export function isTooLarge(gateway: GatewayPeer, ext: string | Buffer, body: string | Buffer): boolean {
  if (PACKET_HEAD_BYTES + (ext.length + body.length) * 3 <= PHP_MAX_PACKET_SIZE) return false;
  const limit = gateway.supports('binary') ? MAX_PACKET_SIZE : PHP_MAX_PACKET_SIZE;
  return PACKET_HEAD_BYTES + Buffer.byteLength(ext) + Buffer.byteLength(body) > limit;
}
