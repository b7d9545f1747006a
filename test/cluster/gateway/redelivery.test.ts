import { describe, expect, it } from 'vitest';
import { ackNumbers, busyBody, Command, PacketReader, redeliveries } from '../../../src/cluster/protocol/mod.js';
import { eventually } from '../../support/eventually.js';
import { type FakeWorker, packetBytes, startGateway, type TestGateway } from '../../support/gateway-link.js';
import { TcpClient } from '../../support/tcp-client.js';

const { ON_CONNECT, ON_MESSAGE, ON_CLOSE, DRAIN, BUSY, KEEP, FORGET } = Command;
const OURS = ['acknowledgements', 'draining'] as const;

/** A worker acknowledges, as its link has it. */
function ack({ kept }: FakeWorker, upTo: number, pending: readonly number[] = []): void {
  new PacketReader().push(packetBytes(Command.ACK, upTo, ackNumbers(pending, pending.length)), {
    packet: (view) => kept?.acknowledge(view) === true,
    fail: (error) => {
      throw error;
    },
  });
}

/** Of one client, as `command body`, with how often it was sent before. */
function seen({ events }: FakeWorker, id = 1): string[] {
  const own = events.filter(({ head }) => head.connectionId === id && head.cmd !== FORGET);
  return own.map(({ head, body }) =>
    `${head.cmd} ${body}${'!'.repeat(redeliveries(head.flag))}`.replace(/ (?=!|$)/, ''),
  );
}

async function clientOf(gateway: TestGateway, worker: FakeWorker, ...lines: string[]): Promise<TcpClient> {
  const before = worker.events.length;
  const client = await TcpClient.open(gateway.port);
  client.write(lines.map((line) => `${line}\n`).join(''));
  await eventually('its events', () => worker.events.length === before + 1 + lines.length);
  return client;
}

describe('what a worker did not acknowledge', () => {
  it('goes to another when its link ends, marked, in order, and before anything newer', async () => {
    await using gateway = await startGateway();
    const { link } = gateway;
    const a = link.join('a', OURS);
    await using client = await clientOf(gateway, a, '1', '2', '3');
    const b = link.join('b', OURS);
    ack(a, 2);
    link.leave(a);
    client.write('4\n');
    await eventually('the newest', () => seen(b).includes('3 4'));
    expect(seen(b)).toEqual(['3 2!', '3 3!', '3 4']);
    expect(gateway.process.redelivered).toBe(2);
    // Only the oldest can have been at work.
    const c = link.join('c', OURS);
    link.leave(b);
    expect(seen(c)).toEqual(['3 2!!', '3 3!', '3 4!']);
  });

  it('is also what it had named as being at work, and nothing of what is handled', async () => {
    await using gateway = await startGateway();
    const { link } = gateway;
    const a = link.join('a', OURS);
    await using _one = await clientOf(gateway, a, 'slow');
    await using _two = await clientOf(gateway, a, 'quick');
    const b = link.join('b', OURS);
    ack(a, 4, [2]);
    link.leave(a);
    expect([seen(b, 1), seen(b, 2)]).toEqual([['3 slow!'], [String(KEEP)]]);
  });

  it('waits for a worker where there is none, and goes to it before what comes meanwhile', async () => {
    await using gateway = await startGateway();
    const { link } = gateway;
    const a = link.join('a', OURS);
    await using client = await clientOf(gateway, a, '1');
    link.leave(a);
    client.write('2\n');
    await eventually('it not to be read', () => gateway.process.clients.get(1)?.connection.paused === true);
    const b = link.join('b', OURS);
    await eventually('all', () => seen(b).length === 3);
    expect(seen(b)).toEqual(['1!', '3 1!', '3 2']);
  });

  it('goes to another also of clients that are gone meanwhile, their last event with it', async () => {
    await using gateway = await startGateway();
    const { link } = gateway;
    const a = link.join('a', OURS);
    await using client = await clientOf(gateway, a, '1');
    ack(a, 1);
    link.command(Command.SET_SESSION, 1, 'a:1:{i:0;i:1;}');
    client.socket.destroy();
    await eventually('its end', () => a.commands.includes(ON_CLOSE));
    link.leave(a);
    const b = link.join('b', OURS);
    expect(seen(b)).toEqual(['3 1!', '4!']);
    expect(b.events.map(({ session, head }) => [session, head.clientIp])).toEqual([
      ['a:1:{i:0;i:1;}', 0x7f000001],
      ['a:1:{i:0;i:1;}', 0x7f000001],
    ]);
    // Nobody counts as bound: the next client goes to the one that joined first.
    const c = link.join('c', OURS);
    await using _next = await clientOf(gateway, b);
    expect(c.events).toEqual([]);
  });

  it('is sent before what waited while the worker was leaving in order', async () => {
    await using gateway = await startGateway();
    const { link } = gateway;
    const a = link.join('a', OURS);
    await using client = await clientOf(gateway, a, '1', '2');
    ack(a, 2);
    link.say(a, DRAIN);
    link.say(a, BUSY, 0, busyBody([1]));
    client.write('3\n');
    await eventually('it to wait', () => gateway.process.clients.get(1)?.connection.paused === true);
    const b = link.join('b', OURS);
    expect(seen(b)).toEqual([]);
    link.leave(a);
    expect(seen(b)).toEqual(['3 2!', '3 3']);
  });

  it('is not sent again of clients that a leaving worker was done with, though their ACK was lost', async () => {
    await using gateway = await startGateway();
    const { link } = gateway;
    const a = link.join('a', OURS);
    await using client = await clientOf(gateway, a, '1');
    const b = link.join('b', OURS);
    link.say(a, DRAIN);
    link.say(a, BUSY);
    client.write('2\n');
    await eventually('it', () => seen(b).length === 1);
    link.leave(a);
    expect(seen(b)).toEqual(['3 2']);
  });

  it('of the next worker too is counted, and dropped with its client behind the limit', async () => {
    await using gateway = await startGateway({ maxRedeliveries: 2 });
    const { link, logger } = gateway;
    const first = link.join('0', OURS);
    await using client = await clientOf(gateway, first, 'poison');
    ack(first, 1);
    link.leave(first);
    for (const [key, mark] of ['!', '!!'].entries()) {
      const worker = link.join(String(key + 1), OURS);
      expect(seen(worker)).toEqual([`3 poison${mark}`]);
      link.leave(worker);
    }
    const last = link.join('last', OURS);
    await client.untilClosed();
    await eventually('its end', () => last.commands.includes(ON_CLOSE));
    expect(seen(last)).toEqual([String(KEEP), '4']);
    expect(gateway.process.figures().dropped).toEqual({ undeliverable: 1 });
    expect(logger.warnings.at(-1)).toContain('one worker after the other');
  });

  it('comes before what its client had sent meanwhile, also when its new worker has room again in the middle of it', async () => {
    await using gateway = await startGateway();
    const { link } = gateway;
    const a = link.join('a', OURS);
    await using client = await clientOf(gateway, a, '1', '2');
    a.full = true;
    // Of these the second is held.
    client.write('3\n4\n');
    await eventually('it not to be read', () => seen(a).length === 4);
    ack(a, 1);
    const b = link.join('b', OURS);
    b.full = true;
    b.take = ({ body }) => {
      if (String(body) === '2') link.drained(b);
      return true;
    };
    link.leave(a);
    expect(seen(b)).toEqual(['3 1!', '3 2!', '3 3!', '3 4']);
  });

  it('comes before it also when its new worker leaves in the middle of it', async () => {
    await using gateway = await startGateway();
    const { link } = gateway;
    const a = link.join('a', OURS);
    await using client = await clientOf(gateway, a, '1', '2');
    a.full = true;
    client.write('3\n4\n');
    await eventually('it not to be read', () => seen(a).length === 4);
    ack(a, 1);
    const b = link.join('b', OURS);
    const c = link.join('c', OURS);
    b.take = ({ body }) => {
      if (String(body) !== '2') return true;
      link.leave(b);
      return false;
    };
    link.leave(a);
    expect(seen(c)).toEqual(['3 1!!', '3 2!', '3 3!', '3 4']);
  });

  it('goes to one worker, and in order, also when its client is gone and its new worker leaves in the middle of it', async () => {
    await using gateway = await startGateway();
    const { link } = gateway;
    const a = link.join('a', OURS);
    await using client = await clientOf(gateway, a, '1', '2');
    ack(a, 1);
    client.socket.destroy();
    await eventually('its end', () => a.commands.includes(ON_CLOSE));
    const [b, c, d] = [link.join('b', OURS), link.join('c', OURS), link.join('d', OURS)];
    b.take = ({ body }) => {
      if (String(body) !== '2') return true;
      link.leave(b);
      return false;
    };
    link.leave(a);
    expect([seen(c), seen(d)]).toEqual([['3 1!!', '3 2!', '4!'], []]);
  });

  it('has the last session of a client that is gone, not the one it was sent with', async () => {
    await using gateway = await startGateway();
    const { link } = gateway;
    const a = link.join('a', OURS);
    await using client = await clientOf(gateway, a, '1');
    ack(a, 1);
    link.say(a, DRAIN);
    link.say(a, BUSY, 0, busyBody([1]));
    link.command(Command.SET_SESSION, 1, 'a:1:{i:0;i:1;}');
    client.socket.destroy();
    await eventually('its end', () => gateway.process.clients.size === 0);
    link.leave(a);
    const b = link.join('b', OURS);
    expect(b.events.map(({ head, session }) => [head.cmd, session])).toEqual([
      [ON_MESSAGE, 'a:1:{i:0;i:1;}'],
      [ON_CLOSE, 'a:1:{i:0;i:1;}'],
    ]);
  });

  it('waits for a worker however much it is, for it was taken; what is new finds no room behind it', async () => {
    await using gateway = await startGateway({ maxWaitingBytes: 500 });
    const { link } = gateway;
    const a = link.join('a', OURS);
    await using client = await clientOf(gateway, a, '1', '2', '3');
    await using other = await clientOf(gateway, a);
    ack(a, 5, [1, 2, 3, 4]);
    link.leave(a);
    other.write('new\n');
    await other.untilClosed();
    const b = link.join('b', OURS);
    expect([seen(b, 1), seen(b, 2)]).toEqual([['1!', '3 1!', '3 2!', '3 3!'], ['4']]);
    expect(gateway.process.figures().dropped).toEqual({ waitingRoomFull: 1 });
    expect(client.closed).toBe(false);
  });

  it('leaves nobody behind at a worker that hears of a client only when its end was told elsewhere', async () => {
    let to = 'a';
    await using gateway = await startGateway({ router: () => to });
    const { link } = gateway;
    const a = link.join('a', OURS);
    const b = link.join('b', OURS);
    const c = link.join('c', OURS);
    await using client = await clientOf(gateway, a, '1');
    ack(a, 1);
    to = 'b';
    client.socket.destroy();
    await eventually('its end', () => b.commands.includes(ON_CLOSE));
    to = 'c';
    link.leave(a);
    expect(c.commands).toEqual([ON_MESSAGE, FORGET]);
  });

  it('goes without a mark to a worker of the original, and is kept for none', async () => {
    await using gateway = await startGateway();
    const { link } = gateway;
    const a = link.join('a', OURS);
    await using _client = await clientOf(gateway, a, '1');
    const php = link.join('php');
    link.leave(a);
    expect(seen(php)).toEqual(['1', '3 1']);
    const b = link.join('b', OURS);
    link.leave(php);
    expect(seen(b)).toEqual([String(KEEP)]);
  });

  it('is not sent to others by a gateway that has closed its links', async () => {
    const gateway = await startGateway();
    const { link } = gateway;
    const a = link.join('a', OURS);
    const b = link.join('b', OURS);
    await using _client = await clientOf(gateway, a, '1');
    const close = link.close.bind(link);
    link.close = async () => {
      link.leave(a);
      await close();
    };
    await gateway.process.stop(AbortSignal.abort());
    expect(a.commands).toEqual([ON_CONNECT, ON_MESSAGE, ON_CLOSE]);
    expect(b.events).toEqual([]);
  });
});

describe('the worker that keeps a client', () => {
  const kept = (worker: FakeWorker) =>
    worker.events
      .filter(({ head }) => head.cmd === KEEP || head.cmd === FORGET)
      .map(({ head }) => [head.cmd, head.connectionId]);

  it('is another when its own has left: it is told with the session, until the client’s next event is elsewhere', async () => {
    await using gateway = await startGateway();
    const { link } = gateway;
    const a = link.join('a', OURS);
    await using client = await clientOf(gateway, a);
    link.command(Command.SET_SESSION, 1, 'a:1:{i:0;i:1;}');
    ack(a, 1);
    const b = link.join('b', OURS);
    link.leave(a);
    expect(b.events.map(({ head, session }) => [head.cmd, head.connectionId, session])).toEqual([
      [KEEP, 1, 'a:1:{i:0;i:1;}'],
    ]);
    const again = link.join('a', OURS);
    client.write('x\n');
    await eventually('its next event', () => again.events.length === 1);
    expect(kept(b)).toEqual([
      [KEEP, 1],
      [FORGET, 1],
    ]);
  });

  it('is the next that joins where there was none, and is told of as many as it has room for', async () => {
    await using gateway = await startGateway();
    const { link } = gateway;
    const a = link.join('a', OURS);
    const clients: TcpClient[] = [];
    for (let count = 0; count < 3; count++) clients.push(await clientOf(gateway, a));
    ack(a, 3);
    link.leave(a);
    clients[0]?.socket.destroy();
    await eventually('one to have left', () => gateway.process.clients.size === 2);
    const b = link.join('b', OURS);
    b.full = true;
    expect(seen(b, 1)).toEqual(['4']);
    const c = link.join('c', OURS);
    c.full = true;
    link.drained(c);
    expect([...kept(b), ...kept(c)].sort()).toEqual([
      [KEEP, 2],
      [KEEP, 3],
    ]);
  });

  it('forgets a client that a router of your own has moved, also when another had its last event', async () => {
    let to = 'a';
    await using gateway = await startGateway({ router: () => to });
    const { link } = gateway;
    const a = link.join('a', OURS);
    const b = link.join('b', OURS);
    await using client = await clientOf(gateway, a);
    to = 'b';
    client.socket.destroy();
    await eventually('its end', () => b.commands.includes(ON_CLOSE));
    expect([kept(a), kept(b)]).toEqual([[[FORGET, 1]], []]);
  });

  it('is another one also where the first that is there has no room', async () => {
    await using gateway = await startGateway();
    const { link } = gateway;
    const a = link.join('a', OURS);
    await using _client = await clientOf(gateway, a);
    ack(a, 1);
    const b = link.join('b', OURS);
    b.full = true;
    const c = link.join('c', OURS);
    link.leave(a);
    expect([kept(b), kept(c)]).toEqual([[], [[KEEP, 1]]]);
  });

  it('forgets a client that is closed because an event of it was lost, where its end finds no room either', async () => {
    await using gateway = await startGateway({ maxWaitingBytes: 0 });
    const { link } = gateway;
    const a = link.join('a', OURS);
    await using client = await clientOf(gateway, a);
    link.say(a, DRAIN);
    link.say(a, BUSY, 0, busyBody([1]));
    client.write('x\n');
    await client.untilClosed();
    await eventually('its end', () => gateway.process.clients.size === 0);
    expect(a.commands).toEqual([ON_CONNECT, DRAIN, FORGET]);
  });
});

describe('the end of a client that a worker has heard of', () => {
  const SESSION = 'a:1:{i:0;i:1;}';
  const ends = (worker: FakeWorker) =>
    worker.events.map(({ head, session }) => [head.cmd, head.connectionId, session]).sort();

  it('is told when there is a worker again, with its session, also when it was closed because none came in time', async () => {
    await using gateway = await startGateway({ maxWaitingTime: 0.2 });
    const { link } = gateway;
    const a = link.join('a', OURS);
    await using speaks = await clientOf(gateway, a);
    await using leaves = await clientOf(gateway, a);
    await using both = await clientOf(gateway, a);
    ack(a, 3);
    for (const id of [1, 2, 3]) link.command(Command.SET_SESSION, id, SESSION);
    link.leave(a);
    speaks.write('lost\n');
    leaves.socket.destroy();
    both.write('lost\n');
    both.socket.end();
    await using unheard = await TcpClient.open(gateway.port);
    for (const client of [speaks, both, unheard]) await client.untilClosed();
    await eventually('all to be gone', () => gateway.process.clients.size === 0);
    // Longer than anything else may wait.
    await eventually('what was lost', () => gateway.process.figures().dropped.noWorker === 3);
    const b = link.join('b', OURS);
    expect(ends(b)).toEqual([1, 2, 3].map((id) => [ON_CLOSE, id, SESSION]));
    const c = link.join('c', OURS);
    link.leave(b);
    expect(ends(c)).toEqual([1, 2, 3].map((id) => [ON_CLOSE, id, SESSION]));
    // Of none is anything left.
    ack(c, 3);
    link.leave(c);
    expect(link.join('d', OURS).events).toEqual([]);
  });

  it('is told to no worker that did not take its beginning', async () => {
    await using gateway = await startGateway();
    const a = gateway.link.join('a', OURS);
    // Beyond the hard limit of its window a worker takes nothing but ends.
    a.take = ({ head }) => head.cmd === ON_CLOSE;
    const client = await TcpClient.open(gateway.port);
    await eventually('it to be there', () => gateway.process.clients.size === 1);
    client.socket.destroy();
    await eventually('it to be gone', () => gateway.process.clients.size === 0);
    expect(a.events).toEqual([]);
    expect(gateway.process.figures().dropped).toMatchObject({ workerQueueFull: 1 });
  });

  it('waits up to four times the bytes that others may, and what is beyond is counted', async () => {
    // An end takes 200 of 4 × 100.
    await using gateway = await startGateway({ maxWaitingBytes: 100 });
    const { link } = gateway;
    const a = link.join('a', OURS);
    const clients: TcpClient[] = [];
    for (let count = 0; count < 3; count++) clients.push(await clientOf(gateway, a));
    ack(a, 3);
    link.leave(a);
    for (const client of clients) client.socket.destroy();
    await eventually('all to be gone', () => gateway.process.clients.size === 0);
    expect(gateway.process.figures().dropped).toEqual({ waitingRoomFull: 1 });
    expect(link.join('b', OURS).commands).toEqual([ON_CLOSE, ON_CLOSE]);
  });
});
