import { describe, expect, it } from 'vitest';
import { WebSocketPings } from '../../../src/cluster/gateway/websocket-pings.js';
import { Command } from '../../../src/cluster/protocol/mod.js';
import { clientFrame, request } from '../../support/client-frames.js';
import { eventually } from '../../support/eventually.js';
import { startGateway } from '../../support/gateway-link.js';
import { TcpClient } from '../../support/tcp-client.js';
import { WsClient } from '../../support/ws-client.js';

const client = () => ({ heartbeat: -1, heardBytes: 0 });
const PING = Buffer.of(0x89, 0);

describe('WebSocketPings', () => {
  it.each([
    // Bytes read by each tick, and what happens at it.
    ['says nothing', [5, 5, 5], 'nothing send destroy'],
    ['said nothing from the beginning', [0, 0, 0], 'nothing send destroy'],
    ['answers', [5, 5, 7, 7, 9], 'nothing send nothing send nothing'],
    ['talks', [5, 6, 7, 8], 'nothing nothing nothing nothing'],
    ['falls silent later', [5, 6, 6, 6], 'nothing nothing send destroy'],
  ])('for one who %s', (_who, bytes, actions) => {
    const pings = new WebSocketPings(25);
    const one = client();
    expect(bytes.map((read) => pings.tick(one, read)).join(' ')).toBe(actions);
  });

  it('gives one who was excused a whole interval again', () => {
    const pings = new WebSocketPings(25);
    const one = client();
    expect([5, 5].map((read) => pings.tick(one, read))).toEqual(['nothing', 'send']);
    pings.excuse(one);
    expect([5, 5, 5].map((read) => pings.tick(one, read))).toEqual(['nothing', 'send', 'destroy']);
  });
});

describe('a WebSocket gateway without a heartbeat', () => {
  it('pings silent clients; those that answer stay, those that do not are cut off', async () => {
    await using gateway = await startGateway({ webSocketPingInterval: 0.15 }, { scheme: 'websocket' });
    const worker = gateway.link.join();
    await using answering = await WsClient.open(gateway.port);
    let pings = 0;
    answering.socket.on('ping', () => pings++);
    await using silent = await TcpClient.open(gateway.port);
    silent.write(request());
    await silent.untilClosed();
    expect(silent.bytes.subarray(-2)).toEqual(PING);
    await eventually('more pings', () => pings >= 3);
    expect(answering.closed).toBeNull();
    expect(worker.commands.filter((cmd) => cmd === Command.ON_CLOSE)).toHaveLength(1);
    expect(worker.bodies(Command.ON_MESSAGE)).toEqual([]);
  });

  it('leaves those alone that talk, and those that have no handshake yet', async () => {
    await using gateway = await startGateway({ webSocketPingInterval: 0.15 }, { scheme: 'websocket' });
    gateway.link.join();
    await using talking = await TcpClient.open(gateway.port);
    await using early = await TcpClient.open(gateway.port);
    talking.write(request());
    await eventually('the handshake', () => talking.text.endsWith('\r\n\r\n'));
    const answer = talking.bytes.length;
    for (let count = 0; count < 12; count++) {
      talking.write(clientFrame(1, 'x'));
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(talking.bytes.length).toBe(answer);
    expect([early.bytes.length, early.closed]).toEqual([0, false]);
  });

  it('does not judge clients that it does not read itself', async () => {
    await using gateway = await startGateway({ webSocketPingInterval: 0.1 }, { scheme: 'websocket' });
    const worker = gateway.link.join();
    await using one = await WsClient.open(gateway.port);
    worker.full = true;
    one.socket.send('a');
    await eventually('the pause', () => gateway.process.clients.get(1)?.connection.paused === true);
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(one.closed).toBeNull();
    gateway.link.drained(worker);
    await new Promise((resolve) => setTimeout(resolve, 350));
    expect(one.closed).toBeNull();
  });

  it('does not judge one that is not read because it sends faster than it may', async () => {
    const options = { webSocketPingInterval: 0.1, maxBytesPerSecond: 400 };
    await using gateway = await startGateway(options, { scheme: 'websocket' });
    gateway.link.join();
    await using one = await WsClient.open(gateway.port);
    one.socket.send('a'.repeat(4000));
    await eventually('its rate to count', () => gateway.process.counters.rateLimited === 1);
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect([one.closed, gateway.process.clients.get(1)?.connection.receiving]).toEqual([null, false]);
  });

  it.each([
    ['a heartbeat of the application', { webSocketPingInterval: 0.05, pingInterval: 100 }, 'websocket'],
    ['0', { webSocketPingInterval: 0 }, 'websocket'],
    ['another protocol', { webSocketPingInterval: 0.05 }, 'text'],
  ])('sends none with %s', async (_why, options, scheme) => {
    await using gateway = await startGateway(options, { scheme });
    gateway.link.join();
    await using silent = await TcpClient.open(gateway.port);
    if (scheme === 'websocket') silent.write(request());
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(silent.closed).toBe(false);
    expect(silent.bytes.includes(PING)).toBe(false);
  });
});
