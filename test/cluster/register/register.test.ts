import { Buffer } from 'node:buffer';
import { describe, expect, it } from 'vitest';
import { Register, type RegisterOptions } from '../../../src/cluster/register/mod.js';
import { deadlines } from '../../../src/core/timers/mod.js';
import { eventually } from '../../support/eventually.js';
import { passSeconds } from '../../support/pass-seconds.js';
import { RecordingLogger } from '../../support/recording-logger.js';
import { TcpClient } from '../../support/tcp-client.js';
import { hex, vectors } from '../protocol/support.js';

interface Received {
  readonly connection: string;
  readonly line?: { readonly text: string };
  readonly json?: { readonly event: string; readonly addresses: unknown };
  readonly closed?: true;
}

interface Step {
  readonly connection: string;
  readonly do: 'open' | 'send' | 'close' | 'wait';
  readonly hex?: string;
  readonly seconds?: number;
  readonly closed_after_seconds?: number;
  readonly received: readonly Received[];
}

interface Script {
  readonly name: string;
  readonly kind: string;
  readonly secret_key: string;
  readonly expected: Step[];
}

/** Long enough for a line that should not come to come. */
const QUIET_MS = 40;

async function startRegister(options: Partial<RegisterOptions> = {}) {
  const register = new Register('text://127.0.0.1:0', options);
  const logger = new RecordingLogger();
  await register.start({ logger, single: true, generation: 0 });
  return { register, logger, port: register.port, [Symbol.asyncDispose]: () => register.stop() };
}

/** What the last step does here, where the original does what it should not. */
const NOT_COPIED: Readonly<Record<string, readonly Received[]>> = {
  // By an accident of PHP's comparison `true` is taken for gateway_connect; here it is an event that nobody knows.
  'event-true': [{ connection: 'x', closed: true }],
  // There any line ends the 10 seconds, so that strangers can take every place; here only joining does.
  'ping-first': [{ connection: 'x', closed: true }],
};

describe('a Register', () => {
  const scripts = vectors<Script>('register')
    .filter(({ kind }) => kind === 'server')
    .map((script) => ({ ...script, expected: corrected(script) }));

  it('has all the recorded scripts', () => expect(scripts).toHaveLength(50));

  it.concurrent.each(scripts)('answers as recorded: $name', async ({ name, secret_key: secretKey, expected }) => {
    await using running = await startRegister({ secretKey });
    const connections = new Map<string, TcpClient>();
    const seen = new Map<string, number>();
    for (const [index, step] of expected.entries()) {
      const at = `step ${index}`;
      const began = performance.now();
      if (step.do === 'open') connections.set(step.connection, await TcpClient.open(running.port));
      const client = connections.get(step.connection) as TcpClient;
      if (step.do === 'send') client.write(hex(step.hex ?? ''));
      if (step.do === 'close') client.socket.destroy();
      const lines = step.received.filter(({ line }) => line !== undefined);
      for (const { connection, line, json } of lines) {
        const from = connections.get(connection) as TcpClient;
        const number = seen.get(connection) ?? 0;
        seen.set(connection, number + 1);
        const text = await eventually(`${at}: a line`, () => from.lines[number]);
        // Of a list with holes PHP makes an object, and it keeps a number a number: receivers take the values as texts.
        // The words of an explanation are ours; that there is one line of it, and no JSON, is not.
        if (json === undefined || json === null) expect(() => JSON.parse(text), at).toThrow();
        else if (Array.isArray(json.addresses) && name !== 'gateway-number-address')
          expect(`${text}\n`, at).toBe(line?.text);
        else expect(JSON.parse(text).addresses, at).toEqual(Object.values(json.addresses as object).map(String));
      }
      for (const { connection } of step.received.filter(({ closed }) => closed)) {
        await connections.get(connection)?.untilClosed();
        const { closed_after_seconds: seconds } = step;
        const took = (performance.now() - began) / 1000;
        if (seconds !== undefined) expect(Math.abs(took - 10), `${took} s`).toBeLessThan(2.5);
      }
      const gone = step.received.some(({ closed }) => closed);
      const wait = step.do === 'wait' && !gone ? (step.seconds ?? 0) * 1000 : QUIET_MS;
      await new Promise((resolve) => setTimeout(resolve, wait));
      for (const [who, each] of connections) expect(each.lines.length, `${at}: ${who}`).toBe(seen.get(who) ?? 0);
      for (const [who, each] of connections) {
        const closed = expected.slice(0, index + 1).some(({ received, ...own }) => {
          return (
            (own.do === 'close' && own.connection === who) || received.some((r) => r.connection === who && r.closed)
          );
        });
        expect(each.closed, `${at}: ${who} closed`).toBe(closed);
      }
    }
    for (const client of connections.values()) client.socket.destroy();
  });

  it('forgets a gateway that it sends away, also while that one keeps its end open', async () => {
    await using running = await startRegister();
    await using worker = await TcpClient.open(running.port);
    worker.write('{"event":"worker_connect"}\n');
    await using gateway = await TcpClient.open(running.port, '127.0.0.1', true);
    gateway.write('{"event":"gateway_connect","address":"10.0.0.1:1"}\n');
    await eventually('the address', () => worker.lines.at(-1)?.includes('10.0.0.1:1'));
    const began = performance.now();
    gateway.write('{"event":"explode"}\n');
    await eventually('the empty list', () => worker.lines.length === 3);
    expect(worker.lines.at(-1)).toContain('"addresses":[]');
    expect(performance.now() - began).toBeLessThan(900);
  });

  it('takes a line of exactly its limit, and not one byte more', async () => {
    const line = '{"event":"worker_connect"}';
    await using running = await startRegister({ maxPackageSize: line.length + 1 });
    await using right = await TcpClient.open(running.port);
    right.write(`${line}\n`);
    await eventually('the answer', () => right.lines.length === 1);
    await using long = await TcpClient.open(running.port);
    long.write(`${line} \n`);
    await long.untilClosed();
    expect(long.text).toBe('');
    await using endless = await TcpClient.open(running.port);
    endless.write(`${line}   `);
    await endless.untilClosed();
  });

  it('says a reason once, not once for each connection, and never the secret', async () => {
    await using running = await startRegister({ secretKey: 'hush-hush' });
    for (let round = 0; round < 5; round++) {
      await using client = await TcpClient.open(running.port);
      client.write('{"event":"worker_connect","secret_key":"guess-it"}\n');
      await client.untilClosed();
    }
    expect(running.logger.warnings).toEqual(['a connection was refused: wrong secretKey']);
    expect(JSON.stringify(running.logger.entries)).not.toMatch(/hush-hush|guess-it/);
    expect(running.register.counters.protocolErrors).toBe(5);
  });

  it('says how many have joined, and what it refused by reason', async () => {
    await using running = await startRegister({ secretKey: 'key' });
    const { register } = running;
    await using gateway = await TcpClient.open(running.port);
    await using worker = await TcpClient.open(running.port);
    gateway.write('{"event":"gateway_connect","address":"10.0.0.1:1","secret_key":"key"}\n');
    worker.write('{"event":"worker_connect","secret_key":"key"}\n');
    for (const line of ['{"event":"worker_connect"}', 'garbage', '{"event":"explode"}']) {
      await using client = await TcpClient.open(running.port);
      client.write(`${line}\n`);
      await client.untilClosed();
    }
    await eventually('both', () => register.figures().links?.up === 2 && register.figures().connections === 2);
    expect(register.figures()).toEqual({
      connections: 2,
      sendFail: 0,
      totalRequest: 4,
      queuedBytes: 0,
      links: { up: 2, down: 0 },
      dropped: { refused: 1, protocolErrors: 2 },
    });
    const ports = [...register.openConnections()].map(({ remotePort }) => remotePort);
    expect(ports).toEqual([gateway.socket.localPort, worker.socket.localPort]);
  });

  it('takes a gateway that has pinged and says nothing any more for gone, and none that never pinged', async () => {
    await using running = await startRegister({ peerTimeout: 30 });
    await using pings = await TcpClient.open(running.port);
    await using quiet = await TcpClient.open(running.port);
    await using worker = await TcpClient.open(running.port);
    quiet.write('{"event":"gateway_connect","address":"10.0.0.1:1"}\n');
    pings.write('{"event":"gateway_connect","address":"10.0.0.2:1"}\n{"event":"ping"}\n');
    await eventually('both', () => running.register.figures().links?.up === 2);
    worker.write('{"event":"worker_connect"}\n');
    await eventually('the list', () => worker.lines.length === 1);
    passSeconds(20);
    expect(running.register.figures().dropped).toEqual({});
    passSeconds(30);
    await pings.untilClosed();
    await eventually('the worker to be told', () => worker.lines.at(-1)?.includes('"10.0.0.2:1"') === false);
    expect(worker.lines.at(-1)).toContain('"10.0.0.1:1"');
    expect(running.register.figures()).toMatchObject({ links: { up: 2 }, dropped: { silentPeers: 1 } });
    expect(running.logger.warnings).toEqual(['who has pinged says nothing any more for 30 s; the connection is ended']);
  });

  it('with a peerTimeout of 0 waits for ever', async () => {
    await using running = await startRegister({ peerTimeout: 0 });
    await using pings = await TcpClient.open(running.port);
    pings.write('{"event":"gateway_connect","address":"10.0.0.1:1"}\n{"event":"ping"}\n');
    await eventually('the ping', () => running.register.figures().totalRequest === 2);
    expect(deadlines.size).toBe(0);
  });

  it.each([
    ['an HTTP request', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
    ['random bytes with a line end', Buffer.from([0, 255, 7, 130, 10])],
  ])('sends %s away at once', async (_what, bytes) => {
    await using running = await startRegister();
    await using client = await TcpClient.open(running.port);
    client.write(bytes);
    await client.untilClosed(3000);
  });

  it('closes every connection when it stops, and listens no more', async () => {
    const running = await startRegister();
    await using client = await TcpClient.open(running.port);
    client.write('{"event":"worker_connect"}\n');
    await eventually('the answer', () => client.lines.length === 1);
    await running.register.stop();
    await client.untilClosed();
    await using late = new TcpClient(running.port);
    await late.untilClosed();
    expect(late.text).toBe('');
  });
});

function corrected({ name, expected }: Script): Step[] {
  const received = NOT_COPIED[name];
  return received === undefined ? expected : expected.with(-1, { ...(expected.at(-1) as Step), received });
}

describe('the limits of a Register', () => {
  it('are on connections, and on the length of a line', async () => {
    await using running = await startRegister({ maxConnections: 1, maxPackageSize: 100 });
    await using first = await TcpClient.open(running.port);
    await eventually('the first', () => running.register.figures().connections === 1);
    await using second = await TcpClient.open(running.port);
    await second.untilClosed();
    expect(running.register.figures().dropped).toEqual({ tooManyConnections: 1 });
    first.write('x'.repeat(101));
    await first.untilClosed();
    expect(running.register.figures().dropped).toEqual({ tooManyConnections: 1, protocolErrors: 1 });
    await eventually('its place to be free', () => running.register.figures().connections === 0);
    await using _third = await TcpClient.open(running.port);
    await eventually('the third', () => running.register.figures().connections === 1);
  });
});
