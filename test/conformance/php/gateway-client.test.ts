import { Buffer } from 'node:buffer';
import { afterAll, describe, expect, it } from 'vitest';
import { type GatewayClient, QueryError } from '../../../src/client.js';
import {
  Command,
  FLAG_BINARY,
  FLAG_RAW,
  FLAG_SCALAR,
  PACKET_HEAD_BYTES,
  PHP_MAX_PACKET_SIZE,
} from '../../../src/cluster/protocol/mod.js';
import { eventually } from '../../support/eventually.js';
import { linkErrorOf } from '../../support/mesh-client.js';
import { endScripts } from '../../support/processes.js';
import { RawServer } from '../../support/raw-server.js';
import { WebSocketTalker } from '../../support/talkers.js';
import { type Guest, type MixedCluster, other, started } from './support/mixed-cluster.js';
import { originalsMissing } from './support/originals.js';
import type { Seen } from './support/tap.js';

const BOTH = ['php', 'ours'] as const;
const SCHEMES = ['text', 'websocket'] as const;
const SLOW_MS = 120_000;

const missing = originalsMissing();

describe.skipIf(missing !== undefined)(
  `our GatewayClient where parts are of the original${missing ? ` (${missing})` : ''}`,
  () => {
    afterAll(() => endScripts());

    describe.each(BOTH)('with a Register of: %s', (register) => {
      it.each(['', 'shared key'])(
        'sends nothing that only ours can read, also where Buffers are sent, with the key "%s"',
        async (secretKey) => {
          const cluster = await started({ register, gateways: BOTH, workers: ['php'], secretKey });
          const push = await ready(cluster);
          const guests = await everywhere(cluster);
          const ids = guests.map(({ id }) => id);
          await eventually('all gateways', async () => (await push.getAllClientIdCount()) === ids.length);
          const binary = new Set<string>();
          for (const { talker, id } of guests) {
            if (!(talker instanceof WebSocketTalker)) continue;
            talker.socket.on('message', (_data, isBinary) => void (isBinary && binary.add(id)));
          }
          for (const tap of [...cluster.taps.values()].flat()) tap.seen.length = 0;

          for (const id of ids) {
            push.bindUid(id, 'u');
            push.joinGroup(id, 'g');
          }
          const bytes = Buffer.from('bytes, grüße');
          for (const message of [bytes, 'text', { a: ['value'] }]) {
            for (const options of [{}, { binary: true }, { binary: false }]) {
              // A text client of the original's gateway can't be sent a value.
              const clientIds = message instanceof Buffer || typeof message === 'string' ? ids : webSockets(guests);
              push.sendToAll(message, { ...options, clientIds });
              for (const id of clientIds) push.sendToClient(id, message, options);
              if (clientIds.length < ids.length) continue;
              push.sendToAll(message, options);
              push.sendToAll(message, { ...options, exclude: ids[0] ?? '' });
              push.sendToUid('u', message, options);
              push.sendToGroup('g', message, options);
            }
          }
          expect(await push.getClientIdCountByGroup('g')).toBe(ids.length);
          for (const id of ids) push.closeClient(id, bytes);
          for (const { talker } of guests) {
            await eventually('the end', () => !talker.connected);
            expect(talker.heard.at(-1)).toBe('bytes, grüße');
          }

          for (const gateway of BOTH) {
            const seen = pushedTo(cluster, gateway);
            const { SEND_TO_ONE, SEND_TO_ALL, SEND_TO_UID, SEND_TO_GROUP, KICK } = Command;
            const commands = new Set(seen.map(({ cmd }) => cmd));
            for (const cmd of [SEND_TO_ONE, SEND_TO_ALL, SEND_TO_UID, SEND_TO_GROUP, KICK]) {
              expect(commands).toContain(cmd);
            }
            expect(commands).not.toContain(Command.EXTENSIONS);
            expect(seen.filter(({ flag }) => (flag & ~(FLAG_SCALAR | FLAG_RAW)) !== 0)).toEqual([]);
          }
          expect(binary).toEqual(new Set());

          // It would have been seen: this program says that all gateways are ours.
          const careless = await ready(cluster, { binary: true });
          const { talker, id } = await cluster.guest('ours', 'websocket', 'php');
          careless.sendToClient(id, bytes);
          await talker.hears(/^bytes, grüße$/);
          expect(pushedTo(cluster, 'ours').some(({ flag }) => (flag & FLAG_BINARY) !== 0)).toBe(true);
        },
        SLOW_MS,
      );

      it(
        'sees in each answer what it has sent before, a thousand times without waiting',
        async () => {
          const cluster = await started({ register, gateways: ['php'], workers: ['php'] });
          const push = await ready(cluster);
          const guests = await everywhere(cluster);
          await eventually('all gateways', async () => (await push.getAllClientIdCount()) === guests.length);
          const answers: Promise<unknown>[] = [];
          const expected: unknown[] = [];
          for (let n = 0; n < 1000; n++) {
            const joins = n % 2 === 0;
            for (const { id } of guests) joins ? push.joinGroup(id, 'g') : push.leaveGroup(id, 'g');
            answers.push(push.getClientIdCountByGroup('g'));
            expected.push(joins ? guests.length : 0);
            const [{ id }] = guests as [Guest];
            push.bindUid(id, `u${n}`);
            answers.push(push.getUidByClientId(id));
            expected.push(`u${n}`);
          }
          expect(await Promise.all(answers)).toEqual(expected);
        },
        SLOW_MS,
      );

      it(
        'sends the largest packet that a gateway of the original takes, and refuses one byte more',
        async () => {
          const cluster = await started({ register, gateways: ['php'], workers: ['php'] });
          const push = await ready(cluster);
          const largest = PHP_MAX_PACKET_SIZE - PACKET_HEAD_BYTES;
          for (const { talker, id } of await everywhere(cluster)) {
            await eventually('the gateway', () => push.sendToClient(id, 'first'));
            expect(push.sendToClient(id, 'x'.repeat(largest + 1))).toBe(false);
            expect(push.sendToClient(id, 'y'.repeat(largest))).toBe(true);
            await eventually('all of it', () => talker.heard.at(-1)?.length === largest);
            expect(push.sendToClient(id, 'last')).toBe(true);
            await talker.hears(/^last$/);
            expect(talker.heard.map((line) => line.length).slice(-3)).toEqual([5, largest, 4]);
          }
        },
        SLOW_MS,
      );

      it(
        'with a wrong secret key says so, reaches nobody and disturbs nobody',
        async () => {
          const cluster = await started({ register, gateways: BOTH, workers: ['php'], secretKey: 'right' });
          const right = await ready(cluster);
          const guests = await everywhere(cluster);
          const wrong = cluster.client({ secretKey: 'wrong', readyTimeout: 2 });
          const error = await linkErrorOf(wrong.ready());
          expect(error).toMatchObject({
            code: 'GW_LINK_REGISTER_REFUSED',
            fields: { registers: [{ state: 'refused' }] },
          });
          expect(wrong.sendToAll('from a stranger')).toBe(false);
          await expect(wrong.getAllClientIdCount()).rejects.toMatchObject({ code: 'GW_API_NO_GATEWAY' });

          // Also where it learns of the gateways all the same.
          await using gossip = await RawServer.start();
          gossip.list([...cluster.taps.values()].flat().map(({ lanIp, port }) => `${lanIp}:${port}`));
          const stranger = cluster.client({ secretKey: 'wrong', registerAddress: gossip.address });
          await stranger.ready();
          for (const { id } of guests) {
            stranger.sendToClient(id, 'from a stranger');
            stranger.destroyClient(id);
            const refused = await stranger.isOnline(id).catch((thrown) => thrown);
            expect(refused).toBeInstanceOf(QueryError);
            expect(refused.cause).toMatchObject({ code: 'GW_LINK_UNREACHABLE' });
          }

          await eventually('all gateways', async () => (await right.getAllClientIdCount()) === guests.length);
          right.sendToAll('the last');
          for (const { talker } of guests) {
            await talker.hears(/^the last$/);
            expect(talker.heard).not.toContain('from a stranger');
          }
        },
        SLOW_MS,
      );

      it.each(BOTH)(
        'goes on when a gateway is killed and comes back: %s',
        async (gateway) => {
          const cluster = await started({ register, gateways: BOTH, workers: ['php'], secretKey: 'shared key' });
          const push = await ready(cluster);
          const stays = await cluster.guest(other(gateway), 'text', 'php');
          const gone = await cluster.guest(gateway, 'websocket', 'php');
          await eventually('all gateways', async () => (await push.getAllClientIdCount()) === 2);
          for (const { id } of [stays, gone]) push.bindUid(id, 'u');
          expect((await push.getClientIdByUid('u')).sort()).toEqual([stays.id, gone.id].sort());

          await withoutGateway(cluster, gateway, async () => {
            await eventually('the other gateways to be all', async () => {
              push.sendToUid('u', 'meanwhile');
              return (await answerOf(push.getClientIdByUid('u'))).length === 1;
            });
            await stays.talker.hears(/^meanwhile$/);
            expect(push.sendToClient(gone.id, 'too late')).toBe(false);
            expect(await push.isOnline(gone.id)).toBe(false);
          });

          const back = await cluster.guest(gateway, 'text', 'php');
          await eventually('the gateway', () => push.bindUid(back.id, 'u'));
          expect((await push.getClientIdByUid('u')).sort()).toEqual([stays.id, back.id].sort());
          push.sendToUid('u', 'all again');
          for (const { talker } of [stays, back]) await talker.hears(/^all again$/);
        },
        SLOW_MS,
      );

      it(
        'goes on without its Register, and hears of gateways from the next one, of whichever kind',
        async () => {
          const cluster = await started({ register, gateways: BOTH, workers: ['php'] });
          const push = await ready(cluster);
          const guest = await cluster.guest('php', 'text', 'php');
          await eventually('the gateway', () => push.sendToClient(guest.id, 'hello'));
          let running = register;
          for (const next of [other(register), register]) {
            await cluster.kill('register', running);
            expect(push.sendToClient(guest.id, `${running} went`)).toBe(true);
            await guest.talker.hears(new RegExp(`^${running} went$`));
            expect(await push.isOnline(guest.id)).toBe(true);
            cluster.begin('register', next);
            running = next;
            // Only a Register can tell it that this one is gone, and that it is back.
            await withoutGateway(cluster, 'ours', () =>
              eventually('it to be forgotten', async () => (await answerOf(push.getAllClientIdList())).length === 1),
            );
            const { talker, id } = await cluster.guest('ours', 'text', 'php');
            await eventually('the gateway', () => push.sendToClient(id, 'welcome back'));
            await talker.hears(/^welcome back$/);
            await talker.leave();
          }
        },
        SLOW_MS,
      );
    });
  },
);

async function ready(
  cluster: MixedCluster,
  options: Parameters<MixedCluster['client']>[0] = {},
): Promise<GatewayClient> {
  const client = cluster.client(options);
  await client.ready();
  return client;
}

/** One client at each gateway. */
async function everywhere(cluster: MixedCluster): Promise<Guest[]> {
  const guests: Guest[] = [];
  for (const gateway of cluster.made.gateways) {
    for (const scheme of SCHEMES) guests.push(await cluster.guest(gateway, scheme, 'php'));
  }
  return guests;
}

function webSockets(guests: readonly Guest[]): string[] {
  return guests.flatMap(({ talker, id }) => (talker instanceof WebSocketTalker ? [id] : []));
}

/** Packets that came to gateways of this kind from who is no worker. */
function pushedTo(cluster: MixedCluster, gateway: (typeof BOTH)[number]): Seen[] {
  const seen = cluster.taps.get(gateway)?.flatMap((tap) => tap.seen) ?? [];
  return seen.filter(({ worker, toGateway }) => worker === 'other' && toGateway);
}

async function withoutGateway(
  cluster: MixedCluster,
  gateway: (typeof BOTH)[number],
  meanwhile: () => Promise<unknown>,
): Promise<void> {
  await cluster.kill('gateway', gateway);
  await meanwhile();
  cluster.begin('gateway', gateway);
  await cluster.linked();
}

/** What was answered; while a gateway is missed, an error that says so and has the rest. */
async function answerOf(question: Promise<string[]>): Promise<string[]> {
  try {
    return await question;
  } catch (error) {
    expect(error).toBeInstanceOf(QueryError);
    expect((error as QueryError<string[]>).partial).toHaveLength(1);
    return [];
  }
}
