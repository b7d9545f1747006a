import { describe, expect, it } from 'vitest';
import { Command } from '../../src/cluster/protocol/mod.js';
import { testCertificate } from '../support/certificates.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/free-port.js';
import { type FakeWorker, startGateway } from '../support/gateway-link.js';
import { proxyMissing, startProxy } from '../support/proxies.js';
import { TcpClient } from '../support/tcp-client.js';
import { TlsClient } from '../support/tls-client.js';
import { WsClient } from '../support/ws-client.js';

const { ON_CONNECT, ON_WEBSOCKET_CONNECT, ON_MESSAGE, SEND_TO_ONE } = Command;
const trustedProxies = ['127.0.0.1'];

/** Addresses and ports that events of this kind came with. */
function senders(worker: FakeWorker, cmd: number): (readonly [string, number])[] {
  return worker.events
    .filter(({ head }) => head.cmd === cmd)
    .map(({ head: { clientIp, clientPort } }) => {
      const bytes = [24, 16, 8, 0].map((shift) => (clientIp >>> shift) & 0xff);
      return [bytes.join('.'), clientPort] as const;
    });
}

const nginxMissing = proxyMissing('nginx');
const haproxyMissing = proxyMissing('haproxy');

describe.skipIf(nginxMissing)(`behind nginx${nginxMissing === undefined ? '' : ` (${nginxMissing})`}`, () => {
  it.each([
    ['X-Forwarded-For', 'X-Forwarded-For $remote_addr'],
    ['X-Forwarded-For, appended to what the client says', 'X-Forwarded-For $proxy_add_x_forwarded_for'],
    ['X-Real-IP', 'X-Real-IP $remote_addr'],
  ])('a WebSocket client is known by %s', async (_header, line) => {
    await using gateway = await startGateway({ trustedProxies }, { scheme: 'websocket' });
    const worker = gateway.link.join();
    const port = await freePort();
    await using _nginx = await startProxy(
      'nginx',
      port,
      `server {
        listen 127.0.0.1:${port};
        # A client at an address that is not the proxy's.
        set_real_ip_from 127.0.0.1;
        real_ip_header X-Test-Client;
        location / {
          proxy_pass http://127.0.0.1:${gateway.port};
          proxy_http_version 1.1;
          proxy_set_header Upgrade $http_upgrade;
          proxy_set_header Connection upgrade;
          proxy_set_header ${line};
        }
      }`,
    );
    const headers = { 'X-Test-Client': '203.0.113.7', 'X-Forwarded-For': '198.51.100.1' };
    await using client = await WsClient.open(port, '/', line.startsWith('X-Real') ? {} : headers);
    client.socket.send('hello');
    await eventually('the message', () => worker.bodies(ON_MESSAGE)[0] === 'hello');
    const expected = line.startsWith('X-Real') ? '127.0.0.1' : '203.0.113.7';
    expect(senders(worker, ON_WEBSOCKET_CONNECT)).toEqual([[expected, 0]]);
    expect(senders(worker, ON_MESSAGE)).toEqual([[expected, 0]]);
    gateway.link.command(SEND_TO_ONE, worker.events[0]?.head.connectionId, '', 'hi');
    await eventually('the answer', () => client.texts[0] === 'hi');
  });
});

describe.skipIf(haproxyMissing)(`behind HAProxy${haproxyMissing === undefined ? '' : ` (${haproxyMissing})`}`, () => {
  const tcp = (port: number, target: number, send: string) => `
listen text
  mode tcp
  bind 127.0.0.1:${port}
  server gateway 127.0.0.1:${target} ${send}
`;

  it.each([
    ['send-proxy', 'v1'],
    ['send-proxy-v2', 'v2'],
  ] as const)('a client is known by %s from the beginning', async (send, proxyProtocol) => {
    await using gateway = await startGateway({ trustedProxies, proxyProtocol });
    const worker = gateway.link.join();
    const port = await freePort();
    // Its health checks come with a header too, and hang up.
    await using _haproxy = await startProxy('haproxy', port, tcp(port, gateway.port, `${send} check inter 100`));
    await using client = await TcpClient.open(port);
    client.write('hello\n');
    await eventually('the message', () => worker.bodies(ON_MESSAGE)[0] === 'hello');
    const { localPort } = client.socket;
    expect(senders(worker, ON_CONNECT)).toContainEqual(['127.0.0.1', localPort]);
    expect(senders(worker, ON_MESSAGE)).toEqual([['127.0.0.1', localPort]]);
    const message = worker.events.find(({ head }) => head.cmd === ON_MESSAGE);
    gateway.link.command(SEND_TO_ONE, message?.head.connectionId, '', 'hi');
    await client.untilText('hi\n');
    expect([gateway.logger.of('warn'), gateway.process.figures().dropped]).toEqual([[], {}]);
  });

  it('one with TLS that goes through to the gateway is too', async () => {
    const tls = testCertificate('localhost');
    await using gateway = await startGateway({ trustedProxies, proxyProtocol: 'v2', tls });
    const worker = gateway.link.join();
    const port = await freePort();
    await using _haproxy = await startProxy('haproxy', port, tcp(port, gateway.port, 'send-proxy-v2'));
    await using client = await TlsClient.open(port);
    client.write('hello\n');
    await eventually('the message', () => worker.bodies(ON_MESSAGE)[0] === 'hello');
    expect(senders(worker, ON_MESSAGE)).toEqual([['127.0.0.1', client.socket.localPort]]);
  });

  it('a WebSocket client is known by option forwardfor, whatever it says itself', async () => {
    await using gateway = await startGateway({ trustedProxies }, { scheme: 'websocket' });
    const worker = gateway.link.join();
    const port = await freePort();
    await using _haproxy = await startProxy(
      'haproxy',
      port,
      `
listen websocket
  mode http
  bind 127.0.0.1:${port}
  http-request set-src req.hdr(X-Test-Client)
  http-request del-header X-Forwarded-For
  option forwardfor
  server gateway 127.0.0.1:${gateway.port}
`,
    );
    const headers = { 'X-Test-Client': '203.0.113.7', 'X-Forwarded-For': '198.51.100.1' };
    await using client = await WsClient.open(port, '/', headers);
    client.socket.send('hello');
    await eventually('the message', () => worker.bodies(ON_MESSAGE)[0] === 'hello');
    expect(senders(worker, ON_MESSAGE)).toEqual([['203.0.113.7', 0]]);
  });
});
