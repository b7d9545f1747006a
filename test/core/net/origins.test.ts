import { describe, expect, it } from 'vitest';
import { originCheck, originsCheck } from '../../../src/core/net/origins.js';
import type { HandshakeRequest } from '../../../src/core/protocols/mod.js';

const request: HandshakeRequest = { method: 'GET', uri: '/', protocol: 'HTTP/1.1', headers: {} };

describe('a list of origins', () => {
  const check = originCheck(['https://example.org', 'https://*.Example.com', 'http://localhost:8080', 'null']);

  it.each(['https://example.org', 'https://chat.example.com', 'http://localhost:8080', 'null', undefined])(
    'lets in %s',
    (origin) => {
      expect(check(origin, request)).toBe(true);
    },
  );

  it.each([
    'http://example.org',
    'https://example.org:8443',
    'https://example.org.evil.net',
    'https://evil.example.org',
    'https://example.com',
    'https://a.b.example.com',
    'https://evilexample.com',
    'https://.example.com',
    'https://evil.net/.example.com',
    'http://localhost',
    'https://example.org,https://evil.net',
    '',
  ])('keeps out %j', (origin) => {
    expect(check(origin, request)).toBe(false);
  });

  it.each([
    [[]],
    [['https://example.org']],
    [['https://*.example.org']],
    [['null', 'capacitor://localhost']],
    [/x/],
    [() => true],
  ])('may be %j', (origins) => {
    expect(originsCheck(origins)).toBeUndefined();
  });

  it.each([
    'https://example.org',
    ['example.org'],
    ['https://example.org/'],
    ['https://example.org/chat'],
    ['https://example.org:443'],
    ['https://a.*.example.org'],
    ['*'],
    ['https://*'],
    [7],
    {},
  ])('may not be %j', (origins) => {
    expect(originsCheck(origins)).toContain('a list of origins');
  });
});

describe('an expression', () => {
  it('has to match the whole origin, each time', () => {
    const check = originCheck(/https:\/\/(a|ab)\.example\.org/gy);
    for (let count = 0; count < 2; count++) {
      expect(check('https://ab.example.org', request)).toBe(true);
      expect(check('https://a.example.org.evil.net', request)).toBe(false);
      expect(check('https://evil.net/?https://a.example.org', request)).toBe(false);
    }
    expect(check(undefined, request)).toBe(true);
  });

  it('keeps its other flags', () => {
    expect(originCheck(/https:\/\/EXAMPLE\.org/i)('https://example.org', request)).toBe(true);
  });
});

describe('a function', () => {
  it('decides about everything, also about requests without an origin', () => {
    const seen: unknown[] = [];
    const check = originCheck((origin, { uri }) => {
      seen.push([origin, uri]);
      return origin !== undefined;
    });
    expect([check(undefined, request), check('x', request)]).toEqual([false, true]);
    expect(seen).toEqual([
      [undefined, '/'],
      ['x', '/'],
    ]);
  });
});
