import { Buffer } from 'node:buffer';
import { afterEach, describe, expect, it } from 'vitest';
import type { Events, Protocol } from '../../src/mod.js';
import { startCluster, TestClientError, type TestCluster, TestTimeoutError } from '../../src/testing/mod.js';

const running: TestCluster[] = [];

afterEach(async () => {
  for (const cluster of running.splice(0)) await cluster.stop();
});

async function start(scheme: string, events: Events, gatewayOptions = {}): Promise<TestCluster> {
  const gateways = [`${scheme}://127.0.0.1:0`];
  const cluster = await startCluster({ transport: 'memory', gateways, events, gatewayOptions });
  running.push(cluster);
  return cluster;
}

const echo: Events = { onMessage: (client, message) => client.send(message) };

describe('the next message of a test client', () => {
  it('is given once, to whoever asked first, and stays among all messages', async () => {
    const cluster = await start('text', echo);
    const client = await cluster.connect();
    const early = [client.next(), client.next()];
    for (const text of ['a', 'b', 'c', 'd']) client.send(text);
    expect(await Promise.all(early)).toEqual(['a', 'b']);
    expect(await client.next()).toBe('c');
    expect(await client.next()).toBe('d');
    expect(client.messages).toEqual(['a', 'b', 'c', 'd']);
  });

  it('is waited for no longer than asked; one that comes later goes to the next call', async () => {
    const cluster = await start('text', echo);
    const client = await cluster.connect();
    const error = await client.next(0.02).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(TestTimeoutError);
    expect(error).toMatchObject({ code: 'GW_TEST_TIMEOUT', fields: { seconds: 0.02 } });
    client.send('late');
    expect(await client.next()).toBe('late');
  });

  it('fails when the connection has ended, behind the messages that are left', async () => {
    const cluster = await start('websocket', {
      onMessage: (client) => {
        client.send('one');
        client.close('two');
      },
    });
    const client = await cluster.connect();
    const waiting = [client.next(), client.next(), client.next().catch((thrown) => thrown)];
    client.send('x');
    const [one, two, error] = await Promise.all(waiting);
    expect([one, two]).toEqual(['one', 'two']);
    expect(error).toBeInstanceOf(TestClientError);
    expect(error).toMatchObject({ code: 'GW_TEST_CLOSED', fields: { code: 1000, reason: '' } });
    await expect(client.next()).rejects.toMatchObject({ code: 'GW_TEST_CLOSED' });
  });
});

describe('a test client of a gateway with a protocol of its own', () => {
  it('sends bytes as they are, and is given what one read returned', async () => {
    const protocol: Protocol<string, string> = {
      input: (buffer) => (buffer.includes('!') ? buffer.indexOf('!') + 1 : 0),
      decode: (bytes) => bytes.toString('utf8', 0, bytes.length - 1),
      encode: (data) => `${data}!`,
    };
    const cluster = await start('tcp', echo, { protocol });
    const client = await cluster.connect();
    client.send('half a');
    client.send(' message!');
    expect(await client.next()).toEqual(Buffer.from('half a message!'));
  });
});

describe('a test client of a WebSocket gateway', () => {
  it('answers pings: it lives where a silent one is cut off', async () => {
    const cluster = await start('websocket', echo, { webSocketPingInterval: 0.05 });
    const client = await cluster.connect();
    await expect(client.next(0.5)).rejects.toMatchObject({ code: 'GW_TEST_TIMEOUT' });
    client.send('still here');
    expect(await client.next()).toBe('still here');
  });

  it('puts together a message that comes in fragments, with a ping between them', async () => {
    const frames = [
      [0x02, 3, 1, 2, 3],
      [0x89, 0],
      [0x00, 0],
      [0x80, 2, 4, 5],
      [0x81, 2, 0x68, 0x69],
    ];
    const cluster = await start('websocket', {
      onMessage: (client) => client.send(Buffer.from(frames.flat()), { raw: true }),
    });
    const client = await cluster.connect();
    client.send('x');
    expect(await client.next()).toEqual(Buffer.from([1, 2, 3, 4, 5]));
    expect(await client.next()).toBe('hi');
  });

  it('says why the connection ended: the code of who closed first', async () => {
    const cluster = await start('websocket', { onMessage: (client) => client.destroy() });
    const ours = await cluster.connect();
    expect(await ours.close(4001, 'done')).toEqual({ code: 4001, reason: 'done' });
    const cut = await cluster.connect();
    cut.send('x');
    expect(await cut.closed).toEqual({ code: 1006, reason: '' });
    const theirs = await cluster.connect();
    await cluster.stop();
    expect(await theirs.closed).toEqual({ code: 1001, reason: '' });
    // There is nothing left to close.
    expect(await theirs.close(4002)).toEqual({ code: 1001, reason: '' });
  });

  it('reads nothing while it is paused', async () => {
    const cluster = await start('websocket', echo);
    const client = await cluster.connect();
    client.pause();
    for (const text of ['a', 'b', 'c']) client.send(text);
    await expect(client.next(0.05)).rejects.toMatchObject({ code: 'GW_TEST_TIMEOUT' });
    client.resume();
    expect([await client.next(), await client.next(), await client.next()]).toEqual(['a', 'b', 'c']);
  });

  it('is gone when its block is left', async () => {
    const cluster = await start('websocket', echo);
    let closed: Promise<unknown>;
    {
      await using client = await cluster.connect();
      closed = client.closed;
    }
    expect(await closed).toEqual({ code: 1006, reason: '' });
  });
});
