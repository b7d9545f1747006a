import { Buffer } from 'node:buffer';
import { isIPv4, isIPv6 } from 'node:net';
import { canonicalAddress } from '../../util/mod.js';

/** Versions of the PROXY protocol that are taken; true: both. */
export type ProxyVersions = true | 'v1' | 'v2';

/** What stands at the beginning of a connection that a proxy has passed on. */
export interface ProxyHeader {
  /** Length of the header: behind it the client speaks. */
  readonly bytes: number;
  /** Who has connected to the proxy; null: the proxy itself (a health check), or it does not say. */
  readonly peer: { readonly address: string; readonly port: number } | null;
}

/** Section 2.1 of the specification. */
const V1_MAX_BYTES = 107;
const V1_START = Buffer.from('PROXY ');
/** Section 2.2. */
const V2_START = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const V2_HEAD_BYTES = 16;
/** Addresses take 216 bytes at most; the rest is room for what proxies add (TLVs), which nobody here reads. */
const V2_MAX_BYTES = 4096;

const V2_LOCAL = 0x20;
const V2_PROXY = 0x21;
const TCP_OVER_IPV4 = 0x11;
const TCP_OVER_IPV6 = 0x21;

/** Port numbers as they have to be written: no sign, no zero in front. */
const PORT = /^(?:0|[1-9]\d{0,4})$/;

/**
 * Reads a PROXY protocol header, version 1 or 2 (haproxy.org, doc/proxy-protocol.txt), at the beginning of `bytes`.
 *
 * @returns null: more bytes are needed; a text: why these can't become a header
 */
export function parseProxyHeader(bytes: Buffer, versions: ProxyVersions): ProxyHeader | string | null {
  if (versions !== 'v2' && startsAlike(bytes, V1_START)) return parseV1(bytes);
  if (versions !== 'v1' && startsAlike(bytes, V2_START)) return parseV2(bytes);
  return 'no header';
}

/** As far as both go. */
function startsAlike(bytes: Buffer, start: Buffer): boolean {
  const length = Math.min(bytes.length, start.length);
  return bytes.compare(start, 0, length, 0, length) === 0;
}

function parseV1(bytes: Buffer): ProxyHeader | string | null {
  const end = bytes.subarray(0, V1_MAX_BYTES).indexOf('\r\n');
  if (end < 0) return bytes.length < V1_MAX_BYTES ? null : 'too long';
  const [, protocol, ...facts] = bytes.toString('latin1', 0, end).split(' ');
  const header = { bytes: end + 2, peer: null };
  // What follows is to be ignored.
  if (protocol === 'UNKNOWN') return header;
  const isAddress = protocol === 'TCP4' ? isIPv4 : protocol === 'TCP6' ? isIPv6 : null;
  const [address = '', to = '', port = '', toPort = ''] = facts;
  const right = isAddress?.(address) && isAddress(to) && isPort(port) && isPort(toPort) && facts.length === 4;
  const canonical = right === true ? canonicalAddress(address) : undefined;
  return canonical === undefined ? 'malformed' : { ...header, peer: { address: canonical, port: Number(port) } };
}

function isPort(text: string): boolean {
  return PORT.test(text) && Number(text) <= 0xffff;
}

function parseV2(bytes: Buffer): ProxyHeader | string | null {
  if (bytes.length < V2_HEAD_BYTES) return null;
  const command = bytes[V2_START.length];
  if (command !== V2_LOCAL && command !== V2_PROXY) return 'malformed';
  const length = V2_HEAD_BYTES + bytes.readUInt16BE(14);
  if (length > V2_MAX_BYTES) return 'too long';
  const family = command === V2_LOCAL ? 0 : bytes[13];
  const addressBytes = family === TCP_OVER_IPV4 ? 4 : family === TCP_OVER_IPV6 ? 16 : 0;
  // Two addresses, two ports.
  if (addressBytes > 0 && length < V2_HEAD_BYTES + 2 * addressBytes + 4) return 'malformed';
  if (bytes.length < length) return null;
  if (addressBytes === 0) return { bytes: length, peer: null };
  const address = addressText(bytes.subarray(V2_HEAD_BYTES, V2_HEAD_BYTES + addressBytes));
  return { bytes: length, peer: { address, port: bytes.readUInt16BE(V2_HEAD_BYTES + 2 * addressBytes) } };
}

function addressText(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.');
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16));
  return canonicalAddress(groups.join(':')) as string;
}
