import { describe, expect, test } from 'vitest';
import { cut, durationText, printable, sizeText, widthOf } from '../../../src/cli/screens/text.js';

test.each([
  [0, '0B'],
  [1024, '1024B'],
  [1025, '1.0KB'],
  [1536, '1.5KB'],
  [1_048_576, '1024.0KB'],
  [1_048_577, '1.0MB'],
  [57_000_000, '54.4MB'],
  [9_876_543_210, '9.2GB'],
  [2 ** 41, '2.0TB'],
  [2 ** 53, '8192.0TB'],
])('%d bytes are %s', (bytes, text) => {
  expect(sizeText(bytes)).toBe(text);
});

test.each([
  [-5, '0 seconds'],
  [999, '0 seconds'],
  [1000, '1 second'],
  [61_000, '1 minute 1 second'],
  [3_600_000, '1 hour 0 minutes'],
  [86_400_000 * 3 + 3_600_000 * 4 + 59_000, '3 days 4 hours'],
])('%d milliseconds are %s', (milliseconds, text) => {
  expect(durationText(milliseconds)).toBe(text);
});

describe('a text that somebody else chose', () => {
  test.each([
    ['\x1b[31mred\x07', '\ufffd[31mred\ufffd'],
    ['two\r\nlines\u2028', 'two\ufffd\ufffdlines\ufffd'],
    ['\u202eturned round', '\ufffdturned round'],
    ['\x9b31m', '\ufffd31m'],
    ['half a pair \ud800', 'half a pair \ufffd'],
    ['Zähler 計数器 🚀', 'Zähler 計数器 🚀'],
  ])('%j is printed as %j', (text, printed) => {
    expect(printable(text)).toBe(printed);
  });

  test.each([
    ['Zähler', 6],
    ['Za\u0308hler', 6],
    ['計数器', 6],
    ['ワーカー', 8],
    ['ﾜｰｶｰ', 4],
    ['워커', 4],
    ['🚀!', 3],
    ['（）', 4],
    ['', 0],
  ])('%j takes %d places', (text, places) => {
    expect(widthOf(text)).toBe(places);
  });

  test.each([
    ['exactly', 7, 'exactly'],
    ['one more', 7, 'one mo…'],
    ['計数器', 6, '計数器'],
    ['計数器', 5, '計数…'],
    ['計数器', 4, '計…'],
  ])('%j in %d places is %j', (text, places, kept) => {
    expect(cut(text, places)).toBe(kept);
    expect(widthOf(kept)).toBeLessThanOrEqual(places);
  });
});
