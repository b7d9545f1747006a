import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import type { GatewayConnection } from '../../../src/cluster/gateway/mod.js';
import type { GatewayOptions } from '../../../src/cluster/gateway/options.js';
import { Command } from '../../../src/cluster/protocol/mod.js';
import { eventually } from '../../support/eventually.js';
import { startGateway } from '../../support/gateway-link.js';
import { TcpClient } from '../../support/tcp-client.js';
import { WsClient } from '../../support/ws-client.js';

const { ON_CONNECT, ON_WEBSOCKET_CONNECT, ON_CLOSE } = Command;

function fail(): never {
  throw new Error('of the hook');
}

/** The HTTP status that refused the handshake, or 0 for a connection that just ended. */
async function refusal(port: number): Promise<number> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}`);
  const status = new Promise<number>((resolve) => {
    socket.on('unexpected-response', (_request, response) => resolve(response.statusCode ?? 0));
    socket.on('error', () => resolve(0));
  });
  const found = await status;
  socket.terminate();
  return found;
}

describe('the hooks of a gateway', () => {
  it('are called for a client from its beginning to its end, with the same object', async () => {
    const trace: string[] = [];
    const views = new Set<GatewayConnection>();
    const note = (name: string) => (client: GatewayConnection) => {
      views.add(client);
      trace.push(`${name} ${client.uid} ${gateway.process.clients.size} ${worker.commands}`);
    };
    const hooks: Partial<GatewayOptions> = {
      onConnect: note('connect'),
      onWebSocketConnect: note('handshake'),
      onClose: note('close'),
    };
    await using gateway = await startGateway(hooks, { scheme: 'websocket' });
    const worker = gateway.link.join();
    await using client = await WsClient.open(gateway.port);
    gateway.link.command(Command.BIND_UID, 1, 'u');
    expect([...views][0]?.uid).toBe('u');
    expect([...views][0]?.send('from the hook')).toBe(true);
    await eventually('the message', () => client.texts[0] === 'from the hook');
    client.socket.close();
    await eventually('the end', () => trace.length === 3);
    expect(trace).toEqual([
      'connect null 1 ',
      `handshake null 1 ${ON_CONNECT}`,
      `close null 0 ${ON_CONNECT},${ON_WEBSOCKET_CONNECT},${ON_CLOSE}`,
    ]);
    expect(views.size).toBe(1);
  });

  it('may send a client away before any worker hears of it', async () => {
    await using gateway = await startGateway({ onConnect: (client) => client.close('full') });
    const worker = gateway.link.join();
    await using client = await TcpClient.open(gateway.port);
    await client.untilText('full\n');
    await client.untilClosed();
    await eventually('the end', () => gateway.process.clients.size === 0);
    await using cut = await startGateway({ onConnect: (one) => one.destroy() });
    await using other = await TcpClient.open(cut.port);
    await other.untilClosed();
    expect(worker.events).toEqual([]);
  });

  it.each<[string, NonNullable<GatewayOptions['onWebSocketConnect']>, number]>([
    ['returning false', () => false, 403],
    ['throwing', fail, 403],
    ['closing', (client) => client.close(), 403],
    ['closing with a code that says to try again', (client) => client.close(undefined, 1013), 503],
    ['destroying', (client) => client.destroy(), 0],
  ])('may refuse a handshake by %s, and workers hear that the client came and left', async (_how, hook, status) => {
    await using gateway = await startGateway({ onWebSocketConnect: hook }, { scheme: 'websocket' });
    const worker = gateway.link.join();
    expect(await refusal(gateway.port)).toBe(status);
    await eventually('ON_CLOSE', () => worker.events.length === 2);
    expect(worker.commands).toEqual([ON_CONNECT, ON_CLOSE]);
  });

  it('may look at the request and add to the answer', async () => {
    const hook: GatewayOptions['onWebSocketConnect'] = (_client, request, response) => {
      response.headers['X-Room'] = request.uri;
    };
    await using gateway = await startGateway({ onWebSocketConnect: hook }, { scheme: 'websocket' });
    gateway.link.join();
    const socket = new WebSocket(`ws://127.0.0.1:${gateway.port}/lobby`);
    const [response] = await once(socket, 'upgrade');
    expect(response.headers['x-room']).toBe('/lobby');
    socket.terminate();
  });

  it('are told of workers that come and leave', async () => {
    const trace: string[] = [];
    await using gateway = await startGateway({
      onBusinessWorkerConnected: (worker) => trace.push(`+${worker.key} ${worker.clients}`),
      onBusinessWorkerClose: (worker) => trace.push(`-${worker.key} ${worker.clients}`),
    });
    await using _client = await TcpClient.open(gateway.port);
    await eventually('the client', () => gateway.process.clients.size === 1);
    const a = gateway.link.join('a');
    gateway.link.leave(a);
    gateway.link.leave(a);
    gateway.link.join('b');
    expect(trace).toEqual(['+a 1', '-a 1', '+b 0']);
  });

  it('that throw or reject are reported, and everything goes on', async () => {
    const rejecting = async () => fail();
    await using gateway = await startGateway(
      {
        onConnect: fail,
        onClose: fail,
        onWebSocketConnect: rejecting,
        onBusinessWorkerConnected: rejecting,
        onBusinessWorkerClose: fail,
      },
      { scheme: 'websocket' },
    );
    const worker = gateway.link.join();
    for (let count = 0; count < 2; count++) {
      await using client = await WsClient.open(gateway.port);
      client.socket.close();
      await client.untilClosed();
    }
    await eventually('both clients', () => worker.commands.filter((cmd) => cmd === ON_CLOSE).length === 2);
    gateway.link.leave(worker);
    const errors = gateway.logger.of('error');
    // Each once, with its stack.
    expect(errors.map(({ fields }) => fields.hook).sort()).toEqual([
      'onBusinessWorkerClose',
      'onBusinessWorkerConnected',
      'onClose',
      'onConnect',
      'onWebSocketConnect',
    ]);
    for (const { message, fields } of errors) {
      expect(message).toMatch(/threw: Error: of the hook\n\s+at /);
      expect(fields.code).toBe('GW_GATEWAY_HOOK');
    }
  });
});
