import { describe, expect, it, vi } from 'vitest';
import type { Client } from '../../../src/cluster/business/mod.js';
import type { Authenticate } from '../../../src/cluster/gateway/mod.js';
import { Gateway } from '../../../src/cluster/gateway/mod.js';
import type { GatewayOptions } from '../../../src/cluster/gateway/options.js';
import { Command } from '../../../src/cluster/protocol/mod.js';
import { startCluster } from '../../../src/testing/mod.js';
import { OptionsError } from '../../../src/util/mod.js';
import { clientFrame, request, SAMPLE_REQUEST } from '../../support/client-frames.js';
import { eventually } from '../../support/eventually.js';
import { startGateway, type TestGateway } from '../../support/gateway-link.js';
import { proxyV2 } from '../../support/proxy-headers.js';
import { TcpClient } from '../../support/tcp-client.js';

const { ON_CONNECT, ON_WEBSOCKET_CONNECT, ON_MESSAGE, ON_CLOSE, SEND_TO_ONE } = Command;

const start = (options: Partial<GatewayOptions>) => startGateway(options, { scheme: 'websocket' });

/** What a request with these headers more is answered, and by then it is all over unless it was let in. */
async function asked(gateway: TestGateway, ...headers: string[]): Promise<TcpClient> {
  const client = await TcpClient.open(gateway.port);
  client.write(request([...SAMPLE_REQUEST, ...headers]));
  await eventually('an answer', () => client.text.includes('\r\n\r\n') && (statusOf(client) === 101 || client.closed));
  return client;
}

function statusOf({ text }: TcpClient): number {
  return Number(/^HTTP\/1\.1 (\d+) /.exec(text)?.[1]);
}

describe('origins', () => {
  it('lets in pages of these, and who is no browser; others get 403 before any hook', async () => {
    const onWebSocketConnect = vi.fn();
    const authenticate = vi.fn(() => true);
    await using gateway = await start({ origins: ['https://example.org'], onWebSocketConnect, authenticate });
    const worker = gateway.link.join();
    await using page = await asked(gateway, 'Origin: https://example.org');
    await using program = await asked(gateway);
    expect([statusOf(page), statusOf(program)]).toEqual([101, 101]);
    expect([authenticate, onWebSocketConnect].map(({ mock }) => mock.calls.length)).toEqual([2, 2]);
    await using other = await asked(gateway, 'Origin: https://evil.net');
    expect(statusOf(other)).toBe(403);
    expect([authenticate, onWebSocketConnect].map(({ mock }) => mock.calls.length)).toEqual([2, 2]);
    await eventually('ON_CLOSE', () => worker.commands.includes(ON_CLOSE));
    expect(worker.commands.filter((cmd) => cmd === ON_WEBSOCKET_CONNECT)).toHaveLength(2);
    expect(gateway.process.figures().dropped).toEqual({ originRefused: 1 });
    expect(gateway.logger.of('warn')[0]?.fields).toMatchObject({
      code: 'GW_CONNECTION_ORIGIN',
      origin: 'https://evil.net',
      client: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
    });
  });

  it('that are a function which throws, or answers anything but true, let nobody in', async () => {
    const origins = (origin: string | undefined) => {
      if (origin === undefined) throw new Error('of the function');
      return origin as unknown as boolean;
    };
    await using gateway = await start({ origins });
    await using none = await asked(gateway);
    await using truthy = await asked(gateway, 'Origin: https://example.org');
    expect([statusOf(none), statusOf(truthy)]).toEqual([403, 403]);
    expect(gateway.logger.of('error')[0]?.fields).toMatchObject({ code: 'GW_GATEWAY_HOOK', hook: 'origins' });
  });
});

describe('authenticate', () => {
  it.each<[string, Authenticate]>([
    ['at once', ({ uri }) => uri === '/chat?room=1'],
    ['later', async ({ uri }) => uri === '/chat?room=1'],
  ])(
    'lets in with true, %s; what the client has sent meanwhile comes behind its handshake',
    async (_when, authenticate) => {
      await using gateway = await start({ authenticate });
      const worker = gateway.link.join();
      await using client = await TcpClient.open(gateway.port);
      client.write(Buffer.concat([request(), clientFrame(1, 'a'), clientFrame(1, 'b')]));
      await eventually('both', () => worker.bodies(ON_MESSAGE).length === 2);
      expect(worker.commands).toEqual([ON_CONNECT, ON_WEBSOCKET_CONNECT, ON_MESSAGE, ON_MESSAGE]);
      expect(worker.bodies(ON_MESSAGE)).toEqual(['a', 'b']);
      await eventually('the answer', () => statusOf(client) === 101);
      expect(gateway.process.figures().dropped).toEqual({});
    },
  );

  it('has the handshake wait: nothing is answered, read or sent before it says so', async () => {
    const decide: ((allowed: boolean) => void)[] = [];
    const onWebSocketConnect = vi.fn();
    const authenticate: Authenticate = () => new Promise((resolve) => void decide.push(resolve));
    await using gateway = await start({ authenticate, onWebSocketConnect });
    const worker = gateway.link.join();
    await using client = await TcpClient.open(gateway.port);
    client.write(request());
    await eventually('the question', () => decide.length === 1);
    client.write(clientFrame(1, 'early'));
    gateway.link.command(SEND_TO_ONE, 1, '', 'hello');
    const [entry] = gateway.process.clients.all;
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect([client.text, worker.commands, onWebSocketConnect.mock.calls.length]).toEqual(['', [ON_CONNECT], 0]);
    expect([entry?.connection.receiving, entry?.connection.paused]).toEqual([false, false]);
    decide[0]?.(true);
    await eventually('the message', () => worker.bodies(ON_MESSAGE)[0] === 'early');
    await eventually('what was sent to it', () => client.text.includes('hello'));
    expect(client.text).toMatch(/^HTTP\/1\.1 101 /);
    expect(worker.commands).toEqual([ON_CONNECT, ON_WEBSOCKET_CONNECT, ON_MESSAGE]);
  });

  it('does not have the client fill the memory meanwhile', async () => {
    const decide: ((allowed: boolean) => void)[] = [];
    const authenticate: Authenticate = () => new Promise((resolve) => void decide.push(resolve));
    await using gateway = await start({ authenticate });
    const worker = gateway.link.join();
    await using client = await TcpClient.open(gateway.port);
    client.write(request());
    await eventually('the question', () => decide.length === 1);
    const frame = clientFrame(2, Buffer.alloc(1_000_000));
    for (let count = 0; count < 8; count++) client.write(frame);
    await new Promise((resolve) => setTimeout(resolve, 200));
    const [entry] = gateway.process.clients.all;
    expect(entry?.connection.bytesRead).toBeLessThan(200_000);
    expect(client.socket.writableLength).toBeGreaterThan(0);
    decide[0]?.(true);
    await eventually('all of them', () => worker.bodies(ON_MESSAGE).length === 8);
  });

  it('keeps a client in order that finds no worker when it is let in', async () => {
    const authenticate: Authenticate = async () => true;
    await using gateway = await start({ authenticate });
    await using client = await TcpClient.open(gateway.port);
    client.write(Buffer.concat([request(), clientFrame(1, 'a')]));
    await eventually('the answer', () => statusOf(client) === 101);
    const worker = gateway.link.join();
    await eventually('the message', () => worker.bodies(ON_MESSAGE)[0] === 'a');
    expect(worker.commands).toEqual([ON_CONNECT, ON_WEBSOCKET_CONNECT, ON_MESSAGE]);
  });

  it.each<[string, Authenticate, RegExp]>([
    ['false', () => false, /^HTTP\/1\.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n$/],
    [
      'a status, headers and a reason',
      async () => ({ status: 401, headers: { 'WWW-Authenticate': 'Bearer' }, reason: 'who are you?' }),
      /^HTTP\/1\.1 401 Unauthorized\r\n(?:.+\r\n)*Content-Length: 12\r\n(?:.+\r\n)*WWW-Authenticate: Bearer\r\n\r\nwho are you\?$/,
    ],
    ['429', () => ({ status: 429, headers: { 'Retry-After': '5' } }), /^HTTP\/1\.1 429 Too Many Requests\r\n/],
    ['a status without a name', () => ({ status: 499 }), /^HTTP\/1\.1 499 Refused\r\n/],
  ])('refuses with %s', async (_what, authenticate, answer) => {
    await using gateway = await start({ authenticate });
    const worker = gateway.link.join();
    await using client = await asked(gateway);
    expect(client.text).toMatch(answer);
    await eventually('ON_CLOSE', () => worker.commands.length === 2);
    expect(worker.commands).toEqual([ON_CONNECT, ON_CLOSE]);
    expect(gateway.process.figures().dropped).toEqual({ unauthenticated: 1 });
    expect(gateway.logger.of('error')).toEqual([]);
  });

  it.each<[string, () => unknown]>([
    ['throws', () => JSON.parse('{')],
    ['rejects', async () => JSON.parse('{')],
    ['answers nothing', () => undefined],
    ['answers what is true but not true', () => 'ada'],
    ['has a status below 300', () => ({ status: 200 })],
    ['has a status that is none', () => ({ status: 600 })],
    ['has a header that would split the answer', () => ({ status: 401, headers: { 'X-Name': 'a\r\nX-Evil: b' } })],
    ['has a header of the handshake', async () => ({ status: 401, headers: { 'Content-Length': '7' } })],
  ])('that %s lets nobody in, with status 500, and is reported', async (_what, authenticate) => {
    await using gateway = await start({ authenticate: authenticate as Authenticate });
    await using client = await asked(gateway);
    expect(client.text).toMatch(/^HTTP\/1\.1 500 /);
    expect(client.text).not.toContain('Evil');
    expect(gateway.process.figures().dropped).toEqual({ unauthenticated: 1, failedHooks: 1 });
    expect(gateway.logger.of('error')[0]?.fields).toMatchObject({ code: 'GW_GATEWAY_HOOK', hook: 'authenticate' });
  });

  it('has as much time as a handshake; a later answer changes nothing', async () => {
    const decide: ((allowed: boolean) => void)[] = [];
    const authenticate: Authenticate = () => new Promise((resolve) => void decide.push(resolve));
    const onWebSocketConnect = vi.fn();
    await using gateway = await start({ authenticate, onWebSocketConnect, handshakeTimeout: 0.2 });
    const worker = gateway.link.join();
    await using client = await asked(gateway);
    expect(statusOf(client)).toBe(503);
    expect(gateway.logger.of('warn')[0]?.fields).toMatchObject({ code: 'GW_CONNECTION_HANDSHAKE_TIMEOUT' });
    decide[0]?.(true);
    await new Promise((resolve) => setImmediate(resolve));
    await eventually('ON_CLOSE', () => worker.commands.length === 2);
    expect([worker.commands, onWebSocketConnect.mock.calls]).toEqual([[ON_CONNECT, ON_CLOSE], []]);
  });

  it('may answer when its client has gone, or the gateway is about to', async () => {
    const decide: ((allowed: boolean) => void)[] = [];
    const authenticate: Authenticate = () => new Promise((resolve) => void decide.push(resolve));
    await using gateway = await start({ authenticate });
    const worker = gateway.link.join();
    const gone = await TcpClient.open(gateway.port);
    gone.write(request());
    await eventually('the question', () => decide.length === 1);
    gone.socket.resetAndDestroy();
    await using waiting = await TcpClient.open(gateway.port);
    waiting.write(request());
    await eventually('the question', () => decide.length === 2);
    decide[0]?.(true);
    await eventually('its end', () => gateway.process.clients.size === 1);
    await gateway.process.stop(AbortSignal.abort());
    decide[1]?.(true);
    await eventually('the end', () => waiting.closed);
    expect(statusOf(waiting)).toBe(503);
    expect(worker.commands.filter((cmd) => cmd === ON_CLOSE)).toHaveLength(2);
  });

  it('is given the client, for its address and as a key', async () => {
    const seen: unknown[] = [];
    const authenticate: Authenticate = (_request, client) => {
      client.context = 'mine';
      return true;
    };
    const onWebSocketConnect: GatewayOptions['onWebSocketConnect'] = (client) =>
      seen.push(client.context, client.remoteAddress);
    await using gateway = await start({ authenticate, onWebSocketConnect });
    await using _client = await asked(gateway);
    expect(seen).toEqual(['mine', '127.0.0.1']);
  });
});

describe('trusted proxies', () => {
  const proxied = { trustedProxies: ['127.0.0.1'] };

  it('say where a client comes from, to hooks, workers and logs', async () => {
    const seen: unknown[] = [];
    const onWebSocketConnect: GatewayOptions['onWebSocketConnect'] = (client) =>
      seen.push(client.remoteAddress, client.remotePort);
    await using gateway = await start({ ...proxied, onWebSocketConnect });
    const worker = gateway.link.join();
    await using client = await asked(gateway, 'X-Forwarded-For: 198.51.100.1, 203.0.113.7:4711');
    client.write(clientFrame(1, 'a'));
    await eventually('the message', () => worker.events.length === 3);
    expect(seen).toEqual(['203.0.113.7', 4711]);
    const heads = worker.events.map(({ head }) => [head.clientIp, head.clientPort]);
    expect(heads[0]?.[0]).toBe(0x7f00_0001);
    expect(heads.slice(1)).toEqual([
      [0xcb00_7107, 4711],
      [0xcb00_7107, 4711],
    ]);
    expect(worker.bodies(ON_WEBSOCKET_CONNECT)[0]).toContain('s:11:"REMOTE_ADDR";s:11:"203.0.113.7"');
    const [connection] = gateway.process.openConnections();
    expect([connection?.remoteAddress, connection?.remotePort]).toEqual(['203.0.113.7', 4711]);
    client.write(clientFrame(1, 'a', { mask: null }));
    await client.untilClosed();
    expect(gateway.logger.of('warn')[0]?.fields.client).toBe('203.0.113.7:4711');
  });

  it('change what the client object says when its handshake is done, also while a handler is at work for it', async () => {
    const seen: string[] = [];
    const note = (name: string, { remoteAddress, remotePort }: Client) =>
      void seen.push(`${name} ${remoteAddress} ${remotePort > 0}`);
    await using cluster = await startCluster({
      gateways: ['websocket://127.0.0.1:0'],
      gatewayOptions: { trustedProxies: ['127.0.0.1'] },
      events: {
        onConnect: async (client) => {
          note('onConnect', client);
          await eventually('the handshake', () => client.remoteAddress !== '127.0.0.1');
        },
        onWebSocketConnect: (client, request) => {
          note('onWebSocketConnect', client);
          seen.push(request.remoteAddress);
        },
        onMessage: (client) => note('onMessage', client),
      },
    });
    const client = await cluster.connect(0, { headers: { 'X-Forwarded-For': '203.0.113.7' } });
    client.send('a');
    await eventually('the message', () => seen.length === 4);
    expect(seen).toEqual([
      'onConnect 127.0.0.1 true',
      'onWebSocketConnect 203.0.113.7 false',
      '203.0.113.7',
      'onMessage 203.0.113.7 false',
    ]);
  });

  it('are believed, and nobody else is', async () => {
    for (const trustedProxies of [null, ['10.0.0.0/8']]) {
      await using gateway = await start({ trustedProxies });
      const worker = gateway.link.join();
      await using _client = await asked(gateway, 'X-Forwarded-For: 203.0.113.7', 'X-Real-IP: 203.0.113.7');
      await eventually('the handshake', () => worker.events.length === 2);
      expect(worker.events[1]?.head.clientIp).toBe(0x7f00_0001);
    }
  });

  it('are not counted as one client; those they tell of are, and get 429 beyond the limit', async () => {
    await using gateway = await start({ ...proxied, maxConnectionsPerAddress: 1 });
    gateway.link.join();
    const from = (address: string) => asked(gateway, `X-Forwarded-For: ${address}`);
    const first = await from('203.0.113.1');
    await using second = await from('203.0.113.2');
    await using third = await from('203.0.113.1');
    expect([first, second, third].map(statusOf)).toEqual([101, 101, 429]);
    await eventually('two', () => gateway.process.clients.size === 2);
    expect(gateway.process.figures().dropped).toEqual({ tooManyFromAddress: 1 });
    first.socket.destroy();
    await eventually('one', () => gateway.process.clients.size === 1);
    await using again = await from('203.0.113.1');
    expect(statusOf(again)).toBe(101);
  });

  it('with proxyProtocol say it before anything else, to all: also in ON_CONNECT', async () => {
    await using gateway = await startGateway({ ...proxied, proxyProtocol: true });
    const worker = gateway.link.join();
    await using client = await TcpClient.open(gateway.port);
    client.write(Buffer.concat([proxyV2({ address: '203.0.113.7', port: 4711 }), Buffer.from('a\n')]));
    await eventually('the message', () => worker.events.length === 2);
    expect(worker.events.map(({ head }) => [head.clientIp, head.clientPort])).toEqual([
      [0xcb00_7107, 4711],
      [0xcb00_7107, 4711],
    ]);
    await using wrong = await TcpClient.open(gateway.port);
    wrong.write('a\n');
    await wrong.untilClosed();
    expect(gateway.process.figures().dropped).toEqual({ badProxyHeader: 1 });
  });
});

describe('options that mean nothing without another', () => {
  it.each<[string, string, Partial<GatewayOptions>]>([
    ['websocket', 'proxyProtocol', { proxyProtocol: 'v2' }],
    ['text', 'origins', { origins: ['https://example.org'] }],
    ['text', 'authenticate', { authenticate: () => true }],
  ])('over %s are refused: %s', (scheme, option, options) => {
    const make = () => new Gateway(`${scheme}://127.0.0.1:0`, options);
    expect(make).toThrow(OptionsError);
    expect(make).toThrow(option);
  });
});
