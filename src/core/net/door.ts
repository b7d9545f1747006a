import { plainAddress } from '../../util/mod.js';
import { ConnectionError } from './errors.js';
import type { TrustedProxies } from './trusted-proxies.js';

/** How many connections a process takes. 0: any number. */
export interface DoorLimits {
  readonly maxConnections: number;
  /** From one address: an IPv4 address, or 64 bits of an IPv6 address, which is what one customer of a provider has. */
  readonly maxConnectionsPerAddress: number;
}

export const DOOR_LIMITS: DoorLimits = Object.freeze({ maxConnections: 0, maxConnectionsPerAddress: 0 });

/** Told of each connection that came to nothing; `peer` is its `host:port`, empty where nothing is known of it. */
export type ReportRefused = (error: ConnectionError, peer: string) => void;

/** Counts who is in and decides who may come in besides. Whoever was let in has to be seen out. */
export class Door {
  /** Connections that came to nothing, by reason. */
  readonly dropped = {
    tooManyConnections: 0,
    tooManyFromAddress: 0,
    /** The proxy protocol was asked for, and not spoken, or not by somebody who is trusted. */
    badProxyHeader: 0,
    /** The system had none to give: EMFILE and the like. */
    acceptErrors: 0,
  };
  readonly #limits: DoorLimits;
  readonly #report: ReportRefused;
  /** Many come from the address of a proxy until it is known where they really come from. */
  readonly #proxies: TrustedProxies | null;
  readonly #byAddress = new Map<string, number>();
  #inside = 0;

  /** @param proxies addresses that any number may come from; null: none */
  constructor(limits: DoorLimits, report: ReportRefused, proxies: TrustedProxies | null = null) {
    this.#limits = limits;
    this.#report = report;
    this.#proxies = proxies;
  }

  /** Addresses that somebody is in from, where they are counted. */
  get addresses(): number {
    return this.#byAddress.size;
  }

  /** Whether one more may come in; if so, it is in. */
  enter(address: string, peer: string): boolean {
    const { maxConnections: limit } = this.#limits;
    if (limit > 0 && this.#inside >= limit) {
      this.dropped.tooManyConnections++;
      const text = 'as many connections as this process may have; another was refused';
      this.#report(new ConnectionError('GW_CONNECTION_TOO_MANY', text, { limit }), peer);
      return false;
    }
    if (!this.#countIn(address, peer)) return false;
    this.#inside++;
    return true;
  }

  leave(address: string): void {
    this.#inside--;
    this.#countOut(address);
  }

  /** One that is in turns out to be from elsewhere; false: from there as many are in as may be, and nothing has changed. */
  move(from: string, to: string, peer: string): boolean {
    if (!this.#countIn(to, peer)) return false;
    this.#countOut(from);
    return true;
  }

  /** One that is in is sent away: nobody knows where it comes from. */
  headerRefused(reason: string, peer: string): void {
    this.dropped.badProxyHeader++;
    const text = 'a connection did not begin as the proxy protocol has it; it was refused';
    this.#report(new ConnectionError('GW_CONNECTION_PROXY_HEADER', text, { reason }), peer);
  }

  acceptFailed(error: NodeJS.ErrnoException): void {
    this.dropped.acceptErrors++;
    const reason = error.code ?? error.message;
    const text = 'the system could not hand over a connection';
    this.#report(new ConnectionError('GW_CONNECTION_ACCEPT', text, { reason }, error), '');
  }

  #countIn(address: string, peer: string): boolean {
    const { maxConnectionsPerAddress: limit } = this.#limits;
    if (limit === 0 || this.#proxies?.has(address)) return true;
    const key = networkOf(address);
    const count = this.#byAddress.get(key) ?? 0;
    if (count >= limit) {
      this.dropped.tooManyFromAddress++;
      const text = 'as many connections as one address may have; another was refused';
      this.#report(new ConnectionError('GW_CONNECTION_TOO_MANY_FROM_ADDRESS', text, { limit }), peer);
      return false;
    }
    this.#byAddress.set(key, count + 1);
    return true;
  }

  #countOut(address: string): void {
    if (this.#limits.maxConnectionsPerAddress === 0 || this.#proxies?.has(address)) return;
    const key = networkOf(address);
    const count = this.#byAddress.get(key) ?? 0;
    if (count > 1) this.#byAddress.set(key, count - 1);
    else this.#byAddress.delete(key);
  }
}

/** What connections are counted under: an IPv4 address, also one in the form of IPv6, or the first 64 bits of IPv6. */
export function networkOf(address: string): string {
  const plain = plainAddress(address);
  if (!plain.includes(':')) return plain;
  const [head = '', tail] = plain.split('::');
  const groups = head === '' ? [] : head.split(':');
  if (tail !== undefined) {
    // The zeros that `::` stands for; what comes behind them matters only as far as it reaches into the first half.
    const last = tail === '' ? [] : tail.split(':');
    while (groups.length < 8 - last.length) groups.push('0');
    groups.push(...last);
  }
  return groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':');
}
