import { constants } from 'node:os';
import process from 'node:process';
import { afterEach, describe, expect, it } from 'vitest';
import { networkOf } from '../../../src/core/net/door.js';
import { DOOR_LIMITS, Door, type DoorLimits } from '../../../src/core/net/mod.js';
import { testCertificate } from '../../support/certificates.js';
import { eventually } from '../../support/eventually.js';
import { TcpClient } from '../../support/tcp-client.js';
import { dial, hangUpPeers } from '../../support/tcp-peer.js';
import { closeListeners, listening } from '../../support/test-listener.js';
import { TlsClient } from '../../support/tls-client.js';

afterEach(async () => {
  hangUpPeers();
  await closeListeners();
});

function doorOf(limits: Partial<DoorLimits>) {
  const reported: string[] = [];
  const door = new Door({ ...DOOR_LIMITS, ...limits }, ({ code }, peer) => void reported.push(`${code} ${peer}`));
  return { door, reported };
}

describe('a door', () => {
  it('lets in as many as it may, and another one when one has left', () => {
    const { door, reported } = doorOf({ maxConnections: 2 });
    expect([door.enter('a', 'a:1'), door.enter('b', 'b:1'), door.enter('c', 'c:1')]).toEqual([true, true, false]);
    expect(reported).toEqual(['GW_CONNECTION_TOO_MANY c:1']);
    expect(door.dropped.tooManyConnections).toBe(1);
    door.leave('a');
    expect(door.enter('c', 'c:1')).toBe(true);
  });

  it('counts those of one address apart, and remembers none that has left', () => {
    const { door, reported } = doorOf({ maxConnectionsPerAddress: 2 });
    const enter = (address: string) => door.enter(address, `${address}:1`);
    expect(['1.1.1.1', '1.1.1.1', '1.1.1.1', '2.2.2.2'].map(enter)).toEqual([true, true, false, true]);
    expect(reported).toEqual(['GW_CONNECTION_TOO_MANY_FROM_ADDRESS 1.1.1.1:1']);
    expect(door.dropped).toMatchObject({ tooManyConnections: 0, tooManyFromAddress: 1 });
    for (const address of ['1.1.1.1', '1.1.1.1', '2.2.2.2']) door.leave(address);
    expect(door.addresses).toBe(0);
    expect(enter('1.1.1.1')).toBe(true);
  });

  it('moves one that turns out to be from elsewhere, unless too many are from there', () => {
    const { door } = doorOf({ maxConnectionsPerAddress: 1 });
    door.enter('proxy', '');
    expect(door.move('proxy', 'ada', '')).toBe(true);
    door.enter('proxy', '');
    expect(door.move('proxy', 'ada', '')).toBe(false);
    expect(door.enter('proxy', '')).toBe(false);
    expect(door.dropped.tooManyFromAddress).toBe(2);
  });

  it.each([
    ['10.0.0.1', '10.0.0.1'],
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['2001:db8:0:1::7', '2001:db8:0:1'],
    ['2001:0db8::1:2:3:4', '2001:db8:0:0'],
    ['2001:db8:0:1:ffff:ffff:ffff:ffff', '2001:db8:0:1'],
    ['::1', '0:0:0:0'],
    ['fe80::1%eth0', 'fe80:0:0:0'],
  ])('counts %s as %s', (address, network) => {
    expect(networkOf(address)).toBe(network);
  });
});

describe('a listener', () => {
  it('closes at once who may not come in, and counts those that are in by their connections', async () => {
    const listener = await listening({ door: { maxConnections: 1 } });
    const first = await dial(listener.port);
    await listener.accepted();
    const second = await TcpClient.open(listener.port);
    await second.untilClosed();
    expect(second.bytes).toHaveLength(0);
    expect(listener.connections).toHaveLength(1);
    expect(listener.refused[0]).toMatchObject({
      error: { code: 'GW_CONNECTION_TOO_MANY', fields: { limit: 1 } },
      peer: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
    });
    first.socket.destroy();
    await eventually('the end of the first', () => listener.owner.count('close') === 1);
    await dial(listener.port);
    await listener.accepted(1);
  });

  it('counts a TLS handshake from its beginning, and one that fails no longer than it lasts', async () => {
    const listener = await listening({ door: { maxConnectionsPerAddress: 1 }, tls: testCertificate('localhost') });
    const silent = await dial(listener.port);
    await eventually('its handshake', () => listener.handshakes === 1);
    const second = await TcpClient.open(listener.port);
    await second.untilClosed();
    expect(listener.refused.map(({ error }) => error.code)).toEqual(['GW_CONNECTION_TOO_MANY_FROM_ADDRESS']);
    silent.socket.destroy();
    await eventually('its end', () => listener.door.addresses === 0);
    await using client = await TlsClient.open(listener.port);
    await listener.accepted();
    expect(listener.door.addresses).toBe(1);
    client.socket.destroy();
    await eventually('the end', () => listener.door.addresses === 0);
  });

  it('outlives a system that has no connection to give, and says so', async () => {
    const listener = await listening();
    runOutOfDescriptors(listener.port);
    expect(listener.door.dropped.acceptErrors).toBe(1);
    expect(listener.refused[0]?.error).toMatchObject({ code: 'GW_CONNECTION_ACCEPT', fields: { reason: 'EMFILE' } });
    await dial(listener.port);
    await listener.accepted();
  });
});

/** Has the server of this port told what it is told when the process has no descriptor left. */
function runOutOfDescriptors(port: number): void {
  const { _getActiveHandles: handles } = process as unknown as { _getActiveHandles(): unknown[] };
  const server = handles.call(process).find((handle) => {
    const bound = (handle as { address?: () => { port?: number } }).address?.();
    return bound?.port === port && '_connectionKey' in (handle as object);
  }) as { _handle: { onconnection(error: number): void } };
  server._handle.onconnection(-constants.errno.EMFILE);
}
