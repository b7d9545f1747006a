import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '../support/eventually.js';
import type { Chaos } from './chaos.js';
import { type Member, TIMES } from './cluster.js';

export type FaultName =
  | 'worker'
  | 'gateway'
  | 'register'
  | 'freeze'
  | 'stall'
  | 'cut'
  | 'unplug'
  | 'power'
  | 'reload'
  | 'slow'
  | 'block'
  | 'full'
  | 'outage'
  | 'nobody';

export interface Fault {
  readonly name: FaultName;
  readonly what: string;
  /** How often it comes beside the others. */
  readonly weight: number;
  /** No process and no link ends: nothing may come again. */
  readonly quiet: boolean;
  /** Only between hosts. */
  readonly apart?: boolean;
  make(chaos: Chaos): Promise<void>;
}

const LIST: readonly Fault[] = [
  {
    name: 'worker',
    what: 'kill -9 of one worker or two',
    weight: 6,
    quiet: false,
    async make(chaos) {
      for (let count = chaos.random() < 0.5 ? 2 : 1; count > 0; count--) {
        const up = await workers(chaos);
        const member = chaos.pick(up);
        chaos.log(`kill worker ${member.name}`);
        await member.kill();
        chaos.workersKilled++;
        void chaos.restart(member);
      }
    },
  },
  {
    name: 'gateway',
    what: 'kill -9 of a gateway',
    weight: 2,
    quiet: false,
    async make(chaos) {
      // What its workers know of its clients passes on when workers come and go: one fault at a time.
      await chaos.cluster.linked();
      const member = chaos.pick(chaos.cluster.of('gateway'));
      const moves = chaos.random() < 0.3;
      chaos.log(`kill gateway ${member.name}${moves ? ', which comes back elsewhere' : ''}`);
      await chaos.count(member);
      const orphans = chaos.orphan(member);
      await member.kill();
      const killed = performance.now();
      if (moves) member.move();
      void chaos.restart(member);
      const ids = orphans.map(({ id }) => id).filter((id) => id !== '');
      await eventually('onClose of those that were on it', () => {
        chaos.read();
        return ids.every((id) => (chaos.ledger.account(id)?.closes.length ?? 0) > 0);
      });
      chaos.slowestCloses = Math.max(chaos.slowestCloses, performance.now() - killed);
    },
  },
  {
    name: 'register',
    what: 'kill -9 of a register, which is away for a moment',
    weight: 1,
    quiet: true,
    async make(chaos) {
      const up = await eventually('both registers', () => {
        const found = chaos.cluster.of('register');
        return found.length === 2 ? found : undefined;
      });
      const member = chaos.pick(up);
      chaos.log(`kill register ${member.name}`);
      await member.kill();
      void chaos.restart(member, chaos.random() * 2000);
    },
  },
  {
    name: 'freeze',
    what: 'SIGSTOP of a worker or a gateway, and SIGCONT',
    weight: 3,
    quiet: true,
    async make(chaos) {
      const member = chaos.pick(chaos.random() < 0.7 ? await workers(chaos) : chaos.cluster.of('gateway'));
      chaos.log(`freeze ${member.name}`);
      await freeze(member, 200 + chaos.random() * 1000);
    },
  },
  {
    name: 'stall',
    what: 'SIGSTOP of a worker for longer than workerTimeout',
    weight: 0.3,
    quiet: false,
    async make(chaos) {
      const member = chaos.pick(await workers(chaos));
      chaos.log(`stall ${member.name}`);
      member.freeze();
      await sleep((TIMES.workerTimeout + 3) * 1000);
      chaos.cluster.tell(`broken ${Date.now()}`);
      member.thaw();
    },
  },
  {
    name: 'cut',
    what: 'links of a gateway are ended, and made again',
    weight: 3,
    quiet: false,
    async make(chaos) {
      const member = chaos.pick(chaos.cluster.of('gateway'));
      const share = chaos.pick([0.1, 0.5, 1]);
      chaos.log(`cut ${share} of the links of ${member.name}`);
      chaos.cluster.tell(`broken ${Date.now()}`);
      await member.order('cut', share);
    },
  },
  {
    name: 'unplug',
    what: 'the network of a host is cut for a moment',
    weight: 2,
    quiet: true,
    apart: true,
    async make(chaos) {
      const host = chaos.pick(chaos.cluster.hosts ?? []);
      chaos.log(`unplug ${host.name}`);
      host.setUp(false);
      await sleep(200 + chaos.random() * 1000);
      host.setUp(true);
    },
  },
  {
    name: 'power',
    what: 'a host of workers loses its power: nothing ends, not a byte comes',
    weight: 0.3,
    quiet: false,
    apart: true,
    async make(chaos) {
      const members = [chaos.cluster.member('Left0'), chaos.cluster.member('Left1')];
      await eventually('both to be there', () => members.every(({ up }) => up));
      chaos.log('power of left');
      const { host } = members[0] as Member;
      host?.setUp(false);
      await Promise.all(members.map((member) => member.kill()));
      chaos.workersKilled += members.length;
      // Some are back before anybody has noticed.
      await sleep(chaos.random() * (TIMES.workerTimeout + 4) * 1000);
      host?.setUp(true);
      for (const member of members) void chaos.restart(member);
    },
  },
  {
    name: 'reload',
    what: 'a service of workers is reloaded',
    weight: 2,
    quiet: true,
    async make(chaos) {
      const service = await eventually('the service', () => chaos.cluster.of('service')[0]);
      chaos.log('reload');
      await service.order('reload');
    },
  },
  {
    name: 'slow',
    what: 'clients that ask for much and do not read',
    weight: 1,
    quiet: true,
    async make(chaos) {
      const clients = [chaos.pick(chaos.present), chaos.pick(chaos.present)];
      chaos.log('slow clients');
      for (const client of clients) {
        client.setReading(false);
        for (let count = 0; count < 60; count++) client.say('large', 100_000);
      }
      await sleep(500 + chaos.random() * 1000);
      for (const client of clients) client.setReading(true);
    },
  },
  {
    name: 'block',
    what: 'a handler that gives back its processor to nobody for a while',
    weight: 1,
    quiet: true,
    async make(chaos) {
      chaos.log('block');
      for (let count = 0; count < 3; count++) chaos.pick(chaos.present).say('block', 50 + chaos.random() * 150);
    },
  },
  {
    name: 'full',
    what: 'so much for a worker that stands still that its window fills',
    weight: 1,
    quiet: true,
    async make(chaos) {
      const member = chaos.pick(await workers(chaos));
      chaos.log(`full ${member.name}`);
      member.freeze();
      for (const client of chaos.present) for (let count = 0; count < 30; count++) client.say('now', 0, 3000);
      await sleep(500 + chaos.random() * 1000);
      member.thaw();
    },
  },
  {
    name: 'outage',
    what: 'all workers are killed, and come back at once',
    weight: 0.3,
    quiet: false,
    async make(chaos) {
      chaos.log('outage');
      await allWorkersAway(chaos, 0);
    },
  },
  {
    name: 'nobody',
    what: 'all workers are killed, and none comes within maxWaitingTime',
    weight: 0.1,
    quiet: false,
    async make(chaos) {
      chaos.log('nobody');
      chaos.hopeless = true;
      await allWorkersAway(chaos, (TIMES.maxWaitingTime + 2) * 1000);
    },
  },
];

export const FAULTS: Readonly<Record<FaultName, Fault>> = Object.freeze(
  Object.fromEntries(LIST.map((fault) => [fault.name, fault])) as Record<FaultName, Fault>,
);

/** Several, so that one is left whatever happens to another. */
function workers(chaos: Chaos): Promise<Member[]> {
  return eventually('two workers', () => {
    const up = chaos.cluster.of('worker');
    return up.length >= 2 ? up : undefined;
  });
}

async function freeze(member: Member, milliseconds: number): Promise<void> {
  member.freeze();
  await sleep(milliseconds);
  member.thaw();
}

async function allWorkersAway(chaos: Chaos, milliseconds: number): Promise<void> {
  await chaos.cluster.linked();
  const members = [...chaos.cluster.of('worker'), ...chaos.cluster.of('service')];
  await Promise.all(members.map((member) => member.kill()));
  chaos.workersKilled += members.length;
  await sleep(milliseconds);
  await Promise.all(members.map((member) => chaos.restart(member)));
}
