import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { Command } from '../../../src/cluster/protocol/mod.js';
import { deadlines } from '../../../src/core/timers/mod.js';
import { startCluster } from '../../../src/testing/mod.js';
import { eventually } from '../../support/eventually.js';
import { startGateway } from '../../support/gateway-link.js';
import { pageText, sectionOf } from '../../support/pages.js';
import { TcpClient } from '../../support/tcp-client.js';
import { WsClient } from '../../support/ws-client.js';

const { BIND_UID, UNBIND_UID, ON_CLOSE } = Command;
const longer = () => new Promise((resolve) => setTimeout(resolve, 800));

describe('a gateway with signInTimeout', () => {
  it('closes WebSocket clients that stay without a uid, with code and reason, and says so once', async () => {
    await using gateway = await startGateway({ signInTimeout: 0.2 }, { scheme: 'websocket' });
    const worker = gateway.link.join();
    await using first = await WsClient.open(gateway.port);
    await using second = await WsClient.open(gateway.port);
    first.socket.send('talking is not signing in');
    expect(await first.untilClosed()).toEqual({ code: 1008, reason: 'sign in' });
    await second.untilClosed();
    await eventually('both ends', () => worker.commands.filter((cmd) => cmd === ON_CLOSE).length === 2);
    expect(gateway.process.signInTimeouts).toBe(2);
    expect(gateway.logger.warnings).toEqual(['a client did not sign in in time; it is closed']);
  });

  it('closes others just so', async () => {
    await using gateway = await startGateway({ signInTimeout: 0.2 });
    gateway.link.join();
    await using client = await TcpClient.open(gateway.port);
    await client.untilClosed();
    expect([client.text, client.ended]).toEqual(['', true]);
  });

  it('leaves those for good that had a uid once', async () => {
    const before = deadlines.size;
    await using gateway = await startGateway({ signInTimeout: 0.3 });
    gateway.link.join();
    await using bound = await TcpClient.open(gateway.port);
    await eventually('the client', () => gateway.process.clients.size === 1);
    await using unbound = await TcpClient.open(gateway.port);
    await eventually('the clients', () => gateway.process.clients.size === 2);
    expect(deadlines.size).toBe(before + 2);
    gateway.link.command(BIND_UID, 1, 'u');
    gateway.link.command(BIND_UID, 2, 'v');
    gateway.link.command(UNBIND_UID, 2);
    expect(deadlines.size).toBe(before);
    await longer();
    expect([bound.closed, unbound.closed, gateway.process.signInTimeouts]).toEqual([false, false, 0]);
  });

  it('keeps no deadline of clients that left', async () => {
    const before = deadlines.size;
    await using gateway = await startGateway({ signInTimeout: 100 });
    gateway.link.join();
    const client = await TcpClient.open(gateway.port);
    await eventually('the deadline', () => deadlines.size === before + 1);
    client.socket.destroy();
    await eventually('no deadline', () => deadlines.size === before);
  });

  it('waits for clients that it does not read itself', async () => {
    await using gateway = await startGateway({ signInTimeout: 0.2 });
    const worker = gateway.link.join();
    await using client = await TcpClient.open(gateway.port);
    await eventually('the client', () => gateway.process.clients.size === 1);
    worker.full = true;
    client.write('a\n');
    await eventually('the pause', () => gateway.process.clients.get(1)?.connection.paused === true);
    await longer();
    expect(client.closed).toBe(false);
    gateway.link.drained(worker);
    await client.untilClosed();
  });

  it('does not wait for one that sends faster than it may', async () => {
    await using gateway = await startGateway({ signInTimeout: 0.2, maxMessagesPerSecond: 1 });
    gateway.link.join();
    await using client = await TcpClient.open(gateway.port);
    client.write('a\n'.repeat(60));
    await eventually('its rate to count', () => gateway.process.counters.rateLimited === 1);
    await client.untilClosed();
    expect(gateway.process.signInTimeouts).toBe(1);
  });

  it('is off unless it is set', async () => {
    const before = deadlines.size;
    await using gateway = await startGateway();
    gateway.link.join();
    await using _client = await TcpClient.open(gateway.port);
    await eventually('the client', () => gateway.process.clients.size === 1);
    expect(deadlines.size).toBe(before);
  });
});

describe('the recipe in docs/reference/gateway.md for doing it by hand', () => {
  it('closes who has not signed in, and leaves who has', async () => {
    const section = sectionOf(pageText('docs/reference/gateway.md'), 'Clients that do not sign in');
    const recipe = /```js\n([\s\S]*?)```/.exec(section)?.[1] ?? '';
    const code = recipe
      .replace("'gatewayworker'", `'${new URL('../../../src/mod.ts', import.meta.url)}'`)
      .replace('SECONDS = 10', 'SECONDS = 1');
    expect(code).toMatch(/file:.*SECONDS = 1;/s);
    const folder = mkdtempSync(join(tmpdir(), 'recipe-'));
    try {
      const file = join(folder, 'events.mjs');
      writeFileSync(file, code);
      await using cluster = await startCluster({ events: () => import(pathToFileURL(file).href) });
      const port = cluster.gateways[0]?.port ?? 0;
      await using ada = await TcpClient.open(port);
      await using stranger = await TcpClient.open(port);
      ada.write('secret-of-ada\n');
      await ada.untilText('you are ada\n');
      stranger.write('somebody\n');
      await stranger.untilText('sign in first\ntoo late\n');
      await stranger.untilClosed();
      // She came first, so her time is over, too.
      ada.write('still there\n');
      await ada.untilText('you are ada\nyou are ada\n');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
