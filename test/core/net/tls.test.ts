import { Buffer } from 'node:buffer';
import { afterEach, describe, expect, it } from 'vitest';
import { checkTls, shareFrame, type TlsListenOptions, type Wire } from '../../../src/core/net/mod.js';
import { contextFor } from '../../../src/core/net/tls.js';
import { tcpCodec, textCodec } from '../../../src/core/protocols/mod.js';
import { OptionsError } from '../../../src/util/mod.js';
import { testCertificate } from '../../support/certificates.js';
import { eventually } from '../../support/eventually.js';
import { TcpClient } from '../../support/tcp-client.js';
import { closeListeners, listening } from '../../support/test-listener.js';
import { TlsClient } from '../../support/tls-client.js';

const localhost = testCertificate('localhost');
const example = testCertificate('example.com');
const wildcard = testCertificate('wildcard.example.org');

afterEach(closeListeners);

function problem(tls: TlsListenOptions): { message: string; code: string; option: unknown } {
  try {
    checkTls('Gateway', tls);
  } catch (error) {
    if (!(error instanceof OptionsError)) throw error;
    return { message: error.message, code: error.code, option: error.fields.option };
  }
  throw new Error('accepted');
}

describe('the options of TLS', () => {
  it('are accepted when a server can be made of them', () => {
    checkTls('Gateway', localhost);
    checkTls('Gateway', { ...localhost, serverNames: { 'example.com': example, '*.example.org': wildcard } });
    checkTls('Gateway', { serverNames: { 'example.com': example }, minVersion: 'TLSv1.3' });
    checkTls('Gateway', { SNICallback: () => {} });
  });

  it.each<[string, TlsListenOptions, string, RegExp]>([
    ['nothing', {}, 'tls', /needs cert and key/],
    ['no key', { cert: localhost.cert }, 'tls.key', /is missing/],
    ['no cert', { key: localhost.key }, 'tls.cert', /is missing/],
    ['a path', { ...localhost, cert: '/etc/ssl/cert.pem' }, 'tls.cert', /readFileSync/],
    [
      'a bad key',
      { ...localhost, key: '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----' },
      'tls.key',
      /./,
    ],
    ['the key of another', { cert: localhost.cert, key: example.key }, 'tls.key', /mismatch/],
    ['a bad ca', { ...localhost, ca: 'x' }, 'tls.ca', /readFileSync/],
    ['bad ciphers', { ...localhost, ciphers: 'NOPE' }, 'tls', /cipher/],
    ['a bad version', { ...localhost, minVersion: 'TLSv9' as 'TLSv1.3' }, 'tls', /TLSv9/],
    ['no limit', { ...localhost, maxHandshakes: 0 }, 'tls.maxHandshakes', /at least 1/],
    [
      'a name without a key',
      { serverNames: { 'a.b': { cert: example.cert } } },
      "tls.serverNames['a.b'].key",
      /missing/,
    ],
    ['a name with nothing', { serverNames: { 'a.b': {} } }, "tls.serverNames['a.b']", /needs cert/],
    ['a name that is none', { serverNames: { 'a.*': example } }, "tls.serverNames['a.*']", /no server name/],
    ['two ways', { SNICallback: () => {}, serverNames: { 'a.b': example } }, 'tls.SNICallback', /one of them/],
  ])('are refused at once, with %s, naming what is wrong', (_what, tls, option, text) => {
    const found = problem(tls);
    expect(found).toMatchObject({ code: 'GW_TLS_INVALID', option });
    expect(found.message).toMatch(text);
    expect(found.message).not.toContain(localhost.key.slice(40, 80));
  });
});

describe('the certificate for a name', () => {
  const contexts = new Map([
    ['example.com', 1],
    ['*.example.com', 2],
    ['www.example.com', 3],
  ]);

  it.each([
    ['example.com', 1],
    ['EXAMPLE.com', 1],
    ['a.example.com', 2],
    ['www.example.com', 3],
    ['a.b.example.com', undefined],
    ['com', undefined],
    ['', undefined],
  ])('%j', (name, expected) => {
    expect(contextFor(contexts, name)).toBe(expected);
  });

  it('is what clients are shown; those who ask for no known name get the default', async () => {
    const tls = { ...localhost, serverNames: { 'example.com': example, '*.example.org': wildcard } };
    const { port } = await listening({ tls });
    const shown = async (servername?: string) => {
      await using client = await TlsClient.open(port, servername === undefined ? {} : { servername });
      return client.serverName;
    };
    expect(await shown('example.com')).toBe('example.com');
    expect(await shown('eu.example.org')).toBe('*.example.org');
    expect(await shown('example.org')).toBe('localhost');
    expect(await shown()).toBe('localhost');
  });

  it('is refused to a name nobody gave one for, where there is no default', async () => {
    const listener = await listening({ tls: { serverNames: { 'example.com': example } } });
    await using known = await TlsClient.open(listener.port, { servername: 'example.com' });
    expect(known.serverName).toBe('example.com');
    await using other = new TlsClient(listener.port, { servername: 'example.net' });
    await other.untilClosed();
    await eventually('the refusal', () => listener.refused.length === 1);
    expect(listener.refused[0]?.error.code).toBe('GW_CONNECTION_TLS_HANDSHAKE');
  });
});

describe('a connection with TLS', () => {
  it('carries messages both ways, and knows its peer', async () => {
    const listener = await listening({ tls: localhost });
    listener.owner.whenMessage = (connection, text) => void connection.send(`re: ${text}`);
    await using client = await TlsClient.open(listener.port);
    const connection = await listener.accepted();
    expect(connection.encrypted).toBe(true);
    expect([connection.remoteAddress, connection.remotePort]).toEqual(['127.0.0.1', client.socket.localPort]);
    client.write('a\nb\n');
    await client.untilText('re: a\nre: b\n');
    const { localPort } = client.socket;
    client.socket.end();
    await eventually('the end', () => listener.owner.count('close') === 1);
    expect(connection.remotePort).toBe(localPort);
  });

  it('writes what it is sent during a turn at once', async () => {
    const listener = await listening({ tls: localhost });
    await using client = await TlsClient.open(listener.port);
    const connection = await listener.accepted();
    const writes: number[] = [];
    const wire = listener.wires[0] as Wire;
    const { write, mark } = wire;
    wire.write = (bytes) => {
      writes.push(bytes.length);
      write.call(wire, bytes);
    };
    wire.mark = () => {
      writes.push(0);
      mark.call(wire);
    };
    for (let turn = 0; turn < 20; turn++) {
      for (let index = 0; index < 10; index++) connection.send('message');
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    await eventually('all', () => client.received === 20 * 80);
    // Neither a write for each message nor a marker for each write.
    expect(writes).toEqual(Array.from({ length: 20 }, () => 80));
    expect(listener.owner.count('drain')).toBe(0);
  });

  it('delivers what was sent in many turns whole and in order, own and shared', async () => {
    const listener = await listening({ tls: localhost, codec: textCodec });
    const clients = await Promise.all([1, 2, 3].map(() => TlsClient.open(listener.port)));
    await listener.accepted(2);
    let expected = '';
    for (let turn = 0; turn < 200; turn++) {
      const frame = shareFrame(textCodec, `shared ${turn} ${'x'.repeat(turn * 20)}`, false);
      expected += `shared ${turn} ${'x'.repeat(turn * 20)}\nown ${turn}\n`;
      for (const connection of listener.connections) connection.sendShared(frame);
      for (const connection of listener.connections) connection.send(`own ${turn}`);
      await new Promise((resolve) => setImmediate(resolve));
    }
    for (const client of clients) {
      await eventually('all of it', () => client.received >= expected.length);
      expect(client.text).toBe(expected);
      await client[Symbol.asyncDispose]();
    }
  });

  it('drops messages whole for a peer that does not read, and tells when it has caught up', async () => {
    const listener = await listening({ tls: localhost, codec: tcpCodec, limits: { maxSendBufferSize: 100_000 } });
    await using client = await TlsClient.open(listener.port);
    client.socket.pause();
    const connection = await listener.accepted();
    const chunk = Buffer.alloc(50_000, 'x');
    let taken = 0;
    await eventually('a full queue', async () => {
      if (connection.send(chunk)) taken++;
      await new Promise((resolve) => setImmediate(resolve));
      return listener.owner.count('fail') > 0;
    });
    expect(listener.owner.count('full')).toBeGreaterThan(0);
    expect(connection.sendQueueSize).toBeGreaterThanOrEqual(100_000);
    expect(connection.sendQueueSize).toBeLessThan(200_000);
    const drains = listener.owner.count('drain');
    client.socket.resume();
    await eventually('all that was taken', () => client.received === taken * 50_000);
    await eventually('the drain', () => listener.owner.count('drain') > drains);
    expect(connection.send('y')).toBe(true);
    await eventually('the rest', () => client.received === taken * 50_000 + 1);
  });

  it('delivers what is sent while its queue fills and empties at every turn', async () => {
    const listener = await listening({ tls: localhost, codec: tcpCodec, limits: { maxSendBufferSize: 1000 } });
    await using client = await TlsClient.open(listener.port);
    const connection = await listener.accepted();
    const sent: Buffer[] = [];
    for (let turn = 0; turn < 600; turn++) {
      const bytes = Buffer.alloc(turn % 3 === 0 ? 1200 : 300, turn % 251);
      if (connection.send(bytes)) sent.push(bytes);
      if (turn % 5 !== 4) await new Promise((resolve) => (turn % 2 ? setImmediate(resolve) : setTimeout(resolve, 0)));
    }
    const expected = Buffer.concat(sent);
    await eventually('all of it', () => client.received >= expected.length);
    expect(Buffer.concat(client.chunks).equals(expected)).toBe(true);
    expect(listener.owner.count('drain')).toBeGreaterThan(10);
  });

  it('tells of a drain when a single turn filled the queue', async () => {
    const listener = await listening({ tls: localhost, codec: tcpCodec, limits: { maxSendBufferSize: 1000 } });
    await using client = await TlsClient.open(listener.port);
    const connection = await listener.accepted();
    connection.send(Buffer.alloc(1000));
    expect(listener.owner.events).toEqual(['full']);
    await eventually('the drain', () => listener.owner.count('drain') === 1);
    await eventually('the bytes', () => client.received === 1000);
  });

  it('is not read while it is paused, and loses nothing', async () => {
    const listener = await listening({ tls: localhost });
    await using client = await TlsClient.open(listener.port);
    const connection = await listener.accepted();
    connection.pauseRecv();
    client.write('a\n');
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(listener.owner.messages).toEqual([]);
    connection.resumeRecv();
    await eventually('the message', () => listener.owner.messages.length === 1);
  });

  it('sends its last message, says that it is the end, and is gone when the peer hangs up', async () => {
    const listener = await listening({ tls: localhost });
    await using client = await TlsClient.open(listener.port);
    const connection = await listener.accepted();
    connection.send('one');
    connection.close('last');
    await client.untilText('one\nlast\n');
    await client.untilClosed();
    await eventually('the end', () => listener.owner.count('close') === 1);
    expect([client.ended, client.error]).toEqual([true, null]);
  });

  it('ends at once when it is destroyed, and when the peer is cut off', async () => {
    const listener = await listening({ tls: localhost });
    await using first = await TlsClient.open(listener.port);
    (await listener.accepted()).destroy();
    await first.untilClosed();
    await using second = await TlsClient.open(listener.port);
    await listener.accepted(1);
    second.socket.destroy();
    await eventually('both ends', () => listener.owner.count('close') === 2);
  });
});

describe('a TLS handshake', () => {
  it('of a client without TLS ends soon, and the owner hears only why', async () => {
    const listener = await listening({ tls: localhost });
    await using plain = await TcpClient.open(listener.port);
    const { localPort } = plain.socket;
    plain.write('GET / HTTP/1.1\r\n\r\n');
    await plain.untilClosed(2000);
    expect(listener.refused).toHaveLength(1);
    expect(listener.refused[0]?.peer).toBe(`127.0.0.1:${localPort}`);
    expect(listener.refused[0]?.error).toMatchObject({
      code: 'GW_CONNECTION_TLS_HANDSHAKE',
      fields: { reason: 'ERR_SSL_HTTP_REQUEST' },
    });
    expect(listener.owner.events).toEqual([]);
    expect(listener.handshakes).toBe(0);
  });

  it('that takes too long is ended, also when bytes drip in', async () => {
    const listener = await listening({ tls: localhost, limits: { handshakeTimeout: 0.3 } });
    await using silent = await TcpClient.open(listener.port);
    await using dripping = await TcpClient.open(listener.port);
    const hello = Buffer.from('160301020001', 'hex');
    let sent = 0;
    const drip = setInterval(() => dripping.write(hello.subarray(sent, ++sent)), 80);
    await eventually('both handshakes', () => listener.handshakes === 2);
    await silent.untilClosed(2000);
    await dripping.untilClosed(2000);
    clearInterval(drip);
    expect(listener.refused.map(({ error }) => error.code)).toEqual([
      'GW_CONNECTION_HANDSHAKE_TIMEOUT',
      'GW_CONNECTION_HANDSHAKE_TIMEOUT',
    ]);
    expect(sent).toBeGreaterThan(1);
    expect(listener.handshakes).toBe(0);
  });

  it('is refused beyond the limit, and not at it', async () => {
    const listener = await listening({ tls: { ...localhost, maxHandshakes: 2 } });
    const first = await TcpClient.open(listener.port);
    await using second = await TcpClient.open(listener.port);
    await eventually('two handshakes', () => listener.handshakes === 2);
    await using third = await TcpClient.open(listener.port);
    await third.untilClosed();
    expect(listener.refused.map(({ error }) => error.code)).toEqual(['GW_CONNECTION_TLS_BUSY']);
    expect(second.closed).toBe(false);
    // Whoever gives up makes room and is not worth a word.
    first.socket.destroy();
    await eventually('one handshake', () => listener.handshakes === 1);
    await using client = await TlsClient.open(listener.port);
    await listener.accepted();
    expect(client.closed).toBe(false);
    expect([listener.handshakes, listener.refused.length]).toEqual([1, 1]);
  });

  it('ends with the listener', async () => {
    const listener = await listening({ tls: localhost });
    await using half = await TcpClient.open(listener.port);
    await eventually('the handshake', () => listener.handshakes === 1);
    await listener.close();
    await half.untilClosed();
    expect(listener.refused).toEqual([]);
  });
});
