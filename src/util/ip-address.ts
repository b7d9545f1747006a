import { isIP, isIPv4, isIPv6, SocketAddress } from 'node:net';

/** An IPv4 address also where the system writes it as one of IPv6; without the zone of a link-local one. */
export function plainAddress(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '');
}

/** An address that somebody has written, as the system writes it; undefined: it is none. */
export function canonicalAddress(address: string): string | undefined {
  if (isIPv4(address)) return address;
  if (!isIPv6(address) || address.includes('%')) return undefined;
  return plainAddress(new SocketAddress({ address, family: 'ipv6' }).address);
}

export function familyOf(address: string): 'ipv4' | 'ipv6' | undefined {
  const version = isIP(address);
  if (version === 0) return undefined;
  return version === 4 ? 'ipv4' : 'ipv6';
}
