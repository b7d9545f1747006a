import { describe, expect, it } from 'vitest';
import { busyBody, Command } from '../../../src/cluster/protocol/mod.js';
import { eventually } from '../../support/eventually.js';
import { type FakeWorker, startGateway, type TestGateway } from '../../support/gateway-link.js';
import { TcpClient } from '../../support/tcp-client.js';

const { ON_CONNECT, ON_MESSAGE, ON_CLOSE, DRAIN, BUSY, DONE, SET_SESSION } = Command;

/** Clients of a worker that may leave, with connection ids from 1 on. */
async function clientsOf(gateway: TestGateway, worker: FakeWorker, count: number): Promise<TcpClient[]> {
  const clients: TcpClient[] = [];
  for (let number = 1; number <= count; number++) {
    clients.push(await TcpClient.open(gateway.port));
    await eventually('the client', () => worker.events.length === number);
  }
  return clients;
}

/** Of one client, as `command body`. */
function seen({ events }: FakeWorker, id: number): string[] {
  return events.filter(({ head }) => head.connectionId === id).map(({ head, body }) => `${head.cmd} ${body}`.trim());
}

function waiting(gateway: TestGateway, id: number): boolean {
  return gateway.process.clients.get(id)?.connection.paused === true;
}

describe('a worker that leaves', () => {
  it('is sent its last event at once, and what its clients send waits until it is done with each', async () => {
    await using gateway = await startGateway();
    const { link } = gateway;
    const old = link.join('old', ['draining']);
    const clients = await clientsOf(gateway, old, 3);
    const fresh = link.join('fresh', ['draining']);
    link.say(old, DRAIN);
    expect(old.commands).toEqual([ON_CONNECT, ON_CONNECT, ON_CONNECT, DRAIN]);
    for (const [index, client] of clients.entries()) client.write(`a${index + 1}\nb${index + 1}\n`);
    await eventually('all to wait', () => [1, 2, 3].every((id) => waiting(gateway, id)));
    expect(fresh.events).toEqual([]);
    link.say(old, BUSY, 0, busyBody([2, 3]));
    expect(fresh.bodies(ON_MESSAGE)).toEqual(['a1', 'b1']);
    link.say(old, DONE, 3);
    expect(fresh.bodies(ON_MESSAGE)).toEqual(['a1', 'b1', 'a3', 'b3']);
    expect([waiting(gateway, 1), waiting(gateway, 2)]).toEqual([false, true]);
    link.say(old, DONE, 2);
    clients[1]?.write('c2\n');
    await eventually('what is sent behind it', () => fresh.bodies(ON_MESSAGE).length === 7);
    expect(seen(fresh, 2)).toEqual(['3 a2', '3 b2', '3 c2']);
    link.leave(old);
    expect(old.commands.filter((cmd) => cmd === ON_MESSAGE || cmd === ON_CLOSE)).toEqual([]);
  });

  it('has its session saves seen by the event that waited', async () => {
    await using gateway = await startGateway();
    const { link } = gateway;
    const old = link.join('old', ['draining']);
    const [client] = await clientsOf(gateway, old, 1);
    const fresh = link.join('fresh', ['draining']);
    link.say(old, DRAIN);
    client?.write('x\n');
    await eventually('it to wait', () => waiting(gateway, 1));
    link.command(SET_SESSION, 1, 'a:1:{s:1:"n";i:1;}');
    link.say(old, BUSY);
    expect(fresh.events.map(({ session }) => session)).toEqual(['a:1:{s:1:"n";i:1;}']);
  });

  it('lets go what it was not done with when its link ends', async () => {
    await using gateway = await startGateway();
    const { link } = gateway;
    const old = link.join('old', ['draining']);
    const clients = await clientsOf(gateway, old, 2);
    const fresh = link.join('fresh', ['draining']);
    link.say(old, DRAIN);
    clients[0]?.write('x\n');
    await eventually('it to wait', () => waiting(gateway, 1));
    link.say(old, BUSY, 0, busyBody([1, 2]));
    expect(fresh.events).toEqual([]);
    link.leave(old);
    expect(fresh.bodies(ON_MESSAGE)).toEqual(['x']);
    clients[1]?.write('y\n');
    await eventually('the other one', () => fresh.bodies(ON_MESSAGE).length === 2);
  });

  it('keeps the place of a client that leaves meanwhile: onClose comes behind its handlers, and frees it', async () => {
    await using gateway = await startGateway();
    const { link } = gateway;
    const old = link.join('old', ['draining']);
    const [client] = await clientsOf(gateway, old, 1);
    link.say(old, DRAIN);
    link.say(old, BUSY, 0, busyBody([1]));
    client?.write('x\n');
    await eventually('it to wait', () => waiting(gateway, 1));
    gateway.process.clients.get(1)?.connection.destroy();
    await eventually('it to be gone', () => gateway.process.clients.size === 0);
    const [a, b] = [link.join('a'), link.join('b')];
    expect(a.events).toEqual([]);
    link.say(old, DONE, 1);
    expect(seen(a, 1)).toEqual(['3 x', '4']);
    // Both have nobody: the tie goes to the one that joined first.
    await using _next = await TcpClient.open(gateway.port);
    await eventually('the next client', () => a.events.length === 3);
    expect(b.events).toEqual([]);
  });

  it('while no other is there, has its clients wait for one, as long as they may', async () => {
    await using gateway = await startGateway({ maxWaitingTime: 0.3 });
    const { link } = gateway;
    const old = link.join('old', ['draining']);
    const [held, free] = await clientsOf(gateway, old, 2);
    link.say(old, DRAIN);
    link.say(old, BUSY, 0, busyBody([1]));
    held?.write('x\n');
    free?.write('y\n');
    await free?.untilClosed();
    expect(held?.closed, 'its handler may take its time').toBe(false);
    link.say(old, DONE, 1);
    const fresh = link.join('fresh');
    expect([seen(fresh, 1), seen(fresh, 2)]).toEqual([['3 x'], ['4']]);
  });

  it('is no choice for new clients, nor for a router of your own, which is not asked for clients it holds', async () => {
    const asked: string[][] = [];
    await using gateway = await startGateway({
      router: (workers) => {
        asked.push([...workers.keys()]);
        return [...workers.keys()][0] as string;
      },
    });
    const { link } = gateway;
    const old = link.join('old', ['draining']);
    const [client] = await clientsOf(gateway, old, 1);
    const fresh = link.join('fresh');
    link.say(old, DRAIN);
    client?.write('x\n');
    await eventually('it to wait', () => waiting(gateway, 1));
    await using _other = await TcpClient.open(gateway.port);
    await eventually('the other client', () => fresh.events.length === 1);
    link.say(old, BUSY);
    expect(fresh.bodies(ON_MESSAGE)).toEqual(['x']);
    expect(asked).toEqual([['old'], ['fresh'], ['fresh']]);
  });

  it('is told its last event when its full queue has room, and its paused clients stay so until then', async () => {
    await using gateway = await startGateway();
    const { link } = gateway;
    const old = link.join('old', ['draining']);
    const clients = await clientsOf(gateway, old, 2);
    const fresh = link.join('fresh');
    old.full = true;
    for (const client of clients) client.write('1\n2\n');
    await eventually('both to be paused', () => [1, 2].every((id) => waiting(gateway, id)));
    old.take = () => false;
    link.say(old, DRAIN);
    expect(old.commands).not.toContain(DRAIN);
    old.take = () => true;
    link.drained(old);
    expect(old.commands.at(-1)).toBe(DRAIN);
    expect([waiting(gateway, 1), waiting(gateway, 2)]).toEqual([true, true]);
    link.drained(old);
    expect(old.commands.filter((cmd) => cmd === DRAIN)).toEqual([DRAIN]);
    link.say(old, BUSY, 0, busyBody([2]));
    expect(fresh.bodies(ON_MESSAGE)).toEqual(['2']);
    expect(waiting(gateway, 2)).toBe(true);
    link.say(old, DONE, 2);
    expect(fresh.bodies(ON_MESSAGE)).toEqual(['2', '2']);
    expect(old.bodies(ON_MESSAGE)).toEqual(['1', '1']);
  });

  it('is told of by the hook once, when it takes no more', async () => {
    const told: string[] = [];
    await using gateway = await startGateway({ onBusinessWorkerClose: ({ key }) => void told.push(key) });
    const { link } = gateway;
    const old = link.join('old', ['draining']);
    link.say(old, DRAIN);
    expect(told).toEqual(['old']);
    link.leave(old);
    expect(told).toEqual(['old']);
  });

  it('hears of every client that a stopping gateway closes', async () => {
    const gateway = await startGateway();
    const { link } = gateway;
    const old = link.join('old', ['draining']);
    await clientsOf(gateway, old, 2);
    const stopped = gateway.process.stop(AbortSignal.abort());
    await new Promise((resolve) => setImmediate(resolve));
    link.say(old, DRAIN);
    await stopped;
    expect(old.commands).toEqual([ON_CONNECT, ON_CONNECT, ON_CLOSE, ON_CLOSE]);
  });
});

describe('what only a worker that leaves may say', () => {
  it('is ignored from one that has agreed to nothing, and from one that does not leave', async () => {
    await using gateway = await startGateway();
    const { link, logger } = gateway;
    const php = link.join('php');
    const ours = link.join('ours', ['draining']);
    for (const cmd of [DRAIN, BUSY, DONE]) link.say(php, cmd);
    expect(logger.warnings).toEqual(['a command of workers that leave came from somebody else; it is ignored']);
    link.say(ours, BUSY, 0, busyBody([1]));
    link.say(ours, DONE, 1);
    expect(gateway.process.workerCount).toBe(2);
    expect([php.events, ours.events]).toEqual([[], []]);
  });

  it('is warned of where it names clients in a way that can not be read', async () => {
    await using gateway = await startGateway();
    const { link, logger } = gateway;
    const old = link.join('old', ['draining']);
    link.say(old, DRAIN);
    link.say(old, BUSY, 0, 'abc');
    expect(logger.warnings).toEqual(['the body of BUSY is no list of connection ids']);
  });
});
