import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { Gateway } from '../../../src/cluster/gateway/mod.js';
import { Command } from '../../../src/cluster/protocol/mod.js';
import { OptionsError } from '../../../src/util/mod.js';
import { testCertificate } from '../../support/certificates.js';
import { eventually } from '../../support/eventually.js';
import { startGateway } from '../../support/gateway-link.js';
import { TcpClient } from '../../support/tcp-client.js';
import { TlsClient } from '../../support/tls-client.js';

const { ON_CONNECT, ON_WEBSOCKET_CONNECT, ON_MESSAGE, ON_CLOSE, SEND_TO_ONE, KICK } = Command;
const tls = testCertificate('localhost');

describe('a gateway with TLS', () => {
  it.each([
    ['text', 'a\n', 'b\n'],
    ['frame', Buffer.from('\0\0\0\x05a'), '\0\0\0\x05b'],
    ['tcp', 'a', 'b'],
  ])('takes messages of %s and sends them', async (scheme, bytes, reply) => {
    await using gateway = await startGateway({ tls }, { scheme });
    const worker = gateway.link.join();
    await using client = await TlsClient.open(gateway.port);
    client.write(bytes);
    await eventually('the message', () => worker.bodies(ON_MESSAGE).length === 1);
    expect(worker.bodies(ON_MESSAGE)).toEqual(['a']);
    expect(worker.events[0]?.head).toMatchObject({ clientIp: 0x7f00_0001, clientPort: client.socket.localPort });
    gateway.link.command(SEND_TO_ONE, 1, '', 'b');
    await client.untilText(reply);
    gateway.link.command(KICK, 1, '', 'b');
    await client.untilText(reply + reply);
    await client.untilClosed();
    await eventually('ON_CLOSE', () => worker.commands.at(-1) === ON_CLOSE);
  });

  it('is wss:// with WebSocket, up to the close frame', async () => {
    await using gateway = await startGateway({ tls }, { scheme: 'websocket' });
    const worker = gateway.link.join();
    const socket = new WebSocket(`wss://127.0.0.1:${gateway.port}/?a=1`, { rejectUnauthorized: false });
    const heard: string[] = [];
    socket.on('message', (data) => heard.push(String(data)));
    await once(socket, 'open');
    const big = 'x'.repeat(300_000);
    socket.send(big);
    await eventually('the message', () => worker.bodies(ON_MESSAGE).length === 1);
    expect(worker.commands).toEqual([ON_CONNECT, ON_WEBSOCKET_CONNECT, ON_MESSAGE]);
    expect(worker.bodies(ON_MESSAGE)[0]).toBe(big);
    gateway.link.command(SEND_TO_ONE, 1, '', big);
    gateway.link.command(KICK, 1, '', 'last');
    const [code] = await once(socket, 'close');
    expect([code, heard.length, heard[0]?.length, heard[1]]).toEqual([1000, 2, big.length, 'last']);
  });

  it('says once what clients without TLS do wrong, and no worker hears of them', async () => {
    await using gateway = await startGateway({ tls }, { scheme: 'websocket' });
    const worker = gateway.link.join();
    for (let count = 0; count < 3; count++) {
      await using plain = await TcpClient.open(gateway.port);
      plain.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
      await plain.untilClosed(2000);
    }
    expect(gateway.logger.of('warn')).toHaveLength(1);
    expect(gateway.logger.of('warn')[0]?.fields).toMatchObject({ code: 'GW_CONNECTION_TLS_HANDSHAKE' });
    expect([worker.events, gateway.process.figures().dropped]).toEqual([[], { tlsRefused: 3 }]);
  });

  it('gives a handshake its time and no more', async () => {
    await using gateway = await startGateway({ tls, handshakeTimeout: 0.2 }, { scheme: 'websocket' });
    gateway.link.join();
    await using silent = await TcpClient.open(gateway.port);
    await silent.untilClosed(2000);
    expect(gateway.logger.of('warn')[0]?.fields).toMatchObject({ code: 'GW_CONNECTION_HANDSHAKE_TIMEOUT' });
  });

  it('is not made with a certificate that can not be used', () => {
    const make = () => new Gateway('websocket://127.0.0.1:0', { tls: { ...tls, key: 'key.pem' } });
    expect(make).toThrow(OptionsError);
    expect(make).toThrow("Gateway: option 'tls.key' must be the PEM itself, not a path: readFileSync(path)");
  });

  it('says so where it listens', () => {
    const gateway = new Gateway('websocket://127.0.0.1:8443', { tls });
    expect(gateway.plannedListens()[0]).toEqual({
      address: 'websocket://127.0.0.1:8443 (tls)',
      host: '127.0.0.1',
      port: 8443,
    });
  });
});
