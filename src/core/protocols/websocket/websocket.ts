import type { Buffer } from 'node:buffer';
import { type Arena, copyBytes } from '../../../util/mod.js';
import type { Codec } from '../codec.js';
import { ProtocolError } from '../errors.js';
import { append, bufferOrString, capacityOf, stepAside, textOrBytes, unsendable, writeText } from '../values.js';
import { isSendableCloseCode } from './close-codes.js';
import { closeFrame, headerBytes, MAX_HEADER_BYTES, OPCODE, type Opcode, writeHeader } from './frames.js';
import { WebSocketReader } from './websocket-reader.js';

/**
 * RFC 6455, server side. No subprotocol or extension is negotiated; see deflate-codec.ts for one that is.
 *
 * Strings leave as text, bytes as text or binary as the flag says (whoever sends bytes as text answers for their being
 * UTF-8); null, undefined and objects leave as JSON, as in the original.
 */
export const websocketCodec: Codec = {
  name: 'websocket',
  open: (limits) => new WebSocketReader(limits),
  encode: encodeMessage,
  encodeRange,
  encodeClose,
  encodePing,
  decode: bufferOrString,
};

/** @throws ProtocolError `GW_VALUE_UNSENDABLE` for what JSON has no form for */
function encodeMessage(out: Arena, data: unknown, binary: boolean): void {
  const value = typeof data === 'string' ? data : (textOrBytes(data) ?? jsonApart(out, data));
  if (typeof value === 'string') encodeText(out, value);
  else {
    beginFrame(out, binary ? OPCODE.binary : OPCODE.text, value.length);
    append(out, value);
  }
}

function encodeRange(out: Arena, buffer: Buffer, start: number, end: number, binary: boolean): void {
  beginFrame(out, binary ? OPCODE.binary : OPCODE.text, end - start);
  out.offset += copyBytes(out.buffer, out.offset, buffer, start, end);
}

/**
 * @param reason cut between two characters when it takes more than 123 bytes
 * @throws ProtocolError `GW_WEBSOCKET_CLOSE_CODE` for a code that must not be sent
 */
function encodeClose(out: Arena, code: number, reason: string): void {
  if (!isSendableCloseCode(code)) {
    const text = `WebSocket: close code ${code} can't be sent; use 1000 to 1003, 1007 to 1014 or 3000 to 4999`;
    throw new ProtocolError('GW_WEBSOCKET_CLOSE_CODE', text, { closeCode: code });
  }
  append(out, closeFrame(code, reason));
}

function encodePing(out: Arena): void {
  beginFrame(out, OPCODE.ping, 0);
}

/**
 * The header's size depends on the payload's, which is known only once the text is written. So the header is taken to
 * be as for ASCII, and the payload moved in the rare case that it grew past a step.
 */
function encodeText(out: Arena, text: string): void {
  const capacity = capacityOf(text);
  out.reserve(MAX_HEADER_BYTES + capacity);
  const { buffer, offset } = out;
  const expected = headerBytes(text.length);
  const length = writeText(buffer, offset + expected, text);
  const header = headerBytes(length);
  if (header !== expected) buffer.copyWithin(offset + header, offset + expected, offset + expected + length);
  writeHeader(buffer, offset, OPCODE.text, length);
  out.offset = offset + header + length;
}

/** Makes room for a frame and writes its header. */
function beginFrame(out: Arena, opcode: Opcode, payloadBytes: number): void {
  const header = headerBytes(payloadBytes);
  out.reserve(header + payloadBytes);
  writeHeader(out.buffer, out.offset, opcode, payloadBytes);
  out.offset += header;
}

/** A `toJSON` of the user's may send. */
function jsonApart(out: Arena, data: unknown): string {
  const { buffer, offset } = out;
  const text = json(data);
  stepAside(out, buffer, offset);
  return text;
}

function json(data: unknown): string {
  if (data === undefined) return 'null';
  let text: string | undefined;
  try {
    text = JSON.stringify(data);
  } catch (thrown) {
    throw unsendable('websocket', data, thrown);
  }
  // Functions and symbols have no JSON.
  if (text === undefined) throw unsendable('websocket', data);
  return text;
}
