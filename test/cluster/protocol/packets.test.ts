import { Buffer } from 'node:buffer';
import { describe, expect, test } from 'vitest';
import { scanJson } from '../../../src/cluster/protocol/json-scanner.js';
import {
  Command,
  commandName,
  EVENT_COMMANDS,
  gatewayClientConnectBody,
  isEvent,
  isQuery,
  LEAVING_COMMANDS,
  LONG_COMMANDS,
  type PacketHead,
  PacketReader,
  packetHead,
  parseConnectBody,
  phpJson,
  QUERY_COMMANDS,
  serialize,
  unserialize,
  workerConnectBody,
  writePacket,
  writePacketRange,
  writeReply,
} from '../../../src/cluster/protocol/mod.js';
import { Arena } from '../../../src/util/mod.js';
import { type Bytes, dump, exactValue, hex, type Typed, vectors, written } from './support.js';

interface PacketVector {
  name: string;
  direction: string;
  hex: string;
  input?: Record<string, Typed> | [];
  secret_key?: string;
  reply?: { hex: string; length: number; payload: Bytes; value: Typed };
  expected: {
    pack_len: number;
    cmd: number;
    cmd_name: string | null;
    local_ip: number;
    local_port: number;
    client_ip: number;
    client_port: number;
    connection_id: number;
    flag: number;
    gateway_port: number;
    ext_len: number;
    ext_data: Bytes;
    body_len: number;
    body: Bytes;
    body_value: Typed;
  };
}

const packets = vectors<PacketVector>('gateway-protocol');

test('there are 332 packets to compare with', () => {
  expect(packets.length).toBe(332);
});

describe.each(packets)('$name', (vector) => {
  const { expected } = vector;

  test('is read as PHP reads it', () => {
    const seen: unknown[] = [];
    new PacketReader().push(hex(vector.hex), {
      packet(view) {
        seen.push({
          head: headOf(view),
          ext: view.extBytes().toString('hex'),
          extText: view.extText(),
          body: view.bodyBytes().toString('hex'),
          bodyText: view.bodyText(),
          ends: [view.extStart, view.extEnd, view.bodyStart, view.bodyEnd],
        });
        return true;
      },
      fail(error) {
        seen.push(error);
      },
    });
    const extEnd = 28 + expected.ext_len;
    expect(seen).toEqual([
      {
        head: headExpected(expected),
        ext: expected.ext_data.hex,
        extText: hex(expected.ext_data.hex).toString(),
        body: expected.body.hex,
        bodyText: hex(expected.body.hex).toString(),
        ends: [28, extEnd, extEnd, expected.pack_len],
      },
    ]);
    expect(extEnd + expected.body_len).toBe(expected.pack_len);
  });

  test('is written as PHP writes it', () => {
    const head = headExpected(expected);
    const ext = hex(expected.ext_data.hex);
    const body = hex(expected.body.hex);
    expect(written((out) => writePacket(out, head, ext, body))).toBe(vector.hex);
    const around = Buffer.concat([Buffer.from('<<'), body, Buffer.from('>>')]);
    expect(written((out) => writePacketRange(out, head, ext, around, 2, 2 + body.length))).toBe(vector.hex);
    if (isText(ext) && isText(body)) {
      expect(written((out) => writePacket(out, head, ext.toString(), body.toString()))).toBe(vector.hex);
      expect(written((out) => writePacketRange(out, head, ext.toString(), around, 2, 2 + body.length))).toBe(
        vector.hex,
      );
    }
  });

  test('has a body that means what PHP meant', () => {
    const body = hex(expected.body.hex);
    if ((expected.flag & 1) === 1) return;
    expect(dump(unserialize(body, 0, body.length, { exact: true }))).toEqual(dump(exactValue(expected.body_value)));
    expect(serialize(exactValue(expected.body_value)).toString('hex')).toBe(expected.body.hex);
  });

  if (/^[[{]/.test(hex(expected.ext_data.hex).toString())) {
    test('has JSON in ext_data that comes out the same when it is written again', () => {
      const text = hex(expected.ext_data.hex).toString();
      expect(phpJson(scanJson(text))).toBe(text);
    });
  }

  if (vector.reply !== undefined) {
    const reply = vector.reply;
    test('has an answer that is written as PHP writes it', () => {
      expect(written((out) => writeReply(out, hex(reply.payload.hex)))).toBe(reply.hex);
      const value = exactValue(reply.value);
      const payload = hex(reply.payload.hex);
      expect(dump(unserialize(payload, 0, payload.length, { exact: true }))).toEqual(dump(value));
      expect(written((out) => writeReply(out, serialize(value)))).toBe(reply.hex);
    });
  }
});

describe('what the PHP encoder makes of values', () => {
  const encoded = packets.filter((vector) => vector.direction === 'codec');

  test.each(encoded)('$name', (vector) => {
    const input = Array.isArray(vector.input) ? {} : (vector.input ?? {});
    const number = (name: string) => Number(input[name]?.t === 'int' ? exactValue(input[name]) : 0);
    const { body, scalar } = bodyOf(input.body);
    const head = packetHead({
      cmd: number('cmd'),
      localIp: number('local_ip'),
      localPort: number('local_port'),
      clientIp: number('client_ip'),
      clientPort: number('client_port'),
      connectionId: number('connection_id'),
      flag: number('flag') | scalar,
      gatewayPort: number('gateway_port'),
    });
    const ext = input.ext_data === undefined ? '' : (exactValue(input.ext_data) as string | Buffer);
    expect(written((out) => writePacket(out, head, ext, body))).toBe(vector.hex);
  });
});

describe('the writer', () => {
  test('writes strings of every length and script as UTF-8', () => {
    const texts = ['', 'a', 'é', '你好', '🎈', 'x'.repeat(31), 'x'.repeat(32), 'x'.repeat(33), `${'x'.repeat(31)}é`];
    texts.push('é'.repeat(1024), 'x'.repeat(1024), 'x'.repeat(1025), '你'.repeat(5000), '\ud800');
    for (const ext of texts) {
      for (const body of texts) {
        const strings = written((out) => writePacket(out, packetHead(), ext, body));
        const buffers = written((out) => writePacket(out, packetHead(), Buffer.from(ext), Buffer.from(body)));
        expect(strings).toBe(buffers);
      }
    }
  });

  test('writes one packet behind the other and moves to a new slab when one is full', () => {
    const out = new Arena();
    const head = packetHead({ cmd: 5 });
    const ranges: [Buffer, number, number][] = [];
    const first = out.buffer;
    for (let index = 0; index < 400; index++) {
      const before = out.offset;
      const slab = out.buffer;
      writePacket(out, head, '', `${index} ${'.'.repeat(1000)}`);
      ranges.push([out.buffer, out.buffer === slab ? before : 0, out.offset]);
    }
    expect(out.buffer).not.toBe(first);
    const bodies: string[] = [];
    const reader = new PacketReader();
    for (const [buffer, start, end] of ranges) {
      reader.push(buffer.subarray(start, end), {
        packet(view) {
          bodies.push(view.bodyText().slice(0, -1001));
          return true;
        },
        fail(error) {
          throw error;
        },
      });
    }
    expect(bodies).toEqual(Array.from({ length: 400 }, (_, index) => String(index)));
  });

  test('starts a head with zeros and the scalar flag', () => {
    expect(packetHead()).toEqual({
      cmd: 0,
      localIp: 0,
      localPort: 0,
      clientIp: 0,
      clientPort: 0,
      connectionId: 0,
      flag: 1,
      gatewayPort: 0,
    });
  });
});

describe('the commands', () => {
  test('have the numbers and names that PHP gives them', () => {
    for (const { expected } of packets) {
      if (expected.cmd_name === null) continue;
      expect(`CMD_${commandName(expected.cmd)}`).toBe(expected.cmd_name);
    }
    expect(commandName(99)).toBe('command 99');
  });

  test('are queries exactly where PHP answers', () => {
    for (const { expected, reply } of packets) if (reply !== undefined) expect(isQuery(expected.cmd)).toBe(true);
    expect(isQuery(Command.SEND_TO_ALL)).toBe(false);
  });

  test('are events exactly where a gateway tells a worker something of a client', () => {
    const told = packets.filter(({ direction }) => direction === 'gateway->worker').map(({ expected }) => expected.cmd);
    for (const cmd of told) expect(isEvent(cmd)).toBe(cmd !== Command.PING);
    expect(isEvent(Command.KICK)).toBe(false);
  });

  test('fall into groups that overlap nowhere and leave out only greetings, PING and what is said of groups, and of who has which event', () => {
    const grouped: number[] = [...EVENT_COMMANDS, ...QUERY_COMMANDS, ...LONG_COMMANDS, ...LEAVING_COMMANDS];
    const greetings = [Command.WORKER_CONNECT, Command.GATEWAY_CLIENT_CONNECT, Command.PING, Command.EXTENSIONS];
    const said = [Command.ABSENT, Command.PRESENT, Command.ACK, Command.KEEP, Command.FORGET];
    const others = [...greetings, ...said];
    expect([...grouped, ...others].sort()).toEqual(Object.values(Command).sort());
  });
});

describe('the greeting', () => {
  test('has the body that PHP writes', () => {
    for (const { expected, secret_key: key = '' } of packets) {
      const body = hex(expected.body.hex).toString();
      if (expected.cmd === Command.WORKER_CONNECT) {
        const { worker_key: workerKey, secret_key: given } = JSON.parse(body);
        expect(workerConnectBody(workerKey, given)).toBe(body);
        expect(parseConnectBody(body)).toEqual({ workerKey, secretKey: given, fields: JSON.parse(body) });
      } else if (expected.cmd === Command.GATEWAY_CLIENT_CONNECT) {
        expect(gatewayClientConnectBody(key)).toBe(body);
        expect(parseConnectBody(body)?.secretKey).toBe(key);
      }
    }
  });

  test('carries what our own peers add, behind what PHP knows', () => {
    const body = workerConnectBody('W:0', 'k', { extensions: ['ack'] });
    expect(body).toBe('{"worker_key":"W:0","secret_key":"k","extensions":["ack"]}');
    expect(parseConnectBody(body)?.fields.extensions).toEqual(['ack']);
  });

  test('without a key, or with one that is no text, has a key that equals none', () => {
    for (const body of ['{}', '{"secret_key":null}', '{"secret_key":0}', '{"secret_key":["x"]}']) {
      expect(parseConnectBody(body)?.secretKey).toBeNull();
    }
  });

  test('that is no JSON object is none', () => {
    for (const body of ['', 'x', '[]', '"x"', 'null', '1', '{"secret_key":'])
      expect(parseConnectBody(body)).toBeUndefined();
  });
});

/** The body as the PHP encoder makes it of any value, and the bit it ORs into the flag. */
function bodyOf(typed: Typed | undefined): { body: string | Buffer; scalar: 0 | 1 } {
  if (typed === undefined) return { body: '', scalar: 1 };
  switch (typed.t) {
    case 'null':
    case 'array':
      return { body: serialize(exactValue(typed)), scalar: 0 };
    case 'bool':
      return { body: typed.v ? '1' : '', scalar: 1 };
    case 'string':
      return { body: exactValue(typed) as string | Buffer, scalar: 1 };
    default:
      return { body: typed.v, scalar: 1 };
  }
}

function headOf(view: PacketHead): PacketHead {
  const { cmd, localIp, localPort, clientIp, clientPort, connectionId, flag, gatewayPort } = view;
  return { cmd, localIp, localPort, clientIp, clientPort, connectionId, flag, gatewayPort };
}

function headExpected(expected: PacketVector['expected']): PacketHead {
  return {
    cmd: expected.cmd,
    localIp: expected.local_ip,
    localPort: expected.local_port,
    clientIp: expected.client_ip,
    clientPort: expected.client_port,
    connectionId: expected.connection_id,
    flag: expected.flag,
    gatewayPort: expected.gateway_port,
  };
}

function isText(bytes: Buffer): boolean {
  return Buffer.from(bytes.toString()).equals(bytes);
}
