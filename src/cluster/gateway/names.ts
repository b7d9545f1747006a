import { Buffer } from 'node:buffer';
import type { PacketView } from '../protocol/mod.js';

/** A uid or group that a command carries as raw bytes in ext_data, as the key it is kept under (see `byteKey`). */
export function nameInExt(packet: PacketView): string {
  return packet.buffer.toString('latin1', packet.extStart, packet.extEnd);
}

/** What PHP calls empty: such a uid or group can't be bound or joined. */
export function isEmptyName(name: string): boolean {
  return name === '' || name === '0';
}

/** The bytes of a uid or group. */
export function nameBytes(name: string): Buffer {
  return Buffer.from(name, 'latin1');
}

/** A name as PHP lists it when it has been an array key: a canonical decimal integer within 64 bits is an integer. */
export function listedName(name: string): bigint | Buffer {
  if (/^(?:0|-?[1-9]\d{0,18})$/.test(name)) {
    const value = BigInt(name);
    if (value === BigInt.asIntN(64, value)) return value;
  }
  return nameBytes(name);
}
