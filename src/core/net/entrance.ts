import type { Buffer } from 'node:buffer';
import { type Checks, flag, OptionsError, oneOf, orNull } from '../../util/mod.js';
import { type HandshakeRequest, handshakeRefusal, type ProxyVersions } from '../protocols/mod.js';
import { hostPort, type NetAddress } from './address.js';
import { Door, type DoorLimits, type ReportRefused } from './door.js';
import { ConnectionError } from './errors.js';
import { forwardedPeer } from './forwarded.js';
import type { ListenerProxy } from './listener.js';
import { type OriginCheck, type Origins, originCheck, originsCheck } from './origins.js';
import type { TcpConnection } from './tcp-connection.js';
import { TrustedProxies, trustedProxiesCheck } from './trusted-proxies.js';

/** Who is let in, beside how many. */
export interface EntranceOptions {
  /**
   * Pages that may open a WebSocket: a list of origins (`https://example.org`, `https://*.example.org` for its direct
   * subdomains), an expression that matches the whole origin, or a function; default null: all. Requests without an `Origin`
   * come in, unless a function says otherwise. Others get status 403.
   */
  origins: Origins | null;
  /**
   * Addresses and networks (`10.0.0.0/8`) of proxies whose word is taken on where a client comes from: `X-Forwarded-For` or
   * `X-Real-IP` at the WebSocket handshake, or the header of `proxyProtocol`. Default null: none.
   */
  trustedProxies: readonly string[] | null;
  /**
   * Every connection begins with a header of the PROXY protocol, of version 1 or 2 (true: either), from one of
   * `trustedProxies`; others are closed. Default false.
   */
  proxyProtocol: boolean | 'v1' | 'v2';
}

export const ENTRANCE_DEFAULTS: Readonly<EntranceOptions> = Object.freeze({
  origins: null,
  trustedProxies: null,
  proxyProtocol: false,
});

const versionsCheck = oneOf('v1', 'v2');

export const ENTRANCE_CHECKS: Checks<EntranceOptions> = {
  origins: orNull(originsCheck),
  trustedProxies: orNull(trustedProxiesCheck),
  proxyProtocol: (value) =>
    flag(value) === undefined || versionsCheck(value) === undefined ? undefined : "true, false, 'v1' or 'v2'",
};

const FORBIDDEN = handshakeRefusal({ status: 403, reason: 'this origin may not connect\n' });
const TOO_MANY = handshakeRefusal({ status: 429 });

/** Of what a peer has sent so much is logged. */
const LOGGED_CHARS = 100;

/** @throws OptionsError `GW_OPTION_INVALID` for options that mean nothing without another */
export function checkEntrance(owner: string, address: NetAddress, options: EntranceOptions): void {
  const { origins, trustedProxies, proxyProtocol } = options;
  if (proxyProtocol !== false && trustedProxies === null) {
    const text = `${owner}: proxyProtocol needs trustedProxies: whose header is to be believed?`;
    throw new OptionsError('GW_OPTION_INVALID', text, { owner, option: 'proxyProtocol' });
  }
  if (origins !== null && address.scheme !== 'websocket') {
    const text = `${owner}: origins goes with websocket://, not ${address.text}`;
    throw new OptionsError('GW_OPTION_INVALID', text, { owner, option: 'origins', address: address.text });
  }
}

/** Decides who comes in by one port: counts at the door, then looks at handshake requests. */
export class Entrance {
  readonly door: Door;
  /** Handshakes that were refused, beside connections that the door has refused. */
  readonly dropped = { originRefused: 0 };
  readonly #proxies: TrustedProxies | null;
  readonly #versions: ProxyVersions | null;
  readonly #origins: OriginCheck | null;
  readonly #report: ReportRefused;

  /** @param guard makes of a function of the user's one that does not throw */
  constructor(
    options: EntranceOptions & DoorLimits,
    report: ReportRefused,
    guard: (check: OriginCheck) => OriginCheck,
  ) {
    const { origins, trustedProxies, proxyProtocol } = options;
    this.#proxies = trustedProxies === null ? null : new TrustedProxies(trustedProxies);
    this.#versions = proxyProtocol === false ? null : proxyProtocol;
    this.#origins = origins === null ? null : originCheck(typeof origins === 'function' ? guard(origins) : origins);
    this.#report = report;
    this.door = new Door(options, report, this.#proxies);
  }

  /** How a listener is to read where connections come from; null: it is not told. */
  proxy(handshakeTimeout: number): ListenerProxy | null {
    if (this.#proxies === null || this.#versions === null) return null;
    return { versions: this.#versions, trusted: this.#proxies, handshakeTimeout };
  }

  /**
   * A handshake request came: the connection is from where a trusted proxy says.
   *
   * @returns null: it may come in; else the answer that refuses it
   */
  refusal(connection: TcpConnection, request: HandshakeRequest): Buffer | null {
    if (this.#proxies?.has(connection.remoteAddress)) {
      const from = forwardedPeer(request, this.#proxies);
      if (from !== null) {
        if (!this.door.move(connection.remoteAddress, from.address, hostPort(from.address, from.port))) return TOO_MANY;
        connection.cameFrom(from);
      }
    }
    const { origin } = request.headers;
    if (this.#origins === null || this.#origins(origin, request)) return null;
    this.dropped.originRefused++;
    const text = 'a page of an origin that may not connect has tried to';
    const fields = { origin: origin?.slice(0, LOGGED_CHARS) };
    const { remoteAddress, remotePort } = connection;
    this.#report(new ConnectionError('GW_CONNECTION_ORIGIN', text, fields), hostPort(remoteAddress, remotePort));
    return FORBIDDEN;
  }
}
