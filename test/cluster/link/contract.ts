import { Buffer } from 'node:buffer';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ClientLink, GatewayLink, GatewayPeer, WorkerLink, WorkerPeer } from '../../../src/cluster/link/mod.js';
import { LinkError } from '../../../src/cluster/link/mod.js';
import { ackNumbers, Command, packetHead, redelivered } from '../../../src/cluster/protocol/mod.js';
import { eventually } from '../../support/eventually.js';
import { commandHead, eventHead, GatewayEnd, linked, WorkerEnd } from '../../support/link-ends.js';

export interface GatewayWish {
  readonly lanPort?: number;
  readonly sendToWorkerBufferSize?: number;
  readonly maxUnacknowledgedBytes?: number;
}

export interface WorkerWish {
  readonly workerKey?: string;
  readonly sendToGatewayBufferSize?: number;
  readonly queryTimeout?: number;
}

export interface ClientWish {
  readonly readyTimeout?: number;
  readonly drainTimeout?: number;
  readonly sendBufferSize?: number;
  readonly maxPendingQuestions?: number;
  readonly binary?: boolean;
}

/** What makes the ends of one kind of link, all of one cluster on this host. */
export interface LinkKind {
  gatewayLink(wish: GatewayWish): GatewayLink;
  workerLink(wish: WorkerWish): WorkerLink;
  clientLink(wish: ClientWish): ClientLink;
  /** Once all ends are closed. */
  stop(): Promise<void>;
}

/** Each sentence of src/cluster/link/contracts.ts, for whatever fills it. */
export function describeLinkContract(name: string, start: () => Promise<LinkKind>): void {
  describe(`the contract of links: ${name}`, () => {
    let kind: LinkKind;
    let closing: (() => Promise<void>)[] = [];

    beforeEach(async () => {
      kind = await start();
    });

    afterEach(async () => {
      // As a cluster does: those that were made last leave last here, workers behind their gateways.
      for (const close of closing) await close();
      closing = [];
      await kind.stop();
    });

    async function makeGateway(wish: GatewayWish = {}, announced = true): Promise<GatewayEnd> {
      const gateway = new GatewayEnd(kind.gatewayLink(wish));
      await gateway.open();
      closing.push(() => gateway.link.close());
      if (announced) gateway.link.announce();
      return gateway;
    }

    function makeWorker(wish: WorkerWish = {}): WorkerEnd {
      const worker = new WorkerEnd(kind.workerLink(wish));
      worker.link.open(worker);
      closing.push(() => worker.link.close());
      return worker;
    }

    async function makeClient(wish: ClientWish = {}): Promise<{ link: ClientLink; peer: GatewayPeer }> {
      const link = kind.clientLink(wish);
      link.open();
      closing.push(() => link.close().catch(() => {}));
      await link.ready();
      const [peer] = link.gateways;
      if (peer === undefined) throw new Error('ready, and no gateway');
      return { link, peer };
    }

    async function pair(gatewayWish: GatewayWish = {}, workerWish: WorkerWish = {}) {
      const gateway = await makeGateway(gatewayWish);
      const worker = makeWorker(workerWish);
      await linked([gateway], [worker]);
      return { gateway, worker };
    }

    const codeOf = (promise: Promise<unknown>): Promise<string> =>
      promise.then(
        () => 'no error',
        (error) => (error instanceof LinkError ? error.code : String(error)),
      );
    const send = (peer: GatewayPeer, body: string) => peer.send(commandHead(Command.SEND_TO_ONE), '', body);
    const ask = async (peer: GatewayPeer, id: number) =>
      (await peer.ask(commandHead(Command.IS_ONLINE, id), '', '')).toString();
    const numbers = (count: number) => Array.from({ length: count }, (_, number) => number);

    describe('a gateway and a worker', () => {
      it('find each other, whichever is there first', async () => {
        const early = makeWorker({ workerKey: 'early:0' });
        const one = await makeGateway();
        const late = makeWorker({ workerKey: 'late:0' });
        const two = await makeGateway();
        await linked([one, two], [early, late]);
        for (const gateway of [one, two]) {
          expect(gateway.history.sort()).toEqual(['+127.0.0.1:early:0', '+127.0.0.1:late:0']);
        }
        for (const worker of [early, late]) {
          expect(worker.history.sort()).toEqual([`+${one.address}`, `+${two.address}`].sort());
        }
      });

      it('do not find a gateway that has not announced itself', async () => {
        const silent = await makeGateway({}, false);
        const { worker } = await pair();
        expect([...worker.link.gateways]).toHaveLength(1);
        expect(silent.history).toEqual([]);
        silent.link.announce();
        await eventually('the other one', () => silent.workers.size === 1);
      });

      it('do not find each other when the worker leaves as soon as it has begun to look', async () => {
        const { gateway, worker } = await pair();
        const hasty = new WorkerEnd(kind.workerLink({ workerKey: 'hasty:0' }));
        hasty.link.open(hasty);
        await hasty.link.close();
        const patient = makeWorker({ workerKey: 'patient:0' });
        await linked([gateway], [worker, patient]);
        expect(hasty.history).toEqual([]);
        expect(gateway.history).toEqual(['+127.0.0.1:worker:0', '+127.0.0.1:patient:0']);
      });

      it('are told of nothing inside a call of their own', async () => {
        let inside = false;
        let told = 0;
        const nothing = () => {
          told++;
          expect(inside).toBe(false);
        };
        const during = <Result>(call: () => Result): Result => {
          inside = true;
          try {
            return call();
          } finally {
            inside = false;
          }
        };
        const gateway = await makeGateway({}, false);
        const worker = new WorkerEnd(kind.workerLink({}));
        gateway.onTold = nothing;
        worker.onTold = nothing;
        gateway.answer = (_packet, from) => during(() => from.reply('N;'));
        during(() => worker.link.open(worker));
        during(() => gateway.link.announce());
        await linked([gateway], [worker]);
        during(() => worker.send('command'));
        during(() => gateway.event('event'));
        let answered = false;
        const asking = during(() =>
          worker.ask(1).then(() => {
            expect(inside).toBe(false);
            answered = true;
          }),
        );
        await asking;
        await eventually('all of it', () => gateway.bodies.length === 1 && worker.events.length === 1);
        expect(answered).toBe(true);
        const workerGone = during(() => worker.link.close());
        await workerGone;
        await eventually('the worker to have left', () => gateway.workers.size === 0);
        await during(() => gateway.link.close());
        // Joined and left on both sides, a command, a question and an event.
        expect(told).toBe(7);
      });

      it('agree on the extensions that both can, and on no other', async () => {
        const { gateway, worker } = await pair();
        expect(gateway.worker.supports('binary')).toBe(true);
        await eventually('the worker to know', () => worker.gateway.supports('binary'));
        expect(gateway.worker.supports('teleport' as never)).toBe(false);
        expect(worker.gateway.supports('teleport' as never)).toBe(false);
      });
    });

    describe('a worker, as a gateway sees it,', () => {
      it('has a key of its host, name and number', async () => {
        const { gateway } = await pair({}, { workerKey: 'Chat:3' });
        expect(gateway.worker.key).toBe('127.0.0.1:Chat:3');
      });

      it('can take events as soon as it joins', async () => {
        const gateway = await makeGateway();
        const taken: boolean[] = [];
        gateway.onJoined = (joined) => taken.push(gateway.event('at once', joined));
        const worker = makeWorker();
        await eventually('the event', () => worker.events.length === 1);
        expect(taken).toEqual([true]);
        expect(worker.bodies).toEqual(['at once']);
      });

      it('gets an event as it was sent, though the sender uses its buffers again', async () => {
        const { gateway, worker } = await pair();
        const head = packetHead({
          cmd: Command.ON_MESSAGE,
          localIp: 0xfffefdfc,
          localPort: 0xfedc,
          clientIp: 0xf0e0d0c0,
          clientPort: 0xedcb,
          connectionId: 0xffffffff,
          flag: 5,
          gatewayPort: 0xdcba,
        });
        const sent = { ...head };
        const session = Buffer.from('a:0:{}');
        const body = Buffer.from('..body..');
        expect(gateway.worker.sendEvent(head, session, body, 2, 6)).toBe(true);
        head.connectionId = 1;
        session.fill(0);
        body.fill(0);
        await eventually('the event', () => worker.events.length === 1);
        expect(worker.events).toEqual([{ head: sent, ext: Buffer.from('a:0:{}'), body: Buffer.from('body') }]);
      });

      it('gets events in the order they were sent in, over many turns of the loop', async () => {
        const { gateway, worker } = await pair();
        for (const number of numbers(300)) {
          gateway.event(String(number));
          if (number % 7 === 0) await new Promise((resolve) => setImmediate(resolve));
        }
        await eventually('all events', () => worker.events.length === 300);
        expect(worker.bodies).toEqual(numbers(300).map(String));
      });

      it('is full when it does not read, takes more up to a hard limit, and is drained when it has read', async () => {
        const { gateway, worker } = await pair({ sendToWorkerBufferSize: 500_000 });
        worker.link.pause();
        const filler = 'x'.repeat(50_000);
        const state: string[] = [];
        let taken = 0;
        for (;;) {
          const full = gateway.worker.full;
          const took = gateway.event(`${taken} ${filler}`);
          if (took) taken++;
          state.push(full ? (took ? 'full, taken' : 'refused') : 'room');
          if (!took) break;
          if (taken > 2000) throw new Error('no limit');
          await new Promise((resolve) => setImmediate(resolve));
        }
        expect([...new Set(state)]).toEqual(['room', 'full, taken', 'refused']);
        expect(gateway.drained).toBe(0);
        worker.link.resume();
        await eventually('all that was taken', () => worker.events.length === taken);
        expect(worker.bodies.map((body) => Number.parseInt(body, 10))).toEqual(numbers(taken));
        await eventually('the gateway to be told', () => gateway.drained > 0);
        expect(gateway.worker.full).toBe(false);
        expect(gateway.event('again')).toBe(true);
      });

      it('has left before an event is refused because its link has begun to end', async () => {
        const { gateway, worker } = await pair();
        const { worker: peer } = gateway;
        const closed = worker.link.close();
        let atRefusal: string[] = [];
        await eventually('an event to be refused', () => {
          const taken = gateway.event('for somebody', peer);
          atRefusal = [...gateway.history];
          return !taken;
        });
        expect(atRefusal).toEqual(['+127.0.0.1:worker:0', '-127.0.0.1:worker:0']);
        await closed;
        expect(gateway.history).toEqual(atRefusal);
        expect(worker.events).toEqual([]);
        expect(gateway.event('still', peer)).toBe(false);
      });
    });

    describe('a worker whose key is in use', () => {
      it('replaces the old one, which has left before and gets what was queued for it', async () => {
        const { gateway, worker: old } = await pair();
        const { worker: oldPeer } = gateway;
        gateway.event('last');
        const fresh = makeWorker();
        await eventually('the newcomer', () => gateway.history.length === 3);
        const key = '127.0.0.1:worker:0';
        expect(gateway.history.slice(0, 3)).toEqual([`+${key}`, `-${key}`, `+${key}`]);
        await eventually('the old one to hear of it', () => old.history.includes(`-${gateway.address}`));
        expect(old.bodies).toEqual(['last']);
        expect(gateway.event('for the old one', oldPeer)).toBe(false);
        // Links that are made again push each other out: let the newcomer have it.
        await old.link.close();
        await eventually(
          'the newcomer to be the only one',
          () => fresh.live.length === 1 && gateway.workers.size === 1,
        );
        expect(gateway.event('for the newcomer')).toBe(true);
        await eventually('its event', () => fresh.bodies.includes('for the newcomer'));
      });
    });

    describe('a gateway, as a worker sees it,', () => {
      it('is the one that was announced, and the directory finds it by its client ids', async () => {
        const { gateway, worker } = await pair();
        const { localIp, localPort } = gateway.identity;
        expect(localIp).toBe(0x7f000001);
        expect(localPort).toBeGreaterThan(0);
        expect(worker.gateway).toMatchObject({ address: gateway.address, localIp, localPort, live: true });
        expect(worker.link.gateway(localIp, localPort)).toBe(worker.gateway);
        expect(worker.link.gateway(localIp, localPort + 1)).toBeUndefined();
        expect(worker.link.gateway(localIp + 1, localPort)).toBeUndefined();
      });

      it('gets commands as they were sent and in order, though the sender uses its buffers again', async () => {
        const { gateway, worker } = await pair();
        const ext = Buffer.from([0, 255, 10]);
        const body = Buffer.from('body');
        const head = packetHead({ cmd: Command.JOIN_GROUP, connectionId: 7, flag: 3 });
        const sent = { ...head };
        expect(worker.gateway.send(head, ext, body)).toBe(true);
        head.cmd = Command.LEAVE_GROUP;
        ext.fill(1);
        body.fill(0);
        expect(worker.gateway.send(commandHead(Command.SEND_TO_ALL), 'größe', 'Wörter')).toBe(true);
        for (const number of numbers(200)) worker.send(String(number));
        await eventually('all commands', () => gateway.commands.length === 202);
        expect(gateway.commands[0]).toEqual({ head: sent, ext: Buffer.from([0, 255, 10]), body: Buffer.from('body') });
        expect(gateway.commands[1]).toMatchObject({ ext: Buffer.from('größe'), body: Buffer.from('Wörter') });
        expect(gateway.bodies.slice(2)).toEqual(numbers(200).map(String));
      });

      it('takes no command when its queue is full, and has lost none of those it took', async () => {
        const { gateway, worker } = await pair({}, { sendToGatewayBufferSize: 200_000 });
        const filler = 'x'.repeat(100_000);
        let taken = 0;
        while (worker.send(`${taken} ${filler}`)) {
          taken++;
          if (taken > 2000) throw new Error('no limit');
        }
        expect(taken).toBeGreaterThan(0);
        await eventually('what was taken', () => gateway.bodies.length === taken);
        expect(gateway.bodies.map((body) => Number.parseInt(body, 10))).toEqual(numbers(taken));
        await eventually('room', () => worker.send('again'));
      });

      it('is not live when it has left, takes nothing then, and can not be asked', async () => {
        const { gateway, worker } = await pair();
        const { gateway: peer } = worker;
        await gateway.link.close();
        await eventually('it to have left', () => worker.history.length === 2);
        expect(worker.history).toEqual([`+${gateway.address}`, `-${gateway.address}`]);
        expect([peer.live, send(peer, 'x')]).toEqual([false, false]);
        expect(await codeOf(ask(peer, 1))).toBe('GW_LINK_UNREACHABLE');
        await eventually('it to be forgotten', () => worker.live.length === 0);
      });

      it('takes nothing from a worker that has closed its link, and can not be asked by it', async () => {
        const { worker } = await pair();
        const { gateway: peer } = worker;
        await worker.link.close();
        expect(send(peer, 'x')).toBe(false);
        expect(await codeOf(ask(peer, 1))).toBe('GW_LINK_UNREACHABLE');
      });
    });

    describe('questions', () => {
      it('are answered each with its own answer, many at once', async () => {
        const { gateway, worker } = await pair();
        expect(await Promise.all(numbers(300).map((id) => worker.ask(id)))).toEqual(
          numbers(300).map((id) => `i:${id};`),
        );
        expect(gateway.commands).toHaveLength(300);
      });

      it('are answered with text, bytes, nothing, or a great deal', async () => {
        const { gateway, worker } = await pair();
        const answers = ['', 'grün', Buffer.from([0, 255]), Buffer.alloc(3_000_000, 'x')];
        gateway.answer = ({ connectionId }, from) => {
          const answer = answers[connectionId] ?? '';
          from.reply(answer);
          // The gateway's own buffer is its own again.
          if (typeof answer !== 'string' && answer.length === 2) answer.fill(1);
        };
        const asked = answers.map((_, id) => worker.gateway.ask(commandHead(Command.IS_ONLINE, id), '', ''));
        const payloads = await Promise.all(asked);
        expect(payloads.slice(0, 3)).toEqual([Buffer.alloc(0), Buffer.from('grün'), Buffer.from([0, 255])]);
        expect(payloads[3]?.equals(Buffer.alloc(3_000_000, 'x'))).toBe(true);
      });

      it('come with what they are about', async () => {
        const { gateway, worker } = await pair();
        await worker.gateway.ask(commandHead(Command.GET_CLIENT_ID_BY_UID, 9), 'ada', 'b');
        expect(gateway.commands[0]).toMatchObject({
          head: { cmd: Command.GET_CLIENT_ID_BY_UID, connectionId: 9 },
          ext: Buffer.from('ada'),
          body: Buffer.from('b'),
        });
      });

      it('that are not answered in time are rejected, also behind a late answer', async () => {
        const { gateway, worker } = await pair({}, { queryTimeout: 1 });
        const owed: (() => void)[] = [];
        const { answer } = gateway;
        gateway.answer = (_packet, from) => owed.push(() => from.reply('i:99;'));
        expect(await Promise.all([1, 2].map((id) => codeOf(worker.ask(id))))).toEqual(Array(2).fill('GW_LINK_TIMEOUT'));
        for (const late of owed) late();
        gateway.answer = answer;
        expect(await worker.ask(3)).toBe('i:3;');
      });

      it('that wait are rejected when the gateway leaves', async () => {
        const { gateway, worker } = await pair();
        gateway.answer = () => {};
        const asked = codeOf(worker.ask(1));
        await eventually('the question', () => gateway.commands.length === 1);
        await gateway.link.close();
        expect(await asked).toBe('GW_LINK_UNREACHABLE');
      });

      it('that wait are rejected when the worker leaves', async () => {
        const { gateway, worker } = await pair();
        gateway.answer = () => {};
        const asked = codeOf(worker.ask(1));
        await eventually('the question', () => gateway.commands.length === 1);
        await worker.link.close();
        expect(await asked).toBe('GW_LINK_UNREACHABLE');
      });
    });

    describe('events until they are acknowledged', () => {
      const ack = (worker: WorkerEnd, upTo: number, pending: readonly number[] = [], handled: readonly number[] = []) =>
        worker.gateway.send(
          commandHead(Command.ACK, upTo),
          ackNumbers(pending, pending.length),
          ackNumbers(handled, handled.length),
        );
      const takenFrom = (peer: WorkerPeer) => {
        const bodies: string[] = [];
        peer.takeUnacknowledged((event) => bodies.push(event.bodyText()));
        return bodies;
      };
      const keeping = async (wish: GatewayWish = {}) => {
        const ends = await pair(wish);
        await eventually('the extension', () => ends.worker.gateway.supports('acknowledgements'));
        return ends;
      };

      it('are kept, and shown once in their order when the worker has left; what is no event is not', async () => {
        const { gateway, worker } = await keeping();
        const { worker: peer } = gateway;
        for (const body of ['1', '2', '3', '4', '5']) gateway.event(body);
        peer.sendEvent(packetHead({ cmd: Command.KEEP }), Buffer.alloc(0), Buffer.alloc(0), 0, 0);
        gateway.event('6');
        await eventually('the events', () => worker.events.length === 7);
        expect(peer.unacknowledgedBytes).toBe(6 * 29);
        ack(worker, 4, [2, 3]);
        ack(worker, 5, [], [3]);
        await eventually('the last ACK', () => peer.unacknowledgedBytes === 29 + 129);
        expect(gateway.commands, 'ACK is the link’s own affair').toEqual([]);
        await worker.link.close();
        await eventually('the worker to have left', () => gateway.workers.size === 0);
        expect([takenFrom(peer), takenFrom(peer)]).toEqual([['2', '6'], []]);
      });

      it('make a worker full that does not acknowledge, until half is, and then the gateway is told', async () => {
        const { gateway, worker } = await keeping({ maxUnacknowledgedBytes: 1000 });
        const body = 'x'.repeat(100 - 28);
        let taken = 0;
        while (gateway.event(body)) {
          expect(gateway.worker.full).toBe(++taken >= 10);
          if (taken > 100) throw new Error('no limit');
        }
        expect(taken).toBe(40);
        await eventually('the events', () => worker.events.length === taken);
        // What was read is not what was handled.
        expect([gateway.worker.full, gateway.drained]).toEqual([true, 0]);
        ack(worker, 36);
        await eventually('the gateway to be told', () => gateway.drained > 0);
        expect([gateway.worker.full, gateway.event('again')]).toEqual([false, true]);
      });

      it('are taken behind the hard limit too when they are sent again, or are the end of a client', async () => {
        const { gateway, worker } = await keeping({ maxUnacknowledgedBytes: 1000, sendToWorkerBufferSize: 1000 });
        const { worker: peer } = gateway;
        const send = (cmd: number, flag: number, body: string) => {
          const bytes = Buffer.from(body);
          return peer.sendEvent(packetHead({ cmd, flag }), Buffer.alloc(0), bytes, 0, bytes.length);
        };
        const body = 'x'.repeat(1000);
        let taken = 0;
        while (send(Command.ON_MESSAGE, 1, body)) if (++taken > 100) throw new Error('no limit');
        expect(send(Command.ON_MESSAGE, redelivered(1, true), 'again')).toBe(true);
        expect(send(Command.ON_CLOSE, 1, '')).toBe(true);
        expect(send(Command.ON_CONNECT, 1, '')).toBe(false);
        await eventually('the events', () => worker.events.length === taken + 2);
        expect(worker.events.slice(taken).map(({ head, body: text }) => [head.cmd, String(text)])).toEqual([
          [Command.ON_MESSAGE, 'again'],
          [Command.ON_CLOSE, ''],
        ]);
      });

      it('are none of a worker that acknowledges what it was not sent: its link ends', async () => {
        const { gateway, worker } = await keeping();
        const { worker: peer } = gateway;
        gateway.event('1');
        ack(worker, 2);
        await eventually('it to have left', () => gateway.history.includes(`-${peer.key}`));
        expect(takenFrom(peer)).toEqual(['1']);
      });

      it('tell a worker which process a gateway is: the same over all links, another one after a restart', async () => {
        const gateway = await makeGateway();
        const [a, b] = [makeWorker({ workerKey: 'a:0' }), makeWorker({ workerKey: 'b:0' })];
        await linked([gateway], [a, b]);
        await eventually('both to know', () => a.gateway.process !== null && b.gateway.process !== null);
        const { process } = a.gateway;
        expect(b.gateway.process).toBe(process);
        const { address } = a.gateway;
        expect([a.link.announces(address), a.link.announces('127.0.0.1:1')]).toEqual([true, false]);
        await gateway.link.close();
        await eventually('it to be forgotten', () => a.live.length === 0);
        const again = await makeGateway({ lanPort: gateway.identity.localPort });
        await eventually('it to be back', () => again.workers.size === 2 && a.live[0]?.process !== null);
        expect(a.gateway.process).not.toBe(process);
      });
    });

    describe('groups without members', () => {
      const ABSENT = packetHead({ cmd: Command.ABSENT });
      const PRESENT = packetHead({ cmd: Command.PRESENT });
      const NOTHING = Buffer.alloc(0);
      const absent = (gateway: GatewayEnd, name: string, joins: number) =>
        gateway.worker.sendEvent({ ...ABSENT, connectionId: joins }, Buffer.from(name), NOTHING, 0, 0);
      /** Waits until the worker has read what was sent before. */
      const read = async (gateway: GatewayEnd, worker: WorkerEnd, mark: string) => {
        gateway.event(mark);
        await eventually(mark, () => worker.bodies.includes(mark));
      };

      it('are known to a worker in the order in which it is told, between its events, and are none', async () => {
        const { gateway, worker } = await pair();
        const { absentGroups } = worker.gateway;
        const known: boolean[] = [];
        worker.onEvent = () => known.push(absentGroups.hasAll(['groß']));
        await eventually('the extension', () => worker.gateway.supports('groups'));
        gateway.event('before');
        absent(gateway, 'groß', absentGroups.joins);
        gateway.event('between');
        gateway.worker.tell(PRESENT, Buffer.from('groß'));
        gateway.event('behind');
        await eventually('all events', () => worker.events.length === 3);
        expect(worker.bodies).toEqual(['before', 'between', 'behind']);
        expect(known).toEqual([false, true, false]);
      });

      it('are forgotten when a link ends, also by a worker that comes back', async () => {
        const { gateway, worker } = await pair();
        const { gateway: peer } = worker;
        absent(gateway, 'g', peer.absentGroups.joins);
        await read(gateway, worker, 'read');
        expect(peer.absentGroups.hasAll(['g'])).toBe(true);
        const { localPort } = gateway.identity;
        let atEnd = true;
        worker.onTold = () => {
          atEnd = peer.absentGroups.hasAll(['g']);
        };
        await gateway.link.close();
        await eventually('it to have left', () => worker.history.length === 2);
        expect(atEnd).toBe(false);
        const again = await makeGateway({ lanPort: localPort });
        await eventually('the worker', () => again.workers.size === 1 && worker.live.length === 1);
        expect(worker.gateway.absentGroups.hasAll(['g'])).toBe(false);
      });

      it('are forgotten by a worker that is paused, which believes nothing that it was told meanwhile', async () => {
        const { gateway, worker } = await pair();
        const { absentGroups } = worker.gateway;
        absent(gateway, 'g', absentGroups.joins);
        await read(gateway, worker, 'read');
        expect(absentGroups.hasAll(['g'])).toBe(true);
        worker.link.pause();
        expect(absentGroups.hasAll(['g'])).toBe(false);
        absent(gateway, 'h', absentGroups.joins);
        worker.link.resume();
        await read(gateway, worker, 'read again');
        expect(absentGroups.hasAll(['h'])).toBe(false);
        absent(gateway, 'h', absentGroups.joins);
        await read(gateway, worker, 'read for good');
        expect(absentGroups.hasAll(['h'])).toBe(true);
      });

      it('that are there again are told also to a worker whose queue takes no event any more, in order', async () => {
        const { gateway, worker } = await pair({ sendToWorkerBufferSize: 100_000 });
        const { absentGroups } = worker.gateway;
        absent(gateway, 'g', absentGroups.joins);
        await read(gateway, worker, 'read');
        // Not `pause`: that would forget. Here the worker's process has no time to read.
        const filler = 'x'.repeat(100_000);
        let taken = 0;
        while (gateway.event(`${taken} ${filler}`)) if (++taken > 2000) throw new Error('no limit');
        gateway.worker.tell(PRESENT, Buffer.from('g'));
        expect(absentGroups.hasAll(['g'])).toBe(true);
        const known: boolean[] = [];
        worker.onEvent = () => known.push(absentGroups.hasAll(['g']));
        await eventually('it to be told', () => !absentGroups.hasAll(['g']));
        expect(known).toEqual(Array(taken).fill(true));
      });

      it('are not believed any more once the gateway has answered a question', async () => {
        const { gateway, worker } = await pair({ sendToWorkerBufferSize: 100_000 });
        const { absentGroups } = worker.gateway;
        const ask = () => worker.gateway.ask(commandHead(Command.GET_CLIENT_COUNT_BY_GROUP), 'g', '');
        gateway.answer = (_packet, from) => from.reply('i:1;');
        await ask();
        absent(gateway, 'g', absentGroups.joins);
        await read(gateway, worker, 'read');
        expect(absentGroups.hasAll(['g'])).toBe(true);
        // The worker is behind: what it is told comes behind all of these.
        const filler = 'x'.repeat(100_000);
        for (let n = 0; gateway.event(`${n} ${filler}`); n++) if (n > 2000) throw new Error('no limit');
        gateway.worker.tell(PRESENT, Buffer.from('g'));
        await ask();
        expect(absentGroups.hasAll(['g'])).toBe(false);
      });

      it('are told to no worker whose link has ended', async () => {
        const { gateway, worker } = await pair();
        const { worker: peer } = gateway;
        await worker.link.close();
        await eventually('it to have left', () => gateway.workers.size === 0);
        peer.tell(PRESENT, Buffer.from('g'));
        expect(peer.sendEvent(ABSENT, Buffer.from('g'), NOTHING, 0, 0)).toBe(false);
      });

      it('are nothing to a program that pushes', async () => {
        await makeGateway();
        const { peer } = await makeClient({ binary: true });
        expect([peer.supports('groups'), peer.absentGroups.hasAll(['g'])]).toEqual([false, false]);
      });
    });

    describe("a gateway's end", () => {
      it('can not be opened where another one is', async () => {
        const { identity } = await makeGateway();
        const second = new GatewayEnd(kind.gatewayLink({ lanPort: identity.localPort }));
        await expect(second.open()).rejects.toMatchObject({ code: 'GW_LISTEN_FAILED' });
      });

      it('can be opened again where one has left, and workers come back', async () => {
        const { gateway, worker } = await pair();
        const { localPort } = gateway.identity;
        await gateway.link.close();
        const again = await makeGateway({ lanPort: localPort });
        expect(again.identity).toEqual(gateway.identity);
        await eventually('the worker', () => again.workers.size === 1 && worker.live.length === 1);
        expect(worker.history).toEqual(['+', '-', '+'].map((sign) => sign + again.address));
        again.event('hello');
        await eventually('the event', () => worker.bodies.at(-1) === 'hello');
      });

      it('writes what is queued before it leaves', async () => {
        const { gateway, worker } = await pair();
        for (const number of numbers(50)) gateway.event(String(number));
        await gateway.link.close();
        await eventually('it to have left', () => worker.history.length === 2);
        expect(worker.bodies).toEqual(numbers(50).map(String));
      });

      it('is not held by a worker that does not read', async () => {
        const { gateway, worker } = await pair();
        worker.link.pause();
        gateway.event('unread');
        await gateway.link.close();
        expect(worker.events).toEqual([]);
      });
    });

    describe("a worker's end", () => {
      it('is told nothing while it is paused, by no gateway, also by one that comes', async () => {
        const { gateway, worker } = await pair();
        worker.link.pause();
        gateway.event('one');
        const second = await makeGateway();
        await linked([gateway, second], [worker]);
        second.event('two');
        // What could come has come: questions are answered all the same.
        await Promise.all(worker.live.map((peer) => ask(peer, 1)));
        await new Promise((resolve) => setTimeout(resolve, 30));
        expect(worker.events).toEqual([]);
        worker.link.resume();
        await eventually('both', () => worker.events.length === 2);
        expect(worker.bodies.sort()).toEqual(['one', 'two']);
      });

      it('may be paused inside an event: the ones behind it wait', async () => {
        const { gateway, worker } = await pair();
        worker.onEvent = () => worker.link.pause();
        for (const number of numbers(3)) gateway.event(String(number));
        for (const number of numbers(3)) {
          await eventually('one more', () => worker.events.length > number);
          await ask(worker.gateway, 1);
          expect(worker.bodies).toEqual(numbers(number + 1).map(String));
          worker.link.resume();
        }
      });

      it('writes what is queued before it leaves, and is told of no event any more', async () => {
        const { gateway, worker } = await pair();
        for (const number of numbers(50)) worker.send(String(number));
        gateway.event('too late');
        await worker.link.close();
        await eventually('it to have left', () => gateway.workers.size === 0);
        expect(gateway.bodies).toEqual(numbers(50).map(String));
        expect(worker.events).toEqual([]);
        const late = await makeGateway();
        await linked([gateway, late], [makeWorker({ workerKey: 'other:0' })]);
        expect(worker.history.slice(1)).toEqual([`-${gateway.address}`]);
      });
    });

    describe('a worker that leaves', () => {
      it('is known by its commands, as a program that pushes is by none', async () => {
        const { gateway, worker } = await pair();
        const from: (string | null)[] = [];
        gateway.onCommand = (_packet, { worker: source }) => void from.push(source?.key ?? null);
        worker.send('from a worker');
        await eventually('the command', () => from.length === 1);
        const { peer } = await makeClient();
        peer.send(commandHead(Command.SEND_TO_ONE), '', 'from a program');
        await eventually('the other', () => from.length === 2);
        expect(from).toEqual([gateway.worker.key, null]);
      });

      it('joins no gateway any more, and goes on with those it has', async () => {
        const { gateway, worker } = await pair();
        worker.link.leave();
        await makeGateway();
        const other = makeWorker({ workerKey: 'other:0' });
        await eventually('another worker to have found both', () => other.live.length === 2);
        expect(worker.history).toEqual([`+${gateway.address}`]);
        worker.send('still here');
        gateway.event('still here', gateway.workers.get('127.0.0.1:worker:0'));
        await eventually('both ways', () => gateway.bodies.length === 1 && worker.bodies.length === 1);
      });
    });

    describe('a worker that is to be linked before it works', () => {
      it('is when it has joined every gateway that is announced', async () => {
        const gateways = [await makeGateway(), await makeGateway()];
        // Where there are registers, they are to know of both.
        await linked(gateways, [makeWorker({ workerKey: 'other:0' })]);
        const worker = makeWorker();
        await worker.link.linked();
        expect(worker.live.map(({ address }) => address).sort()).toEqual(gateways.map(({ address }) => address).sort());
      });
    });

    describe("a program's end", () => {
      it('is ready once there is a gateway, at once when there is one already', async () => {
        const link = kind.clientLink({});
        link.open();
        closing.push(() => link.close());
        const ready = link.ready();
        const gateway = await makeGateway();
        await ready;
        expect([...link.gateways].map(({ address }) => address)).toEqual([gateway.address]);
        await link.ready();
        const { localIp, localPort } = gateway.identity;
        expect(link.gateway(localIp, localPort)).toBe([...link.gateways][0]);
        expect(link.gateway(localIp, localPort + 1)).toBeUndefined();
      });

      it('is not ready without a gateway, and says so when the time is over', async () => {
        const link = kind.clientLink({ readyTimeout: 0.2 });
        link.open();
        closing.push(() => link.close());
        expect(await codeOf(link.ready())).toBe('GW_LINK_NO_GATEWAY');
        await makeGateway();
        await eventually('it to be found', () => [...link.gateways].length === 1);
        await link.ready();
      });

      it('is no worker: no gateway hears of it', async () => {
        const gateway = await makeGateway();
        const { peer } = await makeClient();
        expect(await ask(peer, 1)).toBe('i:1;');
        expect(gateway.history).toEqual([]);
      });

      it('has its commands and questions carried out in the order of the calls', async () => {
        const gateway = await makeGateway();
        const { peer } = await makeClient();
        const asked: Promise<string>[] = [];
        for (const number of numbers(100)) {
          send(peer, String(number));
          asked.push(ask(peer, number));
        }
        expect(await Promise.all(asked)).toEqual(numbers(100).map((number) => `i:${number};`));
        expect(
          gateway.commands.map(({ head: { cmd }, body }) => (cmd === Command.IS_ONLINE ? '?' : `${body}`)),
        ).toEqual(numbers(100).flatMap((number) => [String(number), '?']));
      });

      it('uses an extension only when it is told to', async () => {
        await makeGateway();
        const { peer } = await makeClient();
        expect([peer.supports('binary'), peer.supports('teleport' as never)]).toEqual([false, false]);
        const told = await makeClient({ binary: true });
        expect(told.peer.supports('binary')).toBe(true);
      });

      it('takes no command when too much waits, and no question when too many do', async () => {
        const gateway = await makeGateway();
        gateway.answer = () => {};
        const { peer } = await makeClient({ sendBufferSize: 200_000, maxPendingQuestions: 3 });
        const questions = [1, 2, 3, 4].map((id) => codeOf(ask(peer, id)));
        expect(await questions[3]).toBe('GW_LINK_TOO_MANY_QUESTIONS');
        const filler = 'x'.repeat(100_000);
        let taken = 0;
        while (send(peer, filler)) if (++taken > 2000) throw new Error('no limit');
        expect(taken).toBeGreaterThan(0);
        await eventually('what was taken', () => gateway.bodies.length === taken);
      });

      it('is drained when everything was written', async () => {
        const gateway = await makeGateway();
        const { link, peer } = await makeClient();
        for (const number of numbers(50)) send(peer, String(number));
        await link.drain();
        await eventually('the commands', () => gateway.bodies.length === 50);
        await link.drain();
      });

      it('says once that a gateway left before it had taken everything', async () => {
        const gateway = await makeGateway();
        const { link, peer } = await makeClient({ drainTimeout: 5 });
        expect(send(peer, 'x')).toBe(true);
        const left = gateway.link.close();
        const drained = link.drain();
        await expect(drained).rejects.toMatchObject({
          code: 'GW_LINK_NOT_DRAINED',
          fields: { lost: [gateway.address] },
        });
        await left;
        await link.drain();
        expect(gateway.bodies).toEqual([]);
      });

      it('rejects questions of a gateway that leaves, and forgets it', async () => {
        const gateway = await makeGateway();
        const { link, peer } = await makeClient();
        gateway.answer = () => {};
        const asked = codeOf(ask(peer, 1));
        await eventually('the question', () => gateway.commands.length === 1);
        await gateway.link.close();
        expect(await asked).toBe('GW_LINK_UNREACHABLE');
        await eventually('it to be forgotten', () => [...link.gateways].length === 0);
      });

      it('writes what waits when it is closed, takes nothing more, and is closed once', async () => {
        const gateway = await makeGateway();
        const { link, peer } = await makeClient();
        for (const number of numbers(50)) send(peer, String(number));
        const closed = link.close();
        expect([peer.live, send(peer, 'late')]).toEqual([false, false]);
        expect(await codeOf(ask(peer, 1))).toBe('GW_LINK_CLOSED');
        expect(await codeOf(link.ready())).toBe('GW_LINK_CLOSED');
        await closed;
        await link.close();
        await eventually('the commands', () => gateway.bodies.length === 50);
        expect(gateway.bodies).toEqual(numbers(50).map(String));
      });

      it('leaves nobody waiting for a gateway when it is closed', async () => {
        const link = kind.clientLink({});
        link.open();
        const ready = codeOf(link.ready());
        await link.close();
        expect(await ready).toBe('GW_LINK_CLOSED');
      });
    });

    it('events of many gateways and workers go each where they were sent', async () => {
      const gateways = [await makeGateway(), await makeGateway()];
      const workers = [makeWorker({ workerKey: 'a:0' }), makeWorker({ workerKey: 'b:0' })];
      await linked(gateways, workers);
      for (const gateway of gateways) {
        for (const [key, peer] of gateway.workers) {
          peer.sendEvent(eventHead(1), Buffer.alloc(0), Buffer.from(`${gateway.address} ${key}`), 0, 0);
          gateway.event(`${gateway.address} ${key}`, peer);
        }
      }
      for (const [index, name] of ['a', 'b'].entries()) {
        const worker = workers[index] as WorkerEnd;
        await eventually('its events', () => worker.events.length === 4);
        const expected = gateways.flatMap(({ address }) => ['', `${address} 127.0.0.1:${name}:0`]);
        expect(worker.bodies.sort()).toEqual(expected.sort());
      }
    });
  });
}
