// What clients of each protocol send, and how the messages they get are counted as their bytes come.
//
// A scan takes what was read and returns how many whole messages of the expected length it held; all else goes to
// `connection.other`. It keeps in the connection what reaches over to the next read: `left`, the bytes that a message of known
// length still misses, or `rest`, a copy of bytes that can't be told yet.
import { Buffer } from 'node:buffer';

const NEWLINE = 10;
/** Payloads up to here are control frames, handshakes and answers; they are read whole. */
const SMALL = 125;
const Opcode = Object.freeze({ text: 1, ping: 9, pong: 10 });
const MASK = Buffer.from([0x37, 0xfa, 0x21, 0x3d]);
/** Opcodes with this bit are of control frames. */
const CONTROL = 8;

const text = {
  hello: () => null,
  ready: () => true,
  frame: (message) => Buffer.from(`${message}\n`),
  /** The message as it comes back, as the scan counts it. */
  expected: (message) => Buffer.from(`${message}\n`),
  scan: scanLines,
};

const websocket = {
  /** @param deflate offers compression; for connections that do nothing: what would come is not inflated */
  hello: (deflate, path = '/') =>
    `GET ${path} HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
    `${deflate ? 'Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n' : ''}` +
    'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n',
  ready: () => true,
  frame: (message) => clientFrame(Opcode.text, Buffer.from(message)),
  expected: (message) => Buffer.from(message),
  scan: scanFrames,
};

/** Engine.IO 4 and Socket.IO 5 over WebSocket alone: `0{…}` opens, `40` joins, `42[…]` is an event, `2` and `3` are pings. */
const socketio = {
  ...websocket,
  hello: () => websocket.hello(false, '/socket.io/?EIO=4&transport=websocket'),
  ready: (connection) => connection.joined,
  frame: (message) => websocket.frame(`42["message","${message}"]`),
  expected: (message) => Buffer.from(`42["message","${message}"]`),
};

export const WIRES = Object.freeze({ text, websocket, socketio });

/**
 * A frame of a client, masked: frames are made once and sent often, so this costs the load nothing. A mask of zeros would not do,
 * as `ws` (and with it Socket.IO) looks for that and saves itself the unmasking.
 */
export function clientFrame(opcode, payload) {
  const { length } = payload;
  const head = Buffer.alloc(length <= SMALL ? 6 : length < 65_536 ? 8 : 14);
  MASK.copy(head, head.length - MASK.length);
  head[0] = 0x80 | opcode;
  if (length <= SMALL) head[1] = 0x80 | length;
  else if (length < 65_536) {
    head[1] = 0x80 | 126;
    head.writeUInt16BE(length, 2);
  } else {
    head[1] = 0x80 | 127;
    head.writeUInt32BE(length, 6);
  }
  return Buffer.concat([head, payload.map((byte, index) => byte ^ MASK[index % MASK.length])]);
}

function scanFrames(connection, bytes, length) {
  const expected = connection.expected.length;
  let at = 0;
  let whole = 0;
  if (connection.left > 0) {
    at = Math.min(connection.left, length);
    connection.left -= at;
    if (connection.left > 0) return 0;
    if (connection.counts) whole++;
  }
  while (at < length) {
    let start = at + 2;
    if (start > length) break;
    let size = bytes[at + 1] & 127;
    if (size === 126) {
      start += 2;
      if (start > length) break;
      size = bytes.readUInt16BE(at + 2);
    } else if (size === 127) {
      start += 8;
      if (start > length) break;
      size = bytes.readUInt32BE(at + 6);
    }
    const end = start + size;
    // A ping may be as long as what is expected, and is to be answered.
    connection.counts = expected > 0 && size === expected && (bytes[at] & CONTROL) === 0;
    if (end > length && size <= SMALL && !connection.counts) break;
    if (connection.counts) connection.check(bytes, start, Math.min(end, length));
    if (end > length) {
      connection.left = end - length;
      return whole;
    }
    if (connection.counts) whole++;
    else connection.other(bytes[at] & 15, bytes, start, end);
    at = end;
  }
  if (at < length) connection.rest = Buffer.from(bytes.subarray(at, length));
  return whole;
}

function scanLines(connection, bytes, length) {
  const expected = connection.expected.length;
  const first = connection.expected[0];
  let at = 0;
  let whole = 0;
  if (connection.left > 0) {
    at = Math.min(connection.left, length);
    connection.left -= at;
    if (connection.left > 0) return 0;
    whole++;
  }
  while (at < length) {
    if (bytes[at] === first && expected > 0) {
      const end = at + expected;
      connection.check(bytes, at, Math.min(end, length));
      if (end > length) {
        connection.left = end - length;
        return whole;
      }
      whole++;
      at = end;
    } else {
      const end = bytes.subarray(0, length).indexOf(NEWLINE, at);
      if (end < 0) break;
      connection.other(Opcode.text, bytes, at, end);
      at = end + 1;
    }
  }
  if (at < length) connection.rest = Buffer.from(bytes.subarray(at, length));
  return whole;
}

/** What a connection does with a message that is not counted. */
export function answer(connection, opcode, bytes, start, end) {
  if (opcode === Opcode.ping) {
    connection.socket.write(clientFrame(Opcode.pong, bytes.subarray(start, end)));
  } else if (connection.wire === socketio) {
    if (bytes[start] === 0x30) connection.socket.write(websocket.frame('40'));
    else if (end - start === 1 && bytes[start] === 0x32) connection.socket.write(websocket.frame('3'));
    else if (bytes[start] === 0x34 && bytes[start + 1] === 0x30) connection.joined = true;
  }
}
