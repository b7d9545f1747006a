import { expect, it } from 'vitest';
import { Register } from '../../src/cluster/register/mod.js';
import { eventually } from '../support/eventually.js';
import { passSeconds } from '../support/pass-seconds.js';
import { RecordingLogger } from '../support/recording-logger.js';
import { TcpClient } from '../support/tcp-client.js';

const PING = '{"event":"ping"}\n';

it('strangers that ping a Register and never show the key are sent away after 10 seconds, once each, and members stay', async () => {
  const register = new Register('text://127.0.0.1:0', { secretKey: 'k', maxConnections: 3 });
  const logger = new RecordingLogger();
  await register.start({ logger, single: true, generation: 0 });
  await using _stop = { [Symbol.asyncDispose]: () => register.stop() };
  await using member = await TcpClient.open(register.port);
  await using one = await TcpClient.open(register.port);
  // It keeps its end open: its place is taken until it is cut off, and it is told of once.
  await using other = await TcpClient.open(register.port, '127.0.0.1', true);
  member.write('{"event":"gateway_connect","address":"10.0.0.1:1","secret_key":"k"}\n');
  for (const client of [one, other]) client.write(PING);
  await eventually('what they say', () => register.figures().totalRequest === 3);
  passSeconds(5);
  one.write(PING);
  await eventually('one more ping', () => register.figures().totalRequest === 4);
  expect(register.figures()).toMatchObject({ connections: 3, dropped: {} });
  passSeconds(10);
  await one.untilClosed(5000);
  await eventually('the end of the other', () => other.ended, 5000);
  passSeconds(10);
  await eventually('the places', () => register.figures().connections === 1);
  expect(register.figures()).toMatchObject({ links: { up: 1 }, dropped: { protocolErrors: 2 } });
  expect(logger.warnings).toEqual(['a connection was refused: it did not join within 10 s']);
  expect(member.closed).toBe(false);
});

it('one that shows a wrong key is refused once, however long it takes to hang up', async () => {
  const register = new Register('text://127.0.0.1:0', { secretKey: 'k' });
  await register.start({ logger: new RecordingLogger(), single: true, generation: 0 });
  await using _stop = { [Symbol.asyncDispose]: () => register.stop() };
  await using client = await TcpClient.open(register.port, '127.0.0.1', true);
  client.write('{"event":"worker_connect","secret_key":"guess"}\n');
  await eventually('the refusal', () => client.ended);
  passSeconds(10);
  expect(register.figures().dropped).toEqual({ refused: 1 });
});
