const DIGITS = '0123456789abcdef';
/** The two hex digits of every byte. */
const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => DIGITS[byte >> 4]! + DIGITS[byte & 15]!);

/** The parts of a client id. */
export interface ClientAddress {
  /** The gateway's lan address as an unsigned number. */
  readonly localIp: number;
  /** The gateway's inner port. */
  readonly localPort: number;
  /** The client's number in that gateway process. */
  readonly connectionId: number;
}

/**
 * The id of a client: 20 lower-case hex digits of gateway address, inner port and connection id.
 *
 * Values too wide for their place lose their upper bits, as in the original.
 */
export function encodeClientId(localIp: number, localPort: number, connectionId: number): string {
  if (localIp !== cachedIp || localPort !== cachedPort) {
    cachedPrefix = hex32(localIp) + HEX[(localPort >>> 8) & 255]! + HEX[localPort & 255]!;
    cachedIp = localIp;
    cachedPort = localPort;
  }
  return cachedPrefix + hex32(connectionId);
}

// A process builds nearly all of its ids for one gateway, or in runs of one.
let cachedIp = -1;
let cachedPort = -1;
let cachedPrefix = '';

/** @returns undefined when the text is no client id. Upper-case digits are accepted. */
export function decodeClientId(id: string): ClientAddress | undefined {
  if (id.length !== 20) return undefined;
  const localIp = parseHex(id, 0, 8);
  const localPort = parseHex(id, 8, 12);
  const connectionId = parseHex(id, 12, 20);
  if (localIp < 0 || localPort < 0 || connectionId < 0) return undefined;
  return { localIp, localPort, connectionId };
}

export function isClientId(id: unknown): id is string {
  return typeof id === 'string' && id.length === 20 && parseHex(id, 0, 10) >= 0 && parseHex(id, 10, 20) >= 0;
}

function hex32(value: number): string {
  return HEX[value >>> 24]! + HEX[(value >>> 16) & 255]! + HEX[(value >>> 8) & 255]! + HEX[value & 255]!;
}

/** @returns -1 where a character is no hex digit */
function parseHex(id: string, from: number, to: number): number {
  let value = 0;
  for (let index = from; index < to; index++) {
    const code = id.charCodeAt(index);
    let digit: number;
    if (code >= 0x30 && code <= 0x39) digit = code - 0x30;
    else if (code >= 0x61 && code <= 0x66) digit = code - 0x57;
    else if (code >= 0x41 && code <= 0x46) digit = code - 0x37;
    else return -1;
    value = value * 16 + digit;
  }
  return value;
}
