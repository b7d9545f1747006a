import { describe, expect, it } from 'vitest';
import { forwardedPeer } from '../../../src/core/net/forwarded.js';
import { TrustedProxies, trustedProxiesCheck } from '../../../src/core/net/trusted-proxies.js';

const PROXIES = ['127.0.0.1', '10.0.0.0/8', '2001:db8:1::/48', '::1'];

describe('trusted proxies', () => {
  const trusted = new TrustedProxies(PROXIES);

  it.each([
    '127.0.0.1',
    '::ffff:127.0.0.1',
    '10.0.0.0',
    '10.255.255.255',
    '::ffff:10.1.2.3',
    '2001:db8:1:ffff::1',
    '::1',
  ])('are among them: %s', (address) => {
    expect(trusted.has(address)).toBe(true);
  });

  it.each(['127.0.0.2', '9.255.255.255', '11.0.0.0', '2001:db8:2::1', '::2', '', 'proxy', '10.0.0'])(
    'are not: %j',
    (address) => {
      expect(trusted.has(address)).toBe(false);
    },
  );

  it.each([[[]], [PROXIES], [['0.0.0.0/0', '::/0']]])('may be %j', (entries) => {
    expect(trustedProxiesCheck(entries)).toBeUndefined();
  });

  it.each([
    '10.0.0.1',
    [''],
    ['10.0.0.0/33'],
    ['::/129'],
    ['10.0.0.0/'],
    ['10.0.0.0/8/8'],
    ['10.0.0/24'],
    ['proxy.example.org'],
    ['::ffff:10.0.0.1'],
    ['fe80::1%eth0'],
    [7],
  ])('may not be %j', (entries) => {
    expect(trustedProxiesCheck(entries)).toContain('a list of IP addresses');
  });
});

describe('the client that a proxy tells of', () => {
  const trusted = new TrustedProxies(PROXIES);
  const from = (headers: Record<string, string>) =>
    forwardedPeer({ method: 'GET', uri: '/', protocol: 'HTTP/1.1', headers }, trusted);

  it.each<[string, string, number]>([
    ['203.0.113.7', '203.0.113.7', 0],
    ['198.51.100.1, 203.0.113.7', '203.0.113.7', 0],
    ['198.51.100.1, 203.0.113.7, 10.1.1.1,10.0.0.2', '203.0.113.7', 0],
    ['evil, 203.0.113.7', '203.0.113.7', 0],
    ['10.0.0.9, 10.0.0.8', '10.0.0.9', 0],
    ['203.0.113.7:4711', '203.0.113.7', 4711],
    ['2001:DB8:0::7', '2001:db8::7', 0],
    ['[2001:db8::7]:4711', '2001:db8::7', 4711],
    ['[2001:db8::7]', '2001:db8::7', 0],
    ['::ffff:203.0.113.7', '203.0.113.7', 0],
  ])('in X-Forwarded-For: %s is %s', (hops, address, port) => {
    expect(from({ 'x-forwarded-for': hops, 'x-real-ip': '192.0.2.1' })).toEqual({ address, port });
  });

  it.each([
    '',
    'unknown',
    '203.0.113.7, unknown',
    '203.0.113.7,',
    '203.0.113.7:65536',
    '[203.0.113.7',
    '1.2.3',
    'fe80::1%1',
  ])('is not known from X-Forwarded-For: %j', (hops) => {
    expect(from({ 'x-forwarded-for': hops, 'x-real-ip': '192.0.2.1' })).toBeNull();
  });

  it('is in X-Real-IP where there is no other header', () => {
    expect(from({ 'x-real-ip': ' 203.0.113.7 ' })).toEqual({ address: '203.0.113.7', port: 0 });
    expect(from({ 'x-real-ip': 'me' })).toBeNull();
    expect(from({})).toBeNull();
  });
});
