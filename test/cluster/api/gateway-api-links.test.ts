import { Buffer } from 'node:buffer';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { GatewayApi, QueryError } from '../../../src/cluster/api/mod.js';
import { LinkError } from '../../../src/cluster/link/mod.js';
import {
  Command,
  FLAG_BINARY,
  FLAG_SCALAR,
  MAX_PACKET_SIZE,
  PacketView,
  PHP_MAX_PACKET_SIZE,
  serialize,
} from '../../../src/cluster/protocol/mod.js';
import { FakeLink, FakePeer } from '../../support/fake-link.js';

const HEAD = 28;
const ID = '7f0000010b5400000007';

const unhandled: unknown[] = [];
const keep = (reason: unknown) => void unhandled.push(reason);

beforeEach(() => void process.on('unhandledRejection', keep));

afterEach(async () => {
  await new Promise((resolve) => setImmediate(resolve));
  process.off('unhandledRejection', keep);
  expect(unhandled.splice(0)).toEqual([]);
});

describe('a question to several gateways', () => {
  it('that one does not answer rejects with what the others said and who was silent', async () => {
    const { api, peers } = links(3);
    const cause = new LinkError('GW_LINK_TIMEOUT', 'did not answer within 5 s');
    answerWith(peers[0]!, 3);
    peers[1]!.answer = () => Promise.reject(cause);
    answerWith(peers[2]!, 4);
    const error = await failure(api.getAllClientIdCount());
    expect(error).toBeInstanceOf(QueryError);
    expect(error).toMatchObject({ code: 'GW_QUERY_INCOMPLETE', partial: 7, silent: ['127.0.0.1:2901'], cause });
    expect(error.fields).toEqual({ silent: ['127.0.0.1:2901'] });
    expect(await failure(api.getClientIdCountByGroup('g'))).toMatchObject({ partial: 7 });
  });

  it('gives the sessions that did arrive', async () => {
    const { api, peers } = links(2);
    answerWith(peers[0]!, { 7: 'a:1:{s:1:"a";i:1;}', 8: '' });
    peers[1]!.answer = () => Promise.reject(new Error('away'));
    const error = await failure(api.getAllClientSessions());
    expect(error.partial).toEqual(
      new Map<string, unknown>([
        [ID, { a: 1 }],
        ['7f0000010b5400000008', {}],
      ]),
    );
    expect(error.silent).toEqual(['127.0.0.1:2901']);
  });

  it('that nobody answers has an empty partial answer', async () => {
    const { api, peers } = links(2);
    for (const peer of peers) peer.answer = () => Promise.reject(new Error('away'));
    expect(await failure(api.getAllClientIdCount())).toMatchObject({
      partial: 0,
      silent: peers.map((peer) => peer.address),
    });
    expect(await failure(api.getAllClientSessions())).toMatchObject({ partial: new Map() });
  });

  it('waits for all of them, and asks all at once', async () => {
    const { api, peers } = links(2);
    const asked: number[] = [];
    let answerSecond!: (answer: Buffer) => void;
    peers[0]!.answer = async () => {
      asked.push(0);
      return serialize(1);
    };
    peers[1]!.answer = () => {
      asked.push(1);
      return new Promise((resolve) => {
        answerSecond = resolve;
      });
    };
    const count = api.getAllClientIdCount();
    expect(asked).toEqual([0, 1]);
    answerSecond(serialize(2));
    expect(await count).toBe(3);
  });

  it('counts an answer that makes no sense as none', async () => {
    for (const nonsense of [serialize('5'), serialize(null), Buffer.from('x'), Buffer.from('O:1:"x":0:{}')]) {
      const { api, peers } = links(2);
      answerWith(peers[0]!, 3);
      peers[1]!.answer = () => Promise.resolve(nonsense);
      expect(await failure(api.getAllClientIdCount())).toMatchObject({ partial: 3, silent: ['127.0.0.1:2901'] });
      peers[0]!.answer = () => Promise.resolve(serialize({}));
      expect(await failure(api.getAllClientSessions())).toMatchObject({ silent: ['127.0.0.1:2901'] });
    }
  });

  it('takes a session that nobody can read for an empty one', async () => {
    const { api, peers } = links(1);
    answerWith(peers[0]!, { 7: 'O:8:"stdClass":0:{}', 8: 'rubbish', 9: 's:1:"x";', 10: 'a:1:{s:1:"a";i:1;}' });
    expect([...(await api.getAllClientSessions()).values()]).toEqual([{}, {}, {}, { a: 1 }]);
  });

  it('rejects while no gateway is known', async () => {
    const { api } = links(0);
    for (const question of [api.getAllClientIdCount(), api.getClientIdCountByGroup('g'), api.getAllClientSessions()]) {
      await expect(question).rejects.toMatchObject({ code: 'GW_API_NO_GATEWAY' });
    }
    expect(await api.isOnline(ID)).toBe(false);
  });

  it('carries the group and the command', async () => {
    const { api, peers } = links(1);
    const asked: unknown[] = [];
    peers[0]!.answer = async ({ cmd, connectionId }, ext) => {
      asked.push([cmd, connectionId, ext]);
      return serialize(1);
    };
    await api.getAllClientIdCount();
    await api.getClientIdCountByGroup('Zoë');
    await api.getClientIdCountByGroup(7);
    expect(await api.isOnline(ID)).toBe(true);
    expect(asked).toEqual([
      [Command.GET_CLIENT_COUNT_BY_GROUP, 0, ''],
      [Command.GET_CLIENT_COUNT_BY_GROUP, 0, 'Zoë'],
      [Command.GET_CLIENT_COUNT_BY_GROUP, 0, '7'],
      [Command.IS_ONLINE, 7, ''],
    ]);
  });
});

describe('a question about one client', () => {
  it('rejects when its gateway is known and does not answer', async () => {
    const { api, peers } = links(1);
    const cause = new LinkError('GW_LINK_UNREACHABLE', 'away');
    peers[0]!.answer = () => Promise.reject(cause);
    expect(await failure(api.isOnline(ID))).toMatchObject({
      code: 'GW_QUERY_INCOMPLETE',
      partial: false,
      silent: ['127.0.0.1:2900'],
      cause,
    });
  });
});

describe('a send', () => {
  it('says false when a gateway concerned is not connected, and is sent to the others', () => {
    const { api, peers } = links(2);
    peers[0]!.live = false;
    expect(api.sendToAll('x')).toBe(false);
    expect(api.sendToUid('u', 'x')).toBe(false);
    expect(api.sendToGroup('g', 'x')).toBe(false);
    expect(peers[1]!.sent.map(({ cmd }) => cmd)).toEqual([
      Command.SEND_TO_ALL,
      Command.SEND_TO_UID,
      Command.SEND_TO_GROUP,
    ]);
    for (const call of changes(api)) expect(call(ID)).toBe(false);
    for (const call of changes(api)) expect(call('7f0000010b5500000007')).toBe(true);
  });

  it('says false while no gateway is known', () => {
    const { api } = links(0);
    expect(api.sendToAll('x')).toBe(false);
    expect(api.sendToUid('u', 'x')).toBe(false);
    expect(api.sendToGroup('g', 'x')).toBe(false);
    for (const call of changes(api)) expect(call(ID)).toBe(false);
    // Nobody is concerned.
    expect(api.sendToUid([], 'x')).toBe(true);
    expect(api.sendToGroup([], 'x')).toBe(true);
    expect(api.sendToAll('x', { clientIds: [] })).toBe(true);
  });

  it('says nothing of binary to a gateway that does not know it', () => {
    const { api, peers } = links(1);
    api.sendToAll(Buffer.from('x'));
    peers[0]!.extensions = [];
    api.sendToAll(Buffer.from('x'));
    api.sendToAll('x', { binary: true });
    expect(peers[0]!.sent.map(({ flag }) => flag)).toEqual([FLAG_SCALAR | FLAG_BINARY, FLAG_SCALAR, FLAG_SCALAR]);
  });

  it('sends nothing binary to a gateway that has not said whether it knows it, and all else', () => {
    const { api, peers } = links(2);
    Object.assign(peers[0]!, { undecided: true, extensions: [] });
    const bytes = Buffer.of(0xff);
    for (const binary of [() => api.sendToAll(bytes), () => api.sendToAll('x', { binary: true })]) {
      expect(binary()).toBe(false);
    }
    expect([peers[0]!.sent.length, peers[1]!.sent.length]).toEqual([0, 2]);
    for (const other of [
      () => api.sendToAll('x'),
      () => api.sendToAll(bytes, { binary: false }),
      () => api.sendToAll(bytes, { raw: true }),
      () => api.sendToAll([1]),
      () => api.ungroup('x'),
    ]) {
      expect(other()).toBe(true);
    }
    expect(peers[0]!.sent).toHaveLength(5);
  });

  it('is whole also when a value sends something itself while it is written', () => {
    const { api, peers } = links(1);
    const value = {
      get name() {
        api.sendToClient(ID, 'in between');
        return 'x';
      },
    };
    api.sendToClient('7f0000010b5400000001', value);
    expect(peers[0]!.sent.map(({ connectionId, flag }) => [connectionId, flag])).toEqual([
      [7, FLAG_SCALAR],
      [1, 0],
    ]);
  });

  it('to groups leaves out a gateway that has said that none of them has a member there: it is not concerned', () => {
    const { api, peers } = links(2);
    const [here, there] = peers as [FakePeer, FakePeer];
    for (const peer of peers) peer.extensions.push('groups');
    absent(there, 'g');
    absent(there, '7');
    expect(api.sendToGroup('g', 'x')).toBe(true);
    expect(api.sendToGroup(['g', 7], 'x', { exclude: '7f0000010b5500000007' })).toBe(true);
    expect([here.sent.length, there.sent.length]).toEqual([2, 0]);
    expect(api.sendToGroup(['g', 'h'], 'x')).toBe(true);
    expect(there.sent.map(({ ext }) => ext)).toEqual(['{"group":["g","h"],"exclude":null}']);
    absent(here, 'g');
    here.send = () => false;
    expect(api.sendToGroup('g', 'x')).toBe(true);
    expect(api.sendToGroup('h', 'x')).toBe(false);
  });

  it('to a group goes where a join of our own went before, by whichever function', () => {
    const { api, peers } = links(1);
    const [peer] = peers as [FakePeer];
    peer.extensions.push('groups');
    for (const join of [() => api.joinGroup(ID, 'g'), () => api.joinGroupOfPeer(peer, 7, 'g')]) {
      absent(peer, 'g');
      api.sendToGroup('g', 'x');
      expect(join()).toBe(true);
      api.sendToGroup('g', 'x');
      expect(peer.sent.splice(0).map(({ cmd }) => cmd)).toEqual([Command.JOIN_GROUP, Command.SEND_TO_GROUP]);
    }
  });

  it('to a group says how many joins went before, to a gateway that asks for it alone', () => {
    const { api, peers } = links(2);
    peers[0]!.extensions.push('groups');
    api.joinGroup(ID, 'a');
    api.joinGroup(ID, 'b');
    api.joinGroup('7f0000010b5500000007', 'c');
    api.sendToGroup('g', 'x');
    api.sendToUid('u', 'x');
    const stamps = peers.map((peer) => peer.sent.filter(({ body }) => body === 'x').map((sent) => sent.connectionId));
    expect(stamps).toEqual([
      [2, 0],
      [0, 0],
    ]);
  });

  it('of a value to every gateway writes the value once', () => {
    const { api, peers } = links(3);
    let written = 0;
    const value = {
      get name() {
        return `written ${++written}`;
      },
    };
    for (const send of [
      () => api.sendToAll(value),
      () => api.sendToGroup('g', value),
      () => api.sendToUid('u', value),
    ]) {
      written = 0;
      send();
      expect(written).toBe(1);
      expect(new Set(peers.map(({ sent }) => sent.at(-1)?.body)).size).toBe(1);
    }
  });

  it('of what is no message throws also while no gateway is known', () => {
    const { api } = links(0);
    for (const send of [api.sendToAll, api.sendToGroup.bind(api, 'g'), api.sendToUid.bind(api, 'u')]) {
      expect(() => send.call(api, undefined as never)).toThrow(expect.objectContaining({ code: 'GW_API_MESSAGE' }));
    }
  });

  it('is refused from one byte on beyond the limit of the link, at which a gateway would drop it with all its events', () => {
    for (const [extensions, limit] of [
      [[], PHP_MAX_PACKET_SIZE],
      [['binary'], MAX_PACKET_SIZE],
    ] as const) {
      const { api, peers } = links(1);
      peers[0]!.extensions = [...extensions];
      const room = limit - HEAD;
      expect(api.sendToClient(ID, Buffer.alloc(room))).toBe(true);
      expect(api.sendToClient(ID, Buffer.alloc(room + 1))).toBe(false);
      expect(api.sendToClient(ID, 'x'.repeat(room))).toBe(true);
      // Two bytes a character.
      expect(api.sendToClient(ID, 'é'.repeat(room / 2))).toBe(true);
      expect(api.sendToClient(ID, 'é'.repeat(room / 2 + 1))).toBe(false);
      expect(api.sendToClient(ID, { value: 'x'.repeat(room) })).toBe(false);
      expect(api.sendToGroup('g'.repeat(room), 'x')).toBe(false);
      expect(peers[0]!.sent).toHaveLength(3);
    }
  });
});

function links(count: number): { readonly api: GatewayApi; readonly peers: FakePeer[] } {
  const peers = Array.from({ length: count }, (_, index) => new FakePeer(2900 + index));
  return { api: new GatewayApi(new FakeLink(peers)), peers };
}

function answerWith(peer: FakePeer, value: unknown): void {
  peer.answer = () => Promise.resolve(serialize(value));
}

/** The gateway says so, in answer to what was sent last. */
function absent(peer: FakePeer, group: string): void {
  const view = new PacketView();
  view.cmd = Command.ABSENT;
  view.connectionId = peer.absentGroups.joins;
  view.buffer = Buffer.from(group);
  view.extEnd = view.buffer.length;
  peer.absentGroups.told(view);
}

function changes(api: GatewayApi): ((id: string) => boolean)[] {
  return [
    (id) => api.sendToClient(id, 'x'),
    (id) => api.sendToAll('x', { clientIds: [id] }),
    (id) => api.closeClient(id),
    (id) => api.closeClient(id, 'x'),
    (id) => api.bindUid(id, 'u'),
    (id) => api.unbindUid(id),
    (id) => api.joinGroup(id, 'g'),
    (id) => api.leaveGroup(id, 'g'),
  ];
}

async function failure(question: Promise<unknown>): Promise<QueryError> {
  const thrown = await question.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(thrown).toBeInstanceOf(Error);
  return thrown as QueryError;
}
