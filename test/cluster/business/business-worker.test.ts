import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { BusinessWorker, type Client, type Events } from '../../../src/cluster/business/mod.js';
import {
  Command,
  decodeClientId,
  gatewayClientConnectBody,
  packetHead,
  serialize,
  writePacket,
} from '../../../src/cluster/protocol/mod.js';
import { type Service, startService } from '../../../src/core/process/mod.js';
import { startCluster, type TestCluster, type TestClusterOptions } from '../../../src/testing/mod.js';
import { Arena } from '../../../src/util/mod.js';
import { LineClient, SocketClient } from '../../support/cluster-clients.js';
import { eventually } from '../../support/eventually.js';
import { deferred } from '../../support/fake-link.js';
import { RecordingLogger } from '../../support/recording-logger.js';

interface Counting {
  count?: number;
}

const MESSAGES = 1000;
const clusters: TestCluster[] = [];
const sockets: { destroy(): void }[] = [];

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const cluster of clusters.splice(0)) await cluster.stop();
});

describe('a session that changes at every message', () => {
  const handlers: Record<string, Events> = {
    synchronous: {
      onConnect: greet,
      onMessage: (client: Client<Counting>) => {
        client.session.count = (client.session.count ?? 0) + 1;
        client.send(String(client.session.count));
      },
    },
    asynchronous: {
      onConnect: greet,
      onMessage: async (client: Client<Counting>, message: string) => {
        const before = client.session.count ?? 0;
        if (Number(message) % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
        else await null;
        client.session.count = before + 1;
        client.send(String(client.session.count));
      },
    },
    toggling: {
      onConnect: greet,
      // The same two texts again and again, beside what must not be lost: how often.
      onMessage: async (client: Client<{ on?: boolean }>, message: string) => {
        if (Number(message) % 7 === 0) await null;
        client.session = client.session.on === true ? {} : { on: true };
        client.send(String(client.session.on === true));
      },
    },
  };

  for (const [name, events] of Object.entries(handlers)) {
    it(`${MESSAGES} times in a row, pipelined, loses none: ${name} handlers`, async () => {
      const cluster = await start({ events });
      const { client } = await line(cluster);
      client.send(...Array.from({ length: MESSAGES }, (_, index) => String(index)));
      const expected = Array.from({ length: MESSAGES }, (_, index) =>
        name === 'toggling' ? String(index % 2 === 0) : String(index + 1),
      );
      expect(await client.take(MESSAGES)).toEqual(expected);
      const [session] = await eventually('the last session at the gateway', async () => {
        const all = [...(await cluster.api.getAllClientSessions()).values()];
        return name === 'toggling' || all[0]?.count === MESSAGES ? all : undefined;
      });
      if (name !== 'toggling') expect(session).toEqual({ count: MESSAGES });
    });
  }

  it('is seen as it was last by the worker that takes the client over', async () => {
    for (const asynchronous of [false, true]) {
      const owners = new Set<BusinessWorker>();
      const cluster = await start({
        workers: 2,
        events: {
          onConnect: greet,
          onMessage: async (client: Client<Counting>, message: string) => {
            if (message === 'look') {
              client.send(JSON.stringify(client.session));
              return;
            }
            if (asynchronous) await new Promise((resolve) => setTimeout(resolve, 1));
            client.session.count = (client.session.count ?? 0) + 1;
            const worker = cluster.workers.find(({ gateway }) => gateway === client.gateway);
            if (worker !== undefined) owners.add(worker);
            client.send('.');
          },
        },
      });
      const { client } = await line(cluster);
      client.send(...Array.from({ length: 100 }, () => 'x'));
      await client.take(100);
      expect(owners.size).toBe(1);
      await [...owners][0]?.stop();
      client.send('look');
      expect(await client.take(1)).toEqual(['{"count":100}']);
    }
  });

  it('that somebody else has written is seen at the next event', async () => {
    const cluster = await start({
      events: {
        onConnect: greet,
        onMessage: (client, message) => {
          if (message === 'look') client.send(JSON.stringify(client.session));
          else client.session.own = message;
        },
      },
    });
    const { client, id } = await line(cluster);
    client.send('mine', 'look');
    expect(await client.take(1)).toEqual(['{"own":"mine"}']);
    await eventually('the own session', async () => (await cluster.api.getAllClientSessions()).get(id)?.own === 'mine');
    // As a program beside the workers does it: one packet on the gateway's inner port.
    await setSession(id, { theirs: 1 });
    await eventually('the other session', async () => (await cluster.api.getAllClientSessions()).get(id)?.theirs === 1);
    client.send('look');
    expect(await client.take(1)).toEqual(['{"theirs":1}']);
  });
});

describe('a client', () => {
  it('has onConnect before its messages, and onClose last and once, whatever ends it', async () => {
    const log: Record<string, string[]> = {};
    const note = (client: Client, what: string) => {
      const lines = log[client.id] ?? [];
      log[client.id] = lines;
      lines.push(what);
    };
    const cluster = await start({
      gateways: ['text://127.0.0.1:0', 'websocket://127.0.0.1:0'],
      events: {
        onConnect: async (client) => {
          await new Promise((resolve) => setTimeout(resolve, 5));
          note(client, 'connect');
        },
        onWebSocketConnect: async (client, request) => {
          note(client, `handshake ${request.uri} ${request.query.a} ${request.query.constructor}`);
          client.send(client.id);
        },
        onMessage: async (client, message) => {
          await new Promise((resolve) => setTimeout(resolve, 1));
          note(client, message);
          if (message === 'close') client.close();
          if (message === 'destroy') client.destroy();
        },
        onClose: async (client) => {
          await null;
          note(client, 'close');
        },
      },
    });
    const ends: [string, (client: LineClient) => void][] = [
      ['end', (client) => client.socket.end()],
      ['reset', (client) => client.socket.resetAndDestroy()],
      ['close', (client) => client.send('close')],
      ['destroy', (client) => client.send('destroy')],
    ];
    for (const [name, end] of ends) {
      const client = await LineClient.open(cluster.gateways[0]?.port ?? 0);
      sockets.push(client.socket);
      client.send('1', '2', '3');
      const found = await eventually('three messages', () => Object.values(log).find((lines) => lines.length === 4));
      end(client);
      await eventually('onClose', () => found.at(-1) === 'close' && found.length > 4);
      const last = name === 'close' || name === 'destroy' ? [name] : [];
      expect(found, name).toEqual(['connect', '1', '2', '3', ...last, 'close']);
      found.push('done');
    }
    const { client, id } = await SocketClient.greeted(cluster.gateways[1]?.port ?? 0, '/chat?a=5');
    client.send('1');
    await eventually('a message', () => log[id]?.length === 3);
    client.socket.terminate();
    await eventually('onClose', () => log[id]?.at(-1) === 'close');
    expect(log[id]).toEqual(['connect', 'handshake /chat?a=5 5 undefined', '1', 'close']);
  });

  it('whose handler hangs is closed when too much waits for it, and another is served', async () => {
    const hang = deferred();
    const closed: string[] = [];
    const cluster = await start({
      events: {
        onConnect: greet,
        onMessage: (client, message) => (message === 'hang' ? hang.promise : void client.send(message)),
        onClose: (client) => void closed.push(client.id),
      },
      workerOptions: { maxPendingBytesPerClient: 10_000 },
    });
    const hanging = await line(cluster);
    const other = await line(cluster);
    hanging.client.send('hang', ...Array.from({ length: 20 }, () => 'x'.repeat(500)));
    await eventually('the hanging client to be closed', () => hanging.client.closed);
    other.client.send('still served');
    expect(await other.client.take(1)).toEqual(['still served']);
    expect(closed).toEqual([]);
    hang.resolve();
    await eventually('its onClose', () => closed.length === 1);
    expect(closed).toEqual([hanging.id]);
  });

  it('waits outside while too much waits for handlers, and nothing is lost', async () => {
    const hang = deferred();
    const seen: string[] = [];
    const logger = new RecordingLogger();
    const cluster = await start({
      logger,
      events: {
        onConnect: greet,
        onMessage: async (client, message) => {
          await hang.promise;
          seen.push(message);
          client.send('.');
        },
      },
      workerOptions: { maxPendingBytes: 20_000 },
    });
    const { client } = await line(cluster);
    const messages = Array.from({ length: 400 }, (_, index) => `${index}${'x'.repeat(300)}`);
    client.send(...messages);
    await eventually('the pause', () => logger.of('warn').some(({ message }) => message.includes('not read for now')));
    hang.resolve();
    await client.take(messages.length);
    expect(seen).toEqual(messages);
  });
});

describe('two workers of one name', () => {
  it('do not start: gateways would take each for the other', async () => {
    const make = (registerAddress: string) => new BusinessWorker({ events: { onMessage: () => {} }, registerAddress });
    const workers = [make('127.0.0.1:1'), make('127.0.0.1:2'), make('127.0.0.1:1')];
    await expect(startService({ workers, processes: 'single', ownsProcess: false })).rejects.toMatchObject({
      code: 'GW_START_NAME_TWICE',
      message: "there are two of BusinessWorker 'BusinessWorker' at 127.0.0.1:1; give one of them another name",
    });
  });
});

describe('a worker that stops', () => {
  it('waits for the handlers at work and what waits behind them, then calls onWorkerStop, then leaves', async () => {
    const hang = deferred();
    const log: string[] = [];
    const cluster = await start({
      events: {
        onConnect: greet,
        onMessage: async (client, message) => {
          log.push(`begin ${message}`);
          await hang.promise;
          client.session.last = message;
          client.send(`end ${message}`);
          log.push(`end ${message}`);
        },
        onClose: () => void log.push('close'),
        onWorkerStop: async () => {
          await null;
          log.push('stop');
        },
      },
    });
    const { client } = await line(cluster);
    client.send('1', '2');
    await eventually('the first to be at work', () => log.length === 1);
    // The second has come when somebody who connected after it is greeted: events travel in one row.
    await line(cluster);
    const [worker] = cluster.workers;
    const stopped = worker?.stop();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(log).toEqual(['begin 1']);
    hang.resolve();
    await stopped;
    expect(log).toEqual(['begin 1', 'end 1', 'begin 2', 'end 2', 'stop']);
    expect(await client.take(2)).toEqual(['end 1', 'end 2']);
    await worker?.stop();
    expect(log.filter((entry) => entry === 'stop')).toHaveLength(1);
  });

  it('reports an onWorkerStop that throws, and stops', async () => {
    const logger = new RecordingLogger();
    const cluster = await start({
      logger,
      events: { onMessage: () => {}, onWorkerStop: () => Promise.reject(new Error('in stop')) },
    });
    await cluster.stop();
    expect(logger.of('error')).toEqual([
      expect.objectContaining({ message: expect.stringContaining('onWorkerStop threw: Error: in stop') }),
    ]);
  });

  it('rejects the questions in flight', async () => {
    await using fake = await silentGateway();
    const { worker, service } = await workerOf(fake.registerPort, {});
    await eventually('the gateway to be known', () => worker.gateway.sendToAll('x'));
    const question = worker.gateway.getAllClientIdCount().catch((error) => error);
    const single = worker.gateway.isOnline(fake.clientId).catch((error) => error);
    await service.stop();
    for (const error of [await question, await single]) {
      expect(error).toMatchObject({ code: 'GW_QUERY_INCOMPLETE', cause: { code: 'GW_LINK_UNREACHABLE' } });
    }
  });
});

describe('a gateway that does not answer', () => {
  it('makes a question reject at its deadline', async () => {
    await using fake = await silentGateway();
    const { worker, service } = await workerOf(fake.registerPort, { queryTimeout: 0.2 });
    await eventually('the gateway to be known', () => worker.gateway.sendToAll('x'));
    const begun = performance.now();
    const error = await worker.gateway.getAllClientIdCount().catch((thrown) => thrown);
    expect(error).toMatchObject({
      code: 'GW_QUERY_INCOMPLETE',
      partial: 0,
      silent: [fake.address],
      cause: { code: 'GW_LINK_TIMEOUT' },
    });
    expect(performance.now() - begun).toBeGreaterThanOrEqual(190);
    await service.stop();
  });
});

describe('a worker that starts', () => {
  it('takes events only once onWorkerStart has settled', async () => {
    const log: string[] = [];
    const cluster = await start({
      events: {
        onWorkerStart: async (worker) => {
          await new Promise((resolve) => setTimeout(resolve, 30));
          log.push(`started ${worker.name}`);
        },
        onConnect: (client) => {
          log.push('connect');
          greet(client);
        },
      },
    });
    await line(cluster);
    expect(log).toEqual(['started TestWorker0', 'connect']);
  });

  it('does not start when onWorkerStart throws or rejects, or the events can not be loaded', async () => {
    const sources: [TestClusterOptions['events'], string][] = [
      [
        {
          onWorkerStart: () => {
            throw new Error('in start');
          },
        },
        'in start',
      ],
      [{ onWorkerStart: () => Promise.reject(new Error('in start')) }, 'in start'],
      [() => import(new URL('./fixtures/throwing-events.mjs', import.meta.url).href), 'thrown while loading'],
      [{}, 'exports none of'],
    ];
    for (const [events, reason] of sources) {
      const error = await startCluster({ events }).catch((thrown) => thrown);
      expect(error).toMatchObject({ code: 'GW_START_WORKER_FAILED' });
      expect(error.message).toContain(reason);
    }
    const { gateway } = await import('../../../src/cluster/api/mod.js');
    expect(() => gateway.sendToAll('x')).toThrow(expect.objectContaining({ code: 'GW_API_NOT_RUNNING' }));
  });

  it('warns of a misspelt export', async () => {
    const logger = new RecordingLogger();
    await start({ logger, events: { onMessage: () => {}, onConect: () => {} } as Events });
    expect(logger.of('warn').map(({ message }) => message)).toContain(
      "TestWorker0:0 the events module exports 'onConect', which is no event; did you mean 'onConnect'?",
    );
  });
});

function greet(client: Client): void {
  client.send(client.id);
}

async function start(options: TestClusterOptions): Promise<TestCluster> {
  const cluster = await startCluster(options);
  clusters.push(cluster);
  return cluster;
}

async function line(cluster: TestCluster): Promise<{ readonly client: LineClient; readonly id: string }> {
  const greeted = await LineClient.greeted(cluster.gateways[0]?.port ?? 0);
  sockets.push(greeted.client.socket);
  return greeted;
}

async function workerOf(
  registerPort: number,
  options: { readonly queryTimeout?: number },
): Promise<{ readonly worker: BusinessWorker; readonly service: Service }> {
  const worker = new BusinessWorker({
    events: { onMessage: () => {} },
    registerAddress: `127.0.0.1:${registerPort}`,
    ...options,
  });
  const logger = new RecordingLogger();
  const service = await startService({ workers: [worker], processes: 'single', ownsProcess: false, logger });
  return { worker, service };
}

/** Commands the client's gateway to set its session. */
async function setSession(clientId: string, session: Record<string, unknown>): Promise<void> {
  const { localPort, connectionId } = decodeClientId(clientId) ?? expect.fail('a client id');
  const arena = new Arena();
  writePacket(arena, packetHead({ cmd: Command.GATEWAY_CLIENT_CONNECT }), '', gatewayClientConnectBody(''));
  writePacket(arena, packetHead({ cmd: Command.SET_SESSION, connectionId }), serialize(session), '');
  const socket = connect(localPort, '127.0.0.1');
  sockets.push(socket);
  await once(socket, 'connect');
  socket.write(arena.buffer.subarray(0, arena.offset));
}

/** A register that lists one gateway, and that gateway, which takes everything and says nothing. */
async function silentGateway(): Promise<
  AsyncDisposable & { readonly registerPort: number; readonly address: string; readonly clientId: string }
> {
  const open = new Set<Socket>();
  const listen = (answer: (socket: Socket) => void) =>
    new Promise<Server>((resolve) => {
      const server = createServer((socket) => {
        open.add(socket);
        socket.on('error', () => {});
        socket.on('data', () => answer(socket));
      });
      server.listen(0, '127.0.0.1', () => resolve(server));
    });
  const silent = await listen(() => {});
  const { port } = silent.address() as AddressInfo;
  const address = `127.0.0.1:${port}`;
  const register = await listen((socket) => {
    socket.write(`${JSON.stringify({ event: 'broadcast_addresses', addresses: [address] })}\n`);
  });
  return {
    registerPort: (register.address() as AddressInfo).port,
    address,
    clientId: `7f000001${port.toString(16).padStart(4, '0')}00000001`,
    [Symbol.asyncDispose]: async () => {
      for (const socket of open) socket.destroy();
      for (const server of [silent, register]) await new Promise((resolve) => server.close(resolve));
    },
  };
}
