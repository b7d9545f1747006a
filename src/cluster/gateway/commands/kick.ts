import { FLAG_SCALAR, type PacketView } from '../../protocol/mod.js';
import type { CommandHandler } from '../context.js';
import { frameBody } from '../frame.js';

/** KICK: a last message, unless it is a serialized null, never raw; then the connection ends in order. */
export const kick: CommandHandler = (gateway, packet) => {
  const client = gateway.clients.get(packet.connectionId);
  if (client === undefined) return;
  client.connection.close(hasNoMessage(packet) ? null : frameBody(gateway, packet, false));
};

const UPPER_N = 0x4e;
const SEMICOLON = 0x3b;

/** `N;` with the scalar flag clear: PHP's way of saying "no message". What follows a serialized value is not looked at. */
function hasNoMessage({ flag, buffer, bodyStart, bodyEnd }: PacketView): boolean {
  if ((flag & FLAG_SCALAR) !== 0 || bodyEnd - bodyStart < 2) return false;
  return buffer[bodyStart] === UPPER_N && buffer[bodyStart + 1] === SEMICOLON;
}
