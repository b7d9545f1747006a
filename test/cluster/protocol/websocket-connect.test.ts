import { Buffer } from 'node:buffer';
import { expect, test } from 'vitest';
import { unserialize, type WebsocketConnectInput, websocketConnectBody } from '../../../src/cluster/protocol/mod.js';
import { type Bytes, hex, vectors } from './support.js';

interface ConnectVector {
  name: string;
  request: Bytes;
  peer: { remote: string; local_port: number };
  expected: { body: Bytes };
}

const handshakes = vectors<ConnectVector>('websocket-connect');

test('there are 33 handshakes to compare with', () => {
  expect(handshakes.length).toBe(33);
});

test.each(handshakes)('$name gives the payload that PHP sends', (vector) => {
  expect(websocketConnectBody(parse(vector)).toString('latin1')).toBe(hex(vector.expected.body.hex).toString('latin1'));
});

// A header named `5` moves to the front of an object, so its place differs; nothing of it is lost.
test.each(handshakes.filter(({ name }) => name !== 'header-numeric'))(
  '$name is the same with headers in an object',
  (vector) => {
    const request = parse(vector);
    const headers: Record<string, string> = Object.create(null);
    for (const [name, value] of request.headers as Map<string, string>) headers[name] = value;
    expect(websocketConnectBody({ ...request, headers }).toString('hex')).toBe(vector.expected.body.hex);
  },
);

test('a header named by a number is there with headers in an object too', () => {
  const vector = handshakes.find(({ name }) => name === 'header-numeric') as ConnectVector;
  const request = parse(vector);
  const body = websocketConnectBody({
    ...request,
    headers: Object.fromEntries(request.headers as Map<string, string>),
  });
  expect(unserialize(body)).toEqual(unserialize(hex(vector.expected.body.hex)));
});

test('a query of more than 1000 variables ends after 1000, as PHP ends it', () => {
  const query = (count: number) => Array.from({ length: count }, (_, index) => `v${index}=1`).join('&');
  expect(Object.keys(get(query(1000))).length).toBe(1000);
  expect(Object.keys(get(query(1001))).length).toBe(1000);
});

test('64 pairs of brackets are read and a variable with 65 is dropped', () => {
  let value: unknown = get(`a${'[x]'.repeat(64)}=1`).a;
  for (let level = 0; level < 64; level++) value = (value as Record<string, unknown>).x;
  expect(value).toBe('1');
  expect(get(`a${'[x]'.repeat(65)}=1&b=2`)).toEqual({ b: '2' });
});

test('names end at a NUL, blanks in front go, a scalar gives way to an array and back', () => {
  expect(get('a%00b=1&%20%20c=2&d=1&d[x]=2&e[x]=1&e=2&f[%20]=1&g[a]b=3&h[ x]=4')).toEqual({
    a: '1',
    c: '2',
    d: { x: '2' },
    e: '2',
    f: ['1'],
    g: { a: '3' },
    h: { ' x': '4' },
  });
  expect(get('a[9223372036854775807]=1&a[]=2&a[][x]=3')).toEqual({ a: { '9223372036854775807': '1' } });
  expect(Buffer.from(get('a=%FF').a as Buffer)).toEqual(Buffer.from([0xff]));
});

test('a question mark behind a hash begins no query; control characters become underscores', () => {
  expect(get('', '/#x?a=1')).toEqual([]);
  expect(get('', '/?a=\x01\x7f')).toEqual({ a: '__' });
});

function get(query: string, uri = `/?${query}`): Record<string, unknown> {
  const input = {
    method: 'GET',
    uri,
    protocol: 'HTTP/1.1',
    headers: {},
    remoteAddress: '1.2.3.4',
    remotePort: 1,
    serverPort: 2,
  };
  const body = unserialize(websocketConnectBody(input), undefined, undefined, { maxDepth: 100 });
  return (body as { get: Record<string, unknown> }).get;
}

/** As the handshake parser delivers it: one character per byte, names in lower case, repeated headers joined. */
function parse(vector: ConnectVector): WebsocketConnectInput {
  const [requestLine = '', ...lines] = hex(vector.request.hex).toString('latin1').split('\r\n');
  const [method = '', uri = '', protocol = ''] = requestLine.split(' ');
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(':');
    if (colon < 0) continue;
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, '');
    const before = headers.get(name);
    headers.set(name, before === undefined ? value : `${before},${value}`);
  }
  const [remoteAddress = '', remotePort] = vector.peer.remote.split(':');
  return {
    method,
    uri,
    protocol,
    headers,
    remoteAddress,
    remotePort: Number(remotePort),
    serverPort: vector.peer.local_port,
  };
}
