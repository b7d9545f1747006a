import { expect, test } from 'vitest';
import { type Line, parseLine } from '../public/lines.js';

const ID = '7f0000010b5400001f3a';

test.each<[string, Line]>([
  [`Hello ${ID}`, { kind: 'hello', id: ID }],
  [`${ID} login`, { kind: 'login', id: ID }],
  [`${ID} logout`, { kind: 'logout', id: ID }],
  [`${ID} said good morning`, { kind: 'said', id: ID, text: 'good morning' }],
])('reads the plain line %j', (text, line) => {
  expect(parseLine(text)).toEqual(line);
});

test('keeps what was said as it was written', () => {
  for (const text of [
    '',
    ' ',
    '  two spaces',
    'said said',
    `${ID} logout`,
    '{"type":"roster"}',
    'a\nb',
    'Hello world',
  ]) {
    expect(parseLine(`${ID} said ${text}`)).toEqual({ kind: 'said', id: ID, text });
  }
});

test('takes a line of no known shape for text', () => {
  const short = ID.slice(1);
  for (const text of [
    '',
    'Hello',
    'Hello world',
    `Hello ${short}`,
    `Hello ${ID} `,
    `Hello ${ID}\n`,
    `${ID.toUpperCase()} login`,
    `${short} login`,
    `0${ID} login`,
    `${ID} login now`,
    `${ID} said`,
    `${ID}`,
    'The server restarts at noon.',
    '{ not json',
    '{"type":"roster"',
    '[1]',
  ]) {
    expect(parseLine(text)).toEqual({ kind: 'other', text });
  }
});

test('reads the roster, with and without names', () => {
  const clients = [
    { id: ID, name: 'Ann', kind: 'web' },
    { id: '00000000000000000001', name: null, kind: 'text' },
    { id: '00000000000000000002', kind: 'text' },
    { id: '00000000000000000003', name: '  ', kind: 'web' },
  ];
  expect(parseLine(JSON.stringify({ type: 'roster', clients }))).toEqual({
    kind: 'roster',
    clients: [
      { id: ID, name: 'Ann', clientKind: 'web' },
      { id: '00000000000000000001', name: null, clientKind: 'text' },
      { id: '00000000000000000002', name: null, clientKind: 'text' },
      { id: '00000000000000000003', name: null, clientKind: 'web' },
    ],
  });
});

test('leaves out of the roster what is no client', () => {
  const clients = [null, 7, 'x', {}, { id: 7 }, { id: 'short' }, { id: ID, name: 7, kind: 'robot' }];
  expect(parseLine(JSON.stringify({ type: 'roster', clients }))).toEqual({
    kind: 'roster',
    clients: [{ id: ID, name: null, clientKind: 'text' }],
  });
});

test('reads who joined and who changed the name', () => {
  expect(parseLine(`{"type":"joined","id":"${ID}","name":"Ann","kind":"web"}`)).toEqual({
    kind: 'joined',
    id: ID,
    name: 'Ann',
    clientKind: 'web',
  });
  expect(parseLine(`{"type":"renamed","id":"${ID}","name":"Bo"}`)).toEqual({ kind: 'renamed', id: ID, name: 'Bo' });
});

test('ignores objects it does not know, or that lack what they need', () => {
  for (const text of [
    '{}',
    '{"type":7}',
    '{"type":"typing","id":"x"}',
    '{"type":"constructor"}',
    '{"type":"roster"}',
    '{"type":"roster","clients":{}}',
    '{"type":"joined","name":"Ann"}',
    '{"type":"joined","id":"XYZ"}',
    '{"type":"renamed","name":"Ann"}',
  ]) {
    expect(parseLine(text)).toEqual({ kind: 'ignored' });
  }
});
