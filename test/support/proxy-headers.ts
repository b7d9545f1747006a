import { Buffer } from 'node:buffer';

export interface ProxyV2Parts {
  readonly address?: string;
  readonly port?: number;
  /** Version and command; default 2 and PROXY. */
  readonly command?: number;
  /** Default: TCP over what the address is. */
  readonly family?: number;
  /** Bytes behind the addresses. */
  readonly tlv?: number;
}

/** A PROXY header of version 2. Written apart from the code it tests; IPv6 with at most one `::`. */
export function proxyV2({ address, port = 0, command = 0x21, family, tlv = 0 }: ProxyV2Parts): Buffer {
  const body = address === undefined ? Buffer.alloc(0) : addresses(address, port);
  const isIpV4 = body.length === 12;
  const head = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
  const rest = Buffer.from([command, family ?? (address === undefined ? 0 : isIpV4 ? 0x11 : 0x21), 0, 0]);
  rest.writeUInt16BE(body.length + tlv, 2);
  return Buffer.concat([head, rest, body, Buffer.alloc(tlv, 0x61)]);
}

function addresses(address: string, port: number): Buffer {
  const ports = Buffer.alloc(4);
  ports.writeUInt16BE(port, 0);
  ports.writeUInt16BE(8282, 2);
  const source = address.includes(':') ? ipV6(address) : Buffer.from(address.split('.').map(Number));
  return Buffer.concat([source, Buffer.alloc(source.length, 1), ports]);
}

function ipV6(address: string): Buffer {
  const [head = '', tail = ''] = address.split('::');
  const groups = (text: string) => (text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16)));
  const [first, last] = [groups(head), groups(tail)];
  const bytes = Buffer.alloc(16);
  first.forEach((group, index) => void bytes.writeUInt16BE(group, index * 2));
  last.forEach((group, index) => void bytes.writeUInt16BE(group, 16 - (last.length - index) * 2));
  return bytes;
}
