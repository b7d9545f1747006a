import { Buffer } from 'node:buffer';
import { afterEach, describe, expect, it } from 'vitest';
import { deadlines } from '../../../src/core/timers/mod.js';
import { testCertificate } from '../../support/certificates.js';
import { eventually } from '../../support/eventually.js';
import { proxyV2 } from '../../support/proxy-headers.js';
import { dial, hangUpPeers, TcpPeer } from '../../support/tcp-peer.js';
import { closeListeners, listening } from '../../support/test-listener.js';
import { TlsClient } from '../../support/tls-client.js';

const V1 = 'PROXY TCP4 203.0.113.7 10.0.0.1 51234 8282\r\n';
const V2 = proxyV2({ address: '2001:db8::7', port: 4711 });
const proxy = { proxyProtocol: true, trustedProxies: ['127.0.0.1'] } as const;

afterEach(async () => {
  hangUpPeers();
  await closeListeners();
});

describe('a connection with a PROXY header', () => {
  it.each<[string, string | Buffer, string, number]>([
    ['1', V1, '203.0.113.7', 51234],
    ['2', V2, '2001:db8::7', 4711],
  ])(
    'of version %s is from where the header says, and what comes behind it is read',
    async (_v, header, address, port) => {
      const listener = await listening({ proxy });
      listener.owner.whenMessage = (connection, text) => connection.send(`re: ${text}`);
      const peer = await dial(listener.port);
      peer.write(Buffer.concat([Buffer.from(header as string), Buffer.from('a\nb')]));
      await peer.received('re: a\n');
      peer.write('c\n');
      await peer.received('re: bc\n');
      const connection = await listener.accepted();
      expect([connection.remoteAddress, connection.remotePort]).toEqual([address, port]);
      expect(connection.isIpV6).toBe(address.includes(':'));
      expect(connection.bytesRead).toBe(5);
      peer.socket.end();
      await eventually('the end', () => listener.owner.count('close') === 1);
      expect(connection.remoteAddress).toBe(address);
      expect(deadlines.size).toBe(0);
    },
  );

  it('may come byte by byte', async () => {
    const listener = await listening({ proxy });
    const peer = await dial(listener.port);
    for (const byte of Buffer.concat([V2, Buffer.from('a\n')])) {
      peer.write(Buffer.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await eventually('the message', () => listener.owner.messages.length === 1);
    expect(listener.connections[0]?.remoteAddress).toBe('2001:db8::7');
  });

  it('and everything else in one packet is read to its end', async () => {
    const listener = await listening({ proxy });
    const peer = new TcpPeer(listener.port);
    peer.socket.end(`${V1}a\nb\n`);
    await eventually('the end', () => listener.owner.count('close') === 1);
    expect(listener.owner.messages).toEqual(['a', 'b']);
  });

  it('is not read while its owner has paused it, from the beginning', async () => {
    const listener = await listening({ proxy, whenAccepted: (connection) => connection.pauseRecv() });
    const peer = await dial(listener.port);
    peer.write(`${V1}a\n`);
    const connection = await listener.accepted();
    const written = Buffer.alloc(8 * 1024 * 1024, 'x\n');
    peer.write(written);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(listener.owner.messages).toEqual([]);
    expect(connection.bytesRead).toBe(0);
    // Kept back by TCP, and not in our memory.
    expect(peer.socket.writableLength).toBeGreaterThan(0);
    connection.resumeRecv();
    connection.pauseRecv();
    connection.resumeRecv();
    await eventually('all of it', () => connection.bytesRead === written.length + 2);
    expect(listener.owner.messages.slice(0, 2)).toEqual(['a', 'x']);
    expect(listener.owner.messages).toHaveLength(1 + written.length / 2);
  });

  it('that speaks for the proxy itself is from the proxy', async () => {
    const listener = await listening({ proxy });
    const peer = await dial(listener.port);
    peer.write(Buffer.concat([proxyV2({ command: 0x20 }), Buffer.from('a\n')]));
    await eventually('the message', () => listener.owner.messages.length === 1);
    expect(listener.connections[0]?.remoteAddress).toBe('127.0.0.1');
  });

  it('goes on with TLS', async () => {
    const listener = await listening({ proxy, tls: testCertificate('localhost') });
    listener.owner.whenMessage = (connection, text) => connection.send(`re: ${text}`);
    for (const together of [true, false]) {
      const raw = await dial(listener.port);
      if (together) raw.socket.cork();
      raw.write(V1);
      if (!together) await new Promise((resolve) => setTimeout(resolve, 50));
      raw.socket.removeAllListeners('data');
      const client = new TlsClient(0, { socket: raw.socket });
      if (together) setImmediate(() => raw.socket.uncork());
      client.write('a\n');
      await client.untilText('re: a\n');
      client.socket.destroy();
    }
    expect(listener.connections.map(({ remoteAddress }) => remoteAddress)).toEqual(['203.0.113.7', '203.0.113.7']);
    await eventually('the ends', () => listener.owner.count('close') === 2);
    expect(listener.handshakes).toBe(0);
  });
});

describe('a connection without one', () => {
  it.each<[string, string, string]>([
    ['an HTTP request', 'GET / HTTP/1.1\r\n\r\n', 'no header'],
    ['a header that is wrong', 'PROXY TCP4 1.2.3.4\r\n', 'malformed'],
    ['a header that does not end', `PROXY ${'x'.repeat(200)}`, 'too long'],
  ])('but %s is closed at once and counted', async (_what, bytes, reason) => {
    const listener = await listening({ proxy, door: { maxConnections: 1 } });
    const peer = await dial(listener.port);
    peer.write(bytes);
    await eventually('the end', () => peer.closed || peer.ended);
    expect(listener.door.dropped.badProxyHeader).toBe(1);
    expect(listener.refused).toMatchObject([{ error: { code: 'GW_CONNECTION_PROXY_HEADER', fields: { reason } } }]);
    expect(listener.refused[0]?.peer).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(listener.connections).toEqual([]);
    // Its place is free again.
    const next = await dial(listener.port);
    next.write(`${V1}a\n`);
    await eventually('the message', () => listener.owner.messages.length === 1);
  });

  it('is closed when its time is over', async () => {
    const listener = await listening({ proxy, limits: { handshakeTimeout: 0.2 } });
    const peer = await dial(listener.port);
    peer.write('PROXY TCP4');
    await eventually('the end', () => peer.ended);
    expect(listener.refused).toMatchObject([{ error: { fields: { reason: 'it was not there in time' } } }]);
  });

  it('that only looks whether the port is open is nobody to complain of; one that ends in the middle is', async () => {
    const listener = await listening({ proxy, door: { maxConnections: 1 } });
    const looking = await dial(listener.port);
    looking.socket.end();
    await eventually('the end', () => looking.closed);
    expect(listener.door.dropped.badProxyHeader).toBe(0);
    const half = await dial(listener.port);
    half.socket.end('PROXY ');
    await eventually('the end', () => half.closed);
    expect(listener.door.dropped.badProxyHeader).toBe(1);
    expect(deadlines.size).toBe(0);
  });

  it('of somebody who is not trusted is closed before it is read', async () => {
    const listener = await listening({ proxy: { ...proxy, trustedProxies: ['10.0.0.0/8'] } });
    const peer = await dial(listener.port);
    peer.write(`${V1}a\n`);
    await eventually('the end', () => peer.closed || peer.ended);
    expect(listener.refused).toMatchObject([{ error: { fields: { reason: 'it is not from a trusted proxy' } } }]);
    expect(listener.owner.messages).toEqual([]);
  });

  it('goes with its listener', async () => {
    const listener = await listening({ proxy });
    const peer = await dial(listener.port);
    peer.write('PROXY ');
    await new Promise((resolve) => setTimeout(resolve, 50));
    await listener.close();
    await eventually('the end', () => peer.ended);
    expect([listener.door.dropped.badProxyHeader, deadlines.size]).toEqual([0, 0]);
  });
});

describe('connections per address', () => {
  it('are those of the clients, however many come by the proxy', async () => {
    const listener = await listening({ proxy, door: { maxConnectionsPerAddress: 1 } });
    const from = async (address: string) => {
      const peer = await dial(listener.port);
      peer.write(Buffer.concat([proxyV2({ address, port: 1 }), Buffer.from(`${address}\n`)]));
      return peer;
    };
    const first = await from('203.0.113.1');
    await from('203.0.113.2');
    await eventually('both', () => listener.owner.messages.length === 2);
    const second = await from('203.0.113.1');
    await eventually('the end', () => second.ended);
    expect(listener.refused).toMatchObject([
      { error: { code: 'GW_CONNECTION_TOO_MANY_FROM_ADDRESS' }, peer: '203.0.113.1:1' },
    ]);
    first.socket.destroy();
    await eventually('its end', () => listener.owner.count('close') === 1);
    await from('203.0.113.1');
    await eventually('the third', () => listener.owner.messages.length === 3);
    expect(listener.door.addresses).toBe(2);
  });
});
