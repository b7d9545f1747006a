import { describe, expect, test } from 'vitest';
import { commandName, PacketReader, packetHead, writePacket } from '../../../src/cluster/protocol/mod.js';
import { hex, vectors, written } from './support.js';

interface GroupsVector {
  readonly name: string;
  readonly cmd: number;
  readonly connection_id: number;
  readonly ext: string;
  readonly body: string;
  readonly hex: string;
}

describe.each(vectors<GroupsVector>('groups'))('$name', ({ name, cmd, connection_id: id, ext, body, hex: bytes }) => {
  test('is what is written', () => {
    expect(written((out) => writePacket(out, packetHead({ cmd, connectionId: id }), ext, body))).toBe(bytes);
  });

  test('is what is read', () => {
    let seen: unknown;
    new PacketReader().push(hex(bytes), {
      packet: (view) => {
        seen = [view.cmd, view.connectionId, view.extText(), view.bodyText()];
        return true;
      },
      fail: (error) => {
        throw error;
      },
    });
    expect(seen).toEqual([cmd, id, ext, body]);
    expect(name.startsWith(commandName(cmd))).toBe(true);
  });
});
