import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import process from 'node:process';
import { expect, onTestFinished, test } from 'vitest';
import { ControlClient } from '../../../../src/core/process/control/client.js';
import type { ControlPaths } from '../../../../src/core/process/control/paths.js';
import { controlPaths } from '../../../../src/core/process/control/paths.js';
import type { ControlTarget } from '../../../../src/core/process/control/server.js';
import { ControlServer } from '../../../../src/core/process/control/server.js';
import { ReloadError } from '../../../../src/core/process/errors.js';
import type { ConnectionRow, Progress } from '../../../../src/core/process/mod.js';
import { eventually } from '../../../support/eventually.js';
import { endScripts, startScript } from '../../../support/processes.js';
import { folder, HELLO, target } from './support.js';

function paths(): ControlPaths {
  return controlPaths(join(folder(), 'x.pid')) as ControlPaths;
}

async function service(own: Partial<ControlTarget> = {}): Promise<ControlPaths> {
  const place = paths();
  const server = new ControlServer(target(own));
  await server.listen(place.own.path);
  onTestFinished(() => server.close());
  return place;
}

/** A socket with something else behind it. */
async function impostor(place: ControlPaths, listener: (socket: Socket, number: number) => void): Promise<void> {
  let number = 0;
  const server = createServer((socket) => {
    socket.on('error', () => {});
    listener(socket, ++number);
  });
  await new Promise<void>((resolve) => server.listen(place.own.path, resolve));
  onTestFinished(() => void server.close());
}

async function open(place: ControlPaths): Promise<ControlClient> {
  const client = await ControlClient.open(place);
  onTestFinished(() => client.close());
  return client;
}

test('asks one thing after the other', async () => {
  const rows = [{ pid: 1 }, { pid: 2 }] as ConnectionRow[];
  const client = await open(
    await service({
      async *connections() {
        yield rows;
        yield [];
        yield rows;
      },
    }),
  );
  expect(client.hello).toEqual(HELLO);
  expect(await client.ask({ command: 'reload', workers: ['Chat'] })).toEqual({ replaced: 3, kept: 1 });
  const got: ConnectionRow[] = [];
  for await (const part of client.connections()) got.push(...part);
  expect(got).toEqual([...rows, ...rows]);
  expect(await client.ask({ command: 'status' })).toMatchObject({ mode: 'many', pid: 4711 });
});

test('hears how far a long command is', async () => {
  const processes = [{ worker: 'Chat', id: 0, pid: 1, state: 'ready', restarts: 0, crashLoop: null }] as const;
  let finish: (() => void) | undefined;
  const stop = () => new Promise<void>((resolve) => (finish = resolve));
  const client = await open(await service({ stop, processes: () => processes }));
  const heard: Progress[] = [];
  const stopped = client.ask({ command: 'stop' }, (progress) => {
    heard.push(progress);
    finish?.();
  });
  expect(await stopped).toBeNull();
  expect(heard).toEqual([{ processes }]);
});

test('what is in the way keeps its code', async () => {
  const refuse = new ReloadError('GW_RELOAD_IMPOSSIBLE', 'not today', { worker: 'Chat' });
  const client = await open(await service({ reload: () => Promise.reject(refuse) }));
  const { code, message, fields } = refuse;
  await expect(client.ask({ command: 'reload' })).rejects.toMatchObject({ code, message, fields });
  expect(await client.ask({ command: 'hello' })).toEqual(HELLO);
});

test.each([
  ['nothing', () => {}],
  ['a file', (file: string) => writeFileSync(file, '')],
])('%s in its place is a service that does not run', async (_what, make) => {
  const place = paths();
  make(place.own.path);
  await expect(ControlClient.open(place)).rejects.toMatchObject({ code: 'GW_CONTROL_NOT_RUNNING' });
});

test('a service that is just ending is one that does not run', async () => {
  const place = paths();
  await impostor(place, (socket, number) => {
    if (number === 3) rmSync(place.own.path);
    socket.destroy();
  });
  await expect(ControlClient.open(place)).rejects.toMatchObject({ code: 'GW_CONTROL_NOT_RUNNING' });
});

test('a service that ends before the answer is told from one that answers', async () => {
  const place = paths();
  await impostor(place, (socket) => {
    socket.once('data', () => {
      socket.write(`${JSON.stringify({ id: 1, answer: HELLO })}\n`);
      socket.once('data', () => socket.end('{"id":2,"ans'));
    });
  });
  const client = await open(place);
  await expect(client.ask({ command: 'status' })).rejects.toMatchObject({
    code: 'GW_CONTROL_LOST',
    fields: { pid: HELLO.pid },
  });
});

test('whoever speaks another language is refused', async () => {
  const place = paths();
  await impostor(place, (socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
  await expect(ControlClient.open(place)).rejects.toMatchObject({ code: 'GW_CONTROL_MALFORMED' });
});

test('the socket of another user is told from one where nobody listens', async () => {
  const place = await service();
  if (process.getuid?.() === 0) {
    chmodSync(join(place.pidFile, '..'), 0o755);
    process.seteuid?.(65534);
    onTestFinished(() => process.seteuid?.(0));
  } else {
    chmodSync(place.own.path, 0);
  }
  await expect(ControlClient.open(place)).rejects.toMatchObject({
    code: 'GW_CONTROL_FORBIDDEN',
    message: expect.stringContaining('belongs to another user'),
  });
});

test('a service that takes no more connections is stuck, and named by its pid file', async () => {
  const place = paths();
  const script = join(place.pidFile, '../stuck.mjs');
  writeFileSync(
    script,
    `import { createServer } from 'node:net';
     createServer().listen({ path: ${JSON.stringify(place.own.path)}, backlog: 1 }, () => console.log('listens'));`,
  );
  const stuck = startScript(script);
  onTestFinished(endScripts);
  await stuck.outputMatching(/listens/);
  writeFileSync(place.pidFile, String(stuck.pid));
  stuck.kill('SIGSTOP');
  const waiting: Promise<unknown>[] = [];
  const refused = await eventually('the queue to be full', async () => {
    const opened = ControlClient.open(place).catch((error) => error);
    waiting.push(opened);
    return Promise.race([opened, new Promise((resolve) => setImmediate(resolve))]);
  });
  expect(refused).toMatchObject({ code: 'GW_CONTROL_NO_ANSWER', fields: { pid: stuck.pid } });
  for (const error of await Promise.all(waiting)) expect(error).toMatchObject({ code: 'GW_CONTROL_NO_ANSWER' });
});
