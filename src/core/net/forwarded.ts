import { canonicalAddress } from '../../util/mod.js';
import type { HandshakeRequest } from '../protocols/mod.js';
import type { PeerAddress, TrustedProxies } from './trusted-proxies.js';

/** An IPv6 address in brackets with a port or without, or an IPv4 address with a port. */
const WITH_PORT = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/;

/**
 * Where a request comes from that a trusted proxy has passed on: each proxy puts behind what is in `X-Forwarded-For` whom it
 * heard from, so that the right-most one that is no proxy of ours is the client. What stands left of it anybody may have
 * written. Without that header, `X-Real-IP`.
 *
 * @returns null: the headers do not say
 */
export function forwardedPeer({ headers }: HandshakeRequest, proxies: TrustedProxies): PeerAddress | null {
  const hops = headers['x-forwarded-for'];
  if (hops === undefined) return parsePeer(headers['x-real-ip'] ?? '');
  let peer: PeerAddress | null = null;
  for (const hop of hops.split(',').reverse()) {
    peer = parsePeer(hop);
    if (peer === null || !proxies.has(peer.address)) break;
  }
  return peer;
}

function parsePeer(text: string): PeerAddress | null {
  const trimmed = text.trim();
  const bare = canonicalAddress(trimmed);
  if (bare !== undefined) return { address: bare, port: 0 };
  const [, ipv6, other, port = '0'] = WITH_PORT.exec(trimmed) ?? [];
  const address = canonicalAddress(ipv6 ?? other ?? '');
  return address === undefined || Number(port) > 0xffff ? null : { address, port: Number(port) };
}
