import type { Target } from '../target.js';
import { ANNOUNCED_GATEWAYS } from './announced-gateways.js';
import { API_ANSWERS } from './answers.js';
import { CLIENT_PROTOCOLS } from './client-protocols.js';
import { CONTROL } from './control.js';
import { BUSINESS_EVENTS } from './events.js';
import { COMMANDS } from './gateway-commands.js';
import { LINK } from './link.js';
import { NAMES } from './names.js';
import { PHP_SERIALIZE } from './php-serialize.js';
import { REGISTER } from './register.js';
import { SOCKETS } from './sockets.js';

/** All parsers, called in this process. */
export const PARSERS: readonly Target[] = [
  ...CLIENT_PROTOCOLS,
  ...LINK,
  COMMANDS,
  REGISTER,
  ANNOUNCED_GATEWAYS,
  ...PHP_SERIALIZE,
  ...NAMES,
  CONTROL,
  API_ANSWERS,
  BUSINESS_EVENTS,
];

/** Those, and the ports of a running cluster. */
export const TARGETS: readonly Target[] = [...PARSERS, ...SOCKETS];

export { SOCKETS } from './sockets.js';
