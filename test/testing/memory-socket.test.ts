import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { memorySockets } from '../../src/testing/memory-socket.js';
import { eventually } from '../support/eventually.js';

const ADDRESSES = { localAddress: '10.0.0.1', localPort: 50_000, remoteAddress: '10.0.0.2', remotePort: 8282 };

/** Both ends, and what each has told. */
function pair() {
  const { client, server } = memorySockets(ADDRESSES);
  return { client, server, atClient: told(client), atServer: told(server) };
}

function told(socket: Socket): string[] {
  const story: string[] = [];
  for (const event of ['end', 'close', 'error']) socket.on(event, () => story.push(event));
  return story;
}

function textOf(socket: Socket): { text: string } {
  const seen = { text: '' };
  socket.on('data', (chunk) => {
    seen.text += chunk;
  });
  return seen;
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('a connection in memory', () => {
  it('has each end know where the other is', () => {
    const { client, server } = pair();
    expect([client.localAddress, client.localPort, client.remoteAddress, client.remotePort]).toEqual(
      Object.values(ADDRESSES),
    );
    expect([server.remoteAddress, server.remotePort, server.localAddress, server.localPort]).toEqual(
      Object.values(ADDRESSES),
    );
  });

  it('gives what is written in order, in a later turn, though the writer uses its buffer again', async () => {
    const { client, server } = pair();
    const seen = textOf(server);
    await turn();
    const buffer = Buffer.from('one ');
    server.once('data', () => client.write('three'));
    client.write(buffer);
    client.write('two ');
    expect(client.writableLength).toBe(0);
    buffer.fill('x');
    expect(seen.text).toBe('');
    await eventually('all of it', () => seen.text === 'one two three');
  });

  it('has what is not read wait with the writer, and tells when it is taken', async () => {
    const { client, server } = pair();
    server.pause();
    let taken = 0;
    for (let number = 0; number < 100; number++) client.write(Buffer.alloc(10_000, number), () => taken++);
    for (let round = 0; round < 10; round++) await turn();
    expect(taken).toBeGreaterThan(0);
    expect(taken).toBeLessThan(30);
    expect(client.writableLength).toBeGreaterThan(700_000);
    const chunks: Buffer[] = [];
    server.on('data', (chunk) => chunks.push(chunk));
    server.resume();
    await eventually('all of it', () => taken === 100 && Buffer.concat(chunks).length === 1_000_000);
    expect(client.writableLength).toBe(0);
    const bytes = Buffer.concat(chunks);
    for (let number = 0; number < 100; number++) expect(bytes[number * 10_000 + 9999]).toBe(number);
  });

  it('ends one side at a time', async () => {
    const { client, server, atClient, atServer } = pair();
    const seen = textOf(client);
    server.resume();
    client.end('last');
    await eventually('the end', () => atServer.includes('end'));
    server.write('still ');
    await turn();
    expect(atClient).toEqual([]);
    server.end('here');
    await eventually('both to be closed', () => atClient.includes('close') && atServer.includes('close'));
    expect(seen.text).toBe('still here');
    expect([atClient, atServer]).toEqual([
      ['end', 'close'],
      ['end', 'close'],
    ]);
  });

  it('destroyed at one end, ends at the other, which may write what nobody gets', async () => {
    const { client, server, atClient, atServer } = pair();
    server.resume();
    client.pause();
    for (let number = 0; number < 50; number++) server.write(Buffer.alloc(10_000));
    await turn();
    expect(server.writableLength).toBeGreaterThan(0);
    client.destroy();
    await eventually('the end', () => atServer.includes('end'));
    await eventually('what waited to be gone', () => server.writableLength === 0);
    server.end(Buffer.alloc(10));
    await once(server, 'close');
    expect([atClient, atServer]).toEqual([['close'], ['end', 'close']]);
  });
});
