import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Client } from '../../src/cluster/business/mod.js';
import { GatewayProcess } from '../../src/cluster/gateway/gateway-process.js';
import { AbsentGroups } from '../../src/cluster/link/mod.js';
import { Command, decodeClientId } from '../../src/cluster/protocol/mod.js';
import { startCluster, type TestClient, type TestCluster } from '../../src/testing/mod.js';
import { eventually } from '../support/eventually.js';
import { PhpPeer } from '../support/mesh.js';
import { seededRandom } from '../support/recording-sink.js';

afterEach(() => void vi.restoreAllMocks());

/** Two gateways, with as many clients each. */
class Pair implements AsyncDisposable {
  readonly cluster: TestCluster;
  /** Connections, and the same as a worker sees them; first those of the first gateway. */
  readonly there: readonly TestClient[];
  readonly clients: readonly Client[];
  /** Public ports of the gateways that were sent something for a group, in order. */
  readonly sentTo: number[] = [];
  /** What workers were told of groups. */
  readonly told: { readonly cmd: number; readonly from: AbsentGroups }[] = [];

  private constructor(cluster: TestCluster, there: readonly TestClient[], clients: readonly Client[]) {
    this.cluster = cluster;
    this.there = there;
    this.clients = clients;
    const { told, sentTo } = this;
    const { command } = GatewayProcess.prototype;
    vi.spyOn(GatewayProcess.prototype, 'command').mockImplementation(function (this: GatewayProcess, packet, from) {
      if (packet.cmd === Command.SEND_TO_GROUP) sentTo.push(this.port);
      command.call(this, packet, from);
    });
    const { told: take } = AbsentGroups.prototype;
    vi.spyOn(AbsentGroups.prototype, 'told').mockImplementation(function (this: AbsentGroups, packet) {
      take.call(this, packet);
      told.push({ cmd: packet.cmd, from: this });
    });
  }

  static async start(transport: 'ports' | 'memory', { workers = 1, clientsEach = 1 } = {}): Promise<Pair> {
    const clients: Client[] = [];
    const cluster = await startCluster({
      transport,
      workers,
      gateways: ['text://127.0.0.1:0', 'text://127.0.0.1:0'],
      events: { onConnect: (client) => void clients.push(client) },
    });
    const there: TestClient[] = [];
    for (const gateway of [0, 1]) {
      for (let count = 0; count < clientsEach; count++) {
        there.push(await cluster.connect(gateway));
        await eventually('the client', () => clients.length === there.length);
      }
    }
    return new Pair(cluster, there, clients);
  }

  get ports(): readonly [number, number] {
    return this.cluster.gateways.map(({ port }) => port) as [number, number];
  }

  /** The gateway API of a worker; default: the first. */
  api(worker = 0) {
    const found = this.cluster.workers[worker];
    if (found === undefined) throw new Error('no such worker');
    return found.gateway;
  }

  heard(client: number): readonly unknown[] {
    return this.there[client]?.messages ?? [];
  }

  async untilTold(count: number): Promise<void> {
    await eventually('word of groups', () => this.told.length >= count);
    expect(this.told).toHaveLength(count);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.cluster.stop();
  }
}

describe.each(['ports', 'memory'] as const)('what is for a group, over links of the kind %s,', (transport) => {
  it('goes once to a gateway where nobody is in it, and again when somebody joins there', async () => {
    await using pair = await Pair.start(transport);
    const [here, other] = pair.ports;
    const [a, b] = pair.clients as [Client, Client];
    a.joinGroup('g');
    pair.api().sendToGroup('g', '1');
    await pair.untilTold(1);
    expect([...pair.sentTo].sort()).toEqual([here, other].sort());
    pair.sentTo.length = 0;
    for (const text of ['2', '3', '4']) expect(pair.api().sendToGroup('g', text)).toBe(true);
    await eventually('all', () => pair.heard(0).length === 4);
    expect(pair.sentTo).toEqual([here, here, here]);
    b.joinGroup('g');
    pair.api().sendToGroup(['g', 'nobody'], '5', { exclude: a.id });
    await eventually('the newcomer to hear it', () => pair.heard(1).length === 1);
    expect([pair.heard(0), pair.heard(1)]).toEqual([['1', '2', '3', '4'], ['5']]);
  });

  it('reaches whom the same worker made join before, whatever is on its way', async () => {
    await using pair = await Pair.start(transport);
    const [, b] = pair.clients as [Client, Client];
    const api = pair.api();
    // The word that nobody is there comes when somebody is.
    api.sendToGroup('g', 'nobody');
    b.joinGroup('g');
    api.sendToGroup('g', '1');
    // Of both sends where nobody is, and where somebody has come.
    await pair.untilTold(4);
    expect(pair.told.filter(({ cmd }) => cmd === Command.PRESENT)).toHaveLength(1);
    b.leaveGroup('g');
    api.sendToGroup('g', 'nobody');
    await pair.untilTold(5);
    // Known to be absent, and joined.
    api.joinGroup(b.id, 'g');
    api.sendToGroup('g', '2');
    await eventually('it', () => pair.heard(1).length === 2);
    expect(pair.heard(1)).toEqual(['1', '2']);
  });

  it('reaches whom another made join, as soon as word of it has come', async () => {
    await using pair = await Pair.start(transport, { workers: 2 });
    const { clients, cluster } = pair;
    const program = cluster.client();
    await program.ready();
    const joins = [(id: string) => pair.api(1).joinGroup(id, 'g0'), (id: string) => program.joinGroup(id, 'g1')];
    for (const [round, join] of joins.entries()) {
      pair.told.length = 0;
      pair.api().sendToGroup(`g${round}`, 'nobody');
      await pair.untilTold(2);
      join((clients[round] as Client).id);
      await pair.untilTold(3);
      expect(pair.told.map(({ cmd }) => cmd)).toEqual([Command.ABSENT, Command.ABSENT, Command.PRESENT]);
      pair.api().sendToGroup(`g${round}`, 'here you are');
      await eventually('it', () => pair.heard(round).length === 1);
    }
  });

  it('is missed by none of its members and reaches nobody else, over many joins and leaves at any time', async () => {
    const groups = ['a', 'b', 'groß'];
    for (let seed = 1; seed <= 4; seed++) {
      await using pair = await Pair.start(transport, { workers: 2, clientsEach: 2 });
      const random = seededRandom(seed);
      const expected = pair.clients.map((): string[] => []);
      let sends = 0;
      // Each worker has groups of its own: between two there is no order to hold them to.
      const members = new Map([0, 1].flatMap((worker) => groups.map((group) => [`${worker} ${group}`, new Set()])));
      for (let step = 0; step < 600; step++) {
        const worker = random(2);
        const group = `${worker} ${groups[random(groups.length)]}`;
        const inGroup = members.get(group) as Set<number>;
        const number = random(pair.clients.length);
        const { id } = pair.clients[number] as Client;
        switch (random(6)) {
          case 0:
            pair.api(worker).joinGroup(id, group);
            inGroup.add(number);
            break;
          case 1:
          case 2:
            pair.api(worker).leaveGroup(id, group);
            inGroup.delete(number);
            break;
          case 3:
            if (random(3) === 0) await new Promise((resolve) => setImmediate(resolve));
            break;
          default:
            sends++;
            pair.api(worker).sendToGroup(group, `${worker}: ${step}`);
            for (const member of inGroup) expected[member as number]?.push(`${worker}: ${step}`);
        }
      }
      for (const worker of [0, 1]) pair.api(worker).sendToAll(`${worker}: end`);
      for (const [number, messages] of expected.entries()) {
        await eventually(
          'the end',
          () => pair.heard(number).filter((text) => String(text).endsWith('end')).length === 2,
        );
        for (const worker of [0, 1]) {
          const of = (texts: readonly unknown[]) => texts.filter((text) => String(text).startsWith(`${worker}`));
          expect(of(pair.heard(number)), `seed ${seed}`).toEqual([...of(messages), `${worker}: end`]);
        }
      }
      // Gateways were left out, and came in again.
      expect(pair.sentTo.length).toBeLessThan(sends * 2);
      expect(pair.told.some(({ cmd }) => cmd === Command.PRESENT)).toBe(true);
      vi.restoreAllMocks();
    }
  });
});

describe('a worker of the original', () => {
  it('is never told of groups, nor are those told for it that are', async () => {
    await using pair = await Pair.start('ports');
    const [, b] = pair.clients as [Client, Client];
    const { localPort } = decodeClientId(b.id) ?? { localPort: 0 };
    const php = new PhpPeer(localPort);
    await eventually('the connection', () => !php.socket.connecting);
    php.join();
    php.command(Command.SEND_TO_GROUP, 0, '{"group":["g"],"exclude":null}', 'nobody');
    pair.api().sendToGroup('g', 'nobody');
    await pair.untilTold(2);
    b.joinGroup('g');
    await pair.untilTold(3);
    php.command(Command.SEND_TO_GROUP, 0, '{"group":["g"],"exclude":null}', 'from php');
    await eventually('it', () => pair.heard(1).includes('from php'));
    // The next client is its own, and its event is behind all that was said to it.
    await pair.cluster.connect(1);
    await eventually('its event', () => php.packets.some(({ cmd }) => cmd === Command.ON_CONNECT));
    expect(php.packets.map(({ cmd }) => cmd).filter((cmd) => cmd >= Command.EXTENSIONS)).toEqual([]);
    expect(pair.heard(0)).toEqual([]);
    php.socket.destroy();
  });
});
