import { Buffer } from 'node:buffer';
import { describe, expect, it } from 'vitest';
import { parseProxyHeader } from '../../../src/core/protocols/mod.js';
import { proxyV2 } from '../../support/proxy-headers.js';

const V1 = 'PROXY TCP4 203.0.113.7 10.0.0.1 51234 8282\r\n';
const read = (text: string | Buffer, versions: true | 'v1' | 'v2' = true) =>
  parseProxyHeader(Buffer.from(text as string), versions);

describe('a PROXY header of version 1', () => {
  it.each([
    [V1, { address: '203.0.113.7', port: 51234 }],
    ['PROXY TCP6 2001:0DB8:0:0::7 ::1 0 65535\r\n', { address: '2001:db8::7', port: 0 }],
    ['PROXY TCP6 ::ffff:203.0.113.7 ::1 1 2\r\n', { address: '203.0.113.7', port: 1 }],
    ['PROXY UNKNOWN\r\n', null],
    ['PROXY UNKNOWN ffff::1 whatever 1 2\r\n', null],
  ])('%j is from %j', (text, peer) => {
    expect(read(`${text}GET /`)).toEqual({ bytes: text.length, peer });
    expect(read(text, 'v1')).toEqual({ bytes: text.length, peer });
  });

  it('is waited for as long as it may become one, at every byte', () => {
    for (let length = 0; length < V1.length; length++) expect(read(V1.slice(0, length))).toBeNull();
  });

  it('has 107 bytes at most', () => {
    const longest = `PROXY UNKNOWN ${'x'.repeat(107 - 16)}\r\n`;
    expect(longest).toHaveLength(107);
    expect(read(longest)).toEqual({ bytes: 107, peer: null });
    expect(read(`PROXY UNKNOWN ${'x'.repeat(107 - 15)}\r\n`)).toBe('too long');
    expect(read(longest.slice(0, 106))).toBeNull();
    expect(read('PROXY '.padEnd(107, 'x'))).toBe('too long');
  });

  it.each([
    'PROXY TCP4 203.0.113.7 10.0.0.1 51234 65536\r\n',
    'PROXY TCP4 203.0.113.7 10.0.0.1 051234 8282\r\n',
    'PROXY TCP4 203.0.113.7 10.0.0.1 -1 8282\r\n',
    'PROXY TCP4 203.0.113.7 10.0.0.1 51234\r\n',
    'PROXY TCP4 203.0.113.7 10.0.0.1 51234 8282 1\r\n',
    'PROXY TCP4 203.0.113.7  10.0.0.1 51234 8282\r\n',
    'PROXY TCP4 ::1 ::1 51234 8282\r\n',
    'PROXY TCP4 203.0.113.7 ::1 51234 8282\r\n',
    'PROXY TCP6 203.0.113.7 ::1 51234 8282\r\n',
    'PROXY TCP6 fe80::1%eth0 ::1 51234 8282\r\n',
    'PROXY UDP4 203.0.113.7 10.0.0.1 51234 8282\r\n',
    'PROXY \r\n',
  ])('%j is malformed', (text) => {
    expect(read(text)).toBe('malformed');
  });
});

describe('a PROXY header of version 2', () => {
  const ipv4 = proxyV2({ address: '203.0.113.7', port: 51234 });

  it.each([
    ['IPv4', ipv4, { address: '203.0.113.7', port: 51234 }],
    ['IPv6', proxyV2({ address: '2001:db8::7', port: 1 }), { address: '2001:db8::7', port: 1 }],
    [
      'IPv4 with more behind',
      proxyV2({ address: '203.0.113.7', port: 1, tlv: 300 }),
      { address: '203.0.113.7', port: 1 },
    ],
    ['the proxy itself', proxyV2({ command: 0x20 }), null],
    ['no family', proxyV2({ family: 0 }), null],
    ['a socket of the file system', proxyV2({ family: 0x31, tlv: 216 }), null],
    ['UDP', proxyV2({ family: 0x12, tlv: 12 }), null],
  ])('with %s', (_what, header, peer) => {
    expect(read(Buffer.concat([header, Buffer.from('hello')]))).toEqual({ bytes: header.length, peer });
    expect(read(header, 'v2')).toEqual({ bytes: header.length, peer });
    for (let length = 0; length < header.length; length++) expect(read(header.subarray(0, length))).toBeNull();
  });

  it('has 4096 bytes at most', () => {
    expect(read(proxyV2({ family: 0, tlv: 4080 }))).toEqual({ bytes: 4096, peer: null });
    expect(read(proxyV2({ family: 0, tlv: 4081 }).subarray(0, 16))).toBe('too long');
  });

  it.each([
    ['another version', proxyV2({ command: 0x11 })],
    ['another command', proxyV2({ command: 0x22 })],
    ['less than two addresses', proxyV2({ family: 0x11, tlv: 11 })],
    ['less than two of IPv6', proxyV2({ family: 0x21, tlv: 35 })],
  ])('with %s is malformed', (_what, header) => {
    expect(read(header)).toBe('malformed');
  });
});

describe('what is no PROXY header', () => {
  it.each(['GET / HTTP/1.1', '\x16\x03\x01', 'P ', 'proxy ', '\r\n\r\n\x01'])('%j is known for it at once', (text) => {
    expect(read(text)).toBe('no header');
  });

  it('is one of the other version, where one is asked for', () => {
    expect(read(V1, 'v2')).toBe('no header');
    expect(read(proxyV2({ family: 0 }), 'v1')).toBe('no header');
  });
});
