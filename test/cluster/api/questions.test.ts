import { Buffer } from 'node:buffer';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { GatewayApi } from '../../../src/cluster/api/mod.js';
import { startCluster, type TestCluster } from '../../../src/testing/mod.js';
import { LineClient, SocketClient } from '../../support/cluster-clients.js';
import { eventually } from '../../support/eventually.js';
import { RecordingLogger } from '../../support/recording-logger.js';

/** An id of the shape of ours, of a gateway that does not exist. */
const UNKNOWN_GATEWAY = '0a0000010b5400000001';
const BIG = 2n ** 62n + 1n;

const logger = new RecordingLogger();
let cluster: TestCluster;
let api: GatewayApi;
let other: GatewayApi;
const lines: { client: LineClient; id: string }[] = [];
const webs: { client: SocketClient; id: string }[] = [];

/** Ids of the clients: t0 … t2 at the text gateway, w0 and w1 at the WebSocket one. */
let t0 = '';
let t1 = '';
let t2 = '';
let w0 = '';
let w1 = '';

beforeAll(async () => {
  cluster = await startCluster({
    gateways: ['text://127.0.0.1:0', 'websocket://127.0.0.1:0'],
    workers: 2,
    logger,
    events: {
      onConnect: (client) => client.send(client.id),
      onMessage: (client, message) => client.send(message),
    },
  });
  api = cluster.api;
  other = cluster.workers[1]?.gateway as GatewayApi;
  for (let index = 0; index < 3; index++) lines.push(await LineClient.greeted(cluster.gateways[0]?.port ?? 0));
  for (let index = 0; index < 2; index++) webs.push(await SocketClient.greeted(cluster.gateways[1]?.port ?? 0));
  [t0, t1, t2] = lines.map(({ id }) => id) as [string, string, string];
  [w0, w1] = webs.map(({ id }) => id) as [string, string];
  // The first client of each gateway has neither uid nor group: the original's lists end there.
  api.bindUid(t1, 'ann');
  other.bindUid(w1, 'ann');
  api.bindUid(t2, BIG);
  for (const id of [t1, w1]) api.joinGroup(id, 'lobby');
  for (const id of [t1, t2, w0]) api.joinGroup(id, 7);
  other.joinGroup(t2, BIG);
  other.setSession(t1, { name: 'Ann' });
  await eventually('the last change of each worker', async () => {
    const session = await api.getSession(t1);
    const anns = await api.getClientIdByUid('ann');
    return anns.length === 2 && (await api.getClientIdCountByGroup(7)) === 3 && session?.name === 'Ann';
  });
});

afterAll(async () => {
  for (const { client } of lines) client.socket.destroy();
  for (const { client } of webs) client.socket.terminate();
  await cluster.stop();
  expect(logger.of('error')).toEqual([]);
  expect(logger.of('warn')).toEqual([]);
});

describe('questions about clients', () => {
  it('list all, of every gateway', async () => {
    expect((await api.getAllClientIdList()).sort()).toEqual([t0, t1, t2, w0, w1].sort());
    expect(await other.getAllClientIdCount()).toBe(5);
  });

  it('list the members of a group, or of any of several, each once', async () => {
    expect((await api.getClientIdListByGroup('lobby')).sort()).toEqual([t1, w1].sort());
    expect((await api.getClientIdListByGroup(7)).sort()).toEqual([t1, t2, w0].sort());
    expect((await api.getClientIdListByGroup(['lobby', '7', BIG])).sort()).toEqual([t1, t2, w0, w1].sort());
    expect(await api.getClientIdListByGroup('nobody')).toEqual([]);
  });

  it('count the members of several groups, in the order given, and a group twice only once', async () => {
    const counts = await api.batchGetClientIdCountByGroup(['nobody', 7, BIG, 'lobby', '7']);
    expect([...counts]).toEqual([
      ['nobody', 0],
      ['7', 3],
      [String(BIG), 1],
      ['lobby', 2],
    ]);
  });

  it('give the sessions of all or of a group', async () => {
    expect((await api.getAllClientSessions()).size).toBe(5);
    const expected = new Map<string, unknown>([
      [t1, { name: 'Ann' }],
      [w1, {}],
    ]);
    expect(await api.getClientSessionsByGroup('lobby')).toEqual(expected);
    expect(await api.getAllClientSessions('lobby')).toEqual(expected);
    expect(await api.getClientSessionsByGroup('nobody')).toEqual(new Map());
  });
});

describe('questions about one client', () => {
  it('give its uid as text, null without one, and for a client that does not exist', async () => {
    expect(await api.getUidByClientId(t1)).toBe('ann');
    expect(await other.getUidByClientId(t2.toUpperCase())).toBe(String(BIG));
    for (const id of [t0, `${t0.slice(0, 12)}00000000`, UNKNOWN_GATEWAY]) {
      expect(await api.getUidByClientId(id)).toBeNull();
    }
  });

  it('give its session, empty without one, and null for a client that does not exist', async () => {
    expect(await api.getSession(t1)).toEqual({ name: 'Ann' });
    expect(await api.getSession(w0)).toEqual({});
    for (const id of [`${t0.slice(0, 12)}00000000`, UNKNOWN_GATEWAY]) expect(await api.getSession(id)).toBeNull();
  });
});

describe('questions about uids', () => {
  it('say whether they are online', async () => {
    expect(await api.isUidOnline('ann')).toBe(true);
    expect(await api.isUidOnline(BIG)).toBe(true);
    expect(await api.isUidOnline('nobody')).toBe(false);
    expect([...(await api.isUidsOnline(['nobody', BIG, 'ann', 7]))]).toEqual([
      ['nobody', false],
      [String(BIG), true],
      ['ann', true],
      ['7', false],
    ]);
  });

  it('name their clients, on every gateway', async () => {
    expect((await api.getClientIdByUid('ann')).sort()).toEqual([t1, w1].sort());
    expect(await api.getClientIdByUid('nobody')).toEqual([]);
    const batch = await api.batchGetClientIdByUid(['nobody', 'ann', BIG]);
    expect([...batch.keys()]).toEqual(['nobody', 'ann', String(BIG)]);
    expect(batch.get('nobody')).toEqual([]);
    expect(batch.get('ann')?.sort()).toEqual([t1, w1].sort());
    expect(batch.get(String(BIG))).toEqual([t2]);
  });

  it('list and count each uid once over the cluster, also behind clients that have none', async () => {
    expect((await api.getAllUidList()).sort()).toEqual([String(BIG), 'ann']);
    expect(await api.getAllUidCount()).toBe(2);
    expect(await api.getUidListByGroup('lobby')).toEqual(['ann']);
    expect((await api.getUidListByGroup([7, 'lobby'])).sort()).toEqual([String(BIG), 'ann']);
    expect(await api.getUidCountByGroup('lobby')).toBe(1);
    expect(await api.getUidCountByGroup(['lobby', 7])).toBe(2);
    expect(await api.getUidCountByGroup('nobody')).toBe(0);
  });
});

describe('questions about groups', () => {
  it('list each once', async () => {
    expect((await api.getAllGroupIdList()).sort()).toEqual([String(BIG), '7', 'lobby'].sort());
  });

  it('list and count the uids in each, also behind clients without', async () => {
    const uids = await api.getAllGroupUidList();
    expect(uids.get('lobby')).toEqual(['ann']);
    expect(uids.get('7')?.sort()).toEqual([String(BIG), 'ann']);
    expect(uids.get(String(BIG))).toEqual([String(BIG)]);
    expect(uids.size).toBe(3);
    expect(await api.getAllGroupUidCount()).toEqual(
      new Map([
        ['lobby', 1],
        ['7', 2],
        [String(BIG), 1],
      ]),
    );
  });

  it('list and count the members of each, also behind clients without', async () => {
    const members = await api.getAllGroupClientIdList();
    expect(members.get('lobby')?.sort()).toEqual([t1, w1].sort());
    expect(members.get('7')?.sort()).toEqual([t1, t2, w0].sort());
    expect(members.get(String(BIG))).toEqual([t2]);
    expect(await api.getAllGroupClientIdCount()).toEqual(
      new Map([
        ['lobby', 2],
        ['7', 3],
        [String(BIG), 1],
      ]),
    );
  });

  it('know no group that has been ungrouped or left, until it is joined again', async () => {
    for (const id of [t0, w0, w1]) api.joinGroup(id, 'passing');
    await eventually('the group', async () => (await api.getClientIdCountByGroup('passing')) === 3);
    expect(api.ungroup('passing')).toBe(true);
    await eventually('no group', async () => (await api.getClientIdCountByGroup('passing')) === 0);
    expect(await api.getAllGroupIdList()).not.toContain('passing');
    expect((await api.getAllGroupClientIdList()).has('passing')).toBe(false);
    api.joinGroup(w0, 'passing');
    await eventually('the group', async () => (await api.getAllGroupIdList()).includes('passing'));
    api.leaveGroup(w0, 'passing');
    await eventually('no group', async () => !(await api.getAllGroupIdList()).includes('passing'));
    // One without any uid in it has no entry among the uids.
    api.joinGroup(w0, 'anonymous');
    await eventually('the group', async () => (await api.getAllGroupIdList()).includes('anonymous'));
    expect((await api.getAllGroupUidList()).has('anonymous')).toBe(false);
    api.leaveGroup(w0, 'anonymous');
    await eventually('no group', async () => !(await api.getAllGroupIdList()).includes('anonymous'));
  });
});

describe('sessions set by the API', () => {
  it('are replaced, merged by the rule of the original, and cleared', async () => {
    // By the worker that handles the client and by one that does not.
    for (const by of [api, other]) {
      expect(by.setSession(w0, { list: [1, 2, 3], deep: { a: 1 }, gone: true })).toBe(true);
      expect(by.setSession(w0, { list: [1, 2, 3], deep: { a: 1 } })).toBe(true);
      expect(by.updateSession(w0, { list: [9], deep: { b: 2 }, new: null })).toBe(true);
      const session = { list: [9, 2, 3], deep: { a: 1, b: 2 }, new: null };
      await eventually('the session', async () => (await by.getSession(w0))?.new === null);
      expect(await by.getSession(w0)).toEqual(session);
      expect(by.setSession(w0, {})).toBe(true);
      await eventually('no session', async () => Object.keys((await by.getSession(w0)) ?? { x: 1 }).length === 0);
    }
  });

  it('say false at a gateway nobody knows, true for a client that does not exist', () => {
    expect(api.setSession(UNKNOWN_GATEWAY, {})).toBe(false);
    expect(api.updateSession(UNKNOWN_GATEWAY, {})).toBe(false);
    expect(api.setSession(`${t0.slice(0, 12)}00000000`, {})).toBe(true);
  });

  it('must be plain objects of what PHP has a form for', () => {
    for (const bad of ['text', 5, null, undefined, new Map(), new Date(), Buffer.from('x')] as object[]) {
      for (const call of [() => api.setSession(t0, bad), () => api.updateSession(t0, bad)]) {
        expect(call).toThrow(expect.objectContaining({ code: 'GW_API_SESSION' }));
      }
    }
    for (const call of [() => api.setSession(t0, { a: () => {} }), () => api.updateSession(t0, { a: new Date() })]) {
      expect(call).toThrow(expect.objectContaining({ code: 'GW_PHP_UNSUPPORTED' }));
    }
  });
});

describe('destroying a client', () => {
  it('ends its connection at once, at its gateway', async () => {
    const { client, id } = await SocketClient.greeted(cluster.gateways[1]?.port ?? 0);
    expect(api.destroyClient(UNKNOWN_GATEWAY)).toBe(false);
    expect(api.destroyClient(id)).toBe(true);
    await eventually('the end', () => client.closed);
    await eventually('nobody online', async () => !(await api.isOnline(id)));
  });
});

describe('malformed arguments', () => {
  it('reject before anybody is asked', async () => {
    for (const bad of ['', 'x', 5, null, undefined] as string[]) {
      for (const question of [api.getUidByClientId(bad), api.getSession(bad)]) {
        await expect(question).rejects.toMatchObject({ code: 'GW_API_CLIENT_ID' });
      }
      for (const call of [
        () => api.destroyClient(bad),
        () => api.setSession(bad, {}),
        () => api.updateSession(bad, {}),
      ]) {
        expect(call).toThrow(expect.objectContaining({ code: 'GW_API_CLIENT_ID' }));
      }
    }
    for (const bad of ['', '0', 0, 1.5, null, {}, true] as string[]) {
      const questions = [
        api.isUidOnline(bad),
        api.isUidsOnline(['good', bad]),
        api.getClientIdByUid(bad),
        api.batchGetClientIdByUid(['good', bad]),
        api.getClientIdListByGroup(bad),
        api.getClientIdListByGroup(['good', bad]),
        api.batchGetClientIdCountByGroup(['good', bad]),
        api.getAllClientSessions(bad),
        api.getClientSessionsByGroup(bad),
        api.getUidListByGroup(bad),
        api.getUidCountByGroup(bad),
      ];
      for (const question of questions) await expect(question).rejects.toMatchObject({ code: 'GW_API_NAME' });
      expect(() => api.ungroup(bad)).toThrow(expect.objectContaining({ code: 'GW_API_NAME' }));
    }
    for (const bad of ['ann', 5, null, undefined, new Set(['ann'])] as unknown as string[][]) {
      for (const question of [
        api.isUidsOnline(bad),
        api.batchGetClientIdByUid(bad),
        api.batchGetClientIdCountByGroup(bad),
      ]) {
        await expect(question).rejects.toMatchObject({ code: 'GW_API_NAME' });
      }
    }
  });
});
