import { describe, expect, test } from 'vitest';
import { agree } from '../../../../src/core/protocols/websocket/deflate-terms.js';
import { parseExtensions } from '../../../../src/core/protocols/websocket/extensions.js';

const ANSWER = 'permessage-deflate; server_no_context_takeover; client_no_context_takeover';

describe('the Sec-WebSocket-Extensions header', () => {
  test.each([
    ['', []],
    ['a', [['a']]],
    ['a, b', [['a'], ['b']]],
    [' ,\ta ,, b,', [['a'], ['b']]],
    ['a;x;y=1', [['a', ['x', null], ['y', '1']]]],
    ['a ; x = 1 ; y , b', [['a', ['x', '1'], ['y', null]], ['b']]],
    ['a; x="15"', [['a', ['x', '15']]]],
    ['a; x="1\\5"', [['a', ['x', '15']]]],
    ['a; x=1; x=2', [['a', ['x', '1'], ['x', '2']]]],
  ] as const)('%j is read', (header, expected) => {
    const offers = parseExtensions(header)?.map(({ name, parameters }) => [name, ...parameters]);
    expect(offers).toEqual(expected);
  });

  test.each([
    'a b',
    'a;',
    'a;;x',
    '=1',
    'a=1',
    'a; x=',
    'a; x="',
    'a; x=""',
    'a; x="1 5"',
    'a; x="b\\',
    ';',
    'a/b',
    'a; x=1=2',
  ])('%j is malformed', (header) => expect(parseExtensions(header)).toBeNull());

  test('many blanks, and a quote that does not end, take no quadratic time', () => {
    for (const header of [
      `a${' \t'.repeat(500_000)}b`,
      `a; x="${'\\a'.repeat(500_000)}`,
      `a;${' '.repeat(1_000_000)}`,
    ]) {
      expect(parseExtensions(header)).toBeNull();
    }
  });
});

describe('an offer of permessage-deflate', () => {
  const agreed = (header: string, most = 15) => agree(parseExtensions(header) ?? [], most);

  test.each([
    ['permessage-deflate', 15, ANSWER],
    ['permessage-deflate; client_max_window_bits', 15, ANSWER],
    ['permessage-deflate; client_max_window_bits=8', 15, ANSWER],
    ['permessage-deflate; server_no_context_takeover; client_no_context_takeover', 15, ANSWER],
    ['permessage-deflate; server_max_window_bits=15', 15, `${ANSWER}; server_max_window_bits=15`],
    ['permessage-deflate; server_max_window_bits="9"', 9, `${ANSWER}; server_max_window_bits=9`],
    ['x-webkit-deflate-frame, permessage-deflate', 15, ANSWER],
    [
      'permessage-deflate; mode=fast, permessage-deflate; server_max_window_bits=10, permessage-deflate',
      10,
      `${ANSWER}; server_max_window_bits=10`,
    ],
    ['permessage-deflate; server_max_window_bits=8, permessage-deflate', 15, ANSWER],
  ])('%s is agreed to', (header, windowBits, answer) => {
    expect(agreed(header)).toEqual({ windowBits, answer });
  });

  test.each([
    ['permessage-deflate', 11],
    ['permessage-deflate; server_max_window_bits=13', 11],
    ['permessage-deflate; server_max_window_bits=10', 10],
  ])('%s meets a limit of 11', (header, windowBits) => {
    expect(agreed(header, 11)).toEqual({ windowBits, answer: `${ANSWER}; server_max_window_bits=${windowBits}` });
  });

  test.each([
    'permessage-bzip2',
    'PERMESSAGE-DEFLATE',
    'permessage-deflate; unknown',
    'permessage-deflate; server_no_context_takeover=1',
    'permessage-deflate; client_no_context_takeover=true',
    'permessage-deflate; server_no_context_takeover; server_no_context_takeover',
    'permessage-deflate; server_max_window_bits',
    'permessage-deflate; server_max_window_bits=7',
    'permessage-deflate; server_max_window_bits=8',
    'permessage-deflate; server_max_window_bits=16',
    'permessage-deflate; server_max_window_bits=09',
    'permessage-deflate; server_max_window_bits=1e1',
    'permessage-deflate; client_max_window_bits=16',
    'permessage-deflate; client_max_window_bits=7',
    'permessage-deflate; client_max_window_bits=10; client_max_window_bits=10',
  ])('%s is passed over', (header) => expect(agreed(header)).toBeNull());
});
