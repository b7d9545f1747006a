import { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { ControlError } from '../../../src/core/process/control/errors.js';
import { encode, readLines, readReply, readRequest } from '../../../src/core/process/control/protocol.js';
import { cut, orRefused, type Random, type Target } from '../target.js';

const LONGEST = 2000;

/** Requests that harm nobody, because they are sent to real services too. */
export const REQUESTS: readonly Buffer[] = [
  '{"id":1,"command":"hello"}\n',
  '{"id":2,"command":"status"}\n',
  '{"id":3,"command":"connections"}\n{"id":4,"command":"hello"}\n',
].map((line) => Buffer.from(line));

const OTHERS = [
  '{"id":5,"command":"stop","graceful":true}\n',
  '{"id":6,"command":"reload","graceful":false,"workers":["Gateway","Worker"]}\n',
  '{"id":1,"answer":{"protocol":1}}\n',
  '{"id":null,"error":{"code":"GW_CONTROL_MALFORMED","message":"m","fields":{}}}\n',
].map((line) => Buffer.from(line));

export const CONTROL: Target = { name: 'control', seeds: [...REQUESTS, ...OTHERS], run: control };

async function control(bytes: Buffer, random: Random): Promise<void> {
  const expected = bytes.toString('latin1').split('\n');
  const rest = expected.pop() as string;
  const tooLong = [...expected, rest].findIndex(({ length }) => length > LONGEST);
  if (tooLong >= 0) expected.splice(tooLong);
  const lines: string[] = [];
  const socket = Readable.from(cut(bytes, random)) as unknown as Socket;
  let refused = false;
  try {
    for await (const line of readLines(socket, LONGEST)) lines.push(line);
  } catch (error) {
    if (!(error instanceof ControlError)) throw error;
    refused = true;
  }
  const wanted = expected.map((line) => Buffer.from(line, 'latin1').toString());
  if (refused !== tooLong >= 0 || JSON.stringify(lines) !== JSON.stringify(wanted)) {
    throw new Error(`${JSON.stringify(lines)} instead of ${JSON.stringify(wanted)}`);
  }
  for (const line of [...lines, rest]) {
    orRefused(ControlError, () => readReply(line));
    const request = orRefused(ControlError, () => readRequest(line));
    if (request !== undefined) readRequest(encode(request).trimEnd());
  }
}
