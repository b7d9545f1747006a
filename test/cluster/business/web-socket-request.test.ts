import { Buffer, isUtf8 } from 'node:buffer';
import { describe, expect, it } from 'vitest';
import { webSocketRequestOf } from '../../../src/cluster/business/web-socket-request.js';
import { serialize } from '../../../src/cluster/protocol/mod.js';
import { type Bytes, hex, plainValue, type Typed, vectors } from '../protocol/support.js';

interface ConnectVector {
  readonly name: string;
  readonly request: Bytes;
  readonly peer: { readonly remote: string };
  readonly expected: { readonly body: Bytes; readonly value: Typed };
}

describe('the request that opened a WebSocket', () => {
  it("is made of PHP's arrays", () => {
    const request = webSocketRequestOf(
      serialize({
        get: { a: ['1', '2'], b: 'x' },
        server: {
          REQUEST_URI: '/chat?a[]=1&a[]=2&b=x',
          HTTP_USER_AGENT: 'test',
          HTTP_X_BYTES: Buffer.from([0xe9]),
          REMOTE_ADDR: '10.0.0.1',
          REMOTE_PORT: 4711,
        },
        cookie: { token: 'a%20b' },
      }),
    );
    expect(request).toEqual({
      uri: '/chat?a[]=1&a[]=2&b=x',
      query: { a: ['1', '2'], b: 'x' },
      headers: { 'user-agent': 'test', 'x-bytes': 'é' },
      cookies: { token: 'a%20b' },
      remoteAddress: '10.0.0.1',
      remotePort: 4711,
    });
  });

  it.each(vectors<ConnectVector>('websocket-connect'))('is what was asked of a gateway of PHP: $name', (vector) => {
    const { request, peer, expected } = vector;
    const [requestLine = '', ...lines] = hex(request.hex).toString('latin1').split('\r\n');
    const sent = new Map<string, string[]>();
    for (const line of lines) {
      const [, name = '', value = ''] = /^([^:]*):[ \t]*(.*?)[ \t]*$/.exec(line) ?? [];
      if (line.includes(':')) sent.set(name.toLowerCase(), [...(sent.get(name.toLowerCase()) ?? []), text(value)]);
    }
    // For PHP _ and - are one in a name, and of two that differ in nothing else the later one counts.
    const headers = Object.fromEntries(Array.from(sent, ([name, all]) => [name.replaceAll('_', '-'), all.join(',')]));
    const { get, cookie } = plainValue(expected.value) as { get: object; cookie: object };
    const [remoteAddress, remotePort] = peer.remote.split(':');
    expect(webSocketRequestOf(hex(expected.body.hex))).toEqual({
      uri: text(requestLine.split(' ')[1] ?? ''),
      query: { ...get },
      headers,
      cookies: { ...cookie },
      remoteAddress,
      remotePort: Number(remotePort),
    });
  });

  it('has nothing in it that was not sent', () => {
    for (const body of [{}, { get: [], server: [], cookie: [] }, null, 'text', { get: null, server: 5, cookie: 'x' }]) {
      const { query, headers, cookies, ...rest } = webSocketRequestOf(serialize(body));
      expect(rest).toEqual({ uri: '', remoteAddress: '', remotePort: 0 });
      for (const record of [query, headers, cookies]) {
        expect(record.constructor).toBeUndefined();
        expect(record.toString).toBeUndefined();
      }
      expect(Object.keys({ ...query, ...headers })).toEqual([]);
    }
  });

  it('keeps names that mean something to JavaScript as names', () => {
    const body = Buffer.from(
      'a:3:{s:3:"get";a:1:{s:9:"__proto__";a:1:{s:5:"admin";s:1:"1";}}s:6:"server";a:1:{s:14:"HTTP___PROTO__";s:1:"x";}s:6:"cookie";a:1:{s:9:"__proto__";s:1:"y";}}',
    );
    const { query, headers, cookies } = webSocketRequestOf(body);
    expect(Object.keys(query)).toEqual(['__proto__']);
    expect(query.admin).toBeUndefined();
    expect(Object.keys(headers)).toEqual(['--proto--']);
    expect(Object.entries(cookies)).toEqual([['__proto__', 'y']]);
    expect(({} as { admin?: string }).admin).toBeUndefined();
  });
});

/** As it is read when it is UTF-8, and when it is not. */
function text(latin1: string): string {
  const bytes = Buffer.from(latin1, 'latin1');
  return isUtf8(bytes) ? bytes.toString() : latin1;
}
