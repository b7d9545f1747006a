import { describe, expect, test } from 'vitest';
import {
  ackNumbers,
  commandName,
  countAckNumbers,
  MAX_REDELIVERIES,
  PacketReader,
  packetHead,
  readAckNumber,
  redelivered,
  redeliveries,
  writePacket,
} from '../../../src/cluster/protocol/mod.js';
import { hex, vectors, written } from './support.js';

interface AcknowledgementsVector {
  readonly name: string;
  readonly cmd: number;
  readonly connection_id: number;
  readonly flag: number;
  readonly pending?: readonly number[];
  readonly handled?: readonly number[];
  readonly ext?: string;
  readonly body?: string;
  readonly redeliveries?: number;
  readonly hex: string;
}

describe.each(vectors<AcknowledgementsVector>('acknowledgements'))('$name', (vector) => {
  const { name, cmd, connection_id: connectionId, flag, pending, handled, ext = '', body = '' } = vector;
  const numbers = (list: readonly number[]) => ackNumbers(list, list.length);

  test('is what is written', () => {
    const head = packetHead({ cmd, connectionId, flag });
    const parts = [pending ? numbers(pending) : ext, handled ? numbers(handled) : body] as const;
    expect(written((out) => writePacket(out, head, ...parts))).toBe(vector.hex);
  });

  test('is what is read', () => {
    let seen: unknown;
    const list = (buffer: Buffer, start: number, end: number) =>
      Array.from({ length: countAckNumbers(start, end) ?? -1 }, (_, index) => readAckNumber(buffer, start, index));
    new PacketReader().push(hex(vector.hex), {
      packet: (view) => {
        const { buffer, extStart, extEnd, bodyStart, bodyEnd } = view;
        const parts = [
          pending ? list(buffer, extStart, extEnd) : view.extText(),
          handled ? list(buffer, bodyStart, bodyEnd) : view.bodyText(),
        ];
        seen = [view.cmd, view.connectionId, ...parts, redeliveries(view.flag)];
        return true;
      },
      fail: (error) => {
        throw error;
      },
    });
    expect(seen).toEqual([cmd, connectionId, pending ?? ext, handled ?? body, vector.redeliveries ?? 0]);
    expect(name.startsWith(commandName(cmd))).toBe(true);
  });
});

test('the flags of an event count up to fifteen redeliveries and leave the others as they are', () => {
  let flag = 5;
  for (let count = 1; count <= MAX_REDELIVERIES; count++) {
    flag = redelivered(flag, true);
    expect([redeliveries(flag), flag & 7]).toEqual([count, 5]);
  }
  expect([redelivered(5, false), redelivered(13, false), redelivered(5 | 128, true)]).toEqual([13, 13, 13 | 128]);
});

test('numbers are read only where there are whole ones', () => {
  expect([countAckNumbers(3, 3), countAckNumbers(3, 11), countAckNumbers(3, 10)]).toEqual([0, 2, undefined]);
});
