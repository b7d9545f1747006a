import { Buffer } from 'node:buffer';
import { addressOf } from '../../../src/cluster/api/client-ids.js';
import { ApiError } from '../../../src/cluster/api/mod.js';
import { decodeClientId, encodeClientId, isClientId } from '../../../src/cluster/protocol/mod.js';
import { AddressError, hostPort, parseAddress, parseHostPort } from '../../../src/core/net/mod.js';
import { vectors } from '../../cluster/protocol/support.js';
import { orRefused, type Target } from '../target.js';

const SCHEMES = ['tcp', 'text', 'frame', 'websocket'];

const ids = vectors<{ readonly expected: { readonly client_id?: string } }>('client-id').flatMap(
  ({ expected: { client_id: id } }) => (typeof id === 'string' ? [Buffer.from(id)] : []),
);

export const NAMES: readonly Target[] = [
  { name: 'client-id', seeds: [...ids, Buffer.from('7F0000010B5400000001')], run: clientId },
  {
    name: 'address',
    seeds: [
      '127.0.0.1:1236',
      '[::1]:2900',
      '[fe80::1%eth0]:1',
      'host.example:65535',
      'tcp://[::]:1234',
      'text://a:0',
    ].map((text) => Buffer.from(text)),
    run: address,
  },
];

function clientId(bytes: Buffer): void {
  const id = bytes.toString('latin1');
  const parts = decodeClientId(id);
  const known = orRefused(ApiError, () => addressOf(id));
  if (isClientId(id) !== (parts !== undefined) || (known === undefined) !== (parts === undefined)) {
    throw new Error(`not all agree on '${id}'`);
  }
  if (parts === undefined) return;
  const back = encodeClientId(parts.localIp, parts.localPort, parts.connectionId);
  if (back !== id.toLowerCase()) throw new Error(`${id} came back as ${back}`);
}

function address(bytes: Buffer): void {
  const text = bytes.toString();
  const full = orRefused(AddressError, () => parseAddress(text, SCHEMES));
  if (full !== undefined) {
    const back = parseAddress(`${full.scheme}://${hostPort(full.host, full.port)}`, SCHEMES);
    if (back.host !== full.host || back.port !== full.port) throw new Error(`${text} came back as ${back.text}`);
  }
  const short = orRefused(AddressError, () => parseHostPort(text));
  if (short === undefined) return;
  const back = parseHostPort(hostPort(short.host, short.port));
  if (back.host !== short.host || back.port !== short.port) throw new Error(`${text} came back as ${back.host}`);
}
