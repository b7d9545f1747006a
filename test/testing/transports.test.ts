import { Buffer } from 'node:buffer';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { type Client, type Events, gateway as globalApi } from '../../src/mod.js';
import {
  eventually,
  startCluster,
  type TestClient,
  type TestCluster,
  type TestClusterOptions,
} from '../../src/testing/mod.js';
import { testCertificate } from '../support/certificates.js';
import { busyPort } from '../support/free-port.js';
import { endScripts, startScript } from '../support/processes.js';
import { RecordingLogger } from '../support/recording-logger.js';

type Transport = NonNullable<TestClusterOptions['transport']>;

const running: TestCluster[] = [];

afterEach(async () => {
  for (const cluster of running.splice(0)) await cluster.stop();
  await endScripts();
});

async function start(options: TestClusterOptions): Promise<TestCluster> {
  const cluster = await startCluster(options);
  running.push(cluster);
  return cluster;
}

/** Does what a line says and answers `done`, which comes behind what it did at this client's gateway. */
const APP: Events = {
  onConnect: (client) => client.send(client.id),
  onMessage: async (client, message) => {
    const [verb = '', name = '', ...words] = String(message).split(' ');
    await VERBS[verb]?.(client, name, words.join(' '));
    client.send('done');
  },
};

const VERBS: Readonly<Record<string, (client: Client, name: string, text: string) => unknown>> = {
  name: (client, name) => {
    client.session = { name, visits: 0 };
    client.bindUid(name);
  },
  visit: (client) => {
    client.session = { ...client.session, visits: Number(client.session.visits) + 1 };
  },
  rename: (client, name) => client.gateway.updateSession(client.id, { nick: name }),
  join: (client, name) => client.joinGroup(name),
  leave: (client, name) => client.leaveGroup(name),
  ungroup: (client, name) => client.gateway.ungroup(name),
  all: (client, name) => client.gateway.sendToAll(`all: ${name}`),
  others: (client, name) => client.gateway.sendToAll(`others: ${name}`, { exclude: [client.id] }),
  group: (client, name, text) => client.gateway.sendToGroup(name, `${name}: ${text}`),
  uid: (client, name, text) => client.gateway.sendToUid(name, `for you: ${text}`),
  bytes: (client) => client.gateway.sendToAll(Buffer.from([0, 200, 10])),
  unbind: (client) => client.unbindUid(),
};

/** One story on two gateways and two workers: all that everybody saw. Client ids are told by who has them. */
async function story(transport: Transport): Promise<Record<string, unknown>> {
  const cluster = await start({
    transport,
    workers: 2,
    gateways: ['text://127.0.0.1:0', 'websocket://127.0.0.1:0'],
    secretKey: 'hush',
    events: APP,
  });
  const names = ['ada', 'bob', 'cyd', 'dan'];
  const clients = new Map<string, TestClient>();
  const owners = new Map<string, string>();
  for (const [index, name] of names.entries()) {
    const client = await cluster.connect(index % 2);
    owners.set(String(await client.next()), name);
    clients.set(name, client);
  }
  const say = async (name: string, ...lines: readonly string[]) => {
    const client = clients.get(name) as TestClient;
    for (const line of lines) {
      client.send(line);
      while (String(await client.next()) !== 'done');
    }
  };
  const seen = new Map<string, unknown>();
  const ask = async (what: string, question: Promise<unknown>) => void seen.set(what, named(await question, owners));
  const { api } = cluster;

  for (const name of names) await say(name, `name ${name}`, 'visit');
  await say('ada', 'join red', 'join blue', 'visit', 'rename countess');
  await say('bob', 'join red');
  await say('cyd', 'join blue');
  await ask('clients', api.getAllClientIdList());
  await ask('count', api.getAllClientIdCount());
  await ask('sessions', api.getAllClientSessions());
  await ask('groups', api.getAllGroupIdList());
  await ask('members', api.getAllGroupClientIdList());
  await ask('uids of red', api.getUidListByGroup('red'));
  await ask('counts', api.batchGetClientIdCountByGroup(['red', 'blue', 'none']));
  await ask('client of dan', api.getClientIdByUid('dan'));
  await ask('online', api.isUidsOnline(['ada', 'eve']));
  const ids = [...owners.keys()];
  await ask('session of ada', api.getSession(ids[0] ?? ''));
  await ask('uid of bob', api.getUidByClientId(ids[1] ?? ''));
  await ask('nobody', api.isOnline(ids[0]?.replace(/.{4}$/, '0000') ?? ''));

  await say('ada', 'all hello', 'others psst', 'group red dinner', 'uid dan ready', 'bytes');
  await say('ada', 'leave red', 'ungroup blue', 'unbind');
  await ask('members later', api.getAllGroupClientIdList());
  await ask('uids later', api.getAllUidList());
  // What others sent to each is there before the answer to a question of his own.
  for (const name of names) await say(name, 'visit');

  await clients.get('bob')?.close();
  clients.get('cyd')?.destroy();
  await clients.get('cyd')?.closed;
  await eventually('two to have left', async () => (await api.getAllClientIdCount()) === 2);
  await ask('who is left', api.getAllClientIdList());
  for (const [name, client] of clients) seen.set(`messages of ${name}`, named(client.messages, owners));
  await cluster.stop();
  for (const name of ['ada', 'dan']) seen.set(`end of ${name}`, await clients.get(name)?.closed);
  return Object.fromEntries(seen);
}

/** A value with names for client ids, and in an order that does not depend on them. */
function named(value: unknown, owners: ReadonlyMap<string, string>): unknown {
  if (value instanceof Map) {
    const entries = [...value].map(([key, entry]) => [named(key, owners), named(entry, owners)] as const);
    return Object.fromEntries(entries.sort(([a], [b]) => String(a).localeCompare(String(b))));
  }
  if (Buffer.isBuffer(value)) return value.toString('hex');
  if (Array.isArray(value)) {
    const list = value.map((entry) => named(entry, owners));
    return list.every((entry) => typeof entry === 'string' && [...owners.values()].includes(entry))
      ? list.sort()
      : list;
  }
  return typeof value === 'string' ? (owners.get(value) ?? value) : value;
}

describe('a cluster in memory and one on ports', () => {
  it('tell the same story', { timeout: 60_000 }, async () => {
    const memory = await story('memory');
    expect(memory).toEqual(await story('ports'));
    expect(memory).toMatchObject({
      clients: ['ada', 'bob', 'cyd', 'dan'],
      count: 4,
      sessions: { ada: { name: 'ada', visits: 2, nick: 'countess' }, dan: { name: 'dan', visits: 1 } },
      members: { blue: ['ada', 'cyd'], red: ['ada', 'bob'] },
      counts: { red: 2, blue: 2, none: 0 },
      'client of dan': ['dan'],
      nobody: false,
      'members later': { red: ['bob'] },
      'who is left': ['ada', 'dan'],
      'end of ada': { code: null },
      'end of dan': { code: 1001 },
    });
    const heard = memory['messages of dan'] as string[];
    expect(heard.filter((line) => line !== 'done')).toEqual([
      'dan',
      'all: hello',
      'others: psst',
      'for you: ready',
      '00c80a',
    ]);
  });

  it('tell it in the same order each time, in memory', async () => {
    const first = JSON.stringify(await story('memory'));
    expect(JSON.stringify(await story('memory'))).toBe(first);
  });
});

describe.each(['ports', 'memory'] as const)('a cluster on transport: %s', (transport) => {
  const echo: Events = { onMessage: (client, message) => client.send(message) };

  it.each([
    ['text', 'wörter', 'wörter'],
    ['frame', 'wörter', Buffer.from('wörter')],
    ['frame', Buffer.from([0, 10, 255]), Buffer.from([0, 10, 255])],
    ['tcp', 'wörter', Buffer.from('wörter')],
    ['websocket', 'wörter', 'wörter'],
    ['websocket', Buffer.from([0, 10, 255]), Buffer.from([0, 10, 255])],
  ])('has clients of %s', async (scheme, sent, expected) => {
    const cluster = await start({ transport, gateways: [`${scheme}://127.0.0.1:0`], events: echo });
    await using client = await cluster.connect();
    expect(client.send(sent)).toBe(true);
    expect(await client.next()).toEqual(expected);
    expect(client.messages).toEqual([expected]);
  });

  it.each([0, 125, 126, 65_535, 65_536, 3_000_000])(
    'carries a WebSocket message of %s bytes both ways',
    async (size) => {
      const cluster = await start({ transport, gateways: ['websocket://127.0.0.1:0'], events: echo });
      await using client = await cluster.connect();
      const message = Buffer.alloc(size, 'äx');
      client.send(message);
      const back = (await client.next()) as Buffer;
      expect(back.equals(message)).toBe(true);
    },
  );

  it('tells a worker of the path and the headers, and a hook in the gateway may refuse them', async () => {
    const cluster = await start({
      transport,
      gateways: ['websocket://127.0.0.1:0'],
      gatewayOptions: { onWebSocketConnect: (_client, { uri }) => uri !== '/secret' },
      events: {
        onWebSocketConnect: (client, { uri, query, headers }) =>
          client.send(JSON.stringify([uri, query, headers['x-token'], headers.host])),
      },
    });
    const [gateway] = cluster.gateways;
    await using client = await cluster.connect(0, { path: '/room?id=7', headers: { 'X-Token': 'abc' } });
    expect(JSON.parse(String(await client.next()))).toEqual([
      '/room?id=7',
      { id: '7' },
      'abc',
      `127.0.0.1:${gateway?.port}`,
    ]);
    await expect(cluster.connect(0, { path: '/secret' })).rejects.toMatchObject({
      code: 'GW_TEST_CONNECT',
      fields: { status: 403 },
    });
    await expect(cluster.connect(0, { headers: { 'Sec-WebSocket-Version': '12' } })).rejects.toMatchObject({
      code: 'GW_TEST_CONNECT',
      fields: { status: 426 },
    });
  });

  it('knows its clients by address and port', async () => {
    const facts = (client: Client) => [
      client.remoteAddress,
      String(client.remotePort),
      String(client.gatewayPort),
      client.gatewayAddress,
    ];
    const cluster = await start({
      transport,
      gateways: ['text://127.0.0.1:0', 'text://127.0.0.1:0'],
      events: { onConnect: (client) => client.send(facts(client).join(' ')) },
    });
    const seen = new Set<string>();
    for (const [index, gateway] of cluster.gateways.entries()) {
      for (const _round of [1, 2]) {
        const client = await cluster.connect(index);
        const [address, port, gatewayPort, gatewayAddress] = String(await client.next()).split(' ');
        expect([address, gatewayPort, gatewayAddress]).toEqual(['127.0.0.1', String(gateway.port), '127.0.0.1']);
        seen.add(`${port} ${gatewayPort}`);
        expect(Number(port)).toBeGreaterThan(0);
      }
    }
    expect(seen.size).toBe(4);
    expect(new Set(cluster.gateways.map(({ port }) => port)).size).toBe(2);
  });

  it('closes a client with a last message, behind all that it was sent', async () => {
    const cluster = await start({
      transport,
      gateways: ['websocket://127.0.0.1:0', 'text://127.0.0.1:0'],
      events: {
        onMessage: (client, message) => {
          client.send('one');
          client.send('two');
          if (message === 'close') client.close('bye');
          else client.gateway.closeClient(client.id);
        },
      },
    });
    const browser = await cluster.connect(0);
    browser.send('close');
    expect(await browser.closed).toEqual({ code: 1000, reason: '' });
    expect(browser.messages).toEqual(['one', 'two', 'bye']);
    const terminal = await cluster.connect(1);
    terminal.send('leave');
    expect(await terminal.closed).toEqual({ code: null, reason: '' });
    expect(terminal.messages).toEqual(['one', 'two']);
    expect(terminal.send('late')).toBe(false);
  });

  it('tells the worker of each client that leaves, however it does', async () => {
    const gone: string[] = [];
    const said: string[] = [];
    const cluster = await start({
      transport,
      gateways: ['websocket://127.0.0.1:0'],
      events: {
        onMessage: (client, message) => {
          said.push(String(message));
          client.session = { name: String(message) };
          if (message === 'destroyed') client.destroy();
        },
        onClose: (client) => void gone.push(String(client.session.name)),
      },
    });
    const leave: Readonly<Record<string, (client: TestClient) => unknown>> = {
      'in order': (client) => client.close(4000, 'enough'),
      suddenly: (client) => client.destroy(),
      destroyed: () => {},
    };
    for (const [name, how] of Object.entries(leave)) {
      const client = await cluster.connect();
      client.send(name);
      await eventually('the message', () => said.includes(name));
      how(client);
      const end = await client.closed;
      expect(end.code, name).toBe(name === 'in order' ? 4000 : 1006);
      await eventually('its end', () => gone.includes(name));
    }
    expect(gone).toEqual(['in order', 'suddenly', 'destroyed']);
  });

  it('has a worker that stops, whose clients go to another one', async () => {
    const cluster = await start({
      transport,
      workers: 2,
      events: {
        onMessage: (client, message) => {
          const worker = cluster.workers.findIndex(({ gateway }) => gateway === client.gateway);
          client.send(`${message} by ${worker}`);
        },
      },
    });
    const clients = [await cluster.connect(), await cluster.connect()];
    for (const client of clients) client.send('hello');
    const answers = await Promise.all(clients.map((client) => client.next()));
    expect([...answers].sort()).toEqual(['hello by 0', 'hello by 1']);
    await cluster.workers[1]?.stop();
    await eventually('it to have left', () => cluster.gateways[0]?.workerCount === 1);
    for (const client of clients) client.send('again');
    expect(await Promise.all(clients.map((client) => client.next()))).toEqual(['again by 0', 'again by 0']);
  });

  it('drops messages for a client that does not read, whole ones, and goes on with it when it has read', async () => {
    const logger = new RecordingLogger();
    const size = 50_000;
    const cluster = await start({
      transport,
      logger,
      gatewayOptions: { sendToClientBufferSize: 200_000 },
      events: {
        onMessage: async (client, message) => {
          if (message !== 'flood') return client.send(message);
          for (let number = 0; number < 400; number++) {
            client.send(`${number} ${'x'.repeat(size)}`);
            await new Promise((resolve) => setImmediate(resolve));
          }
          return undefined;
        },
      },
    });
    const client = await cluster.connect();
    const other = await cluster.connect();
    client.pause();
    client.send('flood');
    await eventually('a drop', () =>
      logger.entries.some(({ fields }) => fields.code === 'GW_CONNECTION_SEND_BUFFER_FULL'),
    );
    other.send('meanwhile');
    expect(await other.next()).toBe('meanwhile');
    client.resume();
    client.send('after');
    while ((await client.next()) !== 'after');
    const numbers = client.messages.slice(0, -1).map((message) => Number.parseInt(String(message), 10));
    expect(client.messages.slice(0, -1).every((message) => /^\d+ x{50000}$/.test(String(message)))).toBe(true);
    expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
    expect(numbers.length).toBeGreaterThan(2);
    expect(numbers.length).toBeLessThan(400);
  });

  it('loses nothing of clients that send more than a worker can take', async () => {
    let handled = 0;
    const cluster = await start({
      transport,
      gatewayOptions: { sendToWorkerBufferSize: 50_000 },
      workerOptions: { maxPendingBytes: 100_000 },
      events: {
        onMessage: async () => {
          await new Promise((resolve) => setImmediate(resolve));
          handled++;
        },
      },
    });
    const clients = await Promise.all(Array.from({ length: 10 }, () => cluster.connect()));
    for (const client of clients) for (let number = 0; number < 200; number++) client.send('x'.repeat(1000));
    await eventually('all of it', () => handled === 2000, 20);
  });

  it('has clients of the gateway API, which end with it', async () => {
    const cluster = await start({
      transport,
      gateways: ['text://127.0.0.1:0', 'text://127.0.0.1:0'],
      secretKey: 'hush',
      events: { onConnect: (client) => client.send(client.id) },
    });
    const clients = [await cluster.connect(0), await cluster.connect(1)];
    const ids = await Promise.all(clients.map(async (client) => String(await client.next())));
    const program = cluster.client({ readyTimeout: 5 });
    await program.ready();
    await eventually('both gateways', async () => (await program.getAllClientIdCount()) === 2);
    expect(program.bindUid(ids[1] ?? '', 'ada')).toBe(true);
    expect(await program.getUidByClientId(ids[1] ?? '')).toBe('ada');
    program.sendToAll('news');
    await program.drain();
    expect(await Promise.all(clients.map((client) => client.next()))).toEqual(['news', 'news']);
    await cluster.stop();
    await expect(program.getAllClientIdCount()).rejects.toMatchObject({ code: expect.stringMatching(/^GW_/) });
    await expect(program.ready()).rejects.toMatchObject({ code: 'GW_LINK_CLOSED' });
  });

  it('refuses a client of a gateway that is not there, has stopped, or speaks otherwise', async () => {
    const cluster = await start({ transport, events: echo });
    await expect(cluster.connect(1)).rejects.toMatchObject({ code: 'GW_OPTION_INVALID' });
    await expect(cluster.connect(0, { path: '/' })).rejects.toMatchObject({ code: 'GW_OPTION_INVALID' });
    await expect(cluster.connect(0, { paht: '/' } as never)).rejects.toMatchObject({ code: 'GW_OPTION_UNKNOWN' });
    await cluster.stop();
    await expect(cluster.connect()).rejects.toMatchObject({ code: 'GW_TEST_CONNECT' });
  });

  it('does not stop for a client that does not read, and ends it', async () => {
    const cluster = await start({
      transport,
      events: { onConnect: (client) => client.send('x'.repeat(500_000)) },
    });
    const client = await cluster.connect();
    client.pause();
    await cluster.stop();
    await client.closed;
  });

  it('runs beside others in one process, and knows nothing of them', async () => {
    const api: Events = { onMessage: (client) => globalApi.sendToAll(`for all: ${client.gatewayPort}`) };
    const clusters = [await start({ transport, events: api }), await start({ transport, events: api })];
    const clients = await Promise.all(clusters.map((cluster) => cluster.connect()));
    clients[0]?.send('x');
    expect(await clients[0]?.next()).toBe(`for all: ${clusters[0]?.gateways[0]?.port}`);
    clients[1]?.send('x');
    expect(await clients[1]?.next()).toBe(`for all: ${clusters[1]?.gateways[0]?.port}`);
    expect(clients.map(({ messages }) => messages.length)).toEqual([1, 1]);
    expect(() => globalApi.sendToAll('x')).toThrow(expect.objectContaining({ code: 'GW_API_AMBIGUOUS' }));
  });

  it('leaves nothing behind', async () => {
    const before = resources();
    const cluster = await start({
      transport,
      workers: 2,
      gateways: ['text://127.0.0.1:0', 'websocket://127.0.0.1:0'],
      events: echo,
    });
    const clients = [await cluster.connect(0), await cluster.connect(1)];
    for (const client of clients) client.send('x');
    await Promise.all(clients.map((client) => client.next()));
    await cluster.client().ready();
    await cluster.stop();
    await nothingLeft(before);
  });
});

describe('a cluster on ports', () => {
  it('has clients over TLS', async () => {
    const tls = testCertificate('localhost');
    for (const scheme of ['text', 'websocket']) {
      const cluster = await start({
        gateways: [`${scheme}://127.0.0.1:0`],
        gatewayOptions: { tls: { cert: tls.cert, key: tls.key } },
        events: { onMessage: (client, message) => client.send(message) },
      });
      const client = await cluster.connect();
      client.send('hello');
      expect(await client.next()).toBe('hello');
    }
  });

  it('is reached where it listens on all addresses', async () => {
    const cluster = await start({
      gateways: ['text://0.0.0.0:0'],
      events: { onMessage: (client, message) => client.send(message) },
    });
    const client = await cluster.connect();
    client.send('hello');
    expect(await client.next()).toBe('hello');
  });
});

describe('a cluster in memory', () => {
  const events: Events = { onMessage: (client, message) => client.send(message) };

  it('opens no port and runs no Register, also where an address names a port that is in use', async () => {
    const { server, port } = await busyPort();
    try {
      const before = resources();
      const cluster = await start({
        transport: 'memory',
        gateways: [`text://127.0.0.1:${port}`],
        gatewayOptions: { startPort: port },
        events,
      });
      const client = await cluster.connect();
      client.send('hello');
      expect(await client.next()).toBe('hello');
      expect(cluster.register).toBeNull();
      expect(cluster.gateways[0]?.port).toBe(port);
      const added = resources().filter((name) => !before.includes(name));
      expect(added.filter((name) => !['Timeout', 'Immediate'].includes(name))).toEqual([]);
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  });

  it('refuses two gateways at one address, and TLS, with nothing left', async () => {
    const before = resources();
    const twice = ['text://127.0.0.1:8282', 'websocket://127.0.0.1:8282'];
    const error = await startCluster({ transport: 'memory', gateways: twice, events }).catch((thrown) => thrown);
    expect(error).toMatchObject({ code: 'GW_START_WORKER_FAILED', cause: { code: 'GW_LISTEN_FAILED' } });
    const gatewayOptions = { tls: { cert: 'x', key: 'x' } };
    const refused = startCluster({ transport: 'memory', gatewayOptions, events });
    await expect(refused).rejects.toMatchObject({ code: 'GW_OPTION_INVALID', fields: { option: 'tls' } });
    const proxied = { proxyProtocol: true, trustedProxies: ['127.0.0.1'] };
    const also = startCluster({ transport: 'memory', gatewayOptions: proxied, events: {} });
    await expect(also).rejects.toMatchObject({ code: 'GW_OPTION_INVALID', fields: { option: 'proxyProtocol' } });
    await expect(startCluster({ transport: 'air' as never, events })).rejects.toMatchObject({
      code: 'GW_OPTION_INVALID',
    });
    await nothingLeft(before);
  });

  it('keeps its program running, and fifty in a row leave nothing that would', async () => {
    const script = startScript(fileURLToPath(new URL('fixtures/memory-clusters.mjs', import.meta.url)));
    expect(await script.exit()).toMatchObject({ code: 0 });
    expect(script.output).toBe('closed by the gateway\nleft: []\n');
  });
});

/** What keeps this process busy. */
function resources(): string[] {
  return process.getActiveResourcesInfo();
}

/** Waits until there is no more of anything than before. */
async function nothingLeft(before: readonly string[]): Promise<void> {
  const count = (name: string, among: readonly string[]) => among.filter((each) => each === name).length;
  await eventually('nothing to be left', () => {
    const now = resources();
    return now.every((name) => count(name, now) <= count(name, before));
  });
}
