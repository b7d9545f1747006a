import { createServer } from 'node:net';

import { describe, expect, test } from 'vitest';

import { checkAddresses, overlap } from '../../../src/core/process/addresses.js';
import type { PlannedListen } from '../../../src/core/process/mod.js';
import { busyPort, freePort } from '../../support/free-port.js';
import { listenOn, TestWorker } from '../../support/test-worker.js';

function worker(name: string, ...listens: PlannedListen[]): TestWorker {
  return new TestWorker({ name, listens });
}

test('free addresses pass and are free again afterwards', async () => {
  const port = await freePort();
  await checkAddresses([worker('One', listenOn('127.0.0.1', port))]);
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  server.close();
});

test('a busy port names the worker, the address and what to do', async () => {
  const { server, port } = await busyPort();
  await expect(checkAddresses([worker('ChatGateway', listenOn('127.0.0.1', port))])).rejects.toMatchObject({
    name: 'StartError',
    code: 'GW_START_PORT_IN_USE',
    message: `ChatGateway cannot listen on tcp://127.0.0.1:${port}: the port is in use; stop the program that uses it (ss -ltnp shows it) or choose another port`,
    fields: { worker: 'ChatGateway', host: '127.0.0.1', port },
  });
  server.close();
});

test('an address of another machine is refused with a hint', async () => {
  // 192.0.2.0/24 is set aside for documentation (RFC 5737).
  await expect(checkAddresses([worker('One', listenOn('192.0.2.1', 8282))])).rejects.toMatchObject({
    code: 'GW_START_ADDRESS_UNKNOWN',
    message: expect.stringContaining('192.0.2.1 is not an address of this machine'),
  });
});

test('a host name that does not exist is refused with a hint', async () => {
  await expect(checkAddresses([worker('One', listenOn('nowhere.invalid', 8282))])).rejects.toMatchObject({
    code: 'GW_START_ADDRESS_UNKNOWN',
  });
});

test('the same address for two workers is refused, naming both', async () => {
  const listens = [listenOn('127.0.0.1', 8282)];
  await expect(checkAddresses([worker('One', ...listens), worker('Other', ...listens)])).rejects.toMatchObject({
    code: 'GW_START_ADDRESS_TWICE',
    message: 'One and Other are both to listen on tcp://127.0.0.1:8282; give one of them another port',
    fields: { workers: ['One', 'Other'] },
  });
});

test('the same address twice in one worker is refused', async () => {
  const listen = listenOn('127.0.0.1', 8282);
  await expect(checkAddresses([worker('One', listen, listen)])).rejects.toMatchObject({
    code: 'GW_START_ADDRESS_TWICE',
    message: 'One is to listen twice on tcp://127.0.0.1:8282; give one of them another port',
  });
});

test('port 0 is left to the system and may be asked for by many', async () => {
  await checkAddresses([worker('One', listenOn('127.0.0.1', 0), listenOn('192.0.2.1', 0)), worker('Other')]);
});

describe('two addresses exclude each other', () => {
  test.each([
    ['127.0.0.1', '127.0.0.1', true],
    ['127.0.0.1', '127.0.0.2', false],
    ['0.0.0.0', '127.0.0.1', true],
    ['127.0.0.1', '0.0.0.0', true],
    ['::', '0.0.0.0', true],
    ['[::]', '127.0.0.1', true],
    ['', '127.0.0.1', true],
    ['0.0.0.0', '::1', false],
    ['localhost', '127.0.0.1', true],
    ['::1', 'localhost', true],
    ['EXAMPLE.org', 'example.org', true],
  ])('%s and %s: %s', (a, b, expected) => {
    expect(overlap(listenOn(a, 80), listenOn(b, 80))).toBe(expected);
    expect(overlap(listenOn(a, 80), listenOn(b, 81))).toBe(false);
  });
});
