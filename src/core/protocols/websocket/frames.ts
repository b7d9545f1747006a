import { Buffer } from 'node:buffer';

export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export type Opcode = (typeof OPCODE)[keyof typeof OPCODE];

export const FIN = 0x80;
export const RESERVED_BITS = 0x70;
/** The first of them; permessage-deflate: the message is compressed. */
export const RSV1 = 0x40;
/** Bytes of the longest header without a mask. */
export const MAX_HEADER_BYTES = 10;
/** A control frame's payload never has an extended length. */
export const MAX_CONTROL_BYTES = 125;
export const MAX_REASON_BYTES = MAX_CONTROL_BYTES - 2;

export function headerBytes(payloadBytes: number): number {
  if (payloadBytes <= MAX_CONTROL_BYTES) return 2;
  return payloadBytes <= 0xffff ? 4 : MAX_HEADER_BYTES;
}

/** Writes the header of an unmasked frame that is a whole message. */
export function writeHeader(buffer: Buffer, at: number, opcode: Opcode, payloadBytes: number): void {
  buffer[at] = FIN | opcode;
  if (payloadBytes <= MAX_CONTROL_BYTES) buffer[at + 1] = payloadBytes;
  else if (payloadBytes <= 0xffff) {
    buffer[at + 1] = 126;
    buffer.writeUInt16BE(payloadBytes, at + 2);
  } else {
    buffer[at + 1] = 127;
    buffer.writeUInt32BE(Math.floor(payloadBytes / 0x1_0000_0000), at + 2);
    buffer.writeUInt32BE(payloadBytes >>> 0, at + 6);
  }
}

/** A complete unmasked control frame. */
export function controlFrame(opcode: Opcode, payload: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(2 + payload.length);
  writeHeader(frame, 0, opcode, payload.length);
  frame.set(payload, 2);
  return frame;
}

/** A complete close frame; a reason that does not fit is cut between two characters. */
export function closeFrame(code: number, reason: string): Buffer {
  const text = Buffer.from(reason);
  let length = Math.min(text.length, MAX_REASON_BYTES);
  if (length < text.length) while ((text[length] & 0xc0) === 0x80) length--;
  const payload = Buffer.allocUnsafe(2 + length);
  payload.writeUInt16BE(code, 0);
  text.copy(payload, 2, 0, length);
  return controlFrame(OPCODE.close, payload);
}
