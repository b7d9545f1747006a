import { describe, expect, it, vi } from 'vitest';
import { Absences } from '../../../src/cluster/gateway/absences.js';
import { Clients } from '../../../src/cluster/gateway/clients.js';
import { COMMANDS } from '../../../src/cluster/gateway/commands/mod.js';
import type { GatewayContext } from '../../../src/cluster/gateway/context.js';
import { Command, connectionsExt, excludeExt, groupExt, PacketReader } from '../../../src/cluster/protocol/mod.js';
import type { TcpConnection } from '../../../src/core/net/mod.js';
import { textCodec } from '../../../src/core/protocols/mod.js';
import { packetBytes } from '../../support/gateway-link.js';

/** A gateway with many clients who are not on any socket, and counts of what is done with them. */
function crowd(count: number) {
  const clients = new Clients<TcpConnection>(1);
  const sent: number[] = [];
  let asked = 0;
  for (let id = 1; id <= count; id++) {
    const connection = { sendShared: () => sent.push(id) };
    clients.add(connection as unknown as TcpConnection, 0, 0);
  }
  const frames = vi.spyOn(textCodec, 'encode');
  const { get } = clients;
  clients.get = (id) => {
    asked++;
    return get.call(clients, id);
  };
  const connections = vi.spyOn(clients, 'connections', 'get');
  const all = vi.spyOn(clients, 'all', 'get');
  const gateway = { clients, codec: textCodec, absences: new Absences() } as unknown as GatewayContext;
  return {
    clients,
    /** Who was sent the message, how many clients were looked up, how often it was framed and everybody gone through. */
    send(cmd: typeof Command.SEND_TO_ALL | typeof Command.SEND_TO_GROUP | typeof Command.SEND_TO_UID, ext: string) {
      for (const spy of [frames, connections, all]) spy.mockClear();
      sent.length = 0;
      asked = 0;
      new PacketReader().push(packetBytes(cmd, 0, ext, 'x'), {
        packet: (view) => {
          COMMANDS[cmd](gateway, view, { worker: null, reply: () => {} });
          return true;
        },
        fail: (error) => {
          throw error;
        },
      });
      const throughAll = connections.mock.calls.length + all.mock.calls.length;
      return { sent: [...sent], asked, framed: frames.mock.calls.length, throughAll };
    },
  };
}

describe('what a send looks at', () => {
  const { clients, send } = crowd(3000);
  const of = (id: number) => clients.get(id)!;
  for (const id of [7, 1000, 2999]) clients.joinGroup(of(id), 'g');
  for (const id of [7, 8]) clients.joinGroup(of(id), 'h');
  clients.bindUid(of(5), 'u');
  const ids = Array.from({ length: 2000 }, (_, index) => index + 8);

  it('are the members of a group, however many others there are, and each excluded one once for all groups', () => {
    expect(send(Command.SEND_TO_GROUP, groupExt(['g']))).toEqual({
      sent: [7, 1000, 2999],
      asked: 0,
      framed: 1,
      throughAll: 0,
    });
    expect(send(Command.SEND_TO_GROUP, groupExt(['g', 'h', 'nobody', 'g'], ids))).toEqual({
      sent: [7, 2999, 7, 7, 2999],
      asked: ids.length,
      framed: 1,
      throughAll: 0,
    });
  });

  it('are the clients of a uid, or of a list', () => {
    expect(send(Command.SEND_TO_UID, '["u","v"]')).toEqual({ sent: [5], asked: 0, framed: 1, throughAll: 0 });
    const list = send(Command.SEND_TO_ALL, connectionsExt([9, 3, 99_999]));
    expect(list).toEqual({ sent: [9, 3], asked: 3, framed: 1, throughAll: 0 });
  });

  it('is everybody once for a send to all but some', () => {
    const { sent, asked, throughAll } = send(Command.SEND_TO_ALL, excludeExt(ids));
    expect([sent.length, asked, throughAll]).toEqual([1000, ids.length, 1]);
  });

  it('is nothing, nor is anything framed, where nobody is meant', () => {
    const nothing = { sent: [], asked: 0, framed: 0, throughAll: 0 };
    expect(send(Command.SEND_TO_GROUP, groupExt(['nobody']))).toEqual(nothing);
    expect(send(Command.SEND_TO_UID, '["nobody"]')).toEqual(nothing);
  });
});
