import type { CommandHandler } from '../context.js';
import { nameInExt } from '../names.js';

/** UNGROUP: every member leaves the group. */
export const ungroup: CommandHandler = (gateway, packet) => {
  gateway.clients.ungroup(nameInExt(packet));
};
