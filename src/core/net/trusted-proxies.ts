import { BlockList } from 'node:net';
import { type Check, familyOf, plainAddress } from '../../util/mod.js';

/** Where a connection really comes from, as somebody says who is believed. */
export interface PeerAddress {
  readonly address: string;
  /** 0: not known. */
  readonly port: number;
}

/** The proxies whose word on where a connection comes from is taken. */
export class TrustedProxies {
  readonly #list = new BlockList();

  /** @param entries addresses and networks (`10.0.0.0/8`) */
  constructor(entries: readonly string[]) {
    for (const entry of entries) {
      const { address, prefix, family } = parsed(entry) as Network;
      this.#list.addSubnet(address, prefix, family);
    }
  }

  has(address: string): boolean {
    const plain = plainAddress(address);
    const family = familyOf(plain);
    return family !== undefined && this.#list.check(plain, family);
  }
}

export const trustedProxiesCheck: Check = (value) =>
  Array.isArray(value) && value.every((entry) => typeof entry === 'string' && parsed(entry) !== undefined)
    ? undefined
    : "a list of IP addresses and networks such as '10.0.0.0/8'";

interface Network {
  readonly address: string;
  readonly prefix: number;
  readonly family: 'ipv4' | 'ipv6';
}

function parsed(entry: string): Network | undefined {
  const [, address = '', bits] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(entry) ?? [];
  // Addresses are looked up in their plain form; a network in another one would never be found.
  const family = plainAddress(address) === address ? familyOf(address) : undefined;
  const longest = family === 'ipv4' ? 32 : 128;
  const prefix = bits === undefined ? longest : Number(bits);
  return family !== undefined && prefix <= longest ? { address, prefix, family } : undefined;
}
