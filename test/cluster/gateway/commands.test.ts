import { Buffer } from 'node:buffer';
import { describe, expect, it } from 'vitest';
import { COMMANDS } from '../../../src/cluster/gateway/commands/mod.js';
import { Command, FLAG_BINARY, FLAG_RAW, FLAG_SCALAR, isQuery, unserialize } from '../../../src/cluster/protocol/mod.js';
import { startGateway, type TestGateway } from '../../support/gateway-link.js';
import { eventually } from '../../support/eventually.js';
import { seededRandom } from '../../support/recording-sink.js';
import { TcpClient } from '../../support/tcp-client.js';
import { WsClient } from '../../support/ws-client.js';
import { hex, mutated, vectors } from '../protocol/support.js';

interface Packet {
  readonly name: string;
  readonly direction: string;
  readonly gateway: string;
  readonly secret_key: string;
  readonly hex: string;
  readonly expected: { readonly cmd: number; readonly connection_id: number };
  readonly reply?: { readonly hex: string };
}

/** Text clients with the ids 1, 2, …, and a worker that takes their events. */
async function textClients(gateway: TestGateway, count: number): Promise<TcpClient[]> {
  const worker = gateway.link.join();
  const clients: TcpClient[] = [];
  for (let index = 0; index < count; index++) {
    clients.push(await TcpClient.open(gateway.port));
    await eventually('the client to be known', () => worker.events.length === clients.length);
  }
  return clients;
}

describe('the recorded conversations', () => {
  const packets = vectors<Packet>('gateway-protocol').filter(({ direction }) => direction.endsWith('->gateway'));
  const gateways = new Map<string, Packet[]>();
  for (const packet of packets) {
    // The second half was recorded from other gateways, with a key.
    const key = `${packet.gateway} ${packet.secret_key}`;
    gateways.set(key, [...(gateways.get(key) ?? []), packet]);
  }
  /** Which packet of a conversation each client is there for, in order of their ids. */
  const names = (prefix: string) => (packet: Packet) => packet.name.startsWith(prefix);

  it.each([...gateways])('at gateway %s: every question is answered with the recorded bytes', async (key, all) => {
    await using gateway = await startGateway({ maxWaitingTime: 60 }, { scheme: 'text' });
    gateway.link.join();
    const present = Math.max(0, ...all.filter(({ expected: e }) => e.connection_id < 100).map((p) => p.expected.connection_id));
    const hasClient = key.startsWith('127.0.0.1:23292 ') && key.endsWith(' ') ? 1 : present;
    const clients: TcpClient[] = [];
    for (let index = 0; index < hasClient; index++) {
      clients.push(await TcpClient.open(gateway.port));
      await eventually('the client', () => gateway.process.clients.size === clients.length);
    }
    // Not recorded: what happened to the one client of this gateway, whose session the answers show.
    if (key === '127.0.0.1:23292 ') gateway.link.command(Command.SET_SESSION, 1, CONNECTED);
    let asked = 0;
    for (const packet of all) {
      if (packet.expected.cmd === Command.WORKER_CONNECT || packet.expected.cmd === Command.GATEWAY_CLIENT_CONNECT) continue;
      if (names('client-leaves')(packet) && gateway.process.clients.size === 2 && key.includes('23291')) {
        clients[1]?.socket.destroy();
        await eventually('the client to be gone', () => gateway.process.clients.size === 1);
      }
      const replies = gateway.link.packet(hex(packet.hex));
      expect(replies.map((reply) => reply.toString('latin1')), packet.name).toEqual(
        packet.reply === undefined ? [] : [hex(packet.reply.hex).subarray(4).toString('latin1')],
      );
      if (packet.reply !== undefined) asked++;
      if (packet.expected.cmd === Command.KICK && packet.expected.connection_id < 100) {
        await eventually('the client to be gone', () => gateway.process.clients.get(packet.expected.connection_id) === undefined);
      }
    }
    expect(asked).toBe(all.filter(({ reply }) => reply !== undefined).length);
  });
});

const CONNECTED = 'a:1:{s:12:"connected_by";s:5:"probe";}';
