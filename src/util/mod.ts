export { Arena } from './arena.js';
export { BufferPool, bufferPool } from './buffer-pool.js';
export { ANNOUNCED_GROWTH, ByteQueue } from './byte-queue.js';
export { copyBytes } from './copy-bytes.js';
export type { ErrorFields } from './errors.js';
export { GatewayWorkerError, messageOf, stackOf } from './errors.js';
export { canonicalAddress, familyOf, plainAddress } from './ip-address.js';
export { LogFile, openToAppend } from './log-file.js';
export { LogThrottle } from './log-throttle.js';
export type { LogFields, LogFormat, Logger, LogLevel } from './logger.js';
export { lineLogger, processLogger, setProcessLogger, silentLogger, writeToStandardError } from './logger.js';
export type { Check, Checks } from './options.js';
export {
  callback,
  flag,
  integer,
  loggerMethods,
  MAX_DELAY_MS,
  nearest,
  nonEmptyText,
  OptionsError,
  object,
  oneOf,
  orNull,
  orZero,
  readOptions,
  seconds,
  text,
} from './options.js';
export { isPrivateFolder, LONGEST_SOCKET_PATH, privateFolder } from './private-folder.js';
export { sameSecret } from './secret.js';
