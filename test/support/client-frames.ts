import { Buffer } from 'node:buffer';

export interface FrameShape {
  readonly fin?: boolean;
  /** RSV1 to RSV3 as bits: 4, 2, 1. */
  readonly rsv?: number;
  readonly mask?: readonly [number, number, number, number] | null;
  /** Bits of the length field: 7, 16 or 64; default the shortest that fits. */
  readonly lengthBits?: 7 | 16 | 64;
}

export const SAMPLE_REQUEST = [
  'GET /chat?room=1 HTTP/1.1',
  'Host: example.com',
  'Upgrade: websocket',
  'Connection: Upgrade',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version: 13',
];

/** A request of the given lines. */
export function request(lines: readonly string[] = SAMPLE_REQUEST): Buffer {
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
}

/** A frame as a client sends it: masked unless told otherwise. Written apart from the code it tests. */
export function clientFrame(opcode: number, payload: string | Uint8Array = '', shape: FrameShape = {}): Buffer {
  const { fin = true, rsv = 0, mask = [0x37, 0xfa, 0x21, 0x3d] } = shape;
  const body = Buffer.from(payload as string);
  const bits = shape.lengthBits ?? (body.length <= 125 ? 7 : body.length <= 0xffff ? 16 : 64);
  const length = Buffer.alloc(bits === 7 ? 1 : bits === 16 ? 3 : 9);
  if (bits === 7) length[0] = body.length;
  else if (bits === 16) length.writeUInt16BE(body.length, 1);
  else length.writeBigUInt64BE(BigInt(body.length), 1);
  if (bits !== 7) length[0] = bits === 16 ? 126 : 127;
  const first = Buffer.of((fin ? 0x80 : 0) | (rsv << 4) | opcode);
  if (mask === null) return Buffer.concat([first, length, body]);
  length[0] = (length[0] ?? 0) | 0x80;
  // A loop: messages of 16 MB are sent too.
  const masked = Buffer.allocUnsafe(body.length);
  for (let index = 0; index < body.length; index++) masked[index] = (body[index] ?? 0) ^ (mask[index & 3] ?? 0);
  return Buffer.concat([first, length, Buffer.from(mask), masked]);
}
