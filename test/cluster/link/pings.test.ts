import { Buffer } from 'node:buffer';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { Command } from '../../../src/cluster/protocol/mod.js';
import { Register } from '../../../src/cluster/register/mod.js';
import { eventually } from '../../support/eventually.js';
import { MeshGateway, MeshWorker, PhpPeer } from '../../support/mesh.js';
import { MeshClient } from '../../support/mesh-client.js';
import { RawServer } from '../../support/raw-server.js';
import { RecordingLogger } from '../../support/recording-logger.js';
import { TcpClient } from '../../support/tcp-client.js';
import { hex, vectors } from '../protocol/support.js';

const PING_LINE = '{"event":"ping"}\n';
const AN_HOUR_MS = 3_600_000;

// The sockets are real, and so is the clock by which they and the tests wait: only the pings come by this one.
beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }));
afterEach(() => void vi.useRealTimers());

/** Who keeps a connection to a register: what begins one, and what ends it. */
const PEERS: Readonly<Record<string, (registerAddress: string) => Promise<() => Promise<void>>>> = {
  'a gateway': async (address) => {
    const gateway = await MeshGateway.start({ registerAddresses: [address] });
    return () => gateway.mesh.close();
  },
  'a worker': async (address) => {
    const worker = new MeshWorker([address]);
    return () => worker.mesh.close();
  },
  'a program that pushes': async (address) => {
    const client = new MeshClient([address]);
    return () => client.mesh.close();
  },
};

/** What a register gets behind the join line from a peer that lives for so long; until its connection has ended. */
async function saidWithin(milliseconds: number, who: string, name: string, host = name): Promise<string> {
  await using register = await RawServer.start(0, host);
  const close = await PEERS[who]?.(`${name}:${register.port}`);
  await eventually('its line', () => register.received.join('').endsWith('\n'));
  const join = register.received.splice(0).join('');
  expect(join.split('\n')).toHaveLength(2);
  vi.advanceTimersByTime(milliseconds);
  // What is due is handed over at the end of the turn.
  await new Promise((resolve) => setImmediate(resolve));
  await close?.();
  await eventually('its end', () => register.sockets.size === 0);
  return register.received.join('');
}

describe.each(Object.keys(PEERS))('%s', (who) => {
  it('pings a register on another host every 25 seconds', async () => {
    expect(await saidWithin(24_999, who, '127.0.0.2')).toBe('');
    expect(await saidWithin(25_000, who, '127.0.0.2')).toBe(PING_LINE);
    expect(await saidWithin(75_000, who, '127.0.0.2')).toBe(PING_LINE.repeat(3));
  });

  it('takes a register that is called localhost for one on another host, as the original does', async () => {
    expect(await saidWithin(25_000, who, 'localhost', '127.0.0.1')).toBe(PING_LINE);
  });

  it.each(['127.0.0.1', '127.0.0.11'])('never pings one whose address begins with 127.0.0.1: %s', async (host) => {
    expect(await saidWithin(AN_HOUR_MS, who, host)).toBe('');
  });

  it('pings again when it has come back', async () => {
    await using register = await RawServer.start(0, '127.0.0.2');
    const close = await PEERS[who]?.(register.address);
    onTestFinished(() => close?.());
    await eventually('its line', () => register.received.length === 1);
    for (const socket of register.sockets) socket.destroy();
    await eventually('its line again', () => register.received.length === 2);
    vi.advanceTimersByTime(25_000);
    await eventually('a ping', () => register.received.length === 3);
    expect(register.received[2]).toBe(PING_LINE);
  });
});

const recorded = vectors<{ name: string; hex: string }>('gateway-protocol').find(({ name }) => name === 'gateway-ping');
const PING = hex(recorded?.hex ?? '');

describe('a gateway', () => {
  /** Two workers and a program, at a gateway with this address; and what each has got in so long, in front of an event. */
  async function sentWithin(milliseconds: number, lanIp: string): Promise<readonly (readonly number[])[]> {
    await using gateway = await MeshGateway.start({ lanIp });
    await using one = new PhpPeer(gateway.port);
    await using two = new PhpPeer(gateway.port);
    await using program = new PhpPeer(gateway.port);
    one.join({ worker_key: 'php:0', secret_key: '' });
    two.join({ worker_key: 'php:1', secret_key: '' });
    program.command(Command.GATEWAY_CLIENT_CONNECT, 0, '', '{"secret_key":""}');
    await eventually('the workers', () => gateway.workers.size === 2);
    vi.advanceTimersByTime(milliseconds);
    for (const worker of gateway.workers.values()) gateway.event('the last', undefined, worker);
    program.command(Command.IS_ONLINE, 7);
    await eventually(
      'the last of all',
      () => [one, two].every(({ packets }) => packets.at(-1)?.body === 'the last') && program.answers.length > 0,
    );
    expect(program.answers).toEqual(['i:7;']);
    for (const { bytes } of [one, two]) {
      const pings = bytes.subarray(0, bytes.indexOf(Buffer.from('the last')) - PING.length);
      expect(pings).toEqual(Buffer.concat(Array(pings.length / PING.length).fill(PING)));
    }
    return [one, two].map(({ packets }) => packets.slice(0, -1).map(({ cmd }) => cmd));
  }

  it('with another address than 127.0.0.1 pings its workers every 25 seconds, with the recorded bytes, and nobody else', async () => {
    const { PING: cmd } = Command;
    expect(await sentWithin(24_999, '127.0.0.2')).toEqual([[], []]);
    expect(await sentWithin(25_000, '127.0.0.2')).toEqual([[cmd], [cmd]]);
    expect(await sentWithin(50_000, '127.0.0.2')).toEqual([
      [cmd, cmd],
      [cmd, cmd],
    ]);
  });

  it('at 127.0.0.1 pings nobody, and at any other address that begins so it does', async () => {
    expect(await sentWithin(AN_HOUR_MS, '127.0.0.1')).toEqual([[], []]);
    expect(await sentWithin(25_000, '127.0.0.11')).toEqual([[Command.PING], [Command.PING]]);
  });
});

describe('a worker', () => {
  it('takes a ping for no event, and the gateway its answer for no command', async () => {
    await using register = await RawServer.start();
    await using gateway = await MeshGateway.start({ lanIp: '127.0.0.2', listenIp: '127.0.0.2', workerTimeout: 0 });
    register.list([`127.0.0.2:${gateway.port}`]);
    await using worker = new MeshWorker([register.address]);
    await eventually('the link', () => gateway.workers.size === 1 && worker.live.length === 1);
    vi.advanceTimersByTime(AN_HOUR_MS);
    gateway.event('an event');
    await eventually('the event', () => worker.events.length > 0);
    expect(worker.events.map(({ body }) => body)).toEqual(['an event']);
    worker.send(Command.SEND_TO_ALL, 0, 'a command');
    await eventually('the command', () => gateway.commands.length > 0);
    expect(gateway.commands.map(({ body }) => body)).toEqual(['a command']);
  });

  it('that answers no ping for so long has its link ended, though nothing else is owed; one that answers has not', async () => {
    await using register = await RawServer.start();
    await using gateway = await MeshGateway.start({ lanIp: '127.0.0.2', listenIp: '0.0.0.0', workerTimeout: 40 });
    register.list([`127.0.0.2:${gateway.port}`]);
    await using _worker = new MeshWorker([register.address]);
    await using frozen = new PhpPeer(gateway.port);
    frozen.join({ worker_key: 'frozen:0', secret_key: '', extensions: ['acknowledgements'] });
    await using php = new PhpPeer(gateway.port);
    php.join({ worker_key: 'php:0', secret_key: '' });
    await eventually('all', () => gateway.workers.size === 3);
    const [answers] = [...gateway.workers.values()].filter(({ key }) => key.endsWith('worker:0'));
    const heard = () => (answers as unknown as { connection: { bytesRead: number } }).connection.bytesRead;
    const before = heard();
    vi.advanceTimersByTime(25_000);
    await eventually('an answer', () => heard() > before);
    // The link of the frozen one ends between 40 and 41 seconds after it.
    vi.advanceTimersByTime(39_000);
    expect(gateway.workers.size).toBe(3);
    vi.advanceTimersByTime(2000);
    expect([...gateway.workers.keys()].sort()).toEqual(['127.0.0.1:php:0', '127.0.0.2:worker:0']);
    expect(gateway.mesh.silentWorkers).toBe(1);
  });

  it('ends the link to a gateway that has pinged and says nothing any more, and makes it again; none that never pinged', async () => {
    await using register = await RawServer.start();
    await using pings = await RawServer.start(0, '127.0.0.2');
    await using silent = await RawServer.start(0, '127.0.0.3');
    register.list([pings.address, silent.address]);
    await using worker = new MeshWorker([register.address], { gatewayTimeout: 40 });
    await eventually('the links', () => worker.live.length === 2);
    const read = () => [...worker.mesh.openConnections()].reduce((sum, { bytesRead }) => sum + bytesRead, 0);
    const before = read();
    for (const socket of pings.sockets) socket.write(PING);
    await eventually('the ping', () => read() > before);
    const pinged = pings.connections;
    vi.advanceTimersByTime(40_000);
    expect(worker.mesh.silentGateways).toBe(0);
    vi.advanceTimersByTime(1000);
    expect(worker.mesh.silentGateways).toBe(1);
    await eventually('the link again', () => pings.connections > pinged && worker.live.length === 2);
    // Of the new link nothing is known yet, and of the other nothing was.
    vi.advanceTimersByTime(AN_HOUR_MS);
    expect([worker.mesh.silentGateways, silent.connections]).toEqual([1, 1]);
    expect(worker.logger.warnings).toContain('a gateway that pings has said nothing for 40 s; the link to it is ended');
  });

  it('that does not read its links takes no gateway for silent', async () => {
    await using register = await RawServer.start();
    await using gateway = await RawServer.start(0, '127.0.0.2');
    register.list([gateway.address]);
    await using worker = new MeshWorker([register.address], { gatewayTimeout: 40 });
    await eventually('the link', () => worker.live.length === 1);
    const read = () => [...worker.mesh.openConnections()].reduce((sum, { bytesRead }) => sum + bytesRead, 0);
    const before = read();
    for (const socket of gateway.sockets) socket.write(PING);
    await eventually('the ping', () => read() > before);
    worker.mesh.pause();
    vi.advanceTimersByTime(AN_HOUR_MS);
    worker.mesh.resume();
    vi.advanceTimersByTime(40_000);
    expect(worker.mesh.silentGateways).toBe(0);
  });
});

describe('a program that pushes', () => {
  it('pings no gateway: to that of the original it would be an unknown command', async () => {
    await using register = await RawServer.start();
    await using gateway = await MeshGateway.start({ lanIp: '127.0.0.2', listenIp: '127.0.0.2' });
    register.list([`127.0.0.2:${gateway.port}`]);
    await using client = await MeshClient.ready([register.address]);
    expect(await client.ask(Command.IS_ONLINE, 1)).toBe('i:1;');
    vi.advanceTimersByTime(AN_HOUR_MS);
    expect(await client.ask(Command.IS_ONLINE, 2)).toBe('i:2;');
    expect(gateway.commands.map(({ cmd }) => cmd)).toEqual([Command.IS_ONLINE, Command.IS_ONLINE]);
  });
});

describe('a Register', () => {
  it('pings nobody, and answers no ping', async () => {
    const register = new Register('text://127.0.0.2:0');
    await register.start({ logger: new RecordingLogger(), single: true, generation: 0 });
    onTestFinished(() => register.stop());
    await using worker = await TcpClient.open(register.port, '127.0.0.2');
    worker.write('{"event":"worker_connect"}\n');
    await eventually('the list', () => worker.lines.length === 1);
    vi.advanceTimersByTime(AN_HOUR_MS);
    worker.write(`${PING_LINE}{"event":"worker_connect"}\n`);
    await eventually('the list again', () => worker.lines.length > 1);
    expect(worker.lines[1]).toBe(worker.lines[0]);
    expect(worker.lines).toHaveLength(2);
  });
});
