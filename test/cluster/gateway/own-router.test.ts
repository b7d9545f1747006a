import { describe, expect, it } from 'vitest';
import { Gateway } from '../../../src/cluster/gateway/mod.js';
import { faultOfAnswer, type Router, WorkerTable } from '../../../src/cluster/gateway/own-router.js';
import { BindingRouter } from '../../../src/cluster/gateway/router.js';
import { Command } from '../../../src/cluster/protocol/mod.js';
import { startCluster } from '../../../src/testing/mod.js';
import { eventually } from '../../support/eventually.js';
import { FakeWorker, startGateway } from '../../support/gateway-link.js';
import { TcpClient } from '../../support/tcp-client.js';
import { WsClient } from '../../support/ws-client.js';

const { ON_CONNECT, ON_MESSAGE, ON_CLOSE, BIND_UID, JOIN_GROUP, SET_SESSION } = Command;

describe('the workers as a router sees them', () => {
  it('stand in the order of joining, with their clients and whether they keep up', () => {
    const router = new BindingRouter();
    const table = new WorkerTable(router);
    const [a, b] = [new FakeWorker('a'), new FakeWorker('b')];
    for (const worker of [a, b, a]) table.add(worker);
    expect([...table.all.keys()]).toEqual(['b', 'a']);
    router.bind({ connectionId: 1, workerKey: null }, 'a');
    b.full = true;
    expect([...table.all.values()].map(({ key, clients, full }) => [key, clients, full])).toEqual([
      ['b', 0, true],
      ['a', 1, false],
    ]);
    table.delete('b');
    expect([...table.all.keys()]).toEqual(['a']);
  });

  it.each([
    ['a', undefined],
    ['b', "there is no worker 'b'"],
    [null, 'it returned null, not the key of a worker'],
    [undefined, 'it returned undefined, not the key of a worker'],
    [{}, 'it returned object, not the key of a worker'],
    [Promise.resolve('a'), 'it returned a promise, and an event does not wait'],
  ])('make %j an answer or not', (answer, fault) => {
    expect(faultOfAnswer(answer, new Map([['a', 1]]))).toBe(fault);
  });
});

describe('a binding', () => {
  it('moves with its count', () => {
    const router = new BindingRouter();
    const client = { connectionId: 1, workerKey: null };
    router.bind(client, 'a');
    router.bind(client, 'a');
    router.bind(client, 'b');
    expect([router.boundTo('a'), router.boundTo('b'), client.workerKey]).toEqual([0, 1, 'b']);
  });
});

describe('a router of your own', () => {
  it('is asked for every event, of ON_CLOSE too, with the client as it is', async () => {
    const asked: unknown[] = [];
    const router: Router = (workers, client, event, body) => {
      asked.push([event, body.toString(), client.uid, [...client.groups], { ...client.session }, client.workerKey]);
      return [...workers.keys()][asked.length % 2] as string;
    };
    await using gateway = await startGateway({ router });
    const { link } = gateway;
    const [a, b] = [link.join('a'), link.join('b')];
    await using client = await TcpClient.open(gateway.port);
    await eventually('ON_CONNECT', () => b.events.length === 1);
    link.command(BIND_UID, 1, 'ü');
    link.command(JOIN_GROUP, 1, 'g');
    link.command(SET_SESSION, 1, 'a:1:{s:4:"room";s:1:"x";}');
    client.write('1\n2\n');
    await eventually('the messages', () => a.events.length + b.events.length === 3);
    client.socket.end();
    await eventually('ON_CLOSE', () => a.events.length + b.events.length === 4);
    expect(asked).toEqual([
      ['onConnect', '', null, [], {}, null],
      ['onMessage', '1', 'ü', ['g'], { room: 'x' }, 'b'],
      ['onMessage', '2', 'ü', ['g'], { room: 'x' }, 'a'],
      ['onClose', '', 'ü', ['g'], { room: 'x' }, 'b'],
    ]);
    expect([a.commands, b.commands]).toEqual([
      [ON_MESSAGE, ON_CLOSE],
      [ON_CONNECT, ON_MESSAGE],
    ]);
    await eventually('the end', () => gateway.process.clients.size === 0);
  });

  it('sees the client that workers know, and the WebSocket request', async () => {
    const seen: string[] = [];
    const router: Router = (workers, client, event, body) => {
      seen.push(`${client} ${client.remoteAddress} ${client.gatewayPort} ${event} ${body.includes('room=1')}`);
      expect(client.remotePort).toBeGreaterThan(0);
      return [...workers.keys()][0] as string;
    };
    await using gateway = await startGateway({ router }, { scheme: 'websocket' });
    gateway.link.join();
    await using _client = await WsClient.open(gateway.port, '/?room=1');
    const id = '7f0000010b5400000001';
    expect(seen).toEqual([
      `${id} 127.0.0.1 ${gateway.port} onConnect false`,
      `${id} 127.0.0.1 ${gateway.port} onWebSocketConnect true`,
    ]);
  });

  it.each<[string, () => unknown, RegExp]>([
    [
      'throws',
      () => {
        throw new Error('no idea');
      },
      /router threw: Error: no idea/,
    ],
    ['names a worker that is not there', () => 'z', /default one decides: there is no worker 'z'/],
    ['is async', async () => 'a', /it returned a promise/],
  ])('that %s is reported once, and the default decides', async (_what, router, message) => {
    await using gateway = await startGateway({ router: router as Router });
    const [a, b] = [gateway.link.join('a'), gateway.link.join('b')];
    await using first = await TcpClient.open(gateway.port);
    await eventually('ON_CONNECT', () => a.events.length === 1);
    await using _second = await TcpClient.open(gateway.port);
    await eventually('ON_CONNECT', () => b.events.length === 1);
    first.write('1\n2\n');
    await eventually('the messages', () => a.bodies(ON_MESSAGE).length === 2);
    expect(gateway.logger.of('error').map((entry) => entry.message)).toEqual([expect.stringMatching(message)]);
  });

  it('is not asked while there is no worker', async () => {
    let asked = 0;
    const router: Router = (workers) => {
      asked++;
      return [...workers.keys()][0] as string;
    };
    await using gateway = await startGateway({ router });
    await using _client = await TcpClient.open(gateway.port);
    await eventually('the client', () => gateway.process.clients.size === 1);
    expect(asked).toBe(0);
    const worker = gateway.link.join();
    expect([asked, worker.commands]).toEqual([1, [ON_CONNECT]]);
  });

  it('routes by a session value in a real cluster: whoever moves to a room talks to its worker from then on', async () => {
    const handled: string[] = [];
    const router: Router = (workers, client) => {
      const room = client.session.room ?? 'lobby';
      const wanted = room === 'lobby' ? 'TestWorker0' : 'TestWorker1';
      return [...workers.keys()].find((key) => key.split(':')[1] === wanted) ?? '';
    };
    await using cluster = await startCluster({
      workers: 2,
      gatewayOptions: { router },
      events: {
        onMessage: (client, message) => {
          const room = client.session.room ?? 'lobby';
          handled.push(`${room} ${message}`);
          client.session.room = String(message);
          const worker = cluster.workers.findIndex(({ gateway }) => gateway === client.gateway);
          client.send(`${worker}`);
        },
      },
    });
    await using client = await TcpClient.open((cluster.gateways[0] as Gateway).port);
    for (const [room, workers] of [
      ['cellar', '0'],
      ['lobby', '01'],
      ['lobby', '010'],
    ]) {
      client.write(`${room}\n`);
      await client.untilText([...(workers as string)].map((worker) => `${worker}\n`).join(''));
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
    expect(handled).toEqual(['lobby cellar', 'cellar lobby', 'lobby lobby']);
  });

  it('is a mode or a function', () => {
    const make = (router: unknown) => () => new Gateway('text://127.0.0.1:0', { router: router as Router });
    expect(make('nearest')).toThrow("option 'router' must be 'leastConnections' or 'random' or a function");
    expect(make(() => '')).not.toThrow();
  });
});
