import { Buffer } from 'node:buffer';
import { describe, expect, expectTypeOf, it } from 'vitest';
import { GatewayApi, QueryError, WorkerGatewayApi } from '../../../src/cluster/api/mod.js';
import { LinkError } from '../../../src/cluster/link/mod.js';
import { Command, PHP_MAX_PACKET_SIZE, serialize } from '../../../src/cluster/protocol/mod.js';
import { FakeLink, FakePeer, turn } from '../../support/fake-link.js';

const ID = '7f0000010b5400000007';
const ID_8 = '7f0000010b5400000008';
const BIG = 9_223_372_036_854_775_807n;

/** Every question to all gateways, with an answer and what it amounts to. */
const QUESTIONS: readonly {
  readonly name: string;
  readonly ask: (api: GatewayApi) => Promise<unknown>;
  readonly answer: unknown;
  readonly result: unknown;
  readonly none: unknown;
}[] = [
  { name: 'getAllClientIdCount', ask: (api) => api.getAllClientIdCount(), answer: 3, result: 3, none: 0 },
  { name: 'getClientIdCountByGroup', ask: (api) => api.getClientIdCountByGroup('g'), answer: 3, result: 3, none: 0 },
  {
    name: 'getAllClientIdList',
    ask: (api) => api.getAllClientIdList(),
    answer: new Map([
      [8, { uid: null }],
      [7, { uid: 'a' }],
    ]),
    result: [ID_8, ID],
    none: [],
  },
  {
    name: 'getClientIdListByGroup',
    ask: (api) => api.getClientIdListByGroup(['g', 'h']),
    answer: new Map([[7, { uid: null }]]),
    result: [ID],
    none: [],
  },
  {
    name: 'batchGetClientIdCountByGroup',
    ask: (api) => api.batchGetClientIdCountByGroup([BIG, 'g', 5]),
    answer: new Map<unknown, unknown>([
      [5, 2],
      [BIG, 1],
      ['g', 0],
    ]),
    result: new Map([
      [String(BIG), 1],
      ['g', 0],
      ['5', 2],
    ]),
    none: new Map([
      [String(BIG), 0],
      ['g', 0],
      ['5', 0],
    ]),
  },
  {
    name: 'getAllClientSessions',
    ask: (api) => api.getAllClientSessions(),
    answer: { 7: 'a:1:{s:1:"a";i:1;}' },
    result: new Map([[ID, { a: 1 }]]),
    none: new Map(),
  },
  {
    name: 'getClientSessionsByGroup',
    ask: (api) => api.getClientSessionsByGroup('g'),
    answer: { 7: '' },
    result: new Map([[ID, {}]]),
    none: new Map(),
  },
  { name: 'isUidOnline', ask: (api) => api.isUidOnline('u'), answer: [7], result: true, none: false },
  {
    name: 'isUidsOnline',
    ask: (api) => api.isUidsOnline(['u', 5]),
    answer: new Map<unknown, unknown>([
      [5, [7]],
      ['u', []],
    ]),
    result: new Map([
      ['u', false],
      ['5', true],
    ]),
    none: new Map([
      ['u', false],
      ['5', false],
    ]),
  },
  { name: 'getClientIdByUid', ask: (api) => api.getClientIdByUid(5), answer: [8, 7], result: [ID_8, ID], none: [] },
  {
    name: 'batchGetClientIdByUid',
    ask: (api) => api.batchGetClientIdByUid([BIG, 5]),
    answer: new Map<unknown, unknown>([
      [5, [8, 7]],
      [BIG, []],
    ]),
    result: new Map([
      [String(BIG), []],
      ['5', [ID_8, ID]],
    ]),
    none: new Map([
      [String(BIG), []],
      ['5', []],
    ]),
  },
  {
    name: 'getAllUidList',
    ask: (api) => api.getAllUidList(),
    // As PHP might have it: an integer.
    answer: { 1: { uid: null }, 7: { uid: BIG }, 8: { uid: String(BIG) }, 9: { uid: 5 } },
    result: [String(BIG), '5'],
    none: [],
  },
  { name: 'getAllUidCount', ask: (api) => api.getAllUidCount(), answer: { 7: { uid: 'u' } }, result: 1, none: 0 },
  {
    name: 'getUidListByGroup',
    ask: (api) => api.getUidListByGroup('g'),
    answer: { 6: { uid: null }, 7: { uid: 'u' } },
    result: ['u'],
    none: [],
  },
  {
    name: 'getUidCountByGroup',
    ask: (api) => api.getUidCountByGroup('g'),
    answer: { 7: { uid: 'u' } },
    result: 1,
    none: 0,
  },
  {
    name: 'getAllGroupIdList',
    ask: (api) => api.getAllGroupIdList(),
    answer: ['g', 5, BIG, -7],
    result: ['g', '5', String(BIG), '-7'],
    none: [],
  },
  {
    name: 'getAllGroupUidList',
    ask: (api) => api.getAllGroupUidList(),
    answer: {
      1: { uid: null, groups: null },
      2: { uid: 'u', groups: [] },
      3: { uid: null, groups: { g: 'g' } },
      4: { uid: 'u', groups: { g: 'g', 5: '5' } },
      5: { uid: 'u', groups: { g: 'g' } },
    },
    result: new Map([
      ['5', ['u']],
      ['g', ['u']],
    ]),
    none: new Map(),
  },
  {
    name: 'getAllGroupUidCount',
    ask: (api) => api.getAllGroupUidCount(),
    answer: {
      1: { uid: null, groups: { g: 'g' } },
      4: { uid: 'u', groups: { g: 'g' } },
      5: { uid: 'u', groups: { g: 'g' } },
    },
    result: new Map([['g', 1]]),
    none: new Map(),
  },
  {
    name: 'getAllGroupClientIdList',
    ask: (api) => api.getAllGroupClientIdList(),
    answer: { 1: { groups: null }, 7: { groups: { g: 'g' } }, 8: { groups: { g: 'g' } } },
    result: new Map([['g', [ID, ID_8]]]),
    none: new Map(),
  },
  {
    name: 'getAllGroupClientIdCount',
    ask: (api) => api.getAllGroupClientIdCount(),
    answer: { 1: { groups: null }, 7: { groups: { g: 'g' } }, 8: { groups: { g: 'g' } } },
    result: new Map([['g', 2]]),
    none: new Map(),
  },
];

describe('every question to all gateways', () => {
  for (const { name, ask, answer, result, none } of QUESTIONS) {
    it(`${name} gives what was answered, in texts`, async () => {
      const { api, peers } = links(1);
      answerWith(peers[0]!, answer);
      expect(entriesOf(await ask(api))).toEqual(entriesOf(result));
    });

    it(`${name} asks all at once, and rejects with what the others said`, async () => {
      const { api, peers } = links(3);
      const cause = new LinkError('GW_LINK_TIMEOUT', 'did not answer within 5 s');
      let asked = 0;
      let refuse!: (error: Error) => void;
      for (const peer of [peers[0]!, peers[2]!]) {
        peer.answer = () => {
          asked++;
          return new Promise((_, reject) => {
            refuse = reject;
          });
        };
      }
      peers[0]!.answer = async () => {
        asked++;
        throw cause;
      };
      peers[1]!.answer = async () => {
        asked++;
        return serialize(answer);
      };
      const error = failure(ask(api));
      await turn();
      expect(asked).toBe(3);
      refuse(cause);
      expect(await error).toMatchObject({
        code: 'GW_QUERY_INCOMPLETE',
        silent: ['127.0.0.1:2900', '127.0.0.1:2902'],
        cause,
      });
      const partial = (await error).partial;
      // The answer is that of the second gateway.
      expect(JSON.stringify(entriesOf(partial)).replaceAll('0b55', '0b54')).toEqual(JSON.stringify(entriesOf(result)));
    });

    it(`${name} has an empty partial answer of the right type when nobody answers`, async () => {
      const { api, peers } = links(2);
      for (const peer of peers) peer.answer = () => Promise.reject(new Error('away'));
      const { partial, silent } = await failure(ask(api));
      expect(entriesOf(partial)).toEqual(entriesOf(none));
      expect(silent).toHaveLength(2);
    });

    it(`${name} counts an answer that makes no sense as none`, async () => {
      const nonsense = ['x', null, true, 1.5, -1, 'i', { a: 1, b: [] }, [null], { x: { uid: [], groups: 5 } }];
      for (const value of [...nonsense.map((one) => serialize(one)), Buffer.from('x'), Buffer.from('O:1:"x":0:{}')]) {
        const { api, peers } = links(2);
        answerWith(peers[0]!, answer);
        peers[1]!.answer = () => Promise.resolve(value);
        const error = await failure(ask(api));
        expect(error.silent, value.toString()).toEqual(['127.0.0.1:2901']);
        expect(entriesOf(error.partial)).toEqual(entriesOf(result));
      }
    });

    it(`${name} rejects while no gateway is known`, async () => {
      await expect(ask(links(0).api)).rejects.toMatchObject({ code: 'GW_API_NO_GATEWAY' });
    });
  }

  it('without anything to ask about is answered at once, without asking', async () => {
    // Nobody is known, and nobody is needed.
    const { api } = links(0);
    expect(await api.isUidsOnline([])).toEqual(new Map());
    expect(await api.batchGetClientIdByUid([])).toEqual(new Map());
    expect(await api.batchGetClientIdCountByGroup([])).toEqual(new Map());
    expect(await api.getClientIdListByGroup([])).toEqual([]);
    expect(await api.getUidListByGroup([])).toEqual([]);
    expect(await api.getUidCountByGroup([])).toBe(0);
  });

  it('counts a uid or group of several gateways once', async () => {
    const { api, peers } = links(2);
    for (const peer of peers) answerWith(peer, { 7: { uid: 'u', groups: { g: 'g' } } });
    expect(await api.getAllUidList()).toEqual(['u']);
    expect(await api.getAllUidCount()).toBe(1);
    expect(await api.getUidCountByGroup('g')).toBe(1);
    expect(await api.getAllGroupUidCount()).toEqual(new Map([['g', 1]]));
    expect(await api.getAllGroupClientIdCount()).toEqual(new Map([['g', 2]]));
    for (const peer of peers) answerWith(peer, ['g', 5]);
    expect(await api.getAllGroupIdList()).toEqual(['g', '5']);
  });

  it('has the answers in the order of the gateways, not of their coming', async () => {
    const { api, peers } = links(2);
    peers[0]!.answer = async () => {
      await turn();
      return serialize([7]);
    };
    answerWith(peers[1]!, [7]);
    expect(await api.getClientIdByUid('u')).toEqual([ID, '7f0000010b5500000007']);
  });

  it('beyond the limit of a gateway is refused before anybody is asked', async () => {
    const { api, peers } = links(2);
    peers[1]!.extensions = [];
    let asked = 0;
    for (const peer of peers) {
      peer.answer = async () => {
        asked++;
        return serialize({});
      };
    }
    // The name stands in a list: ["…"]
    const room = PHP_MAX_PACKET_SIZE - 28 - 4;
    await api.isUidsOnline(['x'.repeat(room)]);
    expect(asked).toBe(2);
    await expect(api.isUidsOnline(['x'.repeat(room + 1)])).rejects.toMatchObject({
      code: 'GW_API_TOO_LARGE',
      fields: { gateway: '127.0.0.1:2901', bytes: room + 5 },
    });
    expect(asked).toBe(2);
  });

  it('takes time in proportion to the clients', async () => {
    const { api, peers } = links(1);
    const time = async (clients: number) => {
      const groups = { lobby: 'lobby' };
      const rows = new Map(Array.from({ length: clients }, (_, index) => [index * 7, { uid: `u${index}`, groups }]));
      answerWith(peers[0]!, rows);
      const start = performance.now();
      expect(await api.getAllClientIdList()).toHaveLength(clients);
      expect(await api.getAllUidCount()).toBe(clients);
      expect((await api.getAllGroupClientIdList()).get('lobby')).toHaveLength(clients);
      return performance.now() - start;
    };
    await time(1000);
    // Eight times is linear, 64 times quadratic. Noise may spoil a try, but lets no quadratic one pass.
    let ratio = Number.POSITIVE_INFINITY;
    for (let attempt = 0; attempt < 10 && ratio >= 30; attempt++) {
      const small = await time(5000);
      ratio = (await time(40_000)) / small;
    }
    expect(ratio).toBeLessThan(30);
  });
});

describe('questions about one client', () => {
  it('reject when its gateway is known and does not answer, or answers nonsense', async () => {
    const questions: [(api: GatewayApi) => Promise<unknown>, unknown][] = [
      [(api) => api.isOnline(ID), false],
      [(api) => api.getUidByClientId(ID), null],
      [(api) => api.getSession(ID), null],
    ];
    for (const [ask, partial] of questions) {
      const { api, peers } = links(2);
      const answers = [
        () => Promise.reject(new Error('away')),
        ...['x', 'i:5;', 's:', 'O:8:"stdClass":0:{}', ''].map((text) => () => Promise.resolve(Buffer.from(text))),
      ];
      for (const answer of answers) {
        peers[0]!.answer = answer;
        expect(await failure(ask(api))).toMatchObject({
          code: 'GW_QUERY_INCOMPLETE',
          partial,
          silent: ['127.0.0.1:2900'],
        });
      }
    }
  });

  it('ask its gateway only', async () => {
    const { api, peers } = links(2);
    const asked: unknown[] = [];
    peers[0]!.answer = async ({ cmd, connectionId }, ext) => {
      asked.push([cmd, connectionId, ext]);
      return Buffer.from(cmd === Command.SELECT ? 'a:1:{i:7;a:1:{s:3:"uid";s:1:"5";}}' : 'a:0:{}');
    };
    peers[1]!.answer = () => Promise.reject(new Error('nobody asked you'));
    expect(await api.getUidByClientId(ID)).toBe('5');
    expect(await api.getSession(ID)).toEqual({});
    expect(asked).toEqual([
      [Command.SELECT, 0, '{"fields":["uid"],"where":{"connection_id":{"7":7}}}'],
      [Command.GET_SESSION_BY_CLIENT_ID, 7, ''],
    ]);
  });
});

describe('the types of the API', () => {
  it('are those of the answers', () => {
    type Answer<Name extends keyof GatewayApi> = GatewayApi[Name] extends (...args: never[]) => infer Result
      ? Awaited<Result>
      : never;
    expectTypeOf<Answer<'isUidOnline'>>().toEqualTypeOf<boolean>();
    expectTypeOf<Answer<'isUidsOnline'>>().toEqualTypeOf<Map<string, boolean>>();
    expectTypeOf<Answer<'getClientIdByUid'>>().toEqualTypeOf<string[]>();
    expectTypeOf<Answer<'batchGetClientIdByUid'>>().toEqualTypeOf<Map<string, string[]>>();
    expectTypeOf<Answer<'getUidByClientId'>>().toEqualTypeOf<string | null>();
    expectTypeOf<Answer<'getAllUidList'>>().toEqualTypeOf<string[]>();
    expectTypeOf<Answer<'getAllUidCount'>>().toEqualTypeOf<number>();
    expectTypeOf<Answer<'getUidListByGroup'>>().toEqualTypeOf<string[]>();
    expectTypeOf<Answer<'getUidCountByGroup'>>().toEqualTypeOf<number>();
    expectTypeOf<Answer<'getAllClientIdList'>>().toEqualTypeOf<string[]>();
    expectTypeOf<Answer<'getClientIdListByGroup'>>().toEqualTypeOf<string[]>();
    expectTypeOf<Answer<'batchGetClientIdCountByGroup'>>().toEqualTypeOf<Map<string, number>>();
    expectTypeOf<Answer<'getAllClientSessions'>>().toEqualTypeOf<Map<string, Record<string, unknown>>>();
    expectTypeOf<Answer<'getClientSessionsByGroup'>>().toEqualTypeOf<Map<string, Record<string, unknown>>>();
    expectTypeOf<Answer<'getSession'>>().toEqualTypeOf<Record<string, unknown> | null>();
    expectTypeOf<Answer<'getAllGroupIdList'>>().toEqualTypeOf<string[]>();
    expectTypeOf<Answer<'getAllGroupUidList'>>().toEqualTypeOf<Map<string, string[]>>();
    expectTypeOf<Answer<'getAllGroupUidCount'>>().toEqualTypeOf<Map<string, number>>();
    expectTypeOf<Answer<'getAllGroupClientIdList'>>().toEqualTypeOf<Map<string, string[]>>();
    expectTypeOf<Answer<'getAllGroupClientIdCount'>>().toEqualTypeOf<Map<string, number>>();
    for (const name of ['destroyClient', 'ungroup', 'setSession', 'updateSession'] as const) {
      expectTypeOf<GatewayApi[typeof name]>().returns.toEqualTypeOf<boolean>();
    }
  });

  it('take an app’s own session type, and lists that are read-only', () => {
    interface Session {
      name: string;
    }
    expectTypeOf<Session>().toExtend<Parameters<GatewayApi['setSession']>[1]>();
    expectTypeOf<Partial<Session>>().toExtend<Parameters<GatewayApi['updateSession']>[1]>();
    expectTypeOf<readonly ['a', 5, 5n]>().toExtend<Parameters<GatewayApi['isUidsOnline']>[0]>();
    expectTypeOf<readonly ['a', 5]>().toExtend<Parameters<GatewayApi['getUidListByGroup']>[0]>();
  });

  it('have the current client only in a worker', () => {
    expectTypeOf<WorkerGatewayApi>().toExtend<GatewayApi>();
    expectTypeOf<GatewayApi>().not.toHaveProperty('sendToCurrentClient');
    expect('sendToCurrentClient' in GatewayApi.prototype).toBe(false);
    expect('sendToCurrentClient' in WorkerGatewayApi.prototype).toBe(true);
  });
});

function links(count: number): { readonly api: GatewayApi; readonly peers: FakePeer[] } {
  const peers = Array.from({ length: count }, (_, index) => new FakePeer(2900 + index));
  return { api: new GatewayApi(new FakeLink(peers)), peers };
}

function answerWith(peer: FakePeer, value: unknown): void {
  const payload = serialize(value);
  peer.answer = () => Promise.resolve(payload);
}

/** A Map as its entries, in order. */
function entriesOf(value: unknown): unknown {
  return value instanceof Map ? [...value] : value;
}

async function failure(question: Promise<unknown>): Promise<QueryError> {
  const thrown = await question.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(thrown).toBeInstanceOf(QueryError);
  return thrown as QueryError;
}
