import { Buffer } from 'node:buffer';
import type { PacketView } from './packet-reader.js';

const ID_BYTES = 4;

/** The body of BUSY: connection ids of 4 bytes each. */
export function busyBody(connectionIds: readonly number[]): Buffer {
  const body = Buffer.allocUnsafe(connectionIds.length * ID_BYTES);
  connectionIds.forEach((id, index) => {
    body.writeUInt32BE(id, index * ID_BYTES);
  });
  return body;
}

/** @returns undefined when the length is none of whole ids */
export function parseBusyBody({ buffer, bodyStart, bodyEnd }: PacketView): number[] | undefined {
  if ((bodyEnd - bodyStart) % ID_BYTES !== 0) return undefined;
  const ids: number[] = [];
  for (let at = bodyStart; at < bodyEnd; at += ID_BYTES) ids.push(buffer.readUInt32BE(at));
  return ids;
}
