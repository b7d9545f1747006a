import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { createServer } from 'node:net';
import process from 'node:process';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { GatewayApi } from '../../../src/client.js';
import { Command, FLAG_RAW, FLAG_SCALAR } from '../../../src/cluster/protocol/mod.js';
import { eventually } from '../../support/eventually.js';
import { endScripts } from '../../support/processes.js';
import {
  type Guest,
  type Kind,
  type Made,
  MixedCluster,
  other,
  type Scheme,
  started,
} from './support/mixed-cluster.js';
import { originalsMissing } from './support/originals.js';
import { Report } from './support/report.js';
import { type Caller, callOf, type Effect, played } from './support/scenario.js';
import { STEPS } from './support/steps.js';

const BOTH = ['php', 'ours'] as const;
const SCHEMES = ['text', 'websocket'] as const;
const CHOICES: readonly (readonly Kind[])[] = [['php'], ['ours'], BOTH];
/** Between two calls from outside; the second is for what went wrong with the first, on a machine that is busy. */
const PAUSES_MS = [10, 80];
const SLOW_MS = 120_000;
const PATH = '/chat?room=1&list[]=2&list[]=x%20y&grüße=ü';

const PAIRINGS = BOTH.flatMap((register) =>
  CHOICES.flatMap((gateways) => CHOICES.map((workers) => ({ register, gateways, workers }))),
)
  // Every Register, every gateway and every worker is in pairings with a key and without.
  .map((made, index) => ({ ...made, secretKey: index % 2 === 0 ? '' : 'shared key' }))
  .map((made) => ({ ...made, name: nameOf(made) }));

const missing = originalsMissing();
const report = new Report();
const original = { lib: new Map<number, Effect>(), outside: new Map<number, Effect>(), webSocketConnect: '' };
let numbers = 0;

it('the functions that are compared are all that a program has', () => {
  const called = new Set(STEPS.map((step) => callOf(step, 'ours outside')?.[0]));
  // Those of peers are internal.
  const functions = Object.getOwnPropertyNames(GatewayApi.prototype).filter(
    (name) => !/^constructor$|Peer$/.test(name),
  );
  expect(functions.filter((name) => !called.has(name))).toEqual([]);
  expect(functions.length).toBeGreaterThan(35);
});

describe.skipIf(missing !== undefined)(
  `parts of the original and of ours in one cluster${missing ? ` (${missing})` : ''}`,
  () => {
    beforeAll(async () => {
      const cluster = await new MixedCluster({ register: 'php', gateways: ['php'], workers: ['php'] }).start();
      await cluster.linked();
      original.lib = await played(cluster, 'lib');
      original.outside = await played(cluster, 'outside', 80);
      const { talker } = await cluster.guest('php', 'websocket', 'php', PATH);
      original.webSocketConnect = connectPayload((await talker.hears(/^ws (.*)$/))[1] ?? '');
      await cluster.stop();
    }, SLOW_MS);

    afterAll(async () => {
      await endScripts();
      process.stdout.write(`\n${report}\n`);
    });

    describe.each(PAIRINGS)('$name', (made) => {
      const cluster = new MixedCluster(made);
      const guests = cluster.made.gateways.flatMap((gateway) =>
        SCHEMES.flatMap((scheme) => cluster.made.workers.map((worker) => [gateway, scheme, worker] as const)),
      );

      beforeAll(async () => {
        await cluster.start();
        await cluster.linked();
      }, SLOW_MS);
      afterAll(() => cluster.stop());

      it(
        'has clients come, talk and leave',
        async () => {
          const room: Guest[] = [];
          for (const [gateway, scheme, worker] of guests) room.push(await cluster.guest(gateway, scheme, worker));
          for (const { talker, id } of room) {
            talker.say(`I am ${id}, grüße`);
            for (const listener of room) await listener.talker.hears(new RegExp(`^${id} said I am ${id}, grüße$`));
          }
          for (const [index, { talker, id }] of room.entries()) {
            await talker.leave();
            for (const listener of room.slice(index + 1)) await listener.talker.hears(new RegExp(`^${id} logout$`));
          }
        },
        SLOW_MS,
      );

      const callers: Caller[] = made.workers.map((worker) => (worker === 'php' ? 'lib' : 'ours'));
      // With both kinds of workers nothing is new to who calls from outside.
      if (made.workers.length === 1) callers.push('outside', 'ours outside');
      it.each(callers)(
        'answers and does as the original: %s',
        async (caller) => {
          let wrong: string[] = [];
          for (const pauseMs of PAUSES_MS) {
            const effects = await played(cluster, caller, pauseMs);
            wrong = report.add(made.name, caller, effects, expectedOf(caller));
            if (wrong.length === 0 || caller !== 'outside') break;
          }
          expect(wrong).toEqual([]);
        },
        SLOW_MS,
      );

      it(
        'carries messages of 70 KiB and of 9 MiB both ways',
        async () => {
          for (const [gateway, scheme, worker] of guests) {
            const { talker } = await cluster.guest(gateway, scheme, worker);
            for (const size of [70 * 1024, 9 * 1024 * 1024]) {
              const message = `big ${size} ${'0123456789abcdef'.repeat(size / 16)}`;
              talker.say(message);
              const heard = await eventually(`${size} bytes from ${worker} at ${gateway} ${scheme}`, () =>
                talker.heard.find((line) => line.startsWith(`big ${size} `)),
              );
              expect(heard === message).toBe(true);
            }
            await talker.leave();
          }
        },
        SLOW_MS,
      );

      it('tells the worker of a WebSocket request what the original tells', async () => {
        for (const gateway of made.gateways) {
          for (const worker of made.workers) {
            const { talker } = await cluster.guest(gateway, 'websocket', worker, PATH);
            const text = (await talker.hears(/^ws (.*)$/))[1] ?? '';
            if (worker === 'php') {
              expect(connectPayload(text)).toBe(original.webSocketConnect);
            } else {
              const request = JSON.parse(text);
              expect(request.query).toEqual({ room: '1', list: ['2', 'x y'], grüße: 'ü' });
              expect(request.headers).toMatchObject({ upgrade: 'websocket', 'sec-websocket-version': '13' });
              const { pathname, search } = new URL(PATH, 'ws://127.0.0.1');
              expect(request.uri).toBe(pathname + search);
            }
            await talker.leave();
          }
        }
      });

      if (made.gateways.length === 2 && made.workers.length === 2) {
        it(
          'keeps sessions exactly, whoever wrote them and whoever changes them',
          () => sessionsSurvive(cluster),
          SLOW_MS,
        );
        it('goes on when parts are killed and come back', () => partsReturn(cluster), SLOW_MS);
      }

      it('uses no extension where the original is at one end, and ours where we are at both', () => {
        for (const gateway of made.gateways) {
          const seen = cluster.taps.get(gateway)?.flatMap((tap) => tap.seen) ?? [];
          expect(seen.length).toBeGreaterThan(10);
          const mixed = seen.filter(({ worker }) => gateway === 'php' || worker !== 'OurWorker');
          const extended = mixed.filter(
            ({ cmd, flag }) => cmd >= Command.EXTENSIONS || (flag & ~(FLAG_SCALAR | FLAG_RAW)) !== 0,
          );
          expect(extended).toEqual([]);
          const own = seen.filter(({ worker, cmd }) => worker === 'OurWorker' && cmd === Command.EXTENSIONS);
          expect(own.length > 0).toBe(gateway === 'ours' && made.workers.includes('ours'));
        }
      });
    });

    describe.each(BOTH)('a wrong secret key at a Register of: %s', (register) => {
      it.each(BOTH)(
        'keeps a worker out: %s',
        async (worker) => {
          const cluster = await started({ register, gateways: BOTH, workers: [other(worker)], secretKey: 'right' });
          cluster.begin('worker', worker, { workerSecretKey: 'wrong' });
          await pause(2500);
          const names = BOTH.flatMap(
            (kind) => cluster.taps.get(kind)?.flatMap((tap) => tap.seen.map((seen) => seen.worker)) ?? [],
          );
          expect(new Set(names)).toEqual(new Set([worker === 'php' ? 'OurWorker' : 'PhpWorker']));
        },
        SLOW_MS,
      );

      it.each(BOTH)(
        'keeps a gateway out: %s',
        async (gateway) => {
          const cluster = await started({ register, gateways: [gateway], workers: BOTH, secretKey: 'right' });
          await cluster.kill('gateway', gateway);
          for (const tap of cluster.taps.get(gateway) ?? []) tap.seen.length = 0;
          cluster.begin('gateway', gateway, { secretKey: 'wrong' });
          // The workers still have its address from before, and try; it takes none of them.
          await pause(3000);
          const events = cluster.taps.get(gateway)?.flatMap((tap) => tap.seen.filter((seen) => !seen.toGateway));
          expect(events).toEqual([]);
        },
        SLOW_MS,
      );
    });

    it.each(BOTH)(
      'a wrong secret key keeps GatewayClient out of a cluster of: %s',
      async (kind) => {
        const cluster = await started({ register: kind, gateways: [kind], workers: [kind], secretKey: 'right' });
        const { talker, id } = await cluster.guest(kind, 'text', kind);
        const calls = [
          { name: 'getAllClientIdCount', arguments: [], marks: [] },
          { name: 'sendToClient', arguments: [id, 'from a stranger'], marks: [] },
          { name: 'isOnline', arguments: [id], marks: [] },
        ];
        const outcomes = await cluster.callFromOutside(calls, 20, 'wrong');
        expect(outcomes[0]).toHaveProperty('throws');
        expect(outcomes[2]).not.toEqual({ answer: 1 });
        talker.say('still here');
        await talker.hears(/ said still here$/);
        expect(talker.heard).not.toContain('from a stranger');
      },
      SLOW_MS,
    );

    it.each(BOTH.map((worker) => [worker, other(worker)] as const))(
      'a worker of %s is refused by a gateway of %s whose secret key is another, whatever the Register says',
      async (worker, gateway) => {
        const cluster = await started({
          register: gateway,
          gateways: [gateway],
          workers: [gateway],
          secretKey: 'right',
        });
        const taps = cluster.taps.get(gateway) ?? [];
        const addresses = taps.map((tap) => `${tap.lanIp}:${tap.port}`);
        const server = createServer((socket) => {
          socket.on('error', () => {});
          socket.write(`${JSON.stringify({ event: 'broadcast_addresses', addresses })}\n`);
        }).listen(0, '127.0.0.1');
        await once(server, 'listening');
        onTestFinished(() => {
          server.close();
        });
        const { port } = server.address() as { port: number };
        cluster.begin('worker', worker, { workerSecretKey: 'wrong', registerPort: port });
        const name = worker === 'php' ? 'PhpWorker' : 'OurWorker';
        const seen = () => taps.flatMap((tap) => tap.seen.filter((packet) => packet.worker === name));
        await eventually('two attempts', () => seen().length >= 2);
        await pause(500);
        expect(seen().every(({ toGateway, cmd }) => toGateway && cmd === Command.WORKER_CONNECT)).toBe(true);
      },
      SLOW_MS,
    );

    it(
      'sends heartbeats and drops silent clients alike, and workers of the other kind hear of it',
      async () => {
        const gatewayOptions = { pingInterval: 1, pingNotResponseLimit: 1, pingData: 'are you there?' };
        for (const kind of BOTH) {
          const cluster = await started({ register: kind, gateways: [kind], workers: [other(kind)], gatewayOptions });
          const witness = await cluster.guest(kind, 'websocket', other(kind));
          const talking = setInterval(() => witness.talker.say('here'), 200);
          onTestFinished(() => clearInterval(talking));
          for (const scheme of SCHEMES) {
            const { talker, id } = await cluster.guest(kind, scheme, other(kind));
            const begun = performance.now();
            await talker.hears(/^are you there\?$/);
            await eventually('the silent client to be dropped', () => !talker.connected);
            const seconds = (performance.now() - begun) / 1000;
            // Between 1.5 and 2 intervals behind its last sign of life.
            expect(seconds).toBeGreaterThan(1.2);
            expect(seconds).toBeLessThan(3);
            await witness.talker.hears(new RegExp(`^${id} logout$`));
          }
          expect(witness.talker.connected).toBe(true);
          expect(witness.talker.heard).not.toContain('are you there?');
        }
      },
      SLOW_MS,
    );
  },
);

/** What the original did when the same one called, and where that one can't, when the other did. */
function expectedOf(caller: Caller): ReadonlyMap<number, Effect> {
  const { lib, outside } = original;
  if (caller === 'outside') return outside;
  return caller === 'ours outside' ? new Map([...lib, ...outside]) : new Map([...outside, ...lib]);
}

async function sessionsSurvive(cluster: MixedCluster): Promise<void> {
  for (const gateway of cluster.made.gateways) {
    for (const scheme of SCHEMES) await sessionSurvives(cluster, gateway, scheme);
  }
}

async function sessionSurvives(cluster: MixedCluster, gateway: Kind, scheme: Scheme): Promise<void> {
  const { talker, id } = await cluster.guest(gateway, scheme, 'ours');
  const php = await cluster.guest(gateway, 'text', 'php');
  const rest =
    'i:7;d:-0;s:1:"e";a:0:{}s:2:"id";i:9007199254740993;s:3:"bin";s:2:"\xff\xfe";s:1:"\xfe";N;s:4:"deep";a:2:{i:1;d:2;i:0;d:0.1;}';
  const written = `a:7:{s:5:"price";d:3;${rest}}`;
  await run(php, `\\GatewayWorker\\Lib\\Gateway::setSession('${id}', unserialize(hex2bin('${hexOf(written)}')));`);
  await hasSession(cluster, id, written);
  await run({ talker, id }, 'session.visits = 1;');
  await hasSession(cluster, id, `a:8:{s:5:"price";d:3;${rest}s:6:"visits";i:1;}`);
  await run({ talker, id }, 'session.price = 4; delete session.visits;');
  await hasSession(cluster, id, `a:7:{s:5:"price";d:4;${rest}}`);
  await run(php, `\\GatewayWorker\\Lib\\Gateway::updateSession('${id}', ['price' => 5.0, 'more' => [1.0]]);`);
  await hasSession(cluster, id, `a:8:{s:5:"price";d:5;${rest}s:4:"more";a:1:{i:0;d:1;}}`);
  await run({ talker, id }, 'session.more.push("x"); client.session = { ...session };');
  await hasSession(cluster, id, `a:8:{s:5:"price";d:5;${rest}s:4:"more";a:2:{i:0;d:1;i:1;s:1:"x";}}`);

  // What we write, PHP reads and writes again as it is.
  await run(
    { talker, id },
    'client.session = { n: 1, half: 0.5, big: 2n ** 60n, bytes: Buffer.from([255]), list: [], map: { 5: null, a: true } };',
  );
  const ours =
    'a:6:{s:1:"n";i:1;s:4:"half";d:0.5;s:3:"big";i:1152921504606846976;s:5:"bytes";s:1:"\xff";s:4:"list";a:0:{}s:3:"map";a:2:{i:5;N;s:1:"a";b:1;}}';
  await hasSession(cluster, id, ours);
  const read = await run(php, `return bin2hex(serialize(\\GatewayWorker\\Lib\\Gateway::getSession('${id}')));`);
  expect(Buffer.from(String(read), 'hex').toString('latin1')).toBe(ours);
  await talker.leave();
  await php.talker.leave();
}

async function partsReturn(cluster: MixedCluster): Promise<void> {
  const { register } = cluster.made;
  // A client whose worker dies goes to the other one, with its session; there and back again.
  for (const gateway of BOTH) {
    const guest = await cluster.guest(gateway, 'text', 'ours');
    await run(guest, 'session.a = 1.5; session.b = "x";');
    await hasSession(cluster, guest.id, 'a:2:{s:1:"a";d:1.5;s:1:"b";s:1:"x";}');
    await cluster.kill('worker', 'ours');
    await run(guest, "$_SESSION['a'] = 2.0; $_SESSION[9] = [];");
    const text = 'a:3:{s:1:"a";d:2;s:1:"b";s:1:"x";i:9;a:0:{}}';
    await hasSession(cluster, guest.id, text);
    cluster.begin('worker', 'ours');
    await cluster.linked();
    await cluster.kill('worker', 'php');
    expect(await run(guest, 'session.b = "y"; return session.a;')).toBe(2);
    await hasSession(cluster, guest.id, text.replace('"x"', '"y"'));
    cluster.begin('worker', 'php');
    await cluster.linked();
    await guest.talker.leave();
  }
  // A gateway takes its clients with it, and nobody else's.
  for (const gateway of BOTH) {
    const gone = await cluster.guest(gateway, 'text', 'php');
    const stays = await cluster.guest(other(gateway), 'websocket', 'ours');
    await cluster.kill('gateway', gateway);
    await eventually('its client to be gone', () => !gone.talker.connected);
    stays.talker.say('I stay');
    await stays.talker.hears(/ said I stay$/);
    cluster.begin('gateway', gateway);
    await cluster.linked();
    const back = await cluster.guest(gateway, 'text', 'ours');
    back.talker.say('I am back');
    await stays.talker.hears(/ said I am back$/);
    await back.talker.leave();
    await stays.talker.leave();
  }
  // Without the Register everything goes on; the next one, of whichever kind, learns of the gateways from themselves.
  const guest = await cluster.guest('php', 'text', 'ours');
  let running = register;
  for (const next of [other(register), register]) {
    await cluster.kill('register', running);
    guest.talker.say(`nobody noticed that ${running} went`);
    await guest.talker.hears(new RegExp(` said nobody noticed that ${running} went$`));
    cluster.begin('register', next);
    running = next;
    for (const worker of BOTH) {
      await cluster.kill('worker', worker);
      cluster.begin('worker', worker);
      await cluster.linked();
    }
  }
  guest.talker.say('and here I am');
  await guest.talker.hears(/ said and here I am$/);
  await guest.talker.leave();
}

/** Has the client's worker, whichever it is, run code in its handler. */
async function run({ talker }: Guest, code: string): Promise<unknown> {
  const number = ++numbers;
  talker.say(`run ${number} ${code}${code.includes('return') ? '' : ' return 1;'}`);
  const [, json] = await talker.hears(new RegExp(`^result ${number} (.*)$`));
  return JSON.parse(json as string).answer;
}

async function hasSession(cluster: MixedCluster, id: string, text: string): Promise<void> {
  let last = '';
  try {
    await eventually(
      'the session',
      async () => {
        last = await cluster.sessionText(id);
        return last === text;
      },
      5000,
    );
  } catch {
    expect(last).toBe(text);
  }
}

/** What a PHP worker got, as text, without what is another for each connection. */
function connectPayload(hex: string): string {
  return Buffer.from(hex, 'hex')
    .toString('latin1')
    .replace(/("REMOTE_PORT";i:|"SERVER_PORT";i:|127\.0\.0\.1:)\d+/g, '$1PORT')
    .replace(/("HTTP_SEC_WEBSOCKET_KEY";s:24:)"[^"]+"/, '$1KEY');
}

function nameOf({ register, gateways, workers, secretKey }: Made): string {
  const key = secretKey === '' ? '' : ' +key';
  return `R:${register} G:${gateways.join('+')} W:${workers.join('+')}${key}`;
}

function hexOf(latin1: string): string {
  return Buffer.from(latin1, 'latin1').toString('hex');
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
