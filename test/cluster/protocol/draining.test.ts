import { describe, expect, test } from 'vitest';
import {
  busyBody,
  Command,
  commandName,
  PacketReader,
  type PacketView,
  packetHead,
  parseBusyBody,
  writePacket,
} from '../../../src/cluster/protocol/mod.js';
import { hex, vectors, written } from './support.js';

interface DrainingVector {
  readonly name: string;
  readonly cmd: number;
  readonly connection_id: number;
  readonly busy?: number[];
  readonly hex: string;
}

function read<T>(bytes: Buffer, look: (view: PacketView) => T): T {
  let seen: { readonly value: T } | undefined;
  new PacketReader().push(bytes, {
    packet: (view) => {
      seen = { value: look(view) };
      return true;
    },
    fail: (error) => {
      throw error;
    },
  });
  if (seen === undefined) throw new Error('no packet');
  return seen.value;
}

describe.each(vectors<DrainingVector>('draining'))('$name', ({ name, cmd, connection_id: id, busy, hex: bytes }) => {
  test('is what is written', () => {
    const body = busy === undefined ? '' : busyBody(busy);
    expect(written((out) => writePacket(out, packetHead({ cmd, connectionId: id }), '', body))).toBe(bytes);
  });

  test('is what is read', () => {
    const seen = read(hex(bytes), (view) => [view.cmd, view.connectionId, parseBusyBody(view)]);
    expect(seen).toEqual([cmd, id, busy ?? []]);
    expect(name.startsWith(commandName(cmd))).toBe(true);
  });
});

test.each([1, 2, 3, 5])('a body of %i bytes names nobody', (length) => {
  const bytes = hex(
    written((out) => writePacket(out, packetHead({ cmd: Command.BUSY }), '', Buffer.alloc(length) as Buffer)),
  );
  expect(read(bytes, parseBusyBody)).toBeUndefined();
});
