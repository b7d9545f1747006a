import { deflateRawSync } from 'node:zlib';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type Service, startService, Worker, type WorkerOptions } from '../../../src/core/process/mod.js';
import { eventually } from '../../support/eventually.js';
import { RecordingLogger } from '../../support/recording-logger.js';
import { WsClient } from '../../support/ws-client.js';

vi.mock('node:zlib', async (original) => {
  const zlib = await original<typeof import('node:zlib')>();
  return { ...zlib, deflateRawSync: vi.fn(zlib.deflateRawSync) };
});

const LONG = 'It was a bright cold day in April, and the clocks were striking thirteen. '.repeat(40);
const services: Service[] = [];

beforeEach(() => void vi.mocked(deflateRawSync).mockClear());

afterEach(async () => {
  for (const service of services.splice(0)) await service.stop();
});

async function serve(options: Partial<WorkerOptions>): Promise<Worker> {
  const worker = new Worker('websocket://127.0.0.1:0', options);
  const logger = new RecordingLogger();
  services.push(await startService({ workers: [worker], processes: 'single', ownsProcess: false, logger }));
  return worker;
}

test('messages are compressed both ways with a client that offers it', async () => {
  const worker = await serve({
    perMessageDeflate: { threshold: 100 },
    onMessage: (connection, message) => connection.send(message),
  });
  await using client = await WsClient.open(worker.port);
  expect(client.socket.extensions).toBe('permessage-deflate');
  for (const text of ['short', LONG, `${LONG}!`]) client.socket.send(text);
  await eventually('the echoes', () => client.messages.length === 3);
  expect(client.texts).toEqual(['short', LONG, `${LONG}!`]);
  expect(deflateRawSync).toHaveBeenCalledTimes(2);
  const [connection] = worker.connections.values();
  expect(connection?.bytesRead).toBeLessThan(2000);
  expect(connection?.bytesWritten).toBeLessThan(2000);
});

test('by default nothing is agreed to', async () => {
  const worker = await serve({ onMessage: (connection, message) => connection.send(message) });
  await using client = await WsClient.open(worker.port);
  expect(client.socket.extensions).toBe('');
  client.socket.send(LONG);
  await eventually('the echo', () => client.messages.length === 1);
  expect(client.texts).toEqual([LONG]);
  expect(deflateRawSync).not.toHaveBeenCalled();
});

test('what is sent to all connections, one after the other, is compressed once', async () => {
  const worker = await serve({
    perMessageDeflate: true,
    onMessage: () => {
      for (const connection of worker.connections.values()) connection.send(LONG);
    },
  });
  await using a = await WsClient.open(worker.port);
  await using b = await WsClient.open(worker.port);
  await using c = await WsClient.open(worker.port);
  a.socket.send('go');
  await eventually('the broadcast', () => [a, b, c].every((client) => client.messages.length === 1));
  expect([a, b, c].map((client) => client.texts)).toEqual([[LONG], [LONG], [LONG]]);
  expect(deflateRawSync).toHaveBeenCalledTimes(1);
});

test('what is sent before the handshake is done leaves plain', async () => {
  const worker = await serve({
    perMessageDeflate: { threshold: 0 },
    onConnect: (connection) => void connection.send(LONG),
    onWebSocketConnect: (connection) => void connection.send(`2${LONG}`),
  });
  const client = new WsClient(worker.port);
  await eventually('the messages', () => client.messages.length === 2);
  expect(client.texts).toEqual([LONG, `2${LONG}`]);
  expect(deflateRawSync).not.toHaveBeenCalled();
  const [connection] = worker.connections.values();
  connection?.close('bye');
  await eventually('the last message', () => client.texts.at(-1) === 'bye');
  await client.untilClosed();
});

test('it goes with websocket:// alone', () => {
  expect(() => new Worker('text://127.0.0.1:0', { perMessageDeflate: true })).toThrow(
    expect.objectContaining({ code: 'GW_OPTION_INVALID' }),
  );
});
