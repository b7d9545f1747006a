import { Buffer } from 'node:buffer';
import { existsSync } from 'node:fs';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { GatewayClient, type GatewayClientOptions } from '../../../src/cluster/api/mod.js';
import type { Events } from '../../../src/cluster/business/mod.js';
import { encodeClientId, ipToNumber } from '../../../src/cluster/protocol/mod.js';
import { startCluster, type TestCluster, type TestClusterOptions } from '../../../src/testing/mod.js';
import { silentLogger } from '../../../src/util/mod.js';
import { LineClient, SocketClient } from '../../support/cluster-clients.js';
import { eventually } from '../../support/eventually.js';
import { freePort } from '../../support/free-port.js';
import { linkErrorOf } from '../../support/mesh-client.js';
import { endScripts, startScript } from '../../support/processes.js';
import { RawServer } from '../../support/raw-server.js';

const SCRIPT = fileURLToPath(new URL('fixtures/push-and-close.js', import.meta.url));
const BUILT = existsSync(fileURLToPath(new URL('../../../dist/client.js', import.meta.url)));

afterEach(endScripts);

/** Greets with the client id and says everything back. */
const events: Events = {
  onConnect: (client) => void client.send(client.id),
  onMessage: (client, message) => void client.send(message),
};

interface Bench extends AsyncDisposable {
  readonly cluster: TestCluster;
  readonly push: GatewayClient;
  readonly port: number;
}

async function bench(
  options: Partial<TestClusterOptions> = {},
  clientOptions: Partial<GatewayClientOptions> = {},
): Promise<Bench> {
  const cluster = await startCluster({ events, ...options });
  const push = new GatewayClient({
    registerAddress: cluster.registerAddress,
    secretKey: options.secretKey ?? '',
    logger: silentLogger,
    ...clientOptions,
  });
  await push.ready();
  const dispose = async () => {
    await push.close();
    await cluster.stop();
  };
  return { cluster, push, port: cluster.gateways[0]?.port ?? 0, [Symbol.asyncDispose]: dispose };
}

/** So many clients are known: all gateways are. */
async function all(push: GatewayClient, count: number): Promise<void> {
  await eventually(`${count} clients`, async () => (await push.getAllClientIdCount()) === count);
}

describe('options', () => {
  it.each<[string, object, string]>([
    ['an unknown one', { registerAdress: '127.0.0.1:1236' }, "did you mean 'registerAddress'?"],
    ['an empty list of registers', { registerAddress: [] }, 'a list of at least one'],
    ['a secret that is no text', { secretKey: 5 }, "option 'secretKey' must be a string"],
    ['no time for questions', { queryTimeout: 0 }, "option 'queryTimeout'"],
    ['a time beyond what timers know', { readyTimeout: 1e9 }, "option 'readyTimeout' must be"],
    ['no room', { sendBufferSize: 0 }, "option 'sendBufferSize'"],
    ['no questions', { maxPendingQuestions: 0 }, "option 'maxPendingQuestions'"],
    ['half a logger', { logger: { info: () => {} } }, "option 'logger' must be an object with the methods"],
  ])('%s throws at once', (_name, options, message) => {
    expect(() => new GatewayClient(options as never)).toThrow(message);
  });

  it('a register address that is none throws at once', () => {
    expect(() => new GatewayClient({ registerAddress: 'localhost' })).toThrow('expected host:port');
  });
});

describe('a GatewayClient', () => {
  it.each(['', 'sekret'])('pushes to clients, uids and groups, and asks, with the key "%s"', async (secretKey) => {
    await using both = await bench({ secretKey, gateways: ['text://127.0.0.1:0', 'text://127.0.0.1:0'] });
    const { push, cluster } = both;
    const ports = cluster.gateways.map(({ port }) => port);
    const ann = await LineClient.greeted(ports[0] ?? 0);
    const bob = await LineClient.greeted(ports[1] ?? 0);
    await all(push, 2);
    expect(push.sendToClient(ann.id, 'to ann')).toBe(true);
    expect(push.bindUid(ann.id, 7)).toBe(true);
    expect(push.bindUid(bob.id, 'bob')).toBe(true);
    expect(push.joinGroup(ann.id, 'g')).toBe(true);
    expect(push.joinGroup(bob.id, 'g')).toBe(true);
    expect(await push.getClientIdCountByGroup('g')).toBe(2);
    push.sendToUid('7', 'to 7');
    push.sendToGroup('g', 'to g', { exclude: ann.id });
    push.sendToAll('to all');
    push.sendToAll('to one of all', { clientIds: [bob.id] });
    expect(await ann.client.take(3)).toEqual(['to ann', 'to 7', 'to all']);
    expect(await bob.client.take(3)).toEqual(['to g', 'to all', 'to one of all']);
    push.leaveGroup(ann.id, 'g');
    push.unbindUid(ann.id);
    expect(await push.getClientIdCountByGroup('g')).toBe(1);
    expect([...(await push.getAllClientSessions()).keys()].sort()).toEqual([ann.id, bob.id].sort());
    expect(await push.isOnline(ann.id)).toBe(true);
    push.closeClient(ann.id, 'bye');
    expect(await ann.client.take(1)).toEqual(['bye']);
    await eventually('the end', () => ann.client.closed);
    expect(await push.isOnline(ann.id)).toBe(false);
    expect(bob.client.lines).toEqual([]);
  });

  it('uses no extension that a gateway of the original lacks, unless told that there is none', async () => {
    await using both = await bench({ gateways: ['websocket://127.0.0.1:0'] });
    const { client, id } = await SocketClient.greeted(both.port);
    both.push.sendToClient(id, Buffer.from('bytes'));
    expect(await client.take(1)).toEqual(['bytes']);
    client.socket.terminate();
  });

  it('sends a Buffer as a binary frame and a string as text, where all gateways are ours', async () => {
    await using both = await bench({ gateways: ['websocket://127.0.0.1:0'] }, { binary: true });
    const { client, id } = await SocketClient.greeted(both.port);
    both.push.sendToClient(id, Buffer.from([0, 255, 1]));
    both.push.sendToClient(id, 'text');
    both.push.sendToClient(id, { a: [1, 'ü'] });
    expect(await client.take(3)).toEqual([Buffer.from([0, 255, 1]), 'text', '{"a":[1,"ü"]}']);
    client.socket.terminate();
  });

  it('asks after what it has sent: each question sees the change made just before, 1000 times', async () => {
    await using both = await bench();
    const { id } = await LineClient.greeted(both.port);
    const counts: Promise<number>[] = [];
    for (let n = 0; n < 1000; n++) {
      if (n % 2 === 0) both.push.joinGroup(id, 'g');
      else both.push.leaveGroup(id, 'g');
      counts.push(both.push.getClientIdCountByGroup('g'));
      if (n % 10 === 0) await counts.at(-1);
    }
    expect(await Promise.all(counts)).toEqual(Array.from({ length: 1000 }, (_, n) => (n % 2 === 0 ? 1 : 0)));
  });

  it('connects only to what a register has announced, whatever stands in a client id', async () => {
    await using both = await bench({}, { queryTimeout: 1 });
    await using stranger = await RawServer.start();
    const id = encodeClientId(ipToNumber('127.0.0.1') ?? 0, stranger.port, 1);
    expect(both.push.sendToClient(id, 'x')).toBe(false);
    expect(both.push.sendToAll('x', { clientIds: [id] })).toBe(false);
    expect(both.push.joinGroup(id, 'g')).toBe(false);
    expect(await both.push.isOnline(id)).toBe(false);
    expect(() => both.push.sendToClient('not an id', 'x')).toThrow('is not a client id');
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(stranger.connections).toBe(0);
  });

  it('and another one of another cluster do not mix', async () => {
    await using one = await bench({ secretKey: 'one' });
    await using two = await bench({ secretKey: 'two' });
    const ann = await LineClient.greeted(one.port);
    const bob = await LineClient.greeted(two.port);
    for (const { push, id } of [
      { push: one.push, id: ann.id },
      { push: two.push, id: bob.id },
    ]) {
      push.bindUid(id, 'same');
      push.joinGroup(id, 'same');
    }
    one.push.sendToUid('same', 'one');
    two.push.sendToGroup('same', 'two');
    expect(one.push.sendToClient(bob.id, 'astray')).toBe(false);
    expect(await one.push.isOnline(bob.id)).toBe(false);
    expect(await Promise.all([one, two].map(({ push }) => push.getClientIdCountByGroup('same')))).toEqual([1, 1]);
    expect(await ann.client.settle('end')).toEqual(['one']);
    expect(await bob.client.settle('end')).toEqual(['two']);
    await one.push.close();
    expect(await two.push.getAllClientIdCount()).toBe(1);
  });

  it('says in ready() that the key is wrong', async () => {
    await using both = await bench({ secretKey: 'right' });
    await using wrong = new GatewayClient({
      registerAddress: both.cluster.registerAddress,
      secretKey: 'wrong',
      readyTimeout: 0.5,
      logger: silentLogger,
    });
    const error = await linkErrorOf(wrong.ready());
    expect(error.code).toBe('GW_LINK_REGISTER_REFUSED');
    expect(error.message).toContain(both.cluster.registerAddress);
    await expect(wrong.getAllClientIdCount()).rejects.toMatchObject({ code: 'GW_API_NO_GATEWAY' });
    expect(wrong.sendToAll('x')).toBe(false);
  });

  it('works with any of its registers alive', async () => {
    const dead = `127.0.0.1:${await freePort()}`;
    await using both = await bench();
    const registerAddress = [dead, both.cluster.registerAddress, both.cluster.registerAddress];
    await using push = new GatewayClient({ registerAddress, logger: silentLogger });
    await push.ready();
    const { client, id } = await LineClient.greeted(both.port);
    await both.cluster.register?.stop();
    expect(push.sendToClient(id, 'hello')).toBe(true);
    expect(await client.take(1)).toEqual(['hello']);
  });

  it('answers 20,000 mixed calls at once, all right', { timeout: 60_000 }, async () => {
    await using both = await bench({ gateways: ['text://127.0.0.1:0', 'text://127.0.0.1:0'] }, { queryTimeout: 30 });
    const { push, cluster } = both;
    const greeted = await Promise.all(cluster.gateways.map(({ port }) => LineClient.greeted(port)));
    await all(push, 2);
    const ids = greeted.map(({ id }) => id);
    const questions: Promise<unknown>[] = [];
    const expected: unknown[] = [];
    const sent = ids.map(() => 0);
    for (let n = 0; n < 20_000; n++) {
      const index = n % 2;
      const id = ids[index] ?? '';
      switch (n % 5) {
        case 0:
          questions.push(push.isOnline(id));
          expected.push(true);
          break;
        case 1:
          expect(push.joinGroup(id, `g${n % 100}`)).toBe(true);
          break;
        case 2:
          questions.push(push.getAllClientIdCount());
          expected.push(2);
          break;
        default:
          expect(push.sendToClient(id, `${sent[index]++}`)).toBe(true);
      }
    }
    expect(await Promise.all(questions)).toEqual(expected);
    for (const [index, { client }] of greeted.entries()) {
      expect(await client.take(sent[index] ?? 0)).toEqual(Array.from({ length: sent[index] ?? 0 }, (_, n) => `${n}`));
    }
    // Beyond its limit of questions it says so, and goes on.
    const many = await Promise.allSettled(Array.from({ length: 10_010 }, () => push.isOnline(ids[0] ?? '')));
    const refused = many.filter(({ status }) => status === 'rejected') as PromiseRejectedResult[];
    expect(refused).toHaveLength(10);
    expect(refused[0]?.reason).toMatchObject({
      code: 'GW_QUERY_INCOMPLETE',
      cause: { code: 'GW_LINK_TOO_MANY_QUESTIONS' },
    });
    expect(await push.isOnline(ids[1] ?? '')).toBe(true);
  });

  it('leaves no rejection unhandled when a gateway goes down under load', async () => {
    const unhandled: unknown[] = [];
    const onUnhandled = (reason: unknown) => unhandled.push(reason);
    process.on('unhandledRejection', onUnhandled);
    const both = await bench({}, { drainTimeout: 1 });
    const { id } = await LineClient.greeted(both.port);
    const outcomes: Promise<unknown>[] = [];
    for (let n = 0; n < 500; n++) {
      both.push.sendToAll(`${n}`);
      outcomes.push(
        both.push.isOnline(id).catch(({ code }) => code),
        both.push.getAllClientIdCount().catch(({ code }) => code),
      );
      if (n === 250) void both.cluster.gateways[0]?.stop(AbortSignal.abort());
      if (n % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    const settled = new Set(await Promise.all(outcomes));
    for (const outcome of settled) {
      expect([true, false, 0, 1, 'GW_QUERY_INCOMPLETE', 'GW_API_NO_GATEWAY']).toContain(outcome);
    }
    await both.push.close().catch(() => {});
    await both.cluster.stop();
    await new Promise((resolve) => setTimeout(resolve, 20));
    process.off('unhandledRejection', onUnhandled);
    expect(unhandled).toEqual([]);
  });
});

describe.skipIf(!BUILT)('a script that pushes', () => {
  it('ends by itself once it has closed, and what it sent has arrived', async () => {
    await using both = await bench({ secretKey: 'sekret' });
    const { client } = await LineClient.greeted(both.port);
    const env = { REGISTER: both.cluster.registerAddress, SECRET: 'sekret' };
    const script = startScript(SCRIPT, { env });
    expect(await script.exit(), script.output).toEqual({ code: 0, signal: null });
    const lines = await client.take(1001);
    expect(lines.at(-1)).toBe('last');
  });

  it('is told what is wrong when nobody answers, and ends', async () => {
    const env = { REGISTER: `127.0.0.1:${await freePort()}`, SECRET: '' };
    const script = startScript(SCRIPT, { env });
    expect((await script.exit()).code, script.output).toBe(1);
    expect(script.output).toContain('GW_LINK_NO_REGISTER');
  });
});
