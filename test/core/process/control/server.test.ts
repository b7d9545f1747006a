import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { LONGEST_REQUEST } from '../../../../src/core/process/control/protocol.js';
import type { ControlTarget } from '../../../../src/core/process/control/server.js';
import { ControlServer } from '../../../../src/core/process/control/server.js';
import { ReloadError } from '../../../../src/core/process/errors.js';
import type { ConnectionRow } from '../../../../src/core/process/mod.js';
import { eventually } from '../../../support/eventually.js';
import { seededRandom } from '../../../support/seeded-random.js';
import { folder, HELLO, Peer, target } from './support.js';

async function listening(own: Partial<ControlTarget> = {}, idle?: number): Promise<string> {
  const server = new ControlServer(target(own), idle);
  const path = join(folder(), 'x.sock');
  await server.listen(path);
  onTestFinished(() => server.close());
  return path;
}

async function serves(path: string): Promise<void> {
  const peer = new Peer(path);
  peer.write('{"id":1,"command":"hello"}\n');
  expect(await peer.gets(1)).toEqual([{ id: 1, answer: HELLO }]);
}

test('each command is answered under its id, in the order they came', async () => {
  const rows = [{ pid: 1 }] as unknown as ConnectionRow[];
  const peer = new Peer(
    await listening({
      async *connections() {
        yield rows;
        yield rows;
      },
    }),
  );
  const commands = ['hello', 'status', 'connections', 'reload', 'stop'];
  peer.write(commands.map((command, id) => `${JSON.stringify({ id, command })}\n`).join(''));
  expect(await peer.gets(7)).toEqual([
    { id: 0, answer: HELLO },
    { id: 1, answer: { mode: 'many', pid: 4711, startedAt: 0, processes: [], exits: [] } },
    { id: 2, part: rows },
    { id: 2, part: rows },
    { id: 2, answer: null },
    { id: 3, answer: { replaced: 3, kept: 1 } },
    { id: 4, answer: null },
  ]);
});

test('what is asked for reaches the service', async () => {
  const asked: unknown[] = [];
  const path = await listening({
    stop: async (graceful) => void asked.push(graceful),
    reload: async (options) => {
      asked.push(options);
      return { replaced: 0, kept: 0 };
    },
  });
  const peer = new Peer(path);
  peer.write('{"id":1,"command":"stop","graceful":true}\n{"id":2,"command":"stop"}\n');
  peer.write(
    '{"id":3,"command":"reload","graceful":true,"workers":["Chat"]}\n{"id":4,"command":"reload","workers":null}\n',
  );
  await peer.gets(4);
  expect(asked).toEqual([true, false, { graceful: true, workers: ['Chat'] }, { graceful: undefined, workers: null }]);
});

test('an error of the service is the answer, and the connection stays', async () => {
  const path = await listening({
    reload: () => Promise.reject(new ReloadError('GW_RELOAD_IMPOSSIBLE', 'not today', { worker: 'Chat' })),
    status: () => Promise.reject(new TypeError('a bug')),
  });
  const peer = new Peer(path);
  peer.write('{"id":1,"command":"reload"}\n{"id":2,"command":"status"}\n{"id":3,"command":"hello"}\n');
  expect(await peer.gets(3)).toEqual([
    { id: 1, error: { code: 'GW_RELOAD_IMPOSSIBLE', message: 'not today', fields: { worker: 'Chat' } } },
    { id: 2, error: { code: 'GW_CONTROL_FAILED', message: 'a bug', fields: {} } },
    { id: 3, answer: HELLO },
  ]);
});

test.each([
  ['no JSON', 'hello', 'GW_CONTROL_MALFORMED', null],
  ['an HTTP request', 'GET /status HTTP/1.1\r', 'GW_CONTROL_MALFORMED', null],
  ['no object', '[1]', 'GW_CONTROL_MALFORMED', null],
  ['nothing', '', 'GW_CONTROL_MALFORMED', null],
  ['no id', '{"command":"hello"}', 'GW_CONTROL_MALFORMED', null],
  ['an id that is no number', '{"id":"1","command":"hello"}', 'GW_CONTROL_MALFORMED', null],
  ['no command', '{"id":7}', 'GW_CONTROL_UNKNOWN_COMMAND', 7],
  ['an unknown command', '{"id":7,"command":"halt"}', 'GW_CONTROL_UNKNOWN_COMMAND', 7],
  ['what every object has as a command', '{"id":7,"command":"toString"}', 'GW_CONTROL_UNKNOWN_COMMAND', 7],
  ['a field of another command', '{"id":7,"command":"status","graceful":true}', 'GW_CONTROL_MALFORMED', 7],
  [
    'what every object has as a field',
    '{"id":7,"command":"stop","hasOwnProperty":"graceful"}',
    'GW_CONTROL_MALFORMED',
    7,
  ],
  ['a field of the wrong type', '{"id":7,"command":"stop","graceful":"yes"}', 'GW_CONTROL_MALFORMED', 7],
  ['names that are none', '{"id":7,"command":"reload","workers":[1]}', 'GW_CONTROL_MALFORMED', 7],
])('%s is answered with an error, and closed', async (_what, line, code, id) => {
  let stops = 0;
  const path = await listening({ stop: async () => void stops++ });
  const peer = new Peer(path);
  peer.write(`${line}\n{"id":8,"command":"hello"}\n`);
  await peer.untilClosed();
  expect(peer.replies).toEqual([{ id, error: expect.objectContaining({ code }) }]);
  expect(stops).toBe(0);
  await serves(path);
});

test('a line may have 65,536 bytes and no more', async () => {
  const path = await listening();
  const padded = (length: number) => '{"id":1,"command":"hello"}'.padEnd(length);
  const peer = new Peer(path);
  peer.write(`${padded(LONGEST_REQUEST)}\n`);
  expect(await peer.gets(1)).toEqual([{ id: 1, answer: HELLO }]);
  peer.write(`${padded(LONGEST_REQUEST + 1)}\n`);
  await peer.untilClosed();
  expect(peer.replies[1]).toMatchObject({ id: null, error: { code: 'GW_CONTROL_TOO_LARGE' } });
});

test('a line without end is cut off', async () => {
  const path = await listening();
  const peer = new Peer(path);
  const more = () => {
    while (peer.socket.write('x'.repeat(10_000)));
  };
  peer.socket.on('connect', more);
  peer.socket.on('drain', more);
  await peer.untilClosed();
  await serves(path);
});

test('random bytes harm nobody', async () => {
  const random = seededRandom(1);
  const path = await listening();
  for (let round = 0; round < 50; round++) {
    const peer = new Peer(path);
    peer.write(Buffer.from(Array.from({ length: 300 }, () => Math.floor(random() * 256))));
    peer.write('\n');
    await peer.untilClosed();
    for (const reply of peer.replies) expect(reply).toMatchObject({ error: { code: 'GW_CONTROL_MALFORMED' } });
  }
  await serves(path);
});

test('whoever says nothing more is closed in the end, and keeps nobody waiting until then', async () => {
  const path = await listening({}, 200);
  const peers = [new Peer(path), new Peer(path)];
  peers[0]?.write('{"id":1,"comma');
  await serves(path);
  for (const peer of peers) await peer.untilClosed();
});

test('a request in pieces is one request', async () => {
  const peer = new Peer(await listening());
  for (const piece of '{"id":1,"command":"hello"}\n{"id":2,"command":"hello"}\n') {
    peer.write(piece);
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect((await peer.gets(2)).map(({ id }) => id)).toEqual([1, 2]);
});

test('a list is not read faster than it is taken, and ended when the reader goes', async () => {
  let parts = 0;
  let ended = false;
  const row = { worker: 'x'.repeat(1000) } as ConnectionRow;
  const path = await listening({
    async *connections() {
      try {
        for (;;) {
          parts++;
          yield Array.from({ length: 100 }, () => row);
        }
      } finally {
        ended = true;
      }
    },
  });
  const peer = new Peer(path);
  peer.socket.pause();
  peer.write('{"id":1,"command":"connections"}\n');
  await eventually('the first parts', () => parts > 0);
  for (let turn = 0, before = -1; turn < 10 && before !== parts; turn++) {
    before = parts;
    for (let wait = 0; wait < 100; wait++) await new Promise((resolve) => setImmediate(resolve));
  }
  const held = parts;
  expect(held).toBeLessThan(50);
  peer.socket.resume();
  await eventually('more parts once they are read', () => parts > held + 50);
  peer.socket.pause();
  peer.socket.destroy();
  await eventually('the end of the list', () => ended);
});

test('whoever leaves during a long command costs nothing, and the command goes on', async () => {
  let fail: ((error: Error) => void) | undefined;
  const stop = new Promise<void>((_, reject) => {
    fail = reject;
  });
  let asked = false;
  const path = await listening({
    stop: () => {
      asked = true;
      return stop;
    },
  });
  const left = new Peer(path);
  left.write('{"id":1,"command":"stop"}\n');
  await eventually('the command', () => asked);
  left.socket.destroy();
  const stays = new Peer(path);
  stays.write('{"id":1,"command":"stop"}\n');
  // How far it is, until it is over.
  expect(await stays.gets(1)).toEqual([{ id: 1, progress: { processes: [] } }]);
  fail?.(new Error('it hangs'));
  expect((await stays.gets(2)).at(-1)).toMatchObject({ id: 1, error: { message: 'it hangs' } });
});

test('after the end no request is carried out', async () => {
  const server = new ControlServer(target());
  const path = join(folder(), 'x.sock');
  await server.listen(path);
  const peer = new Peer(path);
  peer.write('{"id":1,"command":"hello"}\n');
  await peer.gets(1);
  server.close();
  peer.write('{"id":2,"command":"stop"}\n');
  await peer.untilClosed();
  expect(peer.replies).toHaveLength(1);
});
