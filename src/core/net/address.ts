import { GatewayWorkerError, nearest } from '../../util/mod.js';

/** A listen or connect address that can't be understood. Codes `GW_ADDRESS_…`. */
export class AddressError extends GatewayWorkerError {}

/** An address as people write it, taken apart. */
export interface NetAddress {
  /** Name of the protocol: `tcp`, `text`, `frame`, `websocket`. */
  readonly scheme: string;
  /** Without the brackets of an IPv6 address. */
  readonly host: string;
  readonly port: number;
  /** The address as it was written. */
  readonly text: string;
}

const HOST_PORT = String.raw`(\[[0-9A-Fa-f:.]+(?:%[\w.-]+)?\]|[^:/[\]]+):(\d{1,5})`;
const ADDRESS = new RegExp(`^([A-Za-z][A-Za-z0-9+.-]*)://${HOST_PORT}$`);
const ADDRESS_WITHOUT_SCHEME = new RegExp(`^${HOST_PORT}$`);

/**
 * Takes `scheme://host:port` apart; an IPv6 host stands in brackets, `tcp://[::]:1234`.
 *
 * @param schemes the schemes that are possible here
 * @throws AddressError `GW_ADDRESS_INVALID`, `GW_ADDRESS_SCHEME`
 */
export function parseAddress(text: string, schemes: readonly string[]): NetAddress {
  const match = ADDRESS.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    throw new AddressError(
      'GW_ADDRESS_INVALID',
      `'${text}' is not an address; expected scheme://host:port, such as ${schemes[0] ?? 'tcp'}://0.0.0.0:8282`,
      { address: text },
    );
  }
  const scheme = (match[1] ?? '').toLowerCase();
  if (!schemes.includes(scheme)) {
    const meant = nearest(scheme, schemes);
    throw new AddressError(
      'GW_ADDRESS_SCHEME',
      `'${text}': unknown protocol '${scheme}'; ${meant ? `did you mean '${meant}'?` : `known: ${schemes.join(', ')}`}`,
      { address: text, scheme, known: schemes },
    );
  }
  return { scheme, host: (match[2] ?? '').replace(/^\[|\]$/g, ''), port, text };
}

/**
 * Takes `host:port` apart, as register and lan addresses are written.
 *
 * @throws AddressError `GW_ADDRESS_INVALID`
 */
export function parseHostPort(text: string): { readonly host: string; readonly port: number } {
  const match = ADDRESS_WITHOUT_SCHEME.exec(text);
  const port = Number(match?.[2]);
  if (match === null || port < 1 || port > 65_535) {
    throw new AddressError(
      'GW_ADDRESS_INVALID',
      `'${text}' is not an address; expected host:port, such as 127.0.0.1:1236`,
      {
        address: text,
      },
    );
  }
  return { host: (match[1] ?? '').replace(/^\[|\]$/g, ''), port };
}

/** `host:port`, an IPv6 host in brackets. */
export function hostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
