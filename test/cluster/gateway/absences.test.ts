import { describe, expect, it } from 'vitest';
import { Absences } from '../../../src/cluster/gateway/absences.js';
import { Command } from '../../../src/cluster/protocol/mod.js';
import { eventually } from '../../support/eventually.js';
import { FakeWorker, packetBytes, startGateway, type TestGateway } from '../../support/gateway-link.js';
import { TcpClient } from '../../support/tcp-client.js';

const { ABSENT, PRESENT, JOIN_GROUP, LEAVE_GROUP, SEND_TO_GROUP, SEND_TO_ONE, UNGROUP, DRAIN } = Command;
const LIMIT = 10_000;
const MAX_NAME = 255;

/** What a worker was told of groups: `-name joins` and `+name`. */
function told({ events }: FakeWorker): string[] {
  return events.flatMap(({ head, session }) => {
    if (head.cmd === ABSENT) return [`-${session} ${head.connectionId}`];
    return head.cmd === PRESENT ? [`+${session}`] : [];
  });
}

function sendTo(gateway: TestGateway, worker: FakeWorker | null, groups: readonly string[], joins = 0): void {
  const ext = JSON.stringify({ group: groups, exclude: null });
  gateway.link.packet(packetBytes(SEND_TO_GROUP, joins, ext, 'message'), worker);
}

async function withClient(gateway: TestGateway, worker: FakeWorker): Promise<TcpClient> {
  const client = await TcpClient.open(gateway.port);
  await eventually('the client', () => worker.events.length > 0);
  worker.events.length = 0;
  return client;
}

describe('a gateway that is sent what is for a group', () => {
  it('says that nobody is in it, each time, with the count of the send, and that somebody is when one joins', async () => {
    await using gateway = await startGateway();
    const worker = gateway.link.join('a', ['groups']);
    await using client = await withClient(gateway, worker);
    sendTo(gateway, worker, ['g'], 4_000_000_000);
    sendTo(gateway, worker, ['g'], 5);
    expect(told(worker)).toEqual(['-g 4000000000', '-g 5']);
    gateway.link.command(JOIN_GROUP, 1, 'other');
    expect(told(worker)).toHaveLength(2);
    gateway.link.command(JOIN_GROUP, 1, 'g');
    gateway.link.command(JOIN_GROUP, 1, 'g');
    expect(told(worker).slice(2)).toEqual(['+g']);
    sendTo(gateway, worker, ['g']);
    await client.untilText('message\n');
    expect(told(worker)).toHaveLength(3);
  });

  it('says it of each group of a list that has nobody, and delivers to the others', async () => {
    await using gateway = await startGateway();
    const worker = gateway.link.join('a', ['groups']);
    await using client = await withClient(gateway, worker);
    gateway.link.command(JOIN_GROUP, 1, 'b');
    sendTo(gateway, worker, ['a', 'b', 'straße'], 1);
    await client.untilText('message\n');
    expect(told(worker)).toEqual(['-a 1', `-${Buffer.from('straße').toString('latin1')} 1`]);
  });

  it.each(['leave', 'ungroup', 'hang up'])('says it again when the last member has left (%s)', async (how) => {
    await using gateway = await startGateway();
    const worker = gateway.link.join('a', ['groups']);
    await using client = await withClient(gateway, worker);
    sendTo(gateway, worker, ['g']);
    gateway.link.command(JOIN_GROUP, 1, 'g');
    if (how === 'leave') gateway.link.command(LEAVE_GROUP, 1, 'g');
    if (how === 'ungroup') gateway.link.command(UNGROUP, 0, 'g');
    if (how === 'hang up') {
      client.socket.destroy();
      await eventually('it to be gone', () => gateway.process.clients.size === 0);
    }
    sendTo(gateway, worker, ['g'], 1);
    expect(told(worker)).toEqual(['-g 0', '+g', '-g 1']);
  });

  it('says nothing when nobody joins: the client is gone, or the name is none', async () => {
    await using gateway = await startGateway();
    const worker = gateway.link.join('a', ['groups']);
    sendTo(gateway, worker, ['g', '0']);
    gateway.link.command(JOIN_GROUP, 99, 'g');
    gateway.link.command(JOIN_GROUP, 99, '0');
    expect(told(worker)).toEqual(['-g 0', '-0 0']);
  });

  it('tells each worker that was told, and no other', async () => {
    await using gateway = await startGateway();
    const [a, b, c] = ['a', 'b', 'c'].map((key) => gateway.link.join(key, ['groups'])) as [
      FakeWorker,
      FakeWorker,
      FakeWorker,
    ];
    await using _client = await withClient(gateway, a);
    for (const worker of [a, b]) sendTo(gateway, worker, ['g']);
    gateway.link.command(JOIN_GROUP, 1, 'g');
    expect([a, b, c].map(told)).toEqual([['-g 0', '+g'], ['-g 0', '+g'], []]);
  });

  it('says nothing to workers of the original, nor to programs', async () => {
    await using gateway = await startGateway();
    const [php, older] = [gateway.link.join('php'), gateway.link.join('older', ['binary', 'draining'])];
    await using _client = await withClient(gateway, php);
    for (const worker of [php, older, null]) sendTo(gateway, worker, ['g']);
    gateway.link.command(JOIN_GROUP, 1, 'g');
    expect([...php.events, ...older.events]).toEqual([]);
  });

  it('tells a worker that leaves until its link ends, and forgets then', async () => {
    await using gateway = await startGateway();
    const worker = gateway.link.join('a', ['groups', 'draining']);
    await using _client = await withClient(gateway, worker);
    sendTo(gateway, worker, ['g', 'h']);
    gateway.link.say(worker, DRAIN);
    gateway.link.command(JOIN_GROUP, 1, 'g');
    expect(told(worker).slice(2)).toEqual(['+g']);
    gateway.link.leave(worker);
    gateway.link.command(JOIN_GROUP, 1, 'h');
    expect(told(worker).slice(2)).toEqual(['+g']);
  });

  it('tells of a join before anything that comes behind it', async () => {
    await using gateway = await startGateway();
    const worker = gateway.link.join('a', ['groups']);
    await using client = await withClient(gateway, worker);
    sendTo(gateway, worker, ['g']);
    gateway.link.command(JOIN_GROUP, 1, 'g');
    gateway.link.command(SEND_TO_ONE, 1, '', 'you are in');
    await client.untilText('you are in\n');
    client.write('I know\n');
    await eventually('the event', () => worker.commands.includes(Command.ON_MESSAGE));
    expect(worker.commands).toEqual([ABSENT, PRESENT, Command.ON_MESSAGE]);
  });
});

describe('what a gateway remembers to have called absent', () => {
  it('is so many names for each worker; of what comes then one in sixteen takes the place of the oldest', () => {
    const absences = new Absences();
    const [worker, other] = [new FakeWorker('a'), new FakeWorker('b')];
    for (let number = 1; number <= LIMIT; number++) absences.tell(worker, `g${number}`, 0);
    expect(told(worker)).toHaveLength(LIMIT);
    expect(told(worker).at(-1)).toBe(`-g${LIMIT} 0`);
    for (let number = 1; number <= 15; number++) absences.tell(worker, `h${number}`, 0);
    expect(told(worker)).toHaveLength(LIMIT);
    // Known ones are said as ever.
    absences.tell(worker, 'g1', 3);
    expect(told(worker).slice(LIMIT)).toEqual(['-g1 3']);
    absences.tell(worker, 'h16', 4);
    expect(told(worker).slice(LIMIT + 1)).toEqual(['+g1', '-h16 4']);
    absences.tell(other, 'x', 0);
    expect(told(other)).toEqual(['-x 0']);
    for (const group of ['g1', 'h1', 'g2', 'h16']) absences.appeared(group);
    expect(told(worker).slice(LIMIT + 3)).toEqual(['+g2', '+h16']);
    absences.tell(worker, 'y', 0);
    expect(told(worker).at(-1)).toBe('-y 0');
  });

  it('is no name longer than 255 bytes', () => {
    const absences = new Absences();
    const worker = new FakeWorker('a');
    absences.tell(worker, 'x'.repeat(MAX_NAME), 0);
    absences.tell(worker, 'x'.repeat(MAX_NAME + 1), 0);
    expect(told(worker)).toEqual([`-${'x'.repeat(MAX_NAME)} 0`]);
  });

  it('is nothing that a worker was not told: it does not read, or its link is ending', () => {
    const absences = new Absences();
    const worker = new FakeWorker('a');
    worker.full = true;
    absences.tell(worker, 'g', 0);
    worker.full = false;
    worker.take = () => false;
    absences.tell(worker, 'g', 0);
    absences.appeared('g');
    expect(worker.events).toEqual([]);
  });
});
