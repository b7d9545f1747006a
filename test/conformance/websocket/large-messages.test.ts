/** The cases 9 of the Autobahn testsuite by their numbers: large messages, many fragments, small writes, many messages. */
import { Buffer } from 'node:buffer';
import { describe, expect, test } from 'vitest';
import { clientFrame } from '../../support/client-frames.js';
import { echoServer } from './support/echo.js';
import { close, fragments, type Pace, RawClient, type WireEvent } from './support/raw-client.js';

const KB = 1024;
const MB = 1024 * KB;

/** A frame of 16 MB has a header of 14 bytes. */
const server = echoServer({ maxPackageSize: 16 * MB + 14 });

const KINDS = [
  { kind: 'text', opcode: 1, payload: (size: number) => Buffer.alloc(size, 'BAsd7&jh23') },
  { kind: 'binary', opcode: 2, payload: (size: number) => Buffer.alloc(size, Buffer.of(0x00, 0xfe, 0x23, 0xfa, 0xf0)) },
] as const;

function bytesOf(message: WireEvent | undefined): Buffer {
  return Buffer.from(String(message?.[1]), message?.[0] === 'text' ? 'utf8' : 'latin1');
}

/** Whether the one message comes back as it was sent, and a goodbye behind it. */
async function comesBack(opcode: number, payload: Buffer, frames: readonly Buffer[], pace: Pace): Promise<void> {
  await using client = await RawClient.open(server.port);
  await client.write(frames, pace);
  await client.until('the echo', () => client.events.length > 0);
  await client.write([close(1000)]);
  const [message, goodbye] = await client.untilEnded();
  expect(message?.[0]).toBe(opcode === 1 ? 'text' : 'binary');
  // Not compared as values: nobody wants to read that difference.
  expect(bytesOf(message).equals(payload)).toBe(true);
  expect(goodbye).toEqual(['close', 1000]);
}

describe.each(KINDS)('9 large messages, $kind', ({ kind, opcode, payload }) => {
  const isText = kind === 'text';

  test.each(
    [64 * KB, 256 * KB, MB, 4 * MB, 8 * MB, 16 * MB].map((size, index) => [isText ? 1 : 2, index + 1, size] as const),
  )('9.%i.%i one frame of %i bytes', async (_section, _place, size) => {
    const bytes = payload(size);
    await comesBack(opcode, bytes, [clientFrame(opcode, bytes)], 'whole');
  });

  test.each(
    [64, 256, KB, 4 * KB, 16 * KB, 64 * KB, 256 * KB, MB, 4 * MB].map(
      (size, index) => [isText ? 3 : 4, index + 1, size] as const,
    ),
  )('9.%i.%i 4 MB in fragments of %i bytes', async (_section, _place, size) => {
    const bytes = payload(4 * MB);
    await comesBack(opcode, bytes, fragments(opcode, bytes, size), 'whole');
  });

  test.each([64, 128, 256, 512, KB, 2 * KB].map((chop, index) => [isText ? 5 : 6, index + 1, chop] as const))(
    '9.%i.%i 1 MB in chops of %i bytes',
    async (_section, _place, chop) => {
      const bytes = payload(MB);
      await comesBack(opcode, bytes, [clientFrame(opcode, bytes)], chop);
    },
  );

  test.each([0, 16, 64, 256, KB, 4 * KB].map((size, index) => [isText ? 7 : 8, index + 1, size] as const))(
    '9.%i.%i a thousand messages of %i bytes, one after the other',
    async (_section, _place, size) => {
      const bytes = payload(size);
      const frame = clientFrame(opcode, bytes);
      await using client = await RawClient.open(server.port);
      for (let count = 1; count <= 1000; count++) {
        await client.write([frame]);
        await client.until(`echo ${count}`, () => client.events.length === count);
        expect(bytesOf(client.events.at(-1)).equals(bytes)).toBe(true);
      }
      await client.write([close(1000)]);
      expect((await client.untilEnded()).at(-1)).toEqual(['close', 1000]);
    },
  );
});

test('a message of 16 MB and a byte is refused where that is the limit', async () => {
  await using client = await RawClient.open(server.port);
  // The header says it all: nothing has to come behind it.
  await client.write([clientFrame(2, Buffer.alloc(16 * MB + 1)).subarray(0, 14)]);
  expect(await client.untilEnded()).toEqual([['close', 1009]]);
});
