import { Buffer } from 'node:buffer';
import { describe, expect, it } from 'vitest';
import { Command } from '../../../src/cluster/protocol/mod.js';
import { clientFrame, request } from '../../support/client-frames.js';
import { eventually } from '../../support/eventually.js';
import { startGateway } from '../../support/gateway-link.js';
import { TcpClient } from '../../support/tcp-client.js';

const { JOIN_GROUP, LEAVE_GROUP, SET_SESSION, UPDATE_SESSION, GET_SESSION_BY_CLIENT_ID } = Command;

describe('a gateway takes', () => {
  it('as many clients as it may, and workers hear of no other', async () => {
    await using gateway = await startGateway({ maxConnections: 2 });
    const worker = gateway.link.join();
    await using _first = await TcpClient.open(gateway.port);
    await using second = await TcpClient.open(gateway.port);
    await eventually('two clients', () => worker.events.length === 2);
    await using third = await TcpClient.open(gateway.port);
    await third.untilClosed();
    expect(worker.commands).toEqual([Command.ON_CONNECT, Command.ON_CONNECT]);
    expect(gateway.process.figures()).toMatchObject({ connections: 2, dropped: { tooManyConnections: 1 } });
    expect(gateway.logger.of('warn')[0]?.fields).toMatchObject({ code: 'GW_CONNECTION_TOO_MANY', limit: 2 });
    second.socket.destroy();
    await eventually('its end', () => gateway.process.clients.size === 1);
    await using _fourth = await TcpClient.open(gateway.port);
    await eventually('another', () => gateway.process.clients.size === 2);
  });

  it('as many of one address', async () => {
    await using gateway = await startGateway({ maxConnectionsPerAddress: 1 });
    await using _first = await TcpClient.open(gateway.port);
    await eventually('the client', () => gateway.process.clients.size === 1);
    await using second = await TcpClient.open(gateway.port);
    await second.untilClosed();
    expect(gateway.process.figures().dropped).toEqual({ tooManyFromAddress: 1 });
  });

  it('handshake requests and fragments within the limits that were given', async () => {
    await using gateway = await startGateway({ maxHandshakeSize: 400, maxFragments: 2 }, { scheme: 'websocket' });
    const worker = gateway.link.join();
    await using long = await TcpClient.open(gateway.port);
    long.write(`GET / HTTP/1.1\r\nX-Long: ${'x'.repeat(400)}`);
    await eventually('the refusal', () => long.text.startsWith('HTTP/1.1 431 '));
    await using client = await TcpClient.open(gateway.port);
    const first = clientFrame(1, 'a', { fin: false });
    client.write(Buffer.concat([request(), first, clientFrame(0, 'b')]));
    await eventually('a message in two', () => worker.bodies(Command.ON_MESSAGE)[0] === 'ab');
    client.write(Buffer.concat([first, clientFrame(0, 'b', { fin: false }), clientFrame(0, 'c')]));
    await eventually('the refusal', () => client.ended);
    const codes = gateway.logger.of('warn').map(({ fields }) => fields.code);
    expect(codes).toEqual(['GW_HANDSHAKE_TOO_LARGE', 'GW_WEBSOCKET_FRAGMENTS']);
  });

  it('messages as fast as it may, and counts who is faster', async () => {
    await using gateway = await startGateway({ maxMessagesPerSecond: 2 });
    const worker = gateway.link.join();
    await using client = await TcpClient.open(gateway.port);
    client.write('1\n2\n3\n');
    await eventually('all', () => worker.bodies(Command.ON_MESSAGE).length === 3);
    expect(worker.bodies(Command.ON_MESSAGE)).toEqual(['1', '2', '3']);
    expect(gateway.process.figures().dropped.rateLimited).toBeGreaterThan(0);
  });

  it('no excuse of one that sends faster than it may for leaving heartbeats unanswered', async () => {
    const heartbeat = { pingInterval: 0.2, pingNotResponseLimit: 1, pingData: 'ping' };
    await using gateway = await startGateway({ maxBytesPerSecond: 100, ...heartbeat });
    gateway.link.join();
    await using client = await TcpClient.open(gateway.port);
    client.write('no end of a line '.repeat(500));
    await eventually('its rate to count', () => gateway.process.counters.rateLimited === 1);
    await client.untilClosed();
  });

  it('a session as large as it may be, and keeps the one before when another is larger', async () => {
    await using gateway = await startGateway({ maxSessionSize: 22 });
    await using _client = await TcpClient.open(gateway.port);
    await eventually('the client', () => gateway.process.clients.size === 1);
    const session = () => gateway.link.ask(GET_SESSION_BY_CLIENT_ID, 1);
    const fits = 'a:1:{s:1:"k";s:1:"v";}';
    expect(fits).toHaveLength(22);
    gateway.link.command(SET_SESSION, 1, fits);
    const kept = session();
    expect(kept).toContain('"v"');
    gateway.link.command(SET_SESSION, 1, `${fits} `);
    gateway.link.command(UPDATE_SESSION, 1, 'a:1:{s:1:"l";i:1;}');
    expect(session()).toBe(kept);
    expect(gateway.process.figures().dropped).toEqual({ sessionTooLarge: 2 });
    expect(gateway.logger.of('warn').map(({ fields }) => fields)).toContainEqual({
      client: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
      code: 'GW_GATEWAY_SESSION_TOO_LARGE',
      connectionId: 1,
      bytes: 23,
      limit: 22,
    });
  });

  it('a client into as many groups as it may be in, again into those, and into another for one it left', async () => {
    await using gateway = await startGateway({ maxGroupsPerClient: 2 });
    await using _client = await TcpClient.open(gateway.port);
    await eventually('the client', () => gateway.process.clients.size === 1);
    const groups = () => [...gateway.process.clients.groupNames];
    for (const group of ['a', 'b', 'c', 'a']) gateway.link.command(JOIN_GROUP, 1, group);
    expect(groups()).toEqual(['a', 'b']);
    expect(gateway.process.figures().dropped).toEqual({ tooManyGroups: 1 });
    gateway.link.command(LEAVE_GROUP, 1, 'a');
    gateway.link.command(JOIN_GROUP, 1, 'c');
    expect(groups()).toEqual(['b', 'c']);
  });
});
