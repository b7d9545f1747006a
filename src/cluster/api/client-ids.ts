import { type ClientAddress, decodeClientId } from '../protocol/mod.js';
import { ApiError } from './errors.js';
import { shown } from './names.js';

const PORTS = 65_536;

/** One number for a gateway: address and port. */
export function gatewayKey(gateway: { readonly localIp: number; readonly localPort: number }): number {
  return gateway.localIp * PORTS + gateway.localPort;
}

/** The address in a gateway's key. */
export function addressOfKey(key: number): { readonly localIp: number; readonly localPort: number } {
  return { localIp: Math.floor(key / PORTS), localPort: key % PORTS };
}

/** @throws ApiError `GW_API_CLIENT_ID` */
export function addressOf(clientId: string): ClientAddress {
  const address = typeof clientId === 'string' ? decodeClientId(clientId) : undefined;
  if (address === undefined) {
    const given = shown(clientId);
    throw new ApiError('GW_API_CLIENT_ID', `${given} is not a client id (20 hex digits)`, { clientId: given });
  }
  return address;
}

/** gateway key → connection ids. @throws ApiError `GW_API_CLIENT_ID` */
export function idsByGateway(clientIds: string | readonly string[]): Map<number, number[]> {
  const byGateway = new Map<number, number[]>();
  for (const clientId of Array.isArray(clientIds) ? clientIds : [clientIds]) {
    const address = addressOf(clientId);
    const key = gatewayKey(address);
    const ids = byGateway.get(key);
    if (ids === undefined) byGateway.set(key, [address.connectionId]);
    else ids.push(address.connectionId);
  }
  return byGateway;
}

export function without(ids: readonly number[], excluded: readonly number[] | undefined): readonly number[] {
  if (excluded === undefined) return ids;
  const out = new Set(excluded);
  return ids.filter((id) => !out.has(id));
}
