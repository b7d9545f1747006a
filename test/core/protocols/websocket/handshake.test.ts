import { Buffer } from 'node:buffer';
import { describe, expect, test } from 'vitest';
import { websocketCodec } from '../../../../src/core/protocols/mod.js';
import { acceptReply } from '../../../../src/core/protocols/websocket/handshake.js';
import { clientFrame, request, SAMPLE_REQUEST } from '../../../support/client-frames.js';
import { cuttings, pushCopy, RecordingSink, read, readEveryWay, WIDE } from '../../../support/recording-sink.js';

const ACCEPTED =
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
  'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n';

/** The sample request with lines taken out by the beginning of their names and others put in. */
function changed(without: string, ...lines: string[]): Buffer {
  return request([...SAMPLE_REQUEST.filter((line) => !line.startsWith(without)), ...lines]);
}

function status(bytes: Buffer): [string | undefined, string | undefined] {
  const events = readEveryWay(websocketCodec, bytes);
  const [kind, code, reply] = events[0] ?? [];
  expect([kind, events.length]).toEqual(['fail', 1]);
  const text = String(reply);
  const [head = '', body = ''] = text.split('\r\n\r\n');
  expect(head).toContain('\r\nConnection: close\r\n');
  expect(head).toContain('\r\nSec-WebSocket-Version: 13\r\n');
  expect(head).toContain(`\r\nContent-Length: ${body.length}`);
  return [String(code), text.split(' ')[1]];
}

describe('WebSocket handshake', () => {
  test('the request of RFC 6455 is answered with its accept value', () => {
    expect(readEveryWay(websocketCodec, request())).toEqual([
      ['handshake', '/chat?room=1'],
      ['write', ACCEPTED],
      ['opened'],
    ]);
  });

  test('frames glued to the request are read at once', () => {
    expect(readEveryWay(websocketCodec, Buffer.concat([request(), clientFrame(1, 'hi'), clientFrame(2, 'x')]))).toEqual(
      [
        ['handshake', '/chat?room=1'],
        ['write', ACCEPTED],
        ['opened'],
        ['message', 'hi', false],
        ['message', 'x', true],
      ],
    );
  });

  test('the owner sees the request parsed', () => {
    const bytes = request([
      ...SAMPLE_REQUEST,
      'X-Mixed-CASE: \t a  b \t',
      'x-empty:',
      'X-Twice: 1',
      'x-twice: 2',
      'Cookie: a=1',
      'Cookie: b=2',
      '__proto__: polluted',
      'constructor: x',
      'X-Latin: \xe9',
    ]);
    const [parsed] = read(websocketCodec, [bytes]).requests;
    expect(parsed).toMatchObject({ method: 'GET', uri: '/chat?room=1', protocol: 'HTTP/1.1' });
    expect(Object.getPrototypeOf(parsed?.headers)).toBeNull();
    expect(Object.entries(parsed?.headers ?? {}).slice(5)).toEqual([
      ['x-mixed-case', 'a  b'],
      ['x-empty', ''],
      ['x-twice', '1,2'],
      ['cookie', 'a=1; b=2'],
      ['__proto__', 'polluted'],
      ['constructor', 'x'],
      ['x-latin', 'é'],
    ]);
  });

  test('names and tokens are compared without regard to case, and found in lists', () => {
    const bytes = request([
      'GET / HTTP/1.1',
      'upgrade: h2c, WebSocket',
      'CONNECTION: keep-alive,  UPGRADE',
      'sec-websocket-KEY: dGhlIHNhbXBsZSBub25jZQ==',
      'Sec-Websocket-version: 13',
    ]);
    expect(readEveryWay(websocketCodec, bytes)).toHaveLength(3);
  });

  test.each([
    ['another method', Buffer.from('POST / HTTP/1.1\r\n'), 'GW_HANDSHAKE_MALFORMED', '400'],
    ['a TLS hello, with its first byte', Buffer.of(0x16), 'GW_HANDSHAKE_MALFORMED', '400'],
    ['a method that only begins like GET', Buffer.from('GETS / HTTP/1.1\r\n\r\n'), 'GW_HANDSHAKE_MALFORMED', '400'],
    ['HTTP/1.0', changed('GET', 'GET / HTTP/1.0'), 'GW_HANDSHAKE_MALFORMED', '400'],
    ['no target', request(['GET  HTTP/1.1', ...SAMPLE_REQUEST.slice(1)]), 'GW_HANDSHAKE_MALFORMED', '400'],
    ['a blank in the target', request(['GET /a b HTTP/1.1']), 'GW_HANDSHAKE_MALFORMED', '400'],
    ['a line without a colon', changed('-', 'nonsense'), 'GW_HANDSHAKE_MALFORMED', '400'],
    ['a line without a name', changed('-', ': x'), 'GW_HANDSHAKE_MALFORMED', '400'],
    ['a blank before the colon', changed('-', 'X-A : x'), 'GW_HANDSHAKE_MALFORMED', '400'],
    ['a folded line', changed('-', 'X-A: x', ' y: z'), 'GW_HANDSHAKE_MALFORMED', '400'],
    ['a bare LF', changed('-', 'X-A: x\nX-B: y'), 'GW_HANDSHAKE_MALFORMED', '400'],
    ['a bare CR', changed('-', 'X-A: x\rX-B: y'), 'GW_HANDSHAKE_MALFORMED', '400'],
    ['a NUL', changed('-', 'X-A: \0'), 'GW_HANDSHAKE_MALFORMED', '400'],
    ['no version', changed('Sec-WebSocket-Version'), 'GW_HANDSHAKE_VERSION', '400'],
    ['version 8', changed('Sec-WebSocket-Version', 'Sec-WebSocket-Version: 8'), 'GW_HANDSHAKE_VERSION', '426'],
    ['two versions', changed('-', 'Sec-WebSocket-Version: 13'), 'GW_HANDSHAKE_VERSION', '426'],
    ['no Upgrade', changed('Upgrade'), 'GW_HANDSHAKE_UPGRADE', '400'],
    ['another Upgrade', changed('Upgrade', 'Upgrade: websockets'), 'GW_HANDSHAKE_UPGRADE', '400'],
    ['no Connection', changed('Connection'), 'GW_HANDSHAKE_UPGRADE', '400'],
    ['another Connection', changed('Connection', 'Connection: keep-alive'), 'GW_HANDSHAKE_UPGRADE', '400'],
    ['no key', changed('Sec-WebSocket-Key'), 'GW_HANDSHAKE_KEY', '400'],
    ['two keys', changed('-', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='), 'GW_HANDSHAKE_KEY', '400'],
    [
      'a key of 15 bytes',
      changed('Sec-WebSocket-K', 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAA'),
      'GW_HANDSHAKE_KEY',
      '400',
    ],
    [
      'a key of 17 bytes',
      changed('Sec-WebSocket-K', 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAA='),
      'GW_HANDSHAKE_KEY',
      '400',
    ],
    [
      'a key of no base64',
      changed('Sec-WebSocket-K', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j-Q=='),
      'GW_HANDSHAKE_KEY',
      '400',
    ],
  ])('refuses %s', (_, bytes, code, expectedStatus) => {
    expect(status(bytes)).toEqual([code, expectedStatus]);
  });

  test('426 names the protocol to upgrade to', () => {
    const [event] = read(websocketCodec, [changed('Sec-WebSocket-V', 'Sec-WebSocket-Version: 7')]).events;
    expect(event?.[2]).toContain('HTTP/1.1 426 Upgrade Required\r\n');
    expect(event?.[2]).toContain('\r\nUpgrade: websocket\r\n');
  });

  test('a request of 16 KiB is read, one of a byte more refused, as is one that does not end', () => {
    const filled = (bytes: number) => changed('-', `X-Fill: ${'x'.repeat(bytes - changed('-', 'X-Fill: ').length)}`);
    for (const pieces of [
      (bytes: Buffer) => [bytes],
      (bytes: Buffer) => [bytes.subarray(0, 16000), bytes.subarray(16000)],
    ]) {
      expect(read(websocketCodec, pieces(filled(16 * 1024))).events.at(-1)).toEqual(['opened']);
      const refused = read(websocketCodec, pieces(filled(16 * 1024 + 1))).events;
      expect(refused).toEqual([['fail', 'GW_HANDSHAKE_TOO_LARGE', expect.stringContaining('HTTP/1.1 431 ')]]);
    }
    const endless = Buffer.concat([filled(16 * 1024).subarray(0, -4), Buffer.alloc(4, 'x')]);
    expect(read(websocketCodec, [endless.subarray(0, -1)]).events).toEqual([]);
    expect(read(websocketCodec, [endless]).error?.code).toBe('GW_HANDSHAKE_TOO_LARGE');
    expect(read(websocketCodec, [endless.subarray(0, -1), Buffer.from('x')]).error?.code).toBe(
      'GW_HANDSHAKE_TOO_LARGE',
    );
  });

  test('the limit of the request can be set', () => {
    const bytes = request();
    const withLimit = (maxHandshakeSize: number) =>
      readEveryWay(websocketCodec, bytes, { ...WIDE, maxHandshakeSize }).map((event) => event[0]);
    expect(withLimit(bytes.length)).toEqual(['handshake', 'write', 'opened']);
    expect(withLimit(bytes.length - 1)).toEqual(['fail']);
  });

  test('many blanks take no quadratic time', () => {
    const started = performance.now();
    read(websocketCodec, [changed('-', `X-Blanks: a${' \t'.repeat(8000)}b`)]);
    expect(performance.now() - started).toBeLessThan(1000);
  });

  test('open turns true before `opened` is told, after the answer is written', () => {
    const reader = websocketCodec.open(WIDE);
    const seen: [string, boolean][] = [];
    const sink = new RecordingSink((event) => {
      seen.push([event[0], reader.open]);
      return true;
    });
    pushCopy(reader, request(), sink);
    expect(seen).toEqual([
      ['handshake', false],
      ['write', false],
      ['opened', true],
    ]);
  });

  test('an owner that refuses gets nothing more, and nothing is answered', () => {
    const sink = new RecordingSink(() => false);
    const reader = websocketCodec.open(WIDE);
    pushCopy(reader, Buffer.concat([request(), clientFrame(1, 'hi')]), sink);
    pushCopy(reader, clientFrame(1, 'hi'), sink);
    reader.resume(sink);
    expect(sink.events).toEqual([['handshake', '/chat?room=1']]);
    expect([reader.held, reader.open]).toEqual([0, false]);
  });

  test('a pause in `opened` holds the glued frames', () => {
    const sink = new RecordingSink((event) => event[0] !== 'opened');
    const reader = websocketCodec.open(WIDE);
    pushCopy(reader, Buffer.concat([request(), clientFrame(1, 'hi')]), sink);
    expect(sink.messages).toEqual([]);
    expect(reader.held).toBe(clientFrame(1, 'hi').length);
    reader.resume(sink);
    expect(sink.messages).toEqual(['hi']);
  });

  test('one that is decided later holds everything until then, however it is cut, and goes on as if nothing had been', () => {
    const bytes = Buffer.concat([request(), clientFrame(1, 'a'), clientFrame(1, 'b')]);
    const atOnce = read(websocketCodec, [bytes]).events;
    for (const pieces of cuttings(bytes)) {
      const sink = new RecordingSink();
      sink.later = true;
      const reader = websocketCodec.open(WIDE);
      for (const piece of pieces) pushCopy(reader, piece, sink);
      reader.resume(sink);
      expect([sink.events, reader.open]).toEqual([[['handshake', '/chat?room=1']], false]);
      reader.admit?.(sink);
      expect([sink.events.at(-1), reader.open]).toEqual([['opened'], true]);
      reader.admit?.(sink);
      reader.resume(sink);
      expect(sink.events).toEqual(atOnce);
    }
  });

  test('header lines of the owner stand in the answer', () => {
    const sink = new RecordingSink();
    sink.responseHeaders = { 'Sec-WebSocket-Protocol': 'chat', 'Set-Cookie': 'a=1; Path=/', 'X-Latin': 'é' };
    pushCopy(websocketCodec.open(WIDE), request(), sink);
    const expected = ACCEPTED.replace(
      '\r\n\r\n',
      '\r\nSec-WebSocket-Protocol: chat\r\nSet-Cookie: a=1; Path=/\r\nX-Latin: é\r\n\r\n',
    );
    expect(sink.events[1]).toEqual(['write', expected]);
  });

  test.each([
    ['a line feed in a value', 'X-A', 'x\nX-B: y'],
    ['a carriage return in a value', 'X-A', 'x\r'],
    ['a character whose low byte is a line feed', 'X-A', 'x\u010aX-B: y'],
    ['a NUL in a value', 'X-A', '\0'],
    ['a value that is no text', 'X-A', 5 as unknown as string],
    ['a line feed in a name', 'X-A: 1\r\nX-B', 'y'],
    ['a colon in a name', 'X:A', 'y'],
    ['an empty name', '', 'y'],
    ['an accept value of its own', 'sec-websocket-ACCEPT', 'y'],
    ['an extension, which no reader would know', 'Sec-WebSocket-Extensions', 'permessage-deflate'],
  ])('%s is refused: the builder throws, the reader fails with 500', (_, name, value) => {
    const [parsed] = read(websocketCodec, [request()]).requests;
    expect(() => acceptReply(parsed!, null, { [name]: value })).toThrow(
      expect.objectContaining({ code: 'GW_HANDSHAKE_RESPONSE', fields: { header: name } }),
    );
    const sink = new RecordingSink();
    sink.responseHeaders = { [name]: value };
    pushCopy(websocketCodec.open(WIDE), request(), sink);
    expect(sink.events).toEqual([
      ['handshake', '/chat?room=1'],
      ['fail', 'GW_HANDSHAKE_RESPONSE', expect.stringContaining('HTTP/1.1 500 Internal Server Error\r\n')],
    ]);
    expect(sink.error?.reply?.toString()).not.toContain('X-');
  });
});
