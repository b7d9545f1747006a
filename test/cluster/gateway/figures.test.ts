import type { Buffer } from 'node:buffer';
import { describe, expect, it } from 'vitest';
import { Command, PHP_MAX_PACKET_SIZE } from '../../../src/cluster/protocol/mod.js';
import { eventually } from '../../support/eventually.js';
import { startGateway, type TestGateway } from '../../support/gateway-link.js';
import { TcpClient } from '../../support/tcp-client.js';
import { WsClient } from '../../support/ws-client.js';

const { ON_MESSAGE, SEND_TO_ALL, SEND_TO_GROUP, SEND_TO_UID, SET_SESSION, BIND_UID, JOIN_GROUP, UPDATE_SESSION } =
  Command;

function dropped(gateway: TestGateway, reason: string, count: number): Promise<unknown> {
  return eventually(`${count} ${reason}, got ${JSON.stringify(gateway.process.figures().dropped)}`, () => {
    return gateway.process.figures().dropped[reason] === count;
  });
}

describe('the figures of a gateway', () => {
  it('are empty before anything has happened', async () => {
    await using gateway = await startGateway();
    expect(gateway.process.figures()).toEqual({
      connections: 0,
      sendFail: 0,
      totalRequest: 0,
      queuedBytes: 0,
      links: { up: 0, down: 0 },
      dropped: {},
    });
  });

  it('count its clients and their messages, and take over what its link says', async () => {
    await using gateway = await startGateway();
    const worker = gateway.link.join();
    gateway.link.shown = { up: 3, down: 1, queuedBytes: 500, sendFail: 9, dropped: { linkRefused: 2, lostAnswers: 0 } };
    await using first = await TcpClient.open(gateway.port);
    await using _second = await TcpClient.open(gateway.port);
    first.write('a\nb\nc\n');
    await eventually('the messages', () => worker.bodies(ON_MESSAGE).length === 3);
    await eventually('the clients', () => gateway.process.figures().connections === 2);
    expect(gateway.process.figures()).toEqual({
      connections: 2,
      sendFail: 0,
      totalRequest: 3,
      queuedBytes: 500,
      links: { up: 3, down: 1 },
      dropped: { linkRefused: 2 },
    });
    expect([...gateway.process.openConnections()].map(({ codec, remotePort }) => [codec.name, remotePort])).toEqual([
      ['text', first.socket.localPort],
      ['text', _second.socket.localPort],
    ]);
  });

  it('add up what waits for clients and what waits for a worker', async () => {
    await using gateway = await startGateway();
    await using client = await TcpClient.open(gateway.port);
    await eventually('the client', () => gateway.process.clients.size === 1);
    // ON_CONNECT waits: its cost without a body.
    expect(gateway.process.figures().queuedBytes).toBe(200);
    gateway.link.command(SEND_TO_ALL, 0, '', 'x'.repeat(999));
    expect(gateway.process.figures().queuedBytes).toBe(1200);
    await client.untilText(`${'x'.repeat(999)}\n`);
    expect(gateway.process.figures().queuedBytes).toBe(200);
    gateway.link.join();
    expect(gateway.process.figures().queuedBytes).toBe(0);
  });
});

describe('what a gateway lost or refused is counted by its reason:', () => {
  it('noWorker: none came in time', async () => {
    await using gateway = await startGateway({ maxWaitingTime: 0.2 });
    await using client = await TcpClient.open(gateway.port);
    await client.untilClosed();
    await dropped(gateway, 'noWorker', 1);
    expect(gateway.process.figures().dropped).toEqual({ noWorker: 1 });
  });

  it('noWorker: of a client that was closed for want of room, what it had waiting', async () => {
    await using gateway = await startGateway({ maxWaitingBytes: 300, maxWaitingTime: 60 }, { scheme: 'websocket' });
    const client = new WsClient(gateway.port);
    await client.untilClosed();
    gateway.link.join();
    expect(gateway.process.figures().dropped).toEqual({ waitingRoomFull: 1, noWorker: 1 });
  });

  it('noWorker: of the last event of a client that the gateway itself sends away', async () => {
    await using gateway = await startGateway();
    await using _client = await TcpClient.open(gateway.port);
    await eventually('the client', () => gateway.process.clients.size === 1);
    await gateway.process.stop(AbortSignal.abort());
    expect(gateway.process.figures().dropped).toEqual({ noWorker: 1 });
  });

  it('tooLargeForWorker', async () => {
    await using gateway = await startGateway({ maxPackageSize: 2 * PHP_MAX_PACKET_SIZE });
    gateway.link.join();
    await using client = await TcpClient.open(gateway.port);
    client.write(`${'x'.repeat(PHP_MAX_PACKET_SIZE)}\n`);
    await dropped(gateway, 'tooLargeForWorker', 1);
  });

  it('unsendable: a message of a protocol that has no PHP form', async () => {
    const protocol = { input: (buffer: Buffer) => buffer.length, decode: () => ({ at: new Date() }), encode: String };
    await using gateway = await startGateway({ protocol }, { scheme: 'tcp' });
    gateway.link.join();
    await using client = await TcpClient.open(gateway.port);
    client.write('x');
    await dropped(gateway, 'unsendable', 1);
  });

  it('sendBufferFull: messages for a client that does not read', async () => {
    await using gateway = await startGateway({ sendToClientBufferSize: 1_000_000 });
    gateway.link.join();
    await using client = await TcpClient.open(gateway.port);
    client.socket.pause();
    await eventually('the client', () => gateway.process.clients.size === 1);
    // More than the kernel takes on both sides.
    await eventually('a full queue', async () => {
      gateway.link.command(SEND_TO_ALL, 0, '', 'x'.repeat(1_000_000));
      await new Promise((resolve) => setImmediate(resolve));
      return gateway.process.figures().sendFail === 2;
    });
    const { queuedBytes, dropped: reasons } = gateway.process.figures();
    expect(reasons).toEqual({ sendBufferFull: 2 });
    expect(queuedBytes).toBeGreaterThanOrEqual(1_000_000);
  });

  it('protocolErrors: a client that breaks its protocol', async () => {
    await using gateway = await startGateway({}, { scheme: 'websocket' });
    gateway.link.join();
    await using client = await TcpClient.open(gateway.port);
    client.write('no handshake\r\n\r\n');
    await client.untilClosed();
    expect(gateway.process.figures().dropped).toEqual({ protocolErrors: 1 });
  });

  it('signInTimeouts', async () => {
    await using gateway = await startGateway({ signInTimeout: 0.1 });
    gateway.link.join();
    await using client = await TcpClient.open(gateway.port);
    await client.untilClosed();
    expect(gateway.process.figures().dropped).toEqual({ signInTimeouts: 1 });
  });

  it.each<[string, number, string, string, number?]>([
    ['one that nobody knows', 250, '', ''],
    ['a list of receivers that is no JSON', SEND_TO_ALL, '{', 'x'],
    ['a list of groups that is no JSON', SEND_TO_GROUP, '{', 'x'],
    ['a list of uids that is no JSON', SEND_TO_UID, '{', 'x'],
    ['an empty uid', BIND_UID, '', ''],
    ['an empty group', JOIN_GROUP, '', ''],
    ['a session that can not be read', UPDATE_SESSION, 'a:1:{', ''],
    ['a message that is no value', SEND_TO_ALL, '', 'a:1:{', 0],
  ])('unusableCommands: %s', async (_what, cmd, ext, body, flag) => {
    await using gateway = await startGateway();
    gateway.link.join();
    await using _client = await TcpClient.open(gateway.port);
    await eventually('the client', () => gateway.process.clients.size === 1);
    gateway.link.command(SET_SESSION, 1, 'a:0:{}');
    gateway.link.command(cmd, 1, ext, body, flag);
    expect(gateway.process.figures().dropped).toEqual({ unusableCommands: 1 });
    expect(gateway.logger.warnings).toHaveLength(1);
    expect(gateway.logger.of('warn')[0]?.fields).toHaveProperty('command');
  });

  it('failedHooks: hooks and routers that throw, and routers that give no worker', async () => {
    let answer: () => string = () => {
      throw new Error('thrown by the router');
    };
    const onConnect = () => {
      throw new Error('thrown by the hook');
    };
    await using gateway = await startGateway({ onConnect, router: () => answer() });
    const worker = gateway.link.join();
    await using client = await TcpClient.open(gateway.port);
    await dropped(gateway, 'failedHooks', 2);
    answer = () => 'nobody';
    client.write('x\n');
    await eventually('the message', () => worker.bodies(ON_MESSAGE).length === 1);
    expect(gateway.process.figures().dropped).toEqual({ failedHooks: 3 });
  });
});
