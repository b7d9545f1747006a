import { expect, test } from 'vitest';
import { connectionsScreen } from '../../../src/cli/screens/connections.js';
import type { ConnectionRow } from '../../../src/core/process/mod.js';

function row(given: Partial<ConnectionRow> = {}): ConnectionRow {
  return {
    pid: 4711,
    worker: 'ChatGateway',
    id: 1,
    transport: 'tcp',
    protocol: 'websocket',
    ipv6: false,
    receiveQueue: 0,
    sendQueue: 0,
    bytesRead: 0,
    bytesWritten: 0,
    status: 'established',
    localAddress: '127.0.0.1:8282',
    foreignAddress: '127.0.0.1:50000',
    ...given,
  };
}

test('the screen of connections shows one a line, numbers below each other at their ends', () => {
  const screen = connectionsScreen([
    row({ sendQueue: 1025, bytesRead: 123_456, bytesWritten: 9_876_543_210 }),
    row({
      id: 123_456,
      transport: 'ssl',
      ipv6: true,
      localAddress: '[::]:8282',
      foreignAddress: '[2001:db8::1]:50001',
      status: 'closing',
    }),
    row({ pid: 99, worker: 'チャット', protocol: 'link', localAddress: '127.0.0.1:2900', status: 'connecting' }),
  ]);
  expect(`\n${screen}`).toBe(`
--------------------------------------------------------------- CONNECTIONS ---------------------------------------------------------------
 PID  Worker          CID  Trans  Protocol   ipv4  ipv6  Recv-Q  Send-Q  Bytes-R  Bytes-W  Status       Local Address   Foreign Address
4711  ChatGateway       1  tcp    websocket  1     0         0B   1.0KB  120.6KB    9.2GB  ESTABLISHED  127.0.0.1:8282  127.0.0.1:50000
4711  ChatGateway  123456  ssl    websocket  0     1         0B      0B       0B       0B  CLOSING      [::]:8282       [2001:db8::1]:50001
  99  チャット          1  tcp    link       1     0         0B      0B       0B       0B  CONNECTING   127.0.0.1:2900  127.0.0.1:50000
-------------------------------------------------------------------------------------------------------------------------------------------
3 connections`);
});

test('it shows that there is none', () => {
  expect(connectionsScreen([]).split('\n').slice(1)).toEqual([
    'PID  Worker  CID  Trans  Protocol  ipv4  ipv6  Recv-Q  Send-Q  Bytes-R  Bytes-W  Status  Local Address  Foreign Address',
    '-'.repeat(119),
    '0 connections',
  ]);
});

test('it cuts names that are too long, and prints nothing that is no character', () => {
  const screen = connectionsScreen([row({ worker: `\x1b[2J${'w'.repeat(200)}` }), row()]);
  const lines = screen.split('\n');
  expect(lines[2]).toContain(`\ufffd[2J${'w'.repeat(43)}…  `);
  expect(screen).not.toContain('\x1b');
  expect(lines[2]?.indexOf('ESTABLISHED')).toBe(lines[3]?.indexOf('ESTABLISHED'));
});
