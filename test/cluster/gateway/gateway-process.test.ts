import { Buffer } from 'node:buffer';
import { describe, expect, it } from 'vitest';
import { Command, FLAG_BINARY, FLAG_SCALAR, PHP_MAX_PACKET_SIZE } from '../../../src/cluster/protocol/mod.js';
import type { Protocol } from '../../../src/core/protocols/mod.js';
import { eventually } from '../../support/eventually.js';
import { FakeWorker, startGateway, type TestGateway } from '../../support/gateway-link.js';
import { TcpClient } from '../../support/tcp-client.js';
import { WsClient } from '../../support/ws-client.js';

const { ON_CONNECT, ON_WEBSOCKET_CONNECT, ON_MESSAGE, ON_CLOSE } = Command;

async function clientsKnown(gateway: TestGateway, count: number): Promise<void> {
  await eventually(`${count} clients`, () => gateway.process.clients.size === count);
}

describe('the events of one client', () => {
  it('come in order, and by ON_CLOSE the client is gone from all maps', async () => {
    await using gateway = await startGateway({}, { scheme: 'websocket' });
    const { link } = gateway;
    const worker = link.join();
    let goneBy = '';
    worker.take = ({ head }) => {
      if (head.cmd !== ON_CLOSE) return true;
      // What a worker would be told that asks when it reads the event: it reads it in a later turn.
      setImmediate(() => {
        const select = link.ask(Command.SELECT, 0, '{"fields":["uid"],"where":{"uid":["u"],"groups":["g"]}}');
        goneBy = [link.ask(Command.IS_ONLINE, 1), select, link.ask(Command.GET_GROUP_ID_LIST)].join(' ');
      });
      return true;
    };
    await using client = await WsClient.open(gateway.port, '/?room=1');
    link.command(Command.BIND_UID, 1, 'u');
    link.command(Command.JOIN_GROUP, 1, 'g');
    client.socket.send('text');
    client.socket.send(Buffer.of(0xff));
    await eventually('the messages', () => worker.bodies(ON_MESSAGE).length === 2);
    client.socket.close();
    await eventually('the look-ups', () => goneBy !== '');
    expect(worker.commands).toEqual([ON_CONNECT, ON_WEBSOCKET_CONNECT, ON_MESSAGE, ON_MESSAGE, ON_CLOSE]);
    expect(worker.events[1]?.body.toString()).toContain('s:12:"QUERY_STRING";s:6:"room=1"');
    expect(goneBy).toBe('i:0; a:0:{} a:0:{}');
    const { head } = worker.events[2] as (typeof worker.events)[number];
    expect(head).toMatchObject({ localIp: 0x7f00_0001, localPort: 2900, clientIp: 0x7f00_0001, connectionId: 1 });
    expect(head.gatewayPort).toBe(gateway.port);
  });

  it('carry the binary flag to a worker that knows it, and never to one of the original', async () => {
    for (const [extensions, flag] of [
      [['binary'], FLAG_SCALAR | FLAG_BINARY],
      [[], FLAG_SCALAR],
    ] as const) {
      await using gateway = await startGateway({}, { scheme: 'websocket' });
      const worker = gateway.link.join('a', extensions);
      await using client = await WsClient.open(gateway.port);
      client.socket.send(Buffer.of(1));
      await eventually('the message', () => worker.bodies(ON_MESSAGE).length === 1);
      expect(worker.events.at(-1)?.head.flag).toBe(flag);
    }
  });

  it('are ON_CONNECT and ON_CLOSE for one that leaves before its handshake', async () => {
    await using gateway = await startGateway({}, { scheme: 'websocket' });
    const worker = gateway.link.join();
    await using client = await TcpClient.open(gateway.port);
    await eventually('ON_CONNECT', () => worker.events.length === 1);
    client.socket.destroy();
    await eventually('ON_CLOSE', () => worker.events.length === 2);
    expect(worker.commands).toEqual([ON_CONNECT, ON_CLOSE]);
  });
});

describe('the worker of a client', () => {
  it('stays the same, and is another one when it has left', async () => {
    await using gateway = await startGateway();
    const [first, second] = [gateway.link.join('a'), gateway.link.join('b')];
    await using client = await TcpClient.open(gateway.port);
    await eventually('ON_CONNECT', () => first.events.length === 1);
    client.write('1\n');
    await eventually('the message', () => first.bodies(ON_MESSAGE).length === 1);
    gateway.link.leave(first);
    client.write('2\n3\n');
    await eventually('the messages', () => second.bodies(ON_MESSAGE).length === 2);
    expect(second.bodies(ON_MESSAGE)).toEqual(['2', '3']);
  });

  it('gets nothing lost when its link begins to end: the event goes to another', async () => {
    await using gateway = await startGateway();
    const [first, second] = [gateway.link.join('a'), gateway.link.join('b')];
    await using client = await TcpClient.open(gateway.port);
    await eventually('ON_CONNECT', () => first.events.length === 1);
    first.take = () => {
      gateway.link.leave(first);
      return false;
    };
    client.write('kept\n');
    await eventually('the message', () => second.bodies(ON_MESSAGE).length === 1);
    expect(gateway.process.figures().dropped).toEqual({});
  });

  it('refuses an event beyond its hard limit, which is counted and said, and nothing else happens', async () => {
    await using gateway = await startGateway();
    const worker = gateway.link.join();
    await using client = await TcpClient.open(gateway.port);
    await eventually('ON_CONNECT', () => worker.events.length === 1);
    worker.take = ({ body }) => body.toString() !== 'lost';
    client.write('lost\nlost\nkept\n');
    await eventually('the message', () => worker.bodies(ON_MESSAGE).length === 1);
    expect(gateway.process.figures().dropped).toEqual({ workerQueueFull: 2 });
    expect(gateway.logger.warnings).toEqual(['an event was dropped: the queue of its worker is full']);
  });
});

describe('without a worker', () => {
  it('events wait, and arrive in order when one comes; what was sent meanwhile comes behind', async () => {
    await using gateway = await startGateway();
    await using a = await TcpClient.open(gateway.port);
    await clientsKnown(gateway, 1);
    await using b = await TcpClient.open(gateway.port);
    await clientsKnown(gateway, 2);
    a.write('a1\na2\n');
    b.write('b1\n');
    b.socket.end();
    await new Promise((resolve) => setTimeout(resolve, 50));
    const worker = gateway.link.join();
    await eventually('all events', () => worker.events.length === 6);
    const seen = (id: number) =>
      worker.events.filter(({ head }) => head.connectionId === id).map(({ head, body }) => `${head.cmd} ${body}`);
    expect(seen(1)).toEqual(['1 ', '3 a1', '3 a2']);
    expect(seen(2)).toEqual(['1 ', '3 b1', '4 ']);
  });

  it('a client that left meanwhile takes no place at the worker that comes', async () => {
    await using gateway = await startGateway({ router: 'leastConnections' });
    const client = await TcpClient.open(gateway.port);
    await clientsKnown(gateway, 1);
    gateway.process.clients.get(1)?.connection.destroy();
    await clientsKnown(gateway, 0);
    const first = gateway.link.join('a');
    expect(first.commands).toEqual([ON_CONNECT, ON_CLOSE]);
    gateway.link.join('b');
    await using next = await TcpClient.open(gateway.port);
    // Both have nobody: the tie goes to the one that joined first.
    await eventually('the next client', () => first.events.length === 3);
    client.socket.destroy();
    next.socket.destroy();
  });

  it('a WebSocket client, new or old, is told to try again later when none came in time', async () => {
    await using gateway = await startGateway({ maxWaitingTime: 0.3 }, { scheme: 'websocket' });
    const worker = gateway.link.join();
    await using old = await WsClient.open(gateway.port);
    gateway.link.leave(worker);
    old.socket.send('nobody');
    await using fresh = await WsClient.open(gateway.port);
    expect(await old.untilClosed()).toEqual({ code: 1013, reason: 'try again later' });
    expect(await fresh.untilClosed()).toEqual({ code: 1013, reason: 'try again later' });
    await clientsKnown(gateway, 0);
    // A worker had heard of the old one alone.
    const late = gateway.link.join('late');
    expect(late.events.map(({ head }) => [head.cmd, head.connectionId])).toEqual([[ON_CLOSE, 1]]);
  });

  it('no more events wait than the bytes allow; a client for whose event there is no room is closed alone', async () => {
    // Room for ON_CONNECT of two clients, at 200 bytes each.
    await using gateway = await startGateway({ maxWaitingBytes: 400, maxWaitingTime: 60 });
    const clients: TcpClient[] = [];
    for (let count = 1; count <= 3; count++) clients.push(await TcpClient.open(gateway.port));
    await clients[2]?.untilClosed();
    await clientsKnown(gateway, 2);
    expect(gateway.process.figures().dropped).toEqual({ waitingRoomFull: 1 });
    const worker = gateway.link.join();
    expect(worker.commands).toEqual([ON_CONNECT, ON_CONNECT]);
  });

  it('a client that is closed for want of room is never heard of, not even of what it had waiting', async () => {
    await using gateway = await startGateway({ maxWaitingBytes: 300, maxWaitingTime: 60 }, { scheme: 'websocket' });
    const client = new WsClient(gateway.port);
    await client.untilClosed();
    const worker = gateway.link.join();
    expect(worker.events).toEqual([]);
    expect(gateway.process.clients.size).toBe(0);
  });

  it('clients are not read: what they send stays on their side', async () => {
    await using gateway = await startGateway({ maxWaitingTime: 60 });
    await using client = await TcpClient.open(gateway.port);
    await clientsKnown(gateway, 1);
    client.write(Buffer.alloc(30_000_000, 'x\n'));
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(gateway.process.clients.get(1)?.connection.bytesRead).toBe(0);
    expect(client.socket.writableLength).toBeGreaterThan(1_000_000);
  });
});

describe('a worker whose queue is full', () => {
  it('has its clients paused and those of others not, and gets everything in order when it has room', async () => {
    await using gateway = await startGateway();
    const [slow, quick] = [gateway.link.join('slow'), gateway.link.join('quick')];
    await using a = await TcpClient.open(gateway.port);
    await eventually('a', () => slow.events.length === 1);
    await using b = await TcpClient.open(gateway.port);
    await eventually('b', () => quick.events.length === 1);
    slow.full = true;
    a.write('1\n2\n3\n');
    b.write('1\n2\n3\n');
    await eventually('the messages of b', () => quick.bodies(ON_MESSAGE).length === 3);
    expect(slow.bodies(ON_MESSAGE)).toEqual(['1']);
    gateway.link.drained(slow);
    await eventually('the messages of a', () => slow.bodies(ON_MESSAGE).length === 3);
    expect(slow.bodies(ON_MESSAGE)).toEqual(['1', '2', '3']);
  });

  it('is not handed the held messages of all its clients at once', async () => {
    await using gateway = await startGateway();
    const worker = gateway.link.join();
    const clients: TcpClient[] = [];
    for (let count = 1; count <= 5; count++) {
      clients.push(await TcpClient.open(gateway.port));
      await eventually('the client', () => worker.events.length === count);
    }
    worker.full = true;
    for (const client of clients) client.write('1\n2\n');
    await eventually('a first message of each', () => worker.bodies(ON_MESSAGE).length === 5);
    // It has room for one message, each time.
    worker.take = () => {
      worker.full = true;
      return true;
    };
    for (let count = 6; count <= 10; count++) {
      gateway.link.drained(worker);
      expect(worker.bodies(ON_MESSAGE)).toHaveLength(count);
    }
    expect(worker.bodies(ON_MESSAGE).slice(5)).toEqual(['2', '2', '2', '2', '2']);
    for (const client of clients) client.socket.destroy();
  });

  it('and leaves, its clients are read again for another', async () => {
    await using gateway = await startGateway();
    const [slow, other] = [gateway.link.join('slow'), gateway.link.join('other')];
    await using client = await TcpClient.open(gateway.port);
    await eventually('the client', () => slow.events.length === 1);
    slow.full = true;
    client.write('1\n2\n');
    await eventually('the message', () => slow.bodies(ON_MESSAGE).length === 1);
    gateway.link.leave(slow);
    await eventually('the other message', () => other.bodies(ON_MESSAGE).length === 1);
    expect(other.bodies(ON_MESSAGE)).toEqual(['2']);
  });

  it('when it joins, keeps the clients paused whose waiting events filled it', async () => {
    await using gateway = await startGateway({ maxWaitingTime: 60 });
    const first = gateway.link.join('first');
    await using client = await TcpClient.open(gateway.port);
    await eventually('the client', () => first.events.length === 1);
    gateway.link.leave(first);
    client.write('1\n2\n');
    await eventually('the message to wait', () => gateway.process.clients.get(1)?.connection.paused);

    const second = new FakeWorker('second');
    second.full = true;
    gateway.link.events.workerJoined(second);
    expect(second.bodies(ON_MESSAGE)).toEqual(['1']);
    expect(gateway.process.clients.get(1)?.connection.paused).toBe(true);
    gateway.link.drained(second);
    expect(second.bodies(ON_MESSAGE)).toEqual(['1', '2']);
  });

  it('has no heartbeat held against clients that are not read', async () => {
    await using gateway = await startGateway({ pingInterval: 0.1, pingNotResponseLimit: 1 });
    const worker = gateway.link.join();
    await using silent = await TcpClient.open(gateway.port);
    await eventually('the client', () => worker.events.length === 1);
    await using paused = await TcpClient.open(gateway.port);
    await eventually('the client', () => worker.events.length === 2);
    worker.full = true;
    paused.write('x\n');
    await silent.untilClosed();
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(paused.closed).toBe(false);
  });
});

describe('packets beyond what a worker takes', () => {
  it('close their client with 1009, and nobody else, at one byte more than the limit of the original', async () => {
    const size = PHP_MAX_PACKET_SIZE - 28;
    await using gateway = await startGateway({ maxPackageSize: 32_000_000 }, { scheme: 'websocket' });
    const worker = gateway.link.join();
    await using big = await WsClient.open(gateway.port);
    await using other = await WsClient.open(gateway.port);
    big.socket.send(Buffer.alloc(size));
    await eventually('the largest message', () => worker.bodies(ON_MESSAGE).length === 1);
    big.socket.send(Buffer.alloc(size + 1));
    expect((await big.untilClosed()).code).toBe(1009);
    await eventually('ON_CLOSE', () => worker.commands.includes(ON_CLOSE));
    other.socket.send('still here');
    await eventually('the other message', () => worker.bodies(ON_MESSAGE).at(-1) === 'still here');
  });

  it('may be larger between our own', async () => {
    await using gateway = await startGateway({ maxPackageSize: 64_000_000 }, { scheme: 'websocket' });
    const worker = gateway.link.join('ours', ['binary']);
    await using client = await WsClient.open(gateway.port);
    client.socket.send(Buffer.alloc(PHP_MAX_PACKET_SIZE));
    await eventually('the message', () => worker.bodies(ON_MESSAGE).length === 1);
    client.socket.send(Buffer.alloc(33_554_432));
    expect((await client.untilClosed()).code).toBe(1009);
  });
});

describe('a protocol of the user', () => {
  const lines = (decode: (line: string) => unknown) => ({
    input: (buffer: Buffer) => buffer.indexOf(10) + 1,
    decode: (bytes: Buffer) => decode(bytes.toString().trimEnd()),
    encode: (data: unknown) => `${JSON.stringify(data)}\n`,
  });

  it('has its values travel as PHP values, and one that has no PHP form is dropped', async () => {
    const values: Record<string, unknown> = { n: 5, t: true, z: null, a: ['x'], f: () => {}, b: Buffer.from('b') };
    const protocol = lines((line) => values[line] ?? (line === 'z' ? null : line));
    await using gateway = await startGateway({ protocol }, { scheme: 'tcp' });
    const worker = gateway.link.join();
    await using client = await TcpClient.open(gateway.port);
    client.write('n\nt\na\nb\ntext\n');
    await eventually('the messages', () => worker.bodies(ON_MESSAGE).length === 5);
    expect(worker.bodies(ON_MESSAGE)).toEqual(['5', '1', 'a:1:{i:0;s:1:"x";}', 'b', 'text']);
    values.cycle = [];
    (values.cycle as unknown[]).push({ f: () => {} });
    client.write('cycle\nend\n');
    await eventually('the next', () => worker.bodies(ON_MESSAGE).length === 6);
    expect(gateway.logger.count('no PHP form')).toBe(1);
    gateway.link.command(Command.SEND_TO_ONE, 1, '', 'a:1:{s:1:"k";i:1;}', 0);
    await client.untilText('{"k":1}\n');
  });

  it('that decodes a package to nothing, or to a function, has no message for a worker', async () => {
    const protocol = lines((line) => ({ end: 'end', function: () => line })[line]);
    await using gateway = await startGateway({ protocol }, { scheme: 'tcp' });
    const worker = gateway.link.join();
    await using client = await TcpClient.open(gateway.port);
    client.write('nothing\nfunction\nend\n');
    await eventually('the message', () => worker.bodies(ON_MESSAGE).length > 0);
    expect(worker.bodies(ON_MESSAGE)).toEqual(['end']);
    expect(gateway.logger.warnings).toEqual(['a message that the protocol decoded has no PHP form; it is dropped']);
  });

  it('encodes text as a string, and as a Buffer what was sent as one or is no text', async () => {
    const encode = (data: unknown) =>
      Buffer.isBuffer(data) ? `<${data.toString('hex')}>\n` : `${JSON.stringify(data)}\n`;
    await using gateway = await startGateway({ protocol: { ...lines((line) => line), encode } }, { scheme: 'tcp' });
    const { link } = gateway;
    link.join();
    await using client = await TcpClient.open(gateway.port);
    await eventually('the client', () => gateway.process.clients.size === 1);
    link.command(Command.SEND_TO_ONE, 1, '', 'grüße');
    link.command(Command.SEND_TO_ALL, 0, '', Buffer.of(0x61, 0xff));
    link.command(Command.SEND_TO_ALL, 0, '', 'a', FLAG_SCALAR | FLAG_BINARY);
    link.command(Command.KICK, 1, '', 'bye');
    await client.untilClosed();
    expect(client.text).toBe('"grüße"\n<61ff>\n<61>\n"bye"\n');
  });
});

describe('stop', () => {
  it('tells the workers of each client, also of one that does not hang up, and leaves no timer', async () => {
    const gateway = await startGateway({ pingInterval: 1 });
    const worker = gateway.link.join();
    await using polite = await TcpClient.open(gateway.port);
    // Half open: it hears our end and keeps its own.
    await using rude = await TcpClient.open(gateway.port, '127.0.0.1', true);
    await eventually('the clients', () => worker.events.length === 2);
    await gateway.process.stop(AbortSignal.abort());
    expect(worker.commands.slice(2)).toEqual([ON_CLOSE, ON_CLOSE]);
    expect(gateway.link.closed).toBe(true);
    await polite.untilClosed();
    await eventually('our end', () => rude.ended);
  });

  it('ends the wait for a worker with it', async () => {
    const gateway = await startGateway();
    await using client = await TcpClient.open(gateway.port);
    await clientsKnown(gateway, 1);
    const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    const before = timers();
    await gateway.process.stop(AbortSignal.abort());
    await client.untilClosed();
    expect(timers()).toBeLessThan(before);
    expect(gateway.process.clients.size).toBe(0);
  });

  it('starts no timer for last events that no worker is there to take', async () => {
    const gateway = await startGateway({ maxWaitingTime: 60 });
    const worker = gateway.link.join();
    await using client = await TcpClient.open(gateway.port);
    await eventually('the client', () => worker.events.length === 1);
    gateway.link.leave(worker);
    const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    const before = timers();
    await gateway.process.stop(AbortSignal.abort());
    // A clock that nobody needs any more may have stopped meanwhile.
    expect(timers()).toBeLessThanOrEqual(before);
    await client.untilClosed();
  });
});

describe('a user-defined protocol', () => {
  it.each([undefined, 'commas'])(
    'named %s gets values as they are, and its messages travel as values',
    async (name) => {
      const protocol: Protocol<unknown, unknown> = {
        ...(name === undefined ? {} : { name }),
        input: (buffer) => buffer.indexOf(',') + 1,
        decode: (bytes) => ({ text: bytes.toString('utf8', 0, bytes.length - 1) }),
        encode: (data) => `${typeof data} ${JSON.stringify(data)}\n`,
      };
      await using gateway = await startGateway({ protocol }, { scheme: 'tcp' });
      const worker = gateway.link.join();
      await using client = await TcpClient.open(gateway.port);
      client.write('hi,');
      await eventually('the message', () => worker.bodies(ON_MESSAGE).length === 1);
      expect(worker.bodies(ON_MESSAGE)).toEqual(['a:1:{s:4:"text";s:2:"hi";}']);
      gateway.link.command(Command.SEND_TO_ONE, 1, '', 'a:1:{s:1:"n";i:7;}', 0);
      gateway.link.command(Command.SEND_TO_ONE, 1, '', 'text');
      await client.untilText('object {"n":7}\nstring "text"\n');
    },
  );
});
