import { expect, test } from 'vitest';
import { AddressError, hostPort, parseAddress, parseHostPort } from '../../../src/core/net/mod.js';

const SCHEMES = ['tcp', 'text', 'frame', 'websocket'];

function errorOf(text: string): AddressError {
  try {
    parseAddress(text, SCHEMES);
  } catch (error) {
    if (error instanceof AddressError) return error;
  }
  throw new Error(`${text} was taken`);
}

test.each([
  ['tcp://0.0.0.0:1234', 'tcp', '0.0.0.0', 1234],
  ['WebSocket://example.com:0', 'websocket', 'example.com', 0],
  ['text://[::]:65535', 'text', '::', 65535],
  ['frame://[::ffff:1.2.3.4]:1', 'frame', '::ffff:1.2.3.4', 1],
  ['tcp://[fe80::1%eth0]:80', 'tcp', 'fe80::1%eth0', 80],
])('%s is taken apart', (text, scheme, host, port) => {
  expect(parseAddress(text, SCHEMES)).toEqual({ scheme, host, port, text });
});

test.each([
  '',
  'tcp',
  '0.0.0.0:80',
  'tcp://0.0.0.0',
  'tcp://:80',
  'tcp://::1:80',
  'tcp://[::1:80',
  'tcp://h:65536',
  'tcp://h:-1',
  'tcp://h:80/',
  'tcp://h:80x',
  ' tcp://h:80',
  'tcp:/h:80',
  'tcp://a/b:80',
  'tcp://[h]:80',
])('%j is no address', (text) => {
  const error = errorOf(text);
  expect(error.code).toBe('GW_ADDRESS_INVALID');
  expect(error.message).toContain('expected scheme://host:port, such as tcp://0.0.0.0:8282');
});

test('an unknown scheme names the nearest one, or all', () => {
  expect(errorOf('websockets://h:1')).toMatchObject({ code: 'GW_ADDRESS_SCHEME', fields: { scheme: 'websockets' } });
  expect(errorOf('websockets://h:1').message).toContain("did you mean 'websocket'?");
  expect(errorOf('ws://h:1').message).toContain('known: tcp, text, frame, websocket');
});

test('host and port alone are taken apart, and port 0 is none', () => {
  expect(parseHostPort('127.0.0.1:1236')).toEqual({ host: '127.0.0.1', port: 1236 });
  expect(parseHostPort('[::1]:1236')).toEqual({ host: '::1', port: 1236 });
  for (const text of ['127.0.0.1', '127.0.0.1:0', '::1:1236', 'text://h:1', 'h:65536']) {
    expect(() => parseHostPort(text)).toThrow(AddressError);
  }
});

test('host and port are put together, an IPv6 host in brackets', () => {
  expect(hostPort('1.2.3.4', 5)).toBe('1.2.3.4:5');
  expect(hostPort('::1', 5)).toBe('[::1]:5');
});
