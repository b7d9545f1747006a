import { describe, expect, test } from 'vitest';
import {
  broadcastAddressesLine,
  gatewayConnectLine,
  parseRegisterLine,
  pingLine,
  workerConnectLine,
} from '../../../src/cluster/protocol/mod.js';
import { type Bytes, hex, mutated, randomOf, vectors } from './support.js';

interface Received {
  connection: string;
  line?: Bytes;
  closed?: boolean;
}

interface Step {
  connection?: string;
  do?: string;
  hex?: string;
  received?: Received[];
  line?: Bytes;
}

interface RegisterVector {
  name: string;
  kind: 'server' | 'peer' | 'consumer' | 'client';
  secret_key?: string;
  expected: Step[] | { joins?: string[]; client_sends?: Bytes; returns?: { v: [unknown, { v: string }][] } };
  register_sends?: unknown;
}

const all = vectors<RegisterVector>('register');
const steps = all.flatMap((vector) => (Array.isArray(vector.expected) ? vector.expected : []));
const broadcasts = steps
  .flatMap(({ received = [] }) => received)
  .flatMap(({ line }) => (line === undefined ? [] : [textOf(line)]));
const peers = all.filter(({ kind }) => kind === 'peer');
const clients = all.filter(({ kind }) => kind === 'client');
const sent = steps.flatMap((step) => (step.do === 'send' && step.hex !== undefined ? [hex(step.hex).toString()] : []));

test('there are 72 scripts to compare with', () => {
  expect([all.length, peers.length, clients.length]).toEqual([72, 8, 5]);
});

describe('what is written', () => {
  test('joins are what PHP peers write, byte for byte, where that is JSON', () => {
    for (const { expected, secret_key: key = '' } of peers) {
      for (const { line } of expected as Step[]) {
        const text = textOf(line as Bytes);
        const message = parseRegisterLine(text);
        if ('fault' in message) {
          // PHP pastes a key with a quote in unescaped. Ours can be read.
          expect(key).toContain('"');
          expect(parseRegisterLine(workerConnectLine(key))).toMatchObject({ event: 'worker_connect', secretKey: key });
        } else if (message.event === 'gateway_connect') {
          expect(gatewayConnectLine(message.address, key)).toBe(text);
        } else {
          expect(message.event === 'ping' ? pingLine() : workerConnectLine(key)).toBe(text);
        }
      }
    }
    for (const { expected } of clients) {
      const { client_sends: line } = expected as { client_sends: Bytes };
      expect(workerConnectLine('')).toBe(textOf(line));
    }
  });

  test('broadcasts are what the PHP Register writes, byte for byte, where they are lists of texts', () => {
    let same = 0;
    for (const text of broadcasts) {
      if (!text.startsWith('{')) continue;
      const message = parseRegisterLine(text);
      if ('fault' in message || message.event !== 'broadcast_addresses') throw new Error(text);
      const { addresses } = message.fields;
      const given = Object.values(addresses as object);
      expect(message.addresses).toEqual(given.map(String));
      // A list with holes and a number for an address are accidents of PHP's; ours is the list of texts.
      if (!Array.isArray(addresses) || given.some((address) => typeof address !== 'string')) {
        expect(parseRegisterLine(broadcastAddressesLine(message.addresses))).toMatchObject({
          addresses: message.addresses,
        });
        continue;
      }
      expect(broadcastAddressesLine(message.addresses)).toBe(text);
      same++;
    }
    expect(same).toBeGreaterThan(40);
  });

  test('an empty list is [], other letters are escaped', () => {
    expect(broadcastAddressesLine([])).toBe('{"event":"broadcast_addresses","addresses":[]}\n');
    expect(broadcastAddressesLine(['a/你"🎈'])).toBe(
      '{"event":"broadcast_addresses","addresses":["a\\/\\u4f60\\"\\ud83c\\udf88"]}\n',
    );
  });

  test('keys are escaped, and what our own peers add comes behind', () => {
    const key = 'se"k\\ret\n你';
    const line = gatewayConnectLine('127.0.0.1:2900', key, { extensions: ['ack'], weight: 2 });
    expect(line.endsWith(',"extensions":["ack"],"weight":2}\n')).toBe(true);
    expect(parseRegisterLine(line)).toMatchObject({
      event: 'gateway_connect',
      address: '127.0.0.1:2900',
      secretKey: key,
      fields: { extensions: ['ack'], weight: 2 },
    });
    expect(parseRegisterLine(workerConnectLine(key, { a: 1 }))).toMatchObject({ secretKey: key, fields: { a: 1 } });
  });
});

describe('what is read', () => {
  test('CR and LF at the end, blanks and the order of fields do not matter', () => {
    for (const end of ['', '\n', '\r\n', '\r\n\r\n']) {
      expect(parseRegisterLine(`{ "secret_key" : "k",\t"event":"worker_connect" }${end}`)).toMatchObject({
        event: 'worker_connect',
        secretKey: 'k',
      });
    }
  });

  test('a missing key or null is the empty key; a number or true is none', () => {
    const secretKeyOf = (field: string) => {
      const message = parseRegisterLine(`{"event":"worker_connect"${field}}`);
      return 'secretKey' in message ? message.secretKey : message;
    };
    expect(['', ',"secret_key":null', ',"secret_key":""'].map(secretKeyOf)).toEqual(['', '', '']);
    expect([',"secret_key":0', ',"secret_key":true', ',"secret_key":[]'].map(secretKeyOf)).toEqual([null, null, null]);
  });

  test('the event decides between an explanation and a silent close', () => {
    const faults = (lines: string[]) => lines.map((line) => (parseRegisterLine(line) as { fault?: string }).fault);
    const malformed = ['', '\n', 'x', '[]', '5', '"ping"', 'null', '{}', '{"a":1}', '{"event":""}', '{"event":"0"}'];
    malformed.push(
      '{"event":0}',
      '{"event":null}',
      '{"event":false}',
      '{"event":[]}',
      '{"event":{}}',
      '{"event":"ping"',
    );
    expect(new Set(faults(malformed))).toEqual(new Set(['malformed']));
    const unknown = ['{"event":true}', '{"event":true,"address":"10.0.0.7:7"}', '{"event":["worker_connect"]}'];
    unknown.push('{"event":"Worker_Connect"}', '{"event":"other"}', '{"event":1}', '{"event":"__proto__"}');
    expect(new Set(faults(unknown))).toEqual(new Set(['unknown_event']));
    const noAddress = ['{"event":"gateway_connect"}', '{"event":"gateway_connect","address":""}'];
    noAddress.push('{"event":"gateway_connect","address":"0"}', '{"event":"gateway_connect","address":["x"]}');
    noAddress.push('{"event":"broadcast_addresses"}', '{"event":"broadcast_addresses","addresses":"x"}');
    expect(new Set(faults(noAddress))).toEqual(new Set(['no_address']));
  });

  test('what a PHP Register closes at once is a fault or a wrong key, everything else is understood', () => {
    for (const vector of all.filter(({ kind }) => kind === 'server')) {
      for (const step of vector.expected as Step[]) {
        const text = step.do === 'send' && step.hex !== undefined ? hex(step.hex).toString() : undefined;
        if (text === undefined || text.indexOf('\n') !== text.length - 1) continue;
        const closed = (step.received ?? []).some((event) => event.connection === step.connection && event.closed);
        const message = parseRegisterLine(text);
        const refused =
          'fault' in message || ('secretKey' in message && message.secretKey !== (vector.secret_key ?? ''));
        // We do not take true for an event. Half a line in front of this one is not seen here.
        if (text.includes('"event":true') || !text.startsWith('{')) continue;
        expect([vector.name, text, refused]).toEqual([vector.name, text, closed]);
      }
    }
  });

  test('addresses may come as an object with holes and with duplicates: the values count, once', () => {
    const addressesOf = (json: string) => parseRegisterLine(`{"event":"broadcast_addresses","addresses":${json}}`);
    expect(addressesOf('{"0":"a:1","2":"b:2"}')).toMatchObject({ addresses: ['a:1', 'b:2'] });
    expect(addressesOf('["a:1","b:2","a:1",5,null,["c"]]')).toMatchObject({ addresses: ['a:1', 'b:2', '5'] });
    expect(addressesOf('[]')).toMatchObject({ addresses: [] });
    expect(addressesOf('{"__proto__":"a:1"}')).toMatchObject({ addresses: ['a:1'] });
  });

  test('what a GatewayClient makes of the answer is what comes out here', () => {
    for (const { expected, register_sends: answer } of clients) {
      const { returns } = expected as { returns?: { v: [unknown, { v: string }][] } };
      if (returns === undefined) continue;
      const message = parseRegisterLine(firstLine(answer));
      expect(message).toMatchObject({ addresses: returns.v.map(([, address]) => address.v) });
    }
  });

  test('mutated lines give a message or a fault', () => {
    const random = randomOf(3);
    const lines = [...sent, ...broadcasts].filter((line) => line.length < 1000);
    for (let round = 0; round < 5000; round++) {
      const line = mutated(Buffer.from(lines[random(lines.length)]!), random).toString();
      const message = parseRegisterLine(line);
      expect('fault' in message || 'event' in message).toBe(true);
    }
    expect(parseRegisterLine('['.repeat(1_000_000))).toEqual({ fault: 'malformed' });
    expect(parseRegisterLine(`${'{"event":'.repeat(100_000)}1${'}'.repeat(100_000)}`)).toEqual({
      fault: 'unknown_event',
    });
  });
});

function textOf(bytes: Bytes): string {
  return hex(bytes.hex).toString();
}

/** What the register of a script says first, however the script puts it. */
function firstLine(answer: unknown): string {
  const found = JSON.stringify(answer).match(/"hex":"([0-9a-f]+)"/);
  if (found !== null) return hex(found[1]!).toString().split('\n')[0]!;
  return String(Array.isArray(answer) ? answer[0] : answer).split('\n')[0]!;
}
