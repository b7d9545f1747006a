import { Buffer } from 'node:buffer';
import { describe, expect, it } from 'vitest';
import { COMMANDS } from '../../../src/cluster/gateway/commands/mod.js';
import type { GatewayClientEntry } from '../../../src/cluster/gateway/context.js';
import {
  Command,
  FLAG_BINARY,
  FLAG_RAW,
  FLAG_SCALAR,
  isQuery,
  unserialize,
} from '../../../src/cluster/protocol/mod.js';
import { eventually } from '../../support/eventually.js';
import { packetBytes, startGateway, type TestGateway } from '../../support/gateway-link.js';
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

const CONNECTED = 'a:1:{s:12:"connected_by";s:5:"probe";}';
const CONNECTED_WS = 'a:2:{s:12:"connected_by";s:5:"probe";s:2:"ws";i:1;}';

/**
 * What the first client's session was when this was asked. The recording keeps no order between the connections to one
 * gateway, and leaves the control client out, which set some.
 */
const SESSION_BEFORE: Record<string, string> = {
  'websocket-client-connects-6': CONNECTED,
  'lib-getAllClientSessions-3': CONNECTED,
  'secret-client-getSession-2': CONNECTED_WS,
};

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
    const present = Math.max(
      0,
      ...all.filter(({ expected: e }) => e.connection_id < 100).map((p) => p.expected.connection_id),
    );
    const hasClient = key.startsWith('127.0.0.1:23292 ') && key.endsWith(' ') ? 1 : present;
    const clients: TcpClient[] = [];
    for (let index = 0; index < hasClient; index++) {
      clients.push(await TcpClient.open(gateway.port));
      await eventually('the client', () => gateway.process.clients.size === clients.length);
    }
    let asked = 0;
    for (const packet of all) {
      if (packet.expected.cmd === Command.WORKER_CONNECT || packet.expected.cmd === Command.GATEWAY_CLIENT_CONNECT)
        continue;
      if (names('client-leaves')(packet) && gateway.process.clients.size === 2 && key.includes('23291')) {
        clients[1]?.socket.destroy();
        await eventually('the client to be gone', () => gateway.process.clients.size === 1);
      }
      const session = SESSION_BEFORE[packet.name];
      if (session !== undefined) gateway.link.command(Command.SET_SESSION, 1, session);
      const replies = gateway.link.packet(hex(packet.hex));
      expect(
        replies.map((reply) => reply.toString('latin1')),
        packet.name,
      ).toEqual(packet.reply === undefined ? [] : [hex(packet.reply.hex).subarray(4).toString('latin1')]);
      if (packet.reply !== undefined) asked++;
      if (packet.expected.cmd === Command.KICK && packet.expected.connection_id < 100) {
        await eventually(
          'the client to be gone',
          () => gateway.process.clients.get(packet.expected.connection_id) === undefined,
        );
      }
    }
    expect(asked).toBe(all.filter(({ reply }) => reply !== undefined).length);
  });
});

describe('sends to text clients', () => {
  it('reach one, all, a list, all but some, a uid, groups', async () => {
    await using gateway = await startGateway();
    const { link } = gateway;
    const [a, b, c] = (await textClients(gateway, 3)) as [TcpClient, TcpClient, TcpClient];
    link.command(Command.SEND_TO_ONE, 1, '', 'one');
    link.command(Command.SEND_TO_ALL, 0, '', 'all');
    link.command(Command.SEND_TO_ALL, 0, '{"connections":{"3":3,"99":99,"1":1}}', 'map');
    link.command(Command.SEND_TO_ALL, 0, '{"connections":[2]}', 'list');
    link.command(Command.SEND_TO_ALL, 0, '{"connections":[]}', 'nobody');
    link.command(Command.SEND_TO_ALL, 0, '{"exclude":{"1":1,"2":null}}', 'but 1');
    link.command(Command.BIND_UID, 1, 'u');
    link.command(Command.BIND_UID, 2, 'u');
    link.command(Command.SEND_TO_UID, 0, '["u","nobody"]', 'uid');
    link.command(Command.JOIN_GROUP, 2, 'g');
    link.command(Command.JOIN_GROUP, 2, 'h');
    link.command(Command.JOIN_GROUP, 3, 'h');
    link.command(Command.SEND_TO_GROUP, 0, '{"group":["g","h"],"exclude":null}', 'twice');
    link.command(Command.SEND_TO_GROUP, 0, '{"group":["h"],"exclude":{"2":2}}', 'not 2');
    link.command(Command.UNGROUP, 0, 'h');
    link.command(Command.SEND_TO_GROUP, 0, '{"group":["h"],"exclude":null}', 'empty');
    link.command(Command.SEND_TO_ALL, 0, '', 'raw', FLAG_SCALAR | FLAG_RAW);
    await a.untilText('one\nall\nmap\nuid\nraw');
    await b.untilText('all\nlist\nbut 1\nuid\ntwice\ntwice\nraw');
    await c.untilText('all\nmap\nbut 1\ntwice\nnot 2\nraw');
  });

  it('reach nobody when the list of receivers is not JSON, and the log says so once', async () => {
    await using gateway = await startGateway();
    const [a] = await textClients(gateway, 1);
    for (let round = 0; round < 3; round++) {
      for (const cmd of [Command.SEND_TO_ALL, Command.SEND_TO_UID, Command.SEND_TO_GROUP]) {
        gateway.link.command(cmd, 0, '{"connections":', 'lost');
      }
    }
    gateway.link.command(Command.SEND_TO_ONE, 1, '', 'end');
    await a?.untilText('end\n');
    expect(gateway.logger.warnings).toHaveLength(3);
    expect(gateway.process.unusableCommands).toBe(9);
  });

  it('carry values that are no text as JSON, which killed the original, and leave out what cannot be read', async () => {
    await using gateway = await startGateway();
    const [a] = await textClients(gateway, 1);
    gateway.link.command(Command.SEND_TO_ONE, 1, '', 'N;', 0);
    gateway.link.command(Command.SEND_TO_ONE, 1, '', 'a:2:{s:1:"a";s:3:"x/y";s:1:"b";a:1:{i:0;d:1.5;}}', 0);
    gateway.link.command(Command.SEND_TO_ONE, 1, '', 'O:8:"stdClass":0:{}', 0);
    gateway.link.command(Command.SEND_TO_ONE, 1, '', 'a:1:{i:0;', 0);
    gateway.link.command(Command.SEND_TO_ONE, 1, '', '', 0);
    gateway.link.command(Command.SEND_TO_ONE, 1, '', 'end');
    await a?.untilText('null\n{"a":"x\\/y","b":[1.5]}\nend\n');
    expect(gateway.logger.warnings).toEqual(["a message can't be sent to clients"]);
    expect(gateway.process.unusableCommands).toBe(3);
  });

  it('keep the digits of 64-bit integers, other characters as they are, and bytes that are no text as text', async () => {
    await using gateway = await startGateway();
    const [a] = await textClients(gateway, 1);
    const body = Buffer.concat([
      Buffer.from('a:3:{i:0;i:9223372036854775807;i:1;s:6:"用户";i:2;s:2:"'),
      Buffer.of(0x61, 0xff),
      Buffer.from('";}'),
    ]);
    gateway.link.command(Command.SEND_TO_ONE, 1, '', body, 0);
    await a?.untilText('[9223372036854775807,"用户","a\ufffd"]\n');
  });
});

describe('sends to WebSocket clients', () => {
  it('tell text from binary, send values as JSON and raw bytes as they are', async () => {
    await using gateway = await startGateway({}, { scheme: 'websocket' });
    gateway.link.join();
    await using client = await WsClient.open(gateway.port);
    gateway.link.command(Command.SEND_TO_ALL, 0, '', 'text');
    gateway.link.command(Command.SEND_TO_ONE, 1, '', Buffer.of(0xff, 0), FLAG_SCALAR | FLAG_BINARY);
    gateway.link.command(Command.SEND_TO_ONE, 1, '', 'N;', 0);
    gateway.link.command(Command.SEND_TO_ONE, 1, '', 'a:1:{s:1:"k";i:1;}', 0);
    gateway.link.command(Command.SEND_TO_ONE, 1, '', Buffer.of(0x81, 1, 0x72), FLAG_SCALAR | FLAG_RAW);
    gateway.link.command(Command.KICK, 1, '', 'bye');
    expect(await client.untilClosed()).toEqual({ code: 1000, reason: '' });
    expect(client.messages).toEqual([
      { data: 'text', binary: false },
      { data: '\xff\0', binary: true },
      { data: 'null', binary: false },
      { data: '{"k":1}', binary: false },
      { data: 'r', binary: false },
      { data: 'bye', binary: false },
    ]);
  });
});

describe('KICK and DESTROY', () => {
  it.each([
    ['a last message', 'bye', FLAG_SCALAR, 'bye\n'],
    ['an empty one', '', FLAG_SCALAR, '\n'],
    ['none, as PHP says it', 'N;', 0, ''],
    ['none, with something behind it', 'N;x', 0, ''],
    ['the text N;', 'N;', FLAG_SCALAR, 'N;\n'],
    ['an array', 'a:1:{s:4:"type";s:4:"kick";}', 0, '{"type":"kick"}\n'],
    ['a raw one, which it never is', 'bye', FLAG_SCALAR | FLAG_RAW, 'bye\n'],
    ['one that cannot be read', 'a:', 0, ''],
  ])('ends a client with %s', async (_what, body, flag, expected) => {
    await using gateway = await startGateway();
    const [a] = await textClients(gateway, 1);
    gateway.link.command(Command.KICK, 1, '', body, flag);
    await a?.untilClosed();
    expect(a?.text).toBe(expected);
    await eventually('the gateway to forget it', () => gateway.process.clients.size === 0);
  });

  it('KICK says its last message also to a client whose queue is full', async () => {
    await using gateway = await startGateway({ sendToClientBufferSize: 100_000 });
    const [a] = await textClients(gateway, 1);
    a?.socket.pause();
    const { connection } = [...gateway.process.clients.all][0] as GatewayClientEntry;
    const filler = 'x'.repeat(50_000);
    await eventually('a full queue', () => {
      gateway.link.command(Command.SEND_TO_ONE, 1, '', filler);
      return connection.sendQueueSize >= 100_000;
    });
    gateway.link.command(Command.KICK, 1, '', 'bye');
    a?.socket.resume();
    await a?.untilClosed();
    expect(a?.lines.at(-1)).toBe('bye');
  });

  it('DESTROY loses what waits for the client', async () => {
    await using gateway = await startGateway();
    const [a] = await textClients(gateway, 1);
    gateway.link.command(Command.SEND_TO_ONE, 1, '', 'lost');
    gateway.link.command(Command.DESTROY, 1);
    await a?.untilClosed();
    expect(a?.text).toBe('');
  });
});

describe('names', () => {
  it('are found by their bytes, however a command writes them', async () => {
    await using gateway = await startGateway();
    const { link } = gateway;
    await textClients(gateway, 1);
    const found = 'a:1:{i:0;i:1;}';
    for (const [raw, json] of [
      ['用户', '"用户"'],
      ['用户', '"\\u7528\\u6237"'],
      ['1001', '1001'],
      ['9223372036854775807', '9223372036854775807'],
      ['12345678901234567890123', '12345678901234567890123'],
      ['1.5', '1.5'],
      ['05', '"05"'],
    ]) {
      link.command(Command.BIND_UID, 1, raw);
      expect(link.ask(Command.GET_CLIENT_ID_BY_UID, 0, raw)).toBe(found);
      expect(link.ask(Command.BATCH_GET_CLIENT_ID_BY_UID, 0, `[${json}]`), json).toContain(found);
      link.command(Command.JOIN_GROUP, 1, raw);
      expect(link.ask(Command.BATCH_GET_CLIENT_COUNT_BY_GROUP, 0, `[${json}]`), json).toContain('i:1;}');
      expect(link.ask(Command.SELECT, 0, `{"fields":[],"where":{"groups":[${json}]}}`)).toBe('a:1:{i:1;a:0:{}}');
    }
    link.command(Command.BIND_UID, 1, '5');
    expect(link.ask(Command.BATCH_GET_CLIENT_ID_BY_UID, 0, '["05"]')).toBe('a:1:{s:2:"05";a:0:{}}');
    expect(link.ask(Command.BATCH_GET_CLIENT_ID_BY_UID, 0, '["5"]')).toBe('a:1:{i:5;a:1:{i:0;i:1;}}');
  });

  it('that are not UTF-8 stay distinct', async () => {
    await using gateway = await startGateway();
    const { link } = gateway;
    await textClients(gateway, 2);
    link.command(Command.JOIN_GROUP, 1, Buffer.of(0xff));
    link.command(Command.JOIN_GROUP, 2, Buffer.of(0xfe));
    expect(link.ask(Command.GET_CLIENT_COUNT_BY_GROUP, 0, Buffer.of(0xff))).toBe('i:1;');
    expect(link.ask(Command.GET_GROUP_ID_LIST)).toBe('a:2:{i:0;s:1:"\xff";i:1;s:1:"\xfe";}');
  });

  it('that PHP calls empty are refused, and said once', async () => {
    await using gateway = await startGateway();
    const { link, logger } = gateway;
    await textClients(gateway, 1);
    for (const name of ['', '0', '', '0']) {
      link.command(Command.BIND_UID, 1, name);
      link.command(Command.JOIN_GROUP, 1, name);
    }
    expect(link.ask(Command.SELECT, 0, '{"fields":["uid","groups"],"where":[]}')).toBe(
      'a:1:{i:1;a:2:{s:3:"uid";N;s:6:"groups";N;}}',
    );
    expect(logger.warnings).toHaveLength(2);
    link.command(Command.JOIN_GROUP, 1, '00');
    link.command(Command.LEAVE_GROUP, 1, '00');
    expect(link.ask(Command.SELECT, 0, '{"fields":["groups"],"where":[]}')).toBe('a:1:{i:1;a:1:{s:6:"groups";a:0:{}}}');
  });

  it('unbinding takes the uid there is, whatever the packet says', async () => {
    await using gateway = await startGateway();
    await textClients(gateway, 1);
    gateway.link.command(Command.BIND_UID, 1, 'a');
    gateway.link.command(Command.UNBIND_UID, 1, 'another');
    expect(gateway.link.ask(Command.GET_CLIENT_ID_BY_UID, 0, 'a')).toBe('a:0:{}');
  });
});

describe('sessions', () => {
  it('are set byte for byte, merged, and left as they are by an update that cannot be read', async () => {
    await using gateway = await startGateway();
    const { link, logger } = gateway;
    await textClients(gateway, 1);
    const session = () => link.ask(Command.GET_SESSION_BY_CLIENT_ID, 1);
    link.command(Command.UPDATE_SESSION, 1, 'no array');
    expect(session()).toBe('no array');
    link.command(Command.UPDATE_SESSION, 1, 'a:1:{s:1:"a";i:1;}');
    expect(session()).toBe('no array');
    link.command(Command.SET_SESSION, 1, 'a:1:{s:1:"a";i:1;}');
    for (const bad of ['', 'i:5;', 'a:1:{', 'O:1:"A":0:{}', Buffer.of(0xff)]) {
      link.command(Command.UPDATE_SESSION, 1, bad);
      expect(session()).toBe('a:1:{s:1:"a";i:1;}');
    }
    link.command(Command.UPDATE_SESSION, 1, 'a:1:{s:1:"b";d:2;}');
    expect(session()).toBe('a:2:{s:1:"a";i:1;s:1:"b";d:2;}');
    link.command(Command.SET_SESSION, 1);
    expect(session()).toBe('a:0:{}');
    expect(logger.warnings).toEqual(["a session can't be updated"]);
  });

  it('travel with every event', async () => {
    await using gateway = await startGateway();
    const worker = gateway.link.join();
    await using client = await TcpClient.open(gateway.port);
    await eventually('the client', () => worker.events.length === 1);
    gateway.link.command(Command.SET_SESSION, 1, 'a:0:{}');
    client.write('x\n');
    await eventually('the message', () => worker.events.length === 2);
    expect(worker.events.map(({ session }) => session)).toEqual(['', 'a:0:{}']);
  });
});

describe('what nobody knows', () => {
  it('is ignored: clients, uids, groups, commands', async () => {
    await using gateway = await startGateway();
    const { link, logger } = gateway;
    const [a] = await textClients(gateway, 1);
    for (const cmd of Object.keys(COMMANDS)
      .map(Number)
      .filter((cmd) => !isQuery(cmd) && cmd !== Command.SEND_TO_ALL)) {
      link.command(cmd, 4_000_000_000, cmd === Command.SEND_TO_GROUP ? '{"group":["x"]}' : '["x"]', 'lost');
    }
    for (const cmd of [0, 2, 99, Command.PING, Command.ON_MESSAGE, 255]) link.command(cmd, 1);
    link.command(Command.SEND_TO_ONE, 1, '', 'end');
    await a?.untilText('end\n');
    expect(logger.warnings).toEqual([
      'a command of workers that leave came from somebody else; it is ignored',
      'an unknown command was ignored',
    ]);
    expect(gateway.process.unusableCommands).toBe(6 + 3);
  });

  it('SELECT: unknown fields are null, unknown conditions match nobody, a client is there once', async () => {
    await using gateway = await startGateway();
    const { link } = gateway;
    await textClients(gateway, 2);
    link.command(Command.BIND_UID, 1, 'u');
    link.command(Command.JOIN_GROUP, 1, '7');
    const select = (ext: string) => link.ask(Command.SELECT, 0, ext);
    expect(select('{"fields":["uid","context"],"where":{"uid":["u"],"groups":[7],"connection_id":[1]}}')).toBe(
      'a:1:{i:1;a:2:{s:3:"uid";s:1:"u";s:7:"context";N;}}',
    );
    expect(select('{"fields":["uid"],"where":{"nothing":[1]}}')).toBe('a:0:{}');
    for (const bad of ['', '[', 'null', '5', '"x"', '[]', '{"fields":5,"where":5}'])
      expect(select(bad), bad).toBe('a:0:{}');
  });
});

describe('any packet', () => {
  it('throws nothing out of its handler, and each question has its one answer that can be read', async () => {
    await using gateway = await startGateway({ maxWaitingTime: 60 });
    const { link } = gateway;
    await textClients(gateway, 2);
    const random = seededRandom(2026);
    const exts = [
      '{"connections":{"1":1,"2":2}}',
      '{"exclude":{"1":1}}',
      '{"group":["room",7,9223372036854775807],"exclude":{"1":1}}',
      '["user",5,"\\ud800",1e999,-0,18446744073709551616]',
      '{"fields":["uid","groups","session","x"],"where":{"groups":["room"],"connection_id":{"1":1},"uid":["user"]}}',
      'a:2:{s:1:"a";a:1:{i:0;d:1.5;}i:7;N;}',
      'room',
      '7',
    ].map((text) => Buffer.from(text));
    const commands = Object.keys(COMMANDS).map(Number);
    for (let round = 0; round < 6000; round++) {
      const cmd = commands[random(commands.length)] as number;
      // These two would leave the others nobody to work on.
      if (cmd === Command.KICK || cmd === Command.DESTROY) continue;
      const ext = mutated(exts[random(exts.length)] as Buffer, random);
      const body = mutated(exts[random(exts.length)] as Buffer, random);
      const replies = link.packet(packetBytes(cmd, random(4), ext, body, random(8)));
      expect(replies.length).toBe(isQuery(cmd) ? 1 : 0);
      const stored = cmd === Command.GET_SESSION_BY_CLIENT_ID;
      if (isQuery(cmd) && !stored) unserialize(replies[0] as Buffer);
    }
    expect(gateway.process.clients.size).toBe(2);
  });
});
