import { expect, test } from 'vitest';
import {
  decodeClientId,
  encodeClientId,
  ipToNumber,
  isClientId,
  numberToIp,
} from '../../../src/cluster/protocol/mod.js';
import { hex, vectors } from './support.js';

interface IdVector {
  name: string;
  op: 'encode' | 'decode' | 'ip2long';
  input: { hex?: string; text?: string; local_ip: number; local_port: number; connection_id: number };
  expected: {
    client_id: string;
    lib: { local_ip: number; local_port: number; connection_id: number; address: string; returns?: false };
    php_warnings: string[];
    ip2long: number | false;
    as_seen_by_the_worker: string;
  };
}

const ids = vectors<IdVector>('client-id');

test('there are 40 samples to compare with', () => {
  const count = (wanted: IdVector['op']) => ids.filter(({ op }) => op === wanted).length;
  expect([ids.length, count('encode'), count('decode'), count('ip2long')]).toEqual([40, 13, 16, 11]);
});

test.each(ids.filter(({ op }) => op === 'encode'))('$name is the id that PHP makes', ({ input, expected }) => {
  const { local_ip: localIp, local_port: localPort, connection_id: connectionId } = input;
  expect(encodeClientId(localIp, localPort, connectionId)).toBe(expected.client_id);
  // What does not fit its field was cut.
  const parts = { localIp, localPort: localPort % 2 ** 16, connectionId: connectionId % 2 ** 32 };
  expect(decodeClientId(expected.client_id)).toEqual(parts);
});

test.each(ids.filter(({ op }) => op === 'decode'))(
  '$name is understood as PHP does, or refused',
  ({ input, expected }) => {
    const id = hex(input.hex ?? '').toString();
    const parts = decodeClientId(id);
    // PHP takes what is no hex digit for 0 and warns; we refuse it.
    if (expected.lib.returns === false || expected.php_warnings.length > 0) {
      expect(parts).toBeUndefined();
      expect(isClientId(id)).toBe(false);
    } else {
      const { local_ip: localIp, local_port: localPort, connection_id: connectionId, address } = expected.lib;
      expect(parts).toEqual({ localIp, localPort, connectionId });
      expect(isClientId(id)).toBe(true);
      expect(`${numberToIp(localIp)}:${localPort}`).toBe(address);
      expect(encodeClientId(localIp, localPort, connectionId)).toBe(id.toLowerCase());
    }
  },
);

test.each(ids.filter(({ op }) => op === 'ip2long'))('$name is the number that PHP makes', ({ input, expected }) => {
  expect(ipToNumber(input.text ?? '') ?? false).toBe(expected.ip2long);
  if (expected.ip2long !== false) expect(numberToIp(expected.ip2long)).toBe(expected.as_seen_by_the_worker);
});

test('an id of another gateway is not mixed up with the last one', () => {
  expect(encodeClientId(1, 2, 3)).toBe('00000001000200000003');
  expect(encodeClientId(1, 3, 3)).toBe('00000001000300000003');
  expect(encodeClientId(2, 3, 3)).toBe('00000002000300000003');
  expect(encodeClientId(2, 3, 0xdeadbeef)).toBe('000000020003deadbeef');
});

test('only a string is a client id', () => {
  for (const value of [undefined, null, 1234567890, ['7f0000010b5400000001'], {}]) {
    expect(isClientId(value)).toBe(false);
  }
});

test('what is no dotted quad has no number', () => {
  const others = [
    '1.2.3.',
    '.1.2.3',
    '1..2.3',
    '1.2.3.4 ',
    ' 1.2.3.4',
    '1.2.3.4\n',
    '1.2.3.-4',
    '01.2.3.4',
    '1.2.3.00',
  ];
  others.push('1.2.3.1000', '1.2.3.4.', '1.2.3.٣', '0x1.2.3.4', '1e1.2.3.4', '::ffff:1.2.3.4');
  for (const text of others) expect(ipToNumber(text)).toBeUndefined();
  expect(ipToNumber('0.10.100.200')).toBe(0x000a64c8);
});
