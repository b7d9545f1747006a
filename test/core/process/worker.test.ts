import { Buffer } from 'node:buffer';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, expect, test } from 'vitest';
import WebSocket from 'ws';
import {
  type Service,
  startService,
  Worker,
  type WorkerConnection,
  type WorkerOptions,
} from '../../../src/core/process/mod.js';
import { deadlines } from '../../../src/core/timers/mod.js';
import { OptionsError } from '../../../src/util/mod.js';
import { clientFrame, request, SAMPLE_REQUEST } from '../../support/client-frames.js';
import { eventually } from '../../support/eventually.js';
import { dial, hangUpPeers, type TcpPeer } from '../../support/tcp-peer.js';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

let log: { level: string; message: string; fields: Record<string, unknown> }[];
let services: Service[];

beforeEach(() => {
  log = [];
  services = [];
});

afterEach(async () => {
  hangUpPeers();
  for (const service of services) await service.stop();
});

const record = (level: string) => (message: string, fields?: object) => {
  log.push({ level, message, fields: { ...fields } });
};

const logger = { debug: record('debug'), info: record('info'), warn: record('warn'), error: record('error') };

async function serve(scheme: string, options: Partial<WorkerOptions> = {}, host = '127.0.0.1'): Promise<Worker> {
  const worker = new Worker(`${scheme}://${host}:0`, options);
  services.push(await startService({ workers: [worker], processes: 'single', ownsProcess: false, logger }));
  return worker;
}

/** The first connection of the worker. */
async function connectionOf(worker: Worker): Promise<WorkerConnection> {
  return eventually('a connection', () => [...worker.connections.values()][0]);
}

test('callbacks are called with the connection, in order, and the connection is in the map in between', async () => {
  const trace: string[] = [];
  const worker = await serve('text', {
    onWorkerStart: (started) => trace.push(`start ${started.port}`),
    onConnect: (connection) => trace.push(`connect ${worker.connections.get(connection.id) === connection}`),
    onMessage: (connection, message) => {
      trace.push(`message ${message}`);
      connection.send(`re: ${message}`);
    },
    onClose: (connection) => trace.push(`close ${worker.connections.has(connection.id)}`),
    onWorkerStop: () => trace.push('stop'),
  });
  const peer = await dial(worker.port);
  peer.write('a\n');
  await peer.received('re: a\n');
  peer.socket.end();
  await eventually('the end', () => trace.length === 4);
  await services[0]?.stop();
  expect(trace).toEqual(['start 0', 'connect true', 'message a', 'close false', 'stop']);
  expect(worker.counters).toMatchObject({ connections: 0, requests: 1, sendFail: 0, protocolErrors: 0 });
});

test.each([
  ['text', 'a\n', 'a'],
  ['frame', Buffer.from('\0\0\0\x05a', 'latin1'), Buffer.from('a')],
  ['tcp', 'a', Buffer.from('a')],
  ['websocket', Buffer.concat([request(), clientFrame(1, 'a')]), 'a'],
  ['websocket', Buffer.concat([request(), clientFrame(2, 'a')]), Buffer.from('a')],
])('a message of %s is a string or a Buffer of its own', async (scheme, bytes, message) => {
  const messages: unknown[] = [];
  const worker = await serve(scheme, { onMessage: (_connection, one) => messages.push(one) });
  const peer = await dial(worker.port);
  peer.write(bytes);
  await eventually('the message', () => messages.length === 1);
  peer.write(Buffer.alloc(1000));
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(messages[0]).toEqual(message);
  expect(Buffer.isBuffer(messages[0])).toBe(Buffer.isBuffer(message));
});

test('a protocol of three functions is spoken over tcp', async () => {
  const messages: unknown[] = [];
  const worker = await serve('tcp', {
    protocol: {
      input: (buffer) => buffer.indexOf(';') + 1,
      decode: (bytes) => JSON.parse(bytes.toString('utf8', 0, bytes.length - 1)),
      encode: (data) => `${JSON.stringify(data)};`,
    },
    onMessage: (connection, message) => {
      messages.push(message);
      connection.send({ got: message.n });
    },
  });
  const peer = await dial(worker.port);
  peer.write('{"n":1};{"n"');
  peer.write(':2};');
  await peer.received('{"got":1};{"got":2};');
  expect(messages).toEqual([{ n: 1 }, { n: 2 }]);
  peer.write('not json;');
  await eventually('a FIN', () => peer.ended);
  expect(log.at(-1)?.fields).toMatchObject({ code: 'GW_PROTOCOL_DECODE' });
});

test.each(['encode', 'toJSON'])('what %s sends to another reaches that one alone', async (where) => {
  const told: WorkerConnection[] = [];
  const tell = () => told[0]?.send('told');
  const protocol = {
    input: (buffer: Buffer) => buffer.length,
    decode: (bytes: Buffer) => bytes.toString(),
    encode: (data: string) => {
      if (data !== 'told') tell();
      return `${data};`;
    },
  };
  const value = { toJSON: () => tell() };
  const custom = where === 'encode';
  const other = await serve(custom ? 'tcp' : 'text', {
    ...(custom ? { protocol } : {}),
    onConnect: (connection) => void told.push(connection),
    onMessage: (connection) => connection.send('answer'),
  });
  const first = await dial(other.port);
  await eventually('the first', () => told.length === 1);
  if (custom) {
    const second = await dial(other.port);
    second.write('x');
    await second.received('answer;');
    expect(second.text).toBe('answer;');
    await first.received('told;');
  } else {
    const worker = await serve('websocket', { onMessage: (connection) => connection.send(value) });
    const second = new WebSocket(`ws://127.0.0.1:${worker.port}`);
    const heard: string[] = [];
    second.on('message', (data) => heard.push(String(data)));
    second.on('open', () => second.send('x'));
    await eventually('the answer', () => heard.length === 1);
    expect(heard).toEqual(['true']);
    await first.received('told\n');
    second.terminate();
  }
});

test('two workers that get the same bytes read each its own protocol', async () => {
  const seen: unknown[] = [];
  const onMessage = (_connection: WorkerConnection, message: unknown) => void seen.push(message);
  const [lines, raw] = [await serve('text', { onMessage }), await serve('tcp', { onMessage })];
  for (const { port } of [lines, raw]) {
    const peer = await dial(port);
    peer.write('same\n');
    await eventually('the message', () => seen.length === (port === lines.port ? 1 : 2));
  }
  expect(seen).toEqual(['same', Buffer.from('same\n')]);
});

test('a callback that throws or rejects is reported once with its stack, and all goes on', async () => {
  const worker = await serve('text', {
    onConnect: () => {
      throw new Error('in connect');
    },
    onMessage: async (connection, message) => {
      if (message === 'throw') throw new Error('in message');
      connection.send('alive');
    },
    onClose: () => {
      throw Object.create(null);
    },
    onWorkerStop: () => {
      throw new Error('in stop');
    },
  });
  const [peer, other] = [await dial(worker.port), await dial(worker.port)];
  peer.write('throw\nx\n');
  await peer.received('alive\n');
  other.write('x\n');
  await other.received('alive\n');
  peer.socket.end();
  await eventually('one left', () => worker.connections.size === 1);
  await services[0]?.stop();
  const errors = log.filter(({ level }) => level === 'error').map(({ message }) => message);
  for (const [what, times] of [
    [/onConnect threw: Error: in connect\n\s+at /, 2],
    [/onMessage threw: Error: in message\n\s+at /, 1],
    [/onClose threw: \[object Object\]/, 2],
    [/onWorkerStop threw: Error: in stop\n\s+at /, 1],
  ] as const) {
    expect(errors.filter((message) => what.test(message))).toHaveLength(times);
  }
  expect(errors).toHaveLength(6);
});

test('what a callback sends that cannot be framed is reported as its error', async () => {
  const worker = await serve('text', { onMessage: (connection, message) => connection.send({ message }) });
  const peer = await dial(worker.port);
  peer.write('a\nb\n');
  await eventually('the reports', () => log.length === 2);
  expect(log[0]?.message).toMatch(/onMessage threw: ProtocolError: text can't send a value of type object/);
  expect(worker.connections.size).toBe(1);
});

test('a connection has the callbacks its worker had when it came, and its own can be changed', async () => {
  const seen: string[] = [];
  const say = (name: string) => (_connection: WorkerConnection, message: string) =>
    void seen.push(`${name} ${message}`);
  const worker = await serve('text', { onMessage: say('first') });
  const [a, b] = [await dial(worker.port), await dial(worker.port)];
  await eventually('both', () => worker.connections.size === 2);
  worker.onMessage = say('second');
  const c = await dial(worker.port);
  await eventually('three', () => worker.connections.size === 3);
  const toB = [...worker.connections.values()].find(({ remotePort }) => remotePort === b.socket.localPort);
  if (toB !== undefined) toB.onMessage = say('own');
  for (const [peer, text] of [
    [a, 'a'],
    [b, 'b'],
    [c, 'c'],
  ] as const) {
    peer.write(`${text}\n`);
    await eventually('the message', () => seen.some((line) => line.endsWith(text)));
  }
  expect(seen).toEqual(['first a', 'own b', 'second c']);
  expect(toB?.worker).toBe(worker);
});

test('closing inside onConnect, with a message, ends before anything is read', async () => {
  const seen: string[] = [];
  const worker = await serve('text', {
    onConnect: (connection) => {
      connection.send('hello');
      connection.close('go away');
      expect(seen).toEqual([]);
    },
    onMessage: () => seen.push('message'),
    onClose: (connection) => {
      seen.push('close');
      expect(connection.send('x')).toBe(false);
    },
  });
  const peer = await dial(worker.port);
  peer.write('a\n');
  await eventually('a FIN', () => peer.ended);
  expect(peer.text).toBe('hello\ngo away\n');
  peer.socket.end();
  await eventually('the end', () => seen.length > 0);
  expect(seen).toEqual(['close']);
  expect(log).toEqual([]);
});

test('onWebSocketConnect sees the request, adds headers, refuses, and lets nobody in when it throws', async () => {
  const worker = await serve('websocket', {
    onWebSocketConnect: (connection, { uri }, response) => {
      response.headers['X-Served-By'] = 'us';
      if (uri === '/closed') connection.close();
      if (uri === '/broken') throw new Error('who are you?');
    },
    onMessage: (connection, message) => connection.send(message),
  });
  const headers: unknown[] = [];
  const states = await Promise.all(
    ['/open', '/closed', '/broken'].map(
      (path) =>
        new Promise<string>((resolve) => {
          const socket = new WebSocket(`ws://127.0.0.1:${worker.port}${path}`);
          socket.on('upgrade', (response) => headers.push(response.headers['x-served-by']));
          socket.on('open', () => {
            resolve('open');
            socket.close();
          });
          socket.on('error', () => resolve('refused'));
        }),
    ),
  );
  expect(states).toEqual(['open', 'refused', 'refused']);
  expect(headers).toEqual(['us']);
  expect(log.map(({ message }) => message).join()).toMatch(/onWebSocketConnect threw: Error: who are you/);
  await eventually('all gone', () => worker.connections.size === 0);
});

test('errors of a peer go to onError, and onBufferFull and onBufferDrain are told', async () => {
  const seen: string[] = [];
  const worker = await serve('text', {
    maxSendBufferSize: 1000,
    maxPackageSize: 100,
    onError: (_connection, error) => seen.push(error.code),
    onBufferFull: () => seen.push('full'),
    onBufferDrain: () => seen.push('drain'),
  });
  const peer = await dial(worker.port);
  peer.socket.pause();
  const connection = await connectionOf(worker);
  while (connection.send('x'.repeat(1_000_000))) await new Promise((resolve) => setImmediate(resolve));
  peer.socket.resume();
  await eventually('drain', () => seen.includes('drain'));
  peer.write('y'.repeat(101));
  await eventually('the error', () => seen.length === 4);
  expect(seen).toEqual(['full', 'GW_CONNECTION_SEND_BUFFER_FULL', 'drain', 'GW_PACKAGE_TOO_LARGE']);
  expect(worker.counters).toMatchObject({ sendFail: 1, protocolErrors: 1 });
  expect(log).toEqual([]);
});

test('garbage from many peers is one line in the log, costs nothing afterwards, and bothers nobody else', async () => {
  const worker = await serve('websocket', { onMessage: (connection, message) => connection.send(`re: ${message}`) });
  const good = await dial(worker.port);
  good.write(request());
  await good.received('\r\n\r\n');
  for (let round = 0; round < 5; round++) {
    const peers: TcpPeer[] = await Promise.all(Array.from({ length: 200 }, () => dial(worker.port)));
    for (const peer of peers) peer.write('\0garbage'.repeat(500));
    for (const peer of peers) peer.socket.end();
    await eventually('only the good one', () => worker.connections.size === 1);
    for (const peer of peers) peer.socket.destroy();
  }
  good.write(clientFrame(1, 'x'));
  await good.received('re: x');
  expect(worker.counters).toMatchObject({ connections: 1, protocolErrors: 1000 });
  expect(deadlines.size).toBe(0);
  expect(log).toHaveLength(1);
  expect(log[0]).toMatchObject({ level: 'warn', fields: { peer: expect.stringMatching(/^127\.0\.0\.1:\d+$/) } });
});

test('two thousand idle connections leave no object behind', async () => {
  const refs: WeakRef<WorkerConnection>[] = [];
  const worker = await serve('websocket', { onConnect: (connection) => void refs.push(new WeakRef(connection)) });
  for (let round = 0; round < 4; round++) {
    const peers = await Promise.all(Array.from({ length: 500 }, () => dial(worker.port)));
    for (const peer of peers) peer.write(request());
    await Promise.all(peers.map((peer) => peer.received('\r\n\r\n')));
    expect(worker.connections.size).toBe(500);
    hangUpPeers();
    await eventually('none', () => worker.connections.size === 0 && worker.counters.connections === 0);
  }
  expect(refs).toHaveLength(2000);
  await eventually('the memory of nearly all given back', async () => {
    collectGarbage();
    await new Promise((resolve) => setImmediate(resolve));
    return refs.filter((ref) => ref.deref() !== undefined).length < 20;
  });
  expect(deadlines.size).toBe(0);
});

test('a stop says goodbye to clients, cuts off who does not answer, and is over when each onClose was called', async () => {
  let closed = 0;
  let atStop = 0;
  const worker = await serve('websocket', {
    onClose: () => closed++,
    onWorkerStop: ({ connections }) => {
      atStop = connections.size;
    },
  });
  const [deaf, polite] = [await dial(worker.port), new WebSocket(`ws://127.0.0.1:${worker.port}`)];
  deaf.write(request());
  await deaf.received('\r\n\r\n');
  const code = new Promise((resolve) => polite.on('close', resolve));
  await eventually('open', () => polite.readyState === WebSocket.OPEN);
  await services[0]?.stop();
  expect(closed).toBe(2);
  expect(atStop).toBe(2);
  expect(await code).toBe(1001);
});

test('a worker without an address only starts and stops', async () => {
  const trace: string[] = [];
  const worker = new Worker(null, {
    onWorkerStart: async () => {
      await Promise.resolve();
      trace.push('start');
    },
    onWorkerStop: () => trace.push('stop'),
  });
  services.push(await startService({ workers: [worker], processes: 'single', ownsProcess: false, logger }));
  expect(worker.port).toBe(0);
  expect(worker.plannedListens()).toEqual([]);
  await services[0]?.stop();
  expect(trace).toEqual(['start', 'stop']);
});

test('a worker whose onWorkerStart throws does not start', async () => {
  const worker = new Worker('text://127.0.0.1:0', {
    onWorkerStart: () => {
      throw new Error('no database');
    },
  });
  const start = startService({ workers: [worker], processes: 'single', ownsProcess: false, logger });
  await expect(start).rejects.toMatchObject({ code: 'GW_START_WORKER_FAILED', message: /no database/ });
  expect(worker.port).toBe(0);
});

test('IPv6 addresses are listened on', async () => {
  const worker = await serve('text', { onMessage: (connection) => connection.send(connection.remoteAddress) }, '[::1]');
  const peer = await dial(worker.port, '::1');
  peer.write('who am I\n');
  await peer.received('::1\n');
});

test('mistakes in address and options are told when the worker is made', () => {
  const make =
    (address: string, options: object = {}) =>
    () =>
      new Worker(address, options);
  expect(make('websockt://0.0.0.0:1')).toThrow("unknown protocol 'websockt'; did you mean 'websocket'?");
  expect(make('0.0.0.0:1')).toThrow('expected scheme://host:port');
  expect(make('tcp://0.0.0.0:1', { onMesage: () => {} })).toThrow("did you mean 'onMessage'?");
  expect(make('tcp://0.0.0.0:1', { onMessage: 'x' })).toThrow(
    "option 'onMessage' must be a function, or null, got 'x'",
  );
  const protocol = { input: () => 0, decode: () => '', encode: () => '' };
  expect(make('text://0.0.0.0:1', { protocol })).toThrow(
    'a protocol of your own goes with tcp://, not text://0.0.0.0:1',
  );
  for (const options of [
    { count: 0 },
    { count: 1025 },
    { maxPackageSize: 0 },
    { maxSendBufferSize: 1.5 },
    { handshakeTimeout: 0.05 },
    { closeTimeout: '10' },
    { protocol: 'text' },
    { protocol: { input: () => 0, decode: () => '' } },
    { name: '' },
  ]) {
    expect(make('tcp://0.0.0.0:1', options)).toThrow(OptionsError);
  }
});

test('connections beyond the limits are closed at once, told to no callback, counted, and room again when one has left', async () => {
  const seen: WorkerConnection[] = [];
  const worker = await serve('text', { maxConnections: 2, onConnect: (connection) => seen.push(connection) });
  const first = await dial(worker.port);
  await dial(worker.port);
  await eventually('two', () => seen.length === 2);
  const third = await dial(worker.port);
  await eventually('the end of the third', () => third.ended);
  expect(worker.figures()).toMatchObject({ connections: 2, dropped: { tooManyConnections: 1 } });
  expect(log.map(({ fields }) => fields.code)).toContain('GW_CONNECTION_TOO_MANY');
  first.socket.destroy();
  await eventually('its end', () => worker.connections.size === 1);
  await dial(worker.port);
  await eventually('another', () => seen.length === 3);
});

test('an address has as many connections as it may', async () => {
  const worker = await serve('text', { maxConnectionsPerAddress: 1 });
  await dial(worker.port);
  await connectionOf(worker);
  const second = await dial(worker.port);
  await eventually('the end of the second', () => second.ended);
  expect(worker.figures().dropped).toEqual({ tooManyFromAddress: 1 });
});

test('a peer that sends faster than it may is told of, counted and read later', async () => {
  const messages: unknown[] = [];
  const errors: string[] = [];
  const worker = await serve('text', {
    maxMessagesPerSecond: 2,
    onMessage: (_connection, message) => messages.push(message),
    onError: (connection, error) => errors.push(`${error.code} ${connection.receiving} ${connection.paused}`),
  });
  (await dial(worker.port)).write('1\n2\n3\n');
  await eventually('all', () => messages.length === 3);
  expect(messages).toEqual(['1', '2', '3']);
  expect(errors[0]).toBe('GW_CONNECTION_RATE_LIMIT false false');
  expect(worker.figures().dropped.rateLimited).toBe(errors.length);
});

test('handshake requests and fragments have the limits that were given', async () => {
  const errors: string[] = [];
  const worker = await serve('websocket', {
    maxHandshakeSize: 400,
    maxFragments: 2,
    onError: (_connection, error) => errors.push(error.code),
  });
  const long = await dial(worker.port);
  long.write(`GET / HTTP/1.1\r\nX-Long: ${'x'.repeat(400)}`);
  await long.received('HTTP/1.1 431 ');
  const peer = await dial(worker.port);
  peer.write(Buffer.concat([request(), clientFrame(1, 'a', { fin: false }), clientFrame(0, 'b')]));
  peer.write(
    Buffer.concat([clientFrame(1, 'a', { fin: false }), clientFrame(0, 'b', { fin: false }), clientFrame(0, 'c')]),
  );
  await eventually('both', () => errors.length === 2);
  expect(errors).toEqual(['GW_HANDSHAKE_TOO_LARGE', 'GW_WEBSOCKET_FRAGMENTS']);
});

test('pages of other origins are refused before anybody is asked, and a trusted proxy says where others come from', async () => {
  const seen: string[] = [];
  const worker = await serve('websocket', {
    origins: (origin) => origin === 'https://example.org',
    trustedProxies: ['127.0.0.1'],
    maxConnectionsPerAddress: 1,
    onWebSocketConnect: ({ remoteAddress }) => seen.push(remoteAddress),
  });
  const asked = async (...headers: string[]) => {
    const peer = await dial(worker.port);
    peer.write(request([...SAMPLE_REQUEST, ...headers]));
    return eventually('an answer', () => /^HTTP\/1\.1 (\d+) /.exec(peer.text)?.[1]);
  };
  expect(await asked('Origin: https://evil.net')).toBe('403');
  expect(await asked()).toBe('403');
  expect(await asked('Origin: https://example.org', 'X-Forwarded-For: 203.0.113.7')).toBe('101');
  expect(await asked('Origin: https://example.org', 'X-Forwarded-For: 203.0.113.7')).toBe('429');
  expect(await asked('Origin: https://example.org', 'X-Real-IP: 203.0.113.8')).toBe('101');
  expect(seen).toEqual(['203.0.113.7', '203.0.113.8']);
  expect(worker.figures().dropped).toEqual({ originRefused: 2, tooManyFromAddress: 1 });
});

test('a function for origins that throws is reported and lets nobody in', async () => {
  const origins = () => {
    throw new Error('of the function');
  };
  const worker = await serve('websocket', { origins });
  const peer = await dial(worker.port);
  peer.write(request());
  await peer.received('HTTP/1.1 403 ');
  expect(log.find(({ level }) => level === 'error')?.message).toContain('origins threw: Error: of the function');
});

test('with proxyProtocol a connection is from where its header says from the beginning', async () => {
  const seen: string[] = [];
  const worker = await serve('text', {
    proxyProtocol: 'v1',
    trustedProxies: ['127.0.0.0/8'],
    onConnect: ({ remoteAddress, remotePort }) => seen.push(`${remoteAddress} ${remotePort}`),
    onMessage: (connection, message) => connection.send(`re: ${message}`),
  });
  const peer = await dial(worker.port);
  peer.write('PROXY TCP4 203.0.113.7 10.0.0.1 51234 8282\r\na\n');
  await peer.received('re: a\n');
  expect(seen).toEqual(['203.0.113.7 51234']);
  const wrong = await dial(worker.port);
  wrong.write('a\n');
  await eventually('its end', () => wrong.ended);
  expect(worker.figures().dropped).toEqual({ badProxyHeader: 1 });
});

test.each([
  ['text', { origins: ['https://example.org'] }],
  ['websocket', { proxyProtocol: true }],
])('over %s, %j means nothing without another option, and is refused', (scheme, options) => {
  expect(() => new Worker(`${scheme}://127.0.0.1:0`, options)).toThrow(OptionsError);
});

test('a handshake that its callback closes or throws at is answered with 403', async () => {
  const worker = await serve('websocket', {
    onWebSocketConnect: (connection, { uri }) => {
      if (uri === '/throw') throw new Error('of the callback');
      connection.close();
    },
  });
  for (const uri of ['/throw', '/close']) {
    const peer = await dial(worker.port);
    peer.write(request([`GET ${uri} HTTP/1.1`, ...SAMPLE_REQUEST.slice(1)]));
    await peer.received('HTTP/1.1 403 Forbidden\r\n');
    await eventually('the end', () => peer.ended);
  }
});
