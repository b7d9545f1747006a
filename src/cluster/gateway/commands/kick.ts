import { FLAG_SCALAR } from '../../protocol/mod.js';
import type { CommandHandler } from '../context.js';
import { deliver, frameBody } from '../frame.js';

/** KICK: a last message, unless it is a serialized null or empty; then the connection ends in order. */
export const kick: CommandHandler = (gateway, packet) => {
  const client = gateway.clients.get(packet.connectionId);
  if (client === undefined) return;
  if (!hasNoMessage(packet.flag, packet.bodyEnd - packet.bodyStart, packet.buffer[packet.bodyStart])) {
    const frame = frameBody(gateway, packet);
    if (frame !== null) deliver(frame, client);
  }
  client.connection.close();
};

const UPPER_N = 0x4e;

/** `N;` with the scalar flag clear: PHP's way of saying "no message". */
function hasNoMessage(flag: number, length: number, first: number | undefined): boolean {
  return (flag & FLAG_SCALAR) === 0 && length === 2 && first === UPPER_N;
}
