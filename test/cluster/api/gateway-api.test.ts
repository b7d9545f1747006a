import { Buffer } from 'node:buffer';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { GatewayApi, Uid } from '../../../src/cluster/api/mod.js';
import type { Client } from '../../../src/cluster/business/mod.js';
import { startCluster, type TestCluster } from '../../../src/testing/mod.js';
import { LineClient, SocketClient } from '../../support/cluster-clients.js';
import { eventually } from '../../support/eventually.js';
import { RecordingLogger } from '../../support/recording-logger.js';

/** An id of the shape of ours, of a gateway that does not exist. */
const UNKNOWN_GATEWAY = '0a0000010b5400000001';

const logger = new RecordingLogger();
/** The client objects of all workers, by id. */
const clients = new Map<string, Client>();
let cluster: TestCluster;
let api: GatewayApi;
let textPort = 0;
let webPort = 0;
let line: LineClient;
let lineId = '';
let web: SocketClient;
let webId = '';
let marks = 0;

beforeAll(async () => {
  cluster = await startCluster({
    gateways: ['text://127.0.0.1:0', 'websocket://127.0.0.1:0'],
    workers: 2,
    logger,
    secretKey: 'hush',
    events: {
      onConnect: (client) => {
        clients.set(client.id, client);
        client.send(client.id);
      },
      onMessage: (client, message) => {
        clients.set(client.id, client);
        client.send(message);
      },
      onClose: (client) => void clients.delete(client.id),
    },
  });
  api = cluster.api;
  textPort = cluster.gateways[0]?.port ?? 0;
  webPort = cluster.gateways[1]?.port ?? 0;
});

beforeEach(async () => {
  const first = await LineClient.greeted(textPort);
  line = first.client;
  lineId = first.id;
  const second = await SocketClient.greeted(webPort);
  web = second.client;
  webId = second.id;
  return async () => {
    line.socket.destroy();
    web.socket.terminate();
    await eventually('the clients to be gone', () => cluster.gateways.every((gateway) => gateway.clientCount === 0));
  };
});

afterAll(async () => {
  await cluster.stop();
  expect(logger.of('error')).toEqual([]);
});

/** What both clients got up to now: an answer on the same link comes behind it. */
async function got(): Promise<{ text: string[]; web: (string | Buffer)[] }> {
  const mark = `mark ${++marks}`;
  // Commands of the first worker are carried out before what is asked on any link afterwards.
  await api.getAllClientIdCount();
  const [text, messages] = await Promise.all([line.settle(mark), web.settle(mark)]);
  return { text, web: messages };
}

describe('sending to all', () => {
  it('reaches the clients of every gateway, each in its protocol', async () => {
    expect(api.sendToAll('grüße 👋')).toBe(true);
    expect(await got()).toEqual({ text: ['grüße 👋'], web: ['grüße 👋'] });
  });

  it('sends text as text and bytes as binary, and says otherwise with the option', async () => {
    api.sendToAll('text');
    api.sendToAll(Buffer.from('bytes'));
    api.sendToAll('text as binary', { binary: true });
    api.sendToAll(Buffer.from('bytes as text'), { binary: false });
    const { text, web: messages } = await got();
    expect(text).toEqual(['text', 'bytes', 'text as binary', 'bytes as text']);
    expect(messages).toEqual(['text', Buffer.from('bytes'), Buffer.from('text as binary'), 'bytes as text']);
  });

  it.each([1, 32, 33, 5000])('sends %i bytes of a Uint8Array as those of a Buffer', async (length) => {
    // A piece of something larger, as libraries give it.
    const bytes = new Uint8Array(length + 20).fill(0x61).subarray(10, 10 + length);
    expect(api.sendToAll(bytes)).toBe(true);
    const expected = Buffer.alloc(length, 'a');
    expect(await got()).toEqual({ text: [expected.toString()], web: [expected] });
  });

  it('sends values as JSON, numbers and booleans as text', async () => {
    api.sendToAll({ a: [1, 'x', null], ü: 1.5 });
    for (const message of [5, -0.5, true, false, null, [1, 2]]) api.sendToAll(message);
    const { text, web: messages } = await got();
    const expected = ['{"a":[1,"x",null],"ü":1.5}', '5', '-0.5', 'true', 'false', 'null', '[1,2]'];
    expect(messages).toEqual(expected);
    expect(text).toEqual(expected);
  });

  it('writes raw bytes as they are', async () => {
    const frame = Buffer.from([0x81, 2, 0x68, 0x69]);
    const onlyWeb = { clientIds: [webId], raw: true };
    expect(api.sendToAll(frame, onlyWeb)).toBe(true);
    expect(api.sendToAll('a\nb\n', { clientIds: [lineId], raw: true })).toBe(true);
    expect(await got()).toEqual({ text: ['a', 'b'], web: ['hi'] });
  });

  it('reaches a list of clients, each once however often it is named', async () => {
    expect(api.sendToAll('to both', { clientIds: [lineId, webId, lineId.toUpperCase()] })).toBe(true);
    expect(api.sendToAll('to one', { clientIds: [webId] })).toBe(true);
    expect(api.sendToAll('to nobody', { clientIds: [] })).toBe(true);
    expect(await got()).toEqual({ text: ['to both'], web: ['to both', 'to one'] });
  });

  it('leaves clients out, also of a list', async () => {
    expect(api.sendToAll('a', { exclude: lineId })).toBe(true);
    expect(api.sendToAll('b', { exclude: [webId, UNKNOWN_GATEWAY] })).toBe(true);
    expect(api.sendToAll('c', { exclude: [] })).toBe(true);
    expect(api.sendToAll('d', { clientIds: [lineId, webId], exclude: webId })).toBe(true);
    expect(api.sendToAll('e', { clientIds: [lineId, webId], exclude: [webId, lineId] })).toBe(true);
    expect(await got()).toEqual({ text: ['b', 'c', 'd'], web: ['a', 'c'] });
  });

  it('says false when a client of the list is at a gateway nobody knows, and reaches the others', async () => {
    expect(api.sendToAll('x', { clientIds: [UNKNOWN_GATEWAY, lineId] })).toBe(false);
    expect(await got()).toEqual({ text: ['x'], web: [] });
  });
});

describe('sending to one client', () => {
  it('reaches it and nobody else', async () => {
    expect(api.sendToClient(lineId, 'a')).toBe(true);
    expect(api.sendToClient(webId.toUpperCase(), Buffer.from('b'))).toBe(true);
    expect(api.sendToClient(webId, { c: 1 })).toBe(true);
    expect(api.sendToClient(lineId, 'raw\n', { raw: true })).toBe(true);
    expect(await got()).toEqual({ text: ['a', 'raw'], web: [Buffer.from('b'), '{"c":1}'] });
  });

  it('says true for a client its gateway does not have, false for a gateway nobody knows', () => {
    expect(api.sendToClient(`${lineId.slice(0, 12)}00000000`, 'x')).toBe(true);
    expect(api.sendToClient(UNKNOWN_GATEWAY, 'x')).toBe(false);
  });
});

describe('uids', () => {
  it('are the same as a number, its digits and a bigint, and span gateways', async () => {
    expect(api.bindUid(lineId, 5)).toBe(true);
    expect(api.bindUid(webId, '5')).toBe(true);
    for (const uid of [5, '5', 5n]) expect(api.sendToUid(uid, `to ${typeof uid}`)).toBe(true);
    expect(await got()).toEqual({
      text: ['to number', 'to string', 'to bigint'],
      web: ['to number', 'to string', 'to bigint'],
    });
  });

  it('may be beyond what a number holds, as bigint or digits', async () => {
    api.bindUid(lineId, 2n ** 53n + 1n);
    api.bindUid(webId, '12345678901234567890123');
    api.sendToUid('9007199254740993', 'a');
    api.sendToUid('9007199254740992', 'nobody');
    api.sendToUid(12345678901234567890123n, 'b');
    api.sendToUid([2n ** 53n + 1n, '12345678901234567890123'], 'c');
    expect(await got()).toEqual({ text: ['a', 'c'], web: ['b', 'c'] });
  });

  it('may have any characters', async () => {
    for (const uid of ['Zoë', '👩‍🚀', '"quoted\\', 'a/b', ' ', '05', '-7', 'null']) {
      api.bindUid(webId, uid);
      api.sendToUid(uid, `one ${uid}`);
      api.sendToUid([uid], `list ${uid}`);
      expect((await got()).web).toEqual([`one ${uid}`, `list ${uid}`]);
    }
  });

  it('are one for a client: the last one bound', async () => {
    api.bindUid(webId, 'a');
    api.bindUid(webId, 'b');
    api.sendToUid('a', 'x');
    api.sendToUid('b', 'y');
    expect((await got()).web).toEqual(['y']);
    expect(api.unbindUid(webId, 'whatever')).toBe(true);
    api.sendToUid(['a', 'b'], 'z');
    api.bindUid(webId, 'c');
    expect(api.unbindUid(webId)).toBe(true);
    api.sendToUid('c', 'z');
    expect((await got()).web).toEqual([]);
  });

  it('of a list each get it, one named twice twice, and an empty list reaches nobody', async () => {
    api.bindUid(lineId, 'a');
    api.bindUid(webId, 'b');
    expect(api.sendToUid(['a', 'b'], 'x')).toBe(true);
    expect(api.sendToUid(['a', 'a'], 'y')).toBe(true);
    expect(api.sendToUid([], 'z')).toBe(true);
    expect(api.sendToUid('nobody', 'z')).toBe(true);
    expect(await got()).toEqual({ text: ['x', 'y', 'y'], web: ['x'] });
  });
});

describe('groups', () => {
  it('span gateways, and may be left', async () => {
    for (const id of [lineId, webId]) expect(api.joinGroup(id, 'lobby')).toBe(true);
    expect(api.sendToGroup('lobby', 'a')).toBe(true);
    expect(api.leaveGroup(webId, 'lobby')).toBe(true);
    expect(api.sendToGroup('lobby', 'b')).toBe(true);
    expect(await got()).toEqual({ text: ['a', 'b'], web: ['a'] });
  });

  it('leave clients out, send bytes as binary and raw as it is', async () => {
    for (const id of [lineId, webId]) api.joinGroup(id, 'lobby');
    api.sendToGroup('lobby', 'a', { exclude: webId });
    api.sendToGroup('lobby', 'b', { exclude: [lineId] });
    api.sendToGroup('lobby', Buffer.from('c'));
    api.sendToGroup('lobby', 'raw\n', { raw: true, exclude: webId });
    expect(await got()).toEqual({ text: ['a', 'c', 'raw'], web: ['b', Buffer.from('c')] });
  });

  it('may be several, of any name', async () => {
    const names = ['Zoë', '👩‍🚀', 7, 2n ** 60n, '"'];
    for (const name of names) api.joinGroup(webId, name);
    for (const name of names) api.sendToGroup(name, `one ${name}`);
    api.sendToGroup(['7', String(2n ** 60n)], 'both');
    api.sendToGroup([], 'nobody');
    expect((await got()).web).toEqual([...names.map((name) => `one ${name}`), 'both', 'both']);
  });
});

describe('questions', () => {
  it('count clients, all and of a group', async () => {
    expect(await api.getAllClientIdCount()).toBe(2);
    expect(await api.getClientIdCountByGroup('counted')).toBe(0);
    for (const id of [lineId, webId]) api.joinGroup(id, 'counted');
    await got();
    expect(await api.getClientIdCountByGroup('counted')).toBe(2);
  });

  it('tell who is online', async () => {
    expect(await api.isOnline(lineId)).toBe(true);
    expect(await api.isOnline(webId)).toBe(true);
    expect(await api.isOnline(`${lineId.slice(0, 12)}00000000`)).toBe(false);
    expect(await api.isOnline(UNKNOWN_GATEWAY)).toBe(false);
  });

  it('give the sessions of all clients', async () => {
    const client = clients.get(webId) as Client;
    client.session = { name: 'Zoë', list: [1, { deep: true }] };
    await got();
    const sessions = await eventually('the session', async () => {
      const all = await api.getAllClientSessions();
      return all.get(webId)?.name === undefined ? undefined : all;
    });
    expect(sessions).toEqual(
      new Map<string, unknown>([
        [lineId, {}],
        [webId, { name: 'Zoë', list: [1, { deep: true }] }],
      ]),
    );
  });

  it('may be asked many at once', async () => {
    const answers = await Promise.all(Array.from({ length: 300 }, () => api.getAllClientIdCount()));
    expect(new Set(answers)).toEqual(new Set([2]));
  });
});

describe('closing', () => {
  it('comes behind what was sent, with a last message or without', async () => {
    api.sendToClient(lineId, 'first');
    expect(api.closeClient(lineId, 'last')).toBe(true);
    expect(await line.take(2)).toEqual(['first', 'last']);
    await eventually('the end', () => line.closed);
    expect(api.closeClient(webId)).toBe(true);
    await eventually('the end', () => web.closed);
    expect(web.messages).toEqual([]);
    expect(api.closeClient(UNKNOWN_GATEWAY)).toBe(false);
  });

  it('takes bytes and values as the last message', async () => {
    expect(api.closeClient(webId, { reason: 'over' })).toBe(true);
    expect(await web.take(1)).toEqual(['{"reason":"over"}']);
    await eventually('the end', () => web.closed);
  });
});

describe('the client object', () => {
  it('knows where it comes from', () => {
    const client = clients.get(lineId) as Client;
    expect(client.remoteAddress).toBe('127.0.0.1');
    expect(client.remotePort).toBe(line.socket.localPort);
    expect(client.gatewayAddress).toBe('127.0.0.1');
    expect(client.gatewayPort).toBe(textPort);
    expect(clients.get(webId)?.gatewayPort).toBe(webPort);
    expect(`${client}`).toBe(lineId);
    expect(client.id).toMatch(/^7f000001[0-9a-f]{12}$/);
  });

  it('sends, joins, binds, and is found by it', async () => {
    const client = clients.get(webId) as Client;
    expect(client.send('text')).toBe(true);
    expect(client.send(Buffer.from('bytes'))).toBe(true);
    expect(client.send({ a: 1 })).toBe(true);
    expect(client.send('binary', { binary: true })).toBe(true);
    expect(client.send(Buffer.from([0x81, 1, 0x72]), { raw: true })).toBe(true);
    expect(client.joinGroup('g')).toBe(true);
    expect(client.bindUid(77)).toBe(true);
    await eventually('the group', async () => (await client.gateway.getClientIdCountByGroup('g')) === 1);
    client.gateway.sendToUid('77', 'to the uid');
    client.gateway.sendToGroup('g', 'to the group');
    expect(client.leaveGroup('g')).toBe(true);
    expect(client.unbindUid()).toBe(true);
    client.gateway.sendToUid('77', 'nobody');
    client.gateway.sendToGroup('g', 'nobody');
    await eventually('the last', () => web.messages.length >= 7);
    expect((await got()).web).toEqual([
      'text',
      Buffer.from('bytes'),
      '{"a":1}',
      Buffer.from('binary'),
      'r',
      'to the uid',
      'to the group',
    ]);
  });

  it('ends its connection in order or at once', async () => {
    const client = clients.get(webId) as Client;
    client.send('first');
    expect(client.close('last')).toBe(true);
    expect(await web.take(2)).toEqual(['first', 'last']);
    await eventually('the end', () => web.closed);
    expect(clients.get(lineId)?.destroy()).toBe(true);
    await eventually('the end', () => line.closed);
    await eventually('onClose', () => clients.size === 0);
    // Gone by now: the command is taken all the same.
    expect(client.send('x')).toBe(true);
  });

  it('refuses malformed names', () => {
    const client = clients.get(webId) as Client;
    for (const call of [() => client.bindUid(0), () => client.joinGroup(''), () => client.leaveGroup('0')]) {
      expect(call).toThrow(expect.objectContaining({ code: 'GW_API_NAME' }));
    }
  });

  it('gets text as a string and binary as a Buffer, and they return as they came', async () => {
    web.send('tëxt');
    web.send(Buffer.from([0, 0xff]));
    web.send(Buffer.alloc(0));
    expect(await web.take(3)).toEqual(['tëxt', Buffer.from([0, 0xff]), Buffer.alloc(0)]);
  });
});

describe('malformed arguments', () => {
  const badIds = [
    '',
    'x',
    'g'.repeat(20),
    lineId.slice(1),
    `${UNKNOWN_GATEWAY}0`,
    5,
    null,
    undefined,
    {},
    Object.create(null),
  ];
  const badNames = ['', '0', 0, -0, 0n, Number.NaN, 1.5, 2 ** 53, Number.POSITIVE_INFINITY, null, undefined, true];
  const objects = [{}, Object.create(null), Symbol('x'), () => {}, new Map(), new Date(), Buffer.from('x')];

  it('throw before anything is sent', async () => {
    for (const bad of badIds as string[]) {
      const calls = [
        () => api.sendToClient(bad, 'x'),
        () => api.closeClient(bad),
        () => api.bindUid(bad, 'u'),
        () => api.unbindUid(bad),
        () => api.joinGroup(bad, 'g'),
        () => api.leaveGroup(bad, 'g'),
        () => api.sendToAll('x', { clientIds: [lineId, bad] }),
        () => api.sendToAll('x', { exclude: [bad] }),
        () => api.sendToGroup('g', 'x', { exclude: [lineId, bad] }),
      ];
      for (const call of calls)
        expect(call, String(call)).toThrow(expect.objectContaining({ code: 'GW_API_CLIENT_ID' }));
      await expect(api.isOnline(bad)).rejects.toMatchObject({ code: 'GW_API_CLIENT_ID' });
    }
    for (const bad of [...badNames, ...objects] as Uid[]) {
      const calls = [
        () => api.bindUid(lineId, bad),
        () => api.joinGroup(lineId, bad),
        () => api.leaveGroup(lineId, bad),
        () => api.sendToUid(bad, 'x'),
        () => api.sendToUid(['good', bad], 'x'),
        () => api.sendToGroup(bad, 'x'),
        () => api.sendToGroup(['good', bad], 'x'),
      ];
      for (const call of calls) expect(call, String(call)).toThrow(expect.objectContaining({ code: 'GW_API_NAME' }));
      await expect(api.getClientIdCountByGroup(bad)).rejects.toMatchObject({ code: 'GW_API_NAME' });
    }
    for (const bad of [null, 5, {}] as unknown as string[][]) {
      expect(() => api.sendToAll('x', { clientIds: bad })).toThrow(
        expect.objectContaining({ code: 'GW_API_CLIENT_ID' }),
      );
    }
    for (const bad of [undefined, () => {}, Symbol('x')] as unknown as string[]) {
      expect(() => api.sendToAll(bad)).toThrow(expect.objectContaining({ code: 'GW_API_MESSAGE' }));
      expect(() => api.sendToClient(lineId, bad)).toThrow(expect.objectContaining({ code: 'GW_API_MESSAGE' }));
    }
    for (const bad of [new Date(), { deep: [() => {}] }]) {
      expect(() => api.sendToAll(bad)).toThrow(expect.objectContaining({ code: 'GW_PHP_UNSUPPORTED' }));
    }
    expect(await got()).toEqual({ text: [], web: [] });
  });

  it('are named in the error, shortened', () => {
    expect(() => api.sendToClient('x'.repeat(100), 'x')).toThrow(`'${'x'.repeat(40)}' is not a client id`);
    expect(() => api.joinGroup(lineId, '0')).toThrow(
      "a group must be a text or an integer, not empty and not 0; got '0'",
    );
  });
});
