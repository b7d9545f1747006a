import { Buffer } from 'node:buffer';
import { randomBytes } from 'node:crypto';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Command, FLAG_BINARY, FLAG_SCALAR, packetHead } from '../../../src/cluster/protocol/mod.js';
import { Register } from '../../../src/cluster/register/mod.js';
import { eventually } from '../../support/eventually.js';
import { freePort } from '../../support/free-port.js';
import { packetBytes } from '../../support/gateway-link.js';
import { MeshGateway, MeshWorker, PhpPeer } from '../../support/mesh.js';
import { RawServer } from '../../support/raw-server.js';
import { RecordingLogger } from '../../support/recording-logger.js';
import { hex, vectors } from '../protocol/support.js';

async function startRegister(port: number, secretKey = ''): Promise<Register> {
  const register = new Register(`text://127.0.0.1:${port}`, { secretKey });
  await register.start({ logger: new RecordingLogger(), single: true, generation: 0 });
  return register;
}

const linked = (gateway: MeshGateway, worker: MeshWorker) =>
  eventually('the link', () => gateway.workers.size === 1 && worker.addresses.includes(gateway.address));

afterEach(() => void vi.useRealTimers());

describe('gateway and worker find each other', () => {
  it.each([
    ['register, gateway, worker'],
    ['gateway, worker, register'],
    ['worker, register, gateway'],
    ['worker, gateway, register'],
  ])('started in the order %s', async (order) => {
    const port = await freePort();
    const address = `127.0.0.1:${port}`;
    const running: { register?: Register; gateway?: MeshGateway; worker?: MeshWorker } = {};
    for (const name of order.split(', ')) {
      if (name === 'register') running.register = await startRegister(port);
      if (name === 'gateway') running.gateway = await MeshGateway.start({ registerAddresses: [address] });
      if (name === 'worker') running.worker = new MeshWorker([address]);
      await new Promise((resolve) => setTimeout(resolve, 60));
    }
    const { register, gateway, worker } = running as Required<typeof running>;
    await linked(gateway, worker);
    await worker.mesh.close();
    await gateway.mesh.close();
    await register.stop();
  });

  it('again after each of them was started anew', async () => {
    const port = await freePort();
    const lanPort = await freePort();
    const registerAddresses = [`127.0.0.1:${port}`];
    let register = await startRegister(port);
    let gateway = await MeshGateway.start({ registerAddresses, lanPort });
    let worker = new MeshWorker(registerAddresses);
    await linked(gateway, worker);

    await register.stop();
    register = await startRegister(port);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(worker.history, 'a link survives its register').toEqual([`+${gateway.address}`]);

    await gateway.mesh.close();
    gateway = await MeshGateway.start({ registerAddresses, lanPort });
    await linked(gateway, worker);

    await worker.mesh.close();
    await eventually('the worker to be gone', () => gateway.workers.size === 0);
    worker = new MeshWorker(registerAddresses);
    await linked(gateway, worker);
    expect(worker.send(Command.SEND_TO_ONE, 7, 'hello')).toBe(true);
    await eventually('the command', () => gateway.commands.at(-1)?.body === 'hello');
    expect(gateway.event('event')).toBe(true);
    await eventually('the event', () => worker.events.at(-1)?.body === 'event');

    await worker.mesh.close();
    await gateway.mesh.close();
    await register.stop();
  });

  it('through what any of several registers says, one of which is dead', async () => {
    await using one = await RawServer.start();
    await using two = await RawServer.start();
    await using a = await MeshGateway.start();
    await using b = await MeshGateway.start();
    one.list([a.address, a.address]);
    two.list({ '0': b.address, '2': a.address });
    await using worker = new MeshWorker([one.address, two.address, `127.0.0.1:${await freePort()}`]);
    await eventually('both', () => worker.live.length === 2);
    // One forgets a gateway, the other does not.
    one.list([]);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(worker.addresses.sort()).toEqual([a.address, b.address].sort());
    expect(a.workers.size + b.workers.size).toBe(2);
    // What one says takes nothing from what the other has said: this gateway is still looked for.
    await b.mesh.close();
    await eventually('the link to end', () => worker.live.length === 1);
    await using again = await MeshGateway.start({ lanPort: b.port });
    await eventually('the link again', () => again.workers.size === 1);
  });

  it.each(['register', 'gateway'])(
    'and forget the gateway of a host that died with its register, the %s first, as soon as another register does',
    async (first) => {
      const one = await RawServer.start();
      await using two = await RawServer.start();
      const gone = await MeshGateway.start();
      await using gateway = await MeshGateway.start();
      for (const register of [one, two]) register.list([gateway.address, gone.address]);
      await using worker = new MeshWorker([one.address, two.address]);
      await eventually('both', () => worker.live.length === 2);
      const dies = [() => one[Symbol.asyncDispose](), async () => two.list([gateway.address])];
      if (first === 'gateway') dies.reverse();
      await gone.mesh.close();
      for (const step of dies) {
        await step();
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      await eventually('one to be forgotten', () => [...worker.mesh.gateways].length === 1);
      expect(worker.addresses).toEqual([gateway.address]);
      // It was away, and is back.
      await using again = await MeshGateway.start({ lanPort: gone.port });
      two.list([gateway.address, again.address]);
      await eventually('both again', () => worker.live.length === 2);
    },
  );

  it('and take no notice of addresses that are none', async () => {
    await using register = await RawServer.start();
    await using gateway = await MeshGateway.start();
    const { port } = gateway;
    const junk = ['', 'x', 'localhost:1', '127.0.0.1', '127.0.0.1:0', '127.0.0.1:70000', '1.2.3.400:5', `::1:${port}`];
    // Other spellings of the same place would make two links, each of which pushes the other one out.
    register.list([...junk, `127.0.0.1:0${port}`, `127.0.0.01:${port}`, gateway.address, '127.0.0.1:1e3']);
    await using worker = new MeshWorker([register.address]);
    await linked(gateway, worker);
    register.say('garbage\n{"event":"other"}\n{"event":"broadcast_addresses","addresses":"x"}\n');
    await eventually('the complaint', () => worker.logger.count('not understood') === 3);
    register.say('garbage\ngarbage\ngarbage\n');
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect([...worker.mesh.gateways]).toHaveLength(1);
    expect(gateway.history).toEqual(['+127.0.0.1:worker:0']);
    expect(worker.logger.count('not ip:port')).toBe(1);
    expect(worker.logger.count('not understood')).toBe(3);
  });

  it('an address that is listed no more is forgotten when its link ends, and not dialled again', async () => {
    await using register = await RawServer.start();
    const gateway = await MeshGateway.start();
    register.list([gateway.address]);
    await using worker = new MeshWorker([register.address]);
    await linked(gateway, worker);
    register.list([]);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(worker.live).toHaveLength(1);
    await gateway.mesh.close();
    await eventually('it to be forgotten', () => [...worker.mesh.gateways].length === 0);
  });
});

describe('the log', () => {
  it('says once that a register or a gateway refuses the key, however often it is tried', async () => {
    await using register = await RawServer.start();
    await using gateway = await MeshGateway.start({ secretKey: 'right' });
    register.list([gateway.address]);
    await using refusing = await RawServer.start();
    refusing.onData = (socket) => void socket.destroy();
    await using worker = new MeshWorker([register.address, refusing.address], { secretKey: 'wrong' });
    await eventually('six tries', () => refusing.connections >= 6 && worker.history.length >= 12);
    const said = worker.logger.entries.map(({ message }) => message).sort();
    expect(said).toEqual([
      'connected to the gateway',
      'connected to the register',
      'connected to the register',
      'the gateway closed the link (if this repeats: is the secretKey the same?); trying again',
      'the register closed the connection (if this repeats: is the secretKey the same?); trying again',
    ]);
    expect(gateway.logger.warnings).toEqual(['an inner connection was refused: the secret key is not ours']);
    expect(gateway.workers.size).toBe(0);
  });
});

describe('the inner port', () => {
  const withKey = { secretKey: 'sekret' };

  it.each([
    ['a wrong key', Command.WORKER_CONNECT, '{"worker_key":"w:0","secret_key":"nope"}', withKey],
    ['no key', Command.WORKER_CONNECT, '{"worker_key":"w:0"}', withKey],
    ['a number for the key', Command.WORKER_CONNECT, '{"worker_key":"w:0","secret_key":0}', {}],
    ['no key where none is set', Command.WORKER_CONNECT, '{"worker_key":"w:0"}', {}],
    ['a body that is not JSON', Command.WORKER_CONNECT, '{', {}],
    ['a wrong key of a program', Command.GATEWAY_CLIENT_CONNECT, '{"secret_key":"nope"}', withKey],
    ['a program’s body that is not JSON', Command.GATEWAY_CLIENT_CONNECT, '[', withKey],
    ['a command before the key', Command.SEND_TO_ALL, 'x', withKey],
    ['a question before the key', Command.IS_ONLINE, '', withKey],
  ])('hangs up without a word at %s', async (_what, cmd, body, options) => {
    await using gateway = await MeshGateway.start(options);
    await using peer = new PhpPeer(gateway.port);
    peer.command(cmd, 1, '', body);
    await peer.untilClosed();
    expect(peer.text).toBe('');
    expect([gateway.commands, gateway.history]).toEqual([[], []]);
    expect(gateway.mesh.counters.protocolErrors).toBe(1);
    expect(gateway.logger.entries.at(-1)?.fields.code).toBe('GW_LINK_REFUSED');
    expect(JSON.stringify(gateway.logger.entries)).not.toContain('sekret');
  });

  it('takes the recorded packets of PHP workers and programs, also repeated on a connection that is in', async () => {
    await using gateway = await MeshGateway.start(withKey);
    const packets = vectors<{ name: string; secret_key: string; hex: string; expected: { cmd: number } }>(
      'gateway-protocol',
    ).filter(({ secret_key: key }) => key === 'sekret');
    const join = packets.find(({ expected }) => expected.cmd === Command.WORKER_CONNECT);
    const show = packets.find(({ expected }) => expected.cmd === Command.GATEWAY_CLIENT_CONNECT);
    await using worker = new PhpPeer(gateway.port);
    worker.write(hex(join?.hex ?? ''));
    await eventually('the worker', () => gateway.workers.size === 1);
    worker.write(hex(join?.hex ?? ''));
    await using program = new PhpPeer(gateway.port);
    for (let round = 0; round < 3; round++) {
      program.write(hex(show?.hex ?? ''));
      program.command(Command.IS_ONLINE, round);
    }
    await eventually('the answers', () => program.answers.length === 3);
    expect(program.answers).toEqual(['i:0;', 'i:1;', 'i:2;']);
    expect(gateway.history).toHaveLength(1);
    worker.join({ worker_key: 'x', secret_key: 'nope' });
    await worker.untilClosed();
    await eventually('the worker to be gone', () => gateway.workers.size === 0);
  });

  it.each([
    ['an HTTP request', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
    ['a TLS hello', Buffer.from('160301020001000001fc0303', 'hex')],
    ['random bytes', Buffer.concat([Buffer.of(0xa7), randomBytes(200)])],
    ['a length of 0', Buffer.alloc(28)],
    ['a length of 27', packetBytes(1).fill(27, 3, 4)],
    ['a length beyond the limit', Buffer.from('02000001', 'hex')],
    ['ext_data that does not fit', packetBytes(1).fill(1, 27, 28)],
  ])('refuses %s at once, with a reason and a counter, and others take no notice', async (_what, bytes) => {
    await using gateway = await MeshGateway.start();
    await using worker = new PhpPeer(gateway.port);
    worker.join();
    await eventually('the worker', () => gateway.workers.size === 1);
    await using peer = new PhpPeer(gateway.port);
    peer.write(bytes);
    await peer.untilClosed(2000);
    expect(gateway.mesh.counters.protocolErrors).toBe(1);
    expect(gateway.logger.warnings).toHaveLength(1);
    expect(gateway.logger.entries.at(-1)?.fields.code).toMatch(/^GW_LINK_/);
    expect(gateway.event('still here')).toBe(true);
    await eventually('the event', () => worker.packets.at(-1)?.body === 'still here');
  });

  it('takes a worker that broke the protocol from the table at once: its next event is not lost in it', async () => {
    await using gateway = await MeshGateway.start();
    await using worker = new PhpPeer(gateway.port, true);
    worker.join();
    await eventually('the worker', () => gateway.workers.size === 1);
    worker.write(Buffer.alloc(28));
    await eventually('the worker to be gone', () => gateway.workers.size === 0, 900);
  });

  it('takes a worker that has hung up from the table when an event is for it, and says that it was not taken', async () => {
    await using gateway = await MeshGateway.start({ sendToWorkerBufferSize: 50_000_000 });
    await using worker = new PhpPeer(gateway.port, true);
    worker.join();
    await eventually('the worker', () => gateway.workers.size === 1);
    // What it does not read keeps the connection from ending.
    worker.socket.pause();
    gateway.event(Buffer.alloc(20_000_000));
    worker.socket.end();
    await eventually('an event not to be taken', () => !gateway.event('x'));
    expect(gateway.workers.size).toBe(0);
    expect(gateway.mesh.counters.connections).toBe(1);
  });

  it('sends away, after ten seconds, who has not shown the key', { timeout: 40_000 }, async () => {
    await using gateway = await MeshGateway.start(withKey);
    await using silent = new PhpPeer(gateway.port);
    const began = performance.now();
    await silent.untilClosed(15_000);
    expect(performance.now() - began).toBeGreaterThan(9000);
    expect(gateway.mesh.counters.protocolErrors).toBe(1);
  });

  it('takes no large packet of who has not shown the key, and any of who has, also in the same breath', async () => {
    const key = gatewayClientConnect(withKey.secretKey);
    const large = packetBytes(Command.SEND_TO_ALL, 0, '', 'x'.repeat(100_000));
    await using gateway = await MeshGateway.start(withKey);
    await using known = new PhpPeer(gateway.port);
    known.write(Buffer.concat([key, large]));
    await eventually('the command', () => gateway.commands.length === 1);
    for (const [bytes, code] of [
      [4096, 'GW_LINK_REFUSED'],
      [4097, 'GW_LINK_PACKET_TOO_LARGE'],
    ] as const) {
      await using stranger = new PhpPeer(gateway.port);
      stranger.write(packetBytes(Command.SEND_TO_ALL, 0, '', 'x'.repeat(bytes - 28)));
      await stranger.untilClosed();
      expect(gateway.logger.of('warn').at(-1)?.fields.code).toBe(code);
    }
    expect(gateway.mesh.figures().dropped).toMatchObject({ linkRefused: 1, linkProtocolErrors: 1 });
  });

  it.each([
    ['an HTTP client', Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')],
    ['a TLS client', Buffer.from('16030102000100', 'hex')],
    ['bytes of no sense', Buffer.alloc(64, 0xa7)],
    ['a stream of zeros', Buffer.alloc(64)],
  ])('sends %s away at once, and counts it', async (_who, bytes) => {
    await using gateway = await MeshGateway.start(withKey);
    await using peer = new PhpPeer(gateway.port);
    peer.write(bytes);
    await peer.untilClosed(5000);
    expect(gateway.mesh.figures().dropped).toMatchObject({ linkProtocolErrors: 1 });
  });

  it('sends away who says nothing, also where there is no key', { timeout: 40_000 }, async () => {
    await using gateway = await MeshGateway.start();
    await using silent = new PhpPeer(gateway.port);
    await silent.untilClosed(15_000);
    expect(gateway.mesh.refused).toBe(1);
  });

  it('carries out everything a program wrote that hung up at once', async () => {
    await using gateway = await MeshGateway.start();
    for (let round = 1; round <= 20; round++) {
      const peer = new PhpPeer(gateway.port);
      const commands = Array.from({ length: 50 }, (_, index) => packetBytes(Command.SEND_TO_ALL, 0, '', `${index}`));
      peer.socket.end(Buffer.concat(commands));
      await eventually('the commands', () => gateway.commands.length === 50 * round);
    }
  });

  it('answers, in order, the questions of one that has closed its side', async () => {
    await using gateway = await MeshGateway.start();
    await using peer = new PhpPeer(gateway.port, true);
    peer.socket.end(Buffer.concat([1, 2, 3].map((id) => packetBytes(Command.IS_ONLINE, id))));
    await eventually('the end', () => peer.ended);
    expect(peer.answers).toEqual(['i:1;', 'i:2;', 'i:3;']);
  });

  it('drops an asker that does not read, rather than leave out an answer', async () => {
    await using gateway = await MeshGateway.start({ sendToWorkerBufferSize: 1000 });
    gateway.answer = ({ connectionId }, from) => from.reply(`s:1000000:"${connectionId}${' '.repeat(999_998)}";`);
    await using peer = new PhpPeer(gateway.port);
    peer.socket.pause();
    for (let id = 0; id < 9; id++) peer.command(Command.IS_ONLINE, id);
    await eventually('the warning', () =>
      gateway.logger.entries.some(({ fields }) => fields.code === 'GW_LINK_ANSWER_LOST'),
    );
    peer.socket.resume();
    await peer.untilClosed();
  });
});

describe('a worker key that is in use', () => {
  it('goes to the newcomer, and the late end of the old link does not take it away', async () => {
    await using gateway = await MeshGateway.start({ sendToWorkerBufferSize: 50_000_000 });
    await using old = new PhpPeer(gateway.port, true);
    old.join();
    await eventually('the old one', () => gateway.workers.size === 1);
    // Queued data keeps the old connection from ending.
    old.socket.pause();
    gateway.event(Buffer.alloc(20_000_000));
    await using fresh = new PhpPeer(gateway.port);
    fresh.join();
    await eventually('the new one', () => gateway.history.length === 3);
    expect(gateway.history).toEqual(['+127.0.0.1:php:0', '-127.0.0.1:php:0', '+127.0.0.1:php:0']);
    old.socket.destroy();
    await eventually('the old connection to end', () => gateway.mesh.counters.connections === 1);
    expect(gateway.history).toHaveLength(3);
    expect(gateway.event('for the new one')).toBe(true);
    await eventually('the event', () => fresh.packets.at(-1)?.body === 'for the new one');
    expect(gateway.logger.count('under a key that is in use')).toBe(1);
  });
});

describe('a worker of this host', () => {
  it('comes and asks by the local socket, under the key that it would have by the port', async () => {
    await using register = await RawServer.start();
    await using gateway = await MeshGateway.start();
    register.list([gateway.address]);
    await using worker = new MeshWorker([register.address]);
    await linked(gateway, worker);
    expect(await worker.ask(7)).toBe('i:7;');
    const connections = [...gateway.mesh.openConnections()];
    expect(connections.map(({ local, remoteAddress }) => ({ local, remoteAddress }))).toEqual([
      { local: true, remoteAddress: '127.0.0.1' },
      { local: true, remoteAddress: '127.0.0.1' },
    ]);
    await using byPort = new PhpPeer(gateway.port);
    byPort.join({ worker_key: 'worker:0', secret_key: '' });
    await eventually('the newcomer', () => gateway.history.length === 3);
    expect(gateway.history).toEqual(['+127.0.0.1:worker:0', '-127.0.0.1:worker:0', '+127.0.0.1:worker:0']);
  });

  it('comes by the port of a gateway that listens on another address: something may stand in between', async () => {
    await using register = await RawServer.start();
    await using gateway = await MeshGateway.start({ lanIp: '127.0.0.2', listenIp: '127.0.0.3' });
    await using between = await RawServer.start(gateway.port, '127.0.0.2');
    register.list([between.address]);
    await using _worker = new MeshWorker([register.address]);
    await eventually('it to come', () => between.connections > 0);
    expect(gateway.mesh.counters.connections).toBe(0);
  });

  it('leaves and comes again like any other when its gateway dies and is back', async () => {
    await using register = await RawServer.start();
    const first = await MeshGateway.start();
    const { port } = first;
    register.list([first.address]);
    await using worker = new MeshWorker([register.address]);
    await linked(first, worker);
    await first.mesh.close();
    await eventually('it to be gone', () => worker.live.length === 0);
    await using second = await MeshGateway.start({ lanPort: port });
    await linked(second, worker);
    expect([...second.mesh.openConnections()].map(({ local }) => local)).toEqual([true]);
  });
});

describe('the older link under a key', () => {
  it('is closed, after what was queued for it', async () => {
    await using gateway = await MeshGateway.start();
    await using old = new PhpPeer(gateway.port);
    old.join();
    await eventually('the old one', () => gateway.workers.size === 1);
    gateway.event('last');
    await using fresh = new PhpPeer(gateway.port);
    fresh.join();
    await old.untilClosed();
    expect(old.packets.map(({ body }) => body)).toEqual(['last']);
    expect(fresh.closed).toBe(false);
  });
});

describe('extensions', () => {
  it('are on between our own', async () => {
    await using register = await RawServer.start();
    await using gateway = await MeshGateway.start();
    register.list([gateway.address]);
    await using worker = new MeshWorker([register.address]);
    await linked(gateway, worker);
    expect([...gateway.workers.values()][0]?.supports('binary')).toBe(true);
    await eventually('the confirmation', () => worker.live[0]?.supports('binary'));
    expect(worker.live[0]?.undecided).toBe(false);
    gateway.event('x', FLAG_SCALAR | FLAG_BINARY);
    await eventually('the event', () => worker.events[0]?.flag === (FLAG_SCALAR | FLAG_BINARY));
    expect(worker.events, 'the confirmation is no event').toHaveLength(1);
  });

  it.each([
    ['nothing', {}],
    ['something unknown', { extensions: ['teleport'] }],
    ['no list', { extensions: 'binary' }],
  ])('are off towards a worker that announces %s, which never sees EXTENSIONS', async (_what, fields) => {
    await using gateway = await MeshGateway.start();
    await using peer = new PhpPeer(gateway.port);
    peer.join({ worker_key: 'php:0', secret_key: '', ...fields });
    await eventually('the worker', () => gateway.workers.size === 1);
    expect([...gateway.workers.values()][0]?.supports('binary')).toBe(false);
    gateway.event('x');
    await eventually('the event', () => peer.packets.length > 0);
    expect(peer.packets.map(({ cmd }) => cmd)).toEqual([Command.ON_MESSAGE]);
  });

  it('are off towards a gateway that never confirms, and its limit for packets holds', async () => {
    await using php = await RawServer.start();
    await using register = await RawServer.start();
    register.list([php.address]);
    await using worker = new MeshWorker([register.address]);
    await eventually('the link', () => worker.live.length === 1);
    php.say(packetBytes(Command.ON_MESSAGE, 1, '', 'x').toString('latin1'));
    await eventually('the event', () => worker.events.length === 1);
    expect(worker.live[0]?.supports('binary')).toBe(false);
    expect(worker.send(Command.SEND_TO_ALL, 0, 'x'.repeat(10_485_760 - 27))).toBe(false);
    expect(worker.send(Command.SEND_TO_ALL, 0, 'x'.repeat(10_485_760 - 28))).toBe(true);
    const joined = JSON.parse(php.received[0]?.slice(28) ?? '');
    expect(joined).toMatchObject({ worker_key: 'worker:0', secret_key: '' });
  });

  it('are undecided until a gateway has said something, or has been silent for a while', async () => {
    await using register = await RawServer.start();
    await using talking = await RawServer.start();
    await using silent = await RawServer.start();
    register.list([talking.address, silent.address]);
    vi.useFakeTimers({ toFake: ['performance'] });
    await using worker = new MeshWorker([register.address]);
    await eventually('the links', () => worker.live.length === 2);
    const [one, other] = worker.live;
    expect([one?.undecided, other?.undecided]).toEqual([true, true]);
    talking.say(packetBytes(Command.PING).toString('latin1'));
    await eventually('one to have spoken', () => !one?.undecided);
    vi.advanceTimersByTime(999);
    expect([one?.supports('binary'), other?.undecided]).toEqual([false, true]);
    vi.advanceTimersByTime(1);
    expect([other?.supports('binary'), other?.undecided]).toEqual([false, false]);
    vi.useRealTimers();
  });

  it('are negotiated anew with each link: a gateway that came back as an older one has none', async () => {
    const lanPort = await freePort();
    await using register = await RawServer.start();
    register.list([`127.0.0.1:${lanPort}`]);
    const gateway = await MeshGateway.start({ lanPort });
    await using worker = new MeshWorker([register.address]);
    await linked(gateway, worker);
    await eventually('the confirmation', () => worker.live[0]?.supports('binary'));
    await gateway.mesh.close();
    await using _php = await RawServer.start(lanPort);
    await eventually('the new link', () => worker.history.length === 3 && worker.live.length === 1);
    expect(worker.live[0]?.supports('binary')).toBe(false);
  });
});

describe('a worker that leaves', () => {
  it('has its commands come as its own, and gets the last event behind all others', async () => {
    await using register = await RawServer.start();
    await using gateway = await MeshGateway.start();
    register.list([gateway.address]);
    await using worker = new MeshWorker([register.address]);
    await linked(gateway, worker);
    const [peer] = gateway.workers.values();
    gateway.takeCommand = (packet, from) => {
      if (packet.cmd !== Command.DRAIN) return;
      expect(from.worker).toBe(peer);
      for (const body of ['a', 'b']) gateway.event(body);
      peer?.sendEvent(packetHead({ cmd: Command.DRAIN }), Buffer.alloc(0), Buffer.alloc(0), 0, 0);
    };
    worker.send(Command.DRAIN);
    await eventually('the last event', () => worker.events.length === 3);
    expect(worker.events.map(({ cmd, body }) => [cmd, body])).toEqual([
      [Command.ON_MESSAGE, 'a'],
      [Command.ON_MESSAGE, 'b'],
      [Command.DRAIN, ''],
    ]);
  });

  it('joins no gateway any more, nor again the one that hangs up', async () => {
    const lanPort = await freePort();
    await using register = await RawServer.start();
    await using late = await MeshGateway.start();
    const gateway = await MeshGateway.start({ lanPort });
    register.list([gateway.address]);
    await using worker = new MeshWorker([register.address]);
    await linked(gateway, worker);
    worker.mesh.leave();
    register.list([gateway.address, late.address]);
    expect(worker.send(Command.SEND_TO_ALL)).toBe(true);
    await eventually('what it still sends', () => gateway.commands.length === 1);
    await gateway.mesh.close();
    await eventually('it to have left', () => worker.history.length === 2);
    await using back = await MeshGateway.start({ lanPort });
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect([back.workers.size, late.workers.size, worker.addresses]).toEqual([0, 0, []]);
  });

  it('is no worker to a gateway when it only pushes', async () => {
    await using gateway = await MeshGateway.start();
    await using peer = new PhpPeer(gateway.port);
    const workers: unknown[] = [];
    gateway.takeCommand = (_packet, from) => void workers.push(from.worker);
    peer.command(Command.DRAIN);
    await eventually('the command', () => workers.length === 1);
    expect(workers).toEqual([null]);
  });
});

describe('a worker that is to be linked before it is ready', () => {
  it('is when every gateway that is announced was joined, and none before a register has answered', async () => {
    await using register = await RawServer.start();
    await using a = await MeshGateway.start();
    await using b = await MeshGateway.start();
    await using worker = new MeshWorker([register.address]);
    let ready = false;
    const linking = worker.mesh.linked().then(() => {
      ready = true;
    });
    await eventually('the register to be asked', () => register.received.length > 0);
    expect(ready).toBe(false);
    register.list([a.address, b.address]);
    await linking;
    expect(worker.addresses.sort()).toEqual([a.address, b.address].sort());
  });

  it('rejects when no register answers: it would leave the gateways to nobody', async () => {
    await using register = await RawServer.start();
    await using worker = new MeshWorker([register.address]);
    await expect(worker.mesh.linked()).rejects.toMatchObject({
      code: 'GW_LINK_NO_REGISTER',
      fields: { registers: [{ register: register.address }] },
    });
  });

  it('does not wait for ever for one that can not be reached', async () => {
    await using register = await RawServer.start();
    register.list([`127.0.0.1:${await freePort()}`]);
    await using worker = new MeshWorker([register.address]);
    await worker.mesh.linked();
    expect(worker.addresses).toEqual([]);
  });
});

describe('a worker that does not read', () => {
  it('is full, takes what is within its hard limit, and gets all of that in order', async () => {
    await using register = await RawServer.start();
    await using gateway = await MeshGateway.start({ sendToWorkerBufferSize: 1_000_000 });
    register.list([gateway.address]);
    await using worker = new MeshWorker([register.address]);
    await linked(gateway, worker);
    worker.mesh.pause();
    await new Promise((resolve) => setTimeout(resolve, 30));
    const [peer] = gateway.workers.values();
    let taken = 0;
    const filler = 'x'.repeat(100_000);
    while (gateway.event(`${taken} ${filler}`)) {
      taken++;
      if (taken > 1000) throw new Error('no limit');
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(peer?.full).toBe(true);
    expect(gateway.logger.warnings).toHaveLength(1);
    expect(worker.events.length).toBeLessThan(2);
    worker.mesh.resume();
    await eventually('all events', () => worker.events.length === taken);
    expect(worker.events.map(({ body }) => Number.parseInt(body, 10))).toEqual(
      Array.from({ length: taken }, (_, n) => n),
    );
    await eventually('the gateway to hear of it', () => gateway.drained > 0);
    expect(peer?.full).toBe(false);
  });
});

describe('questions', () => {
  async function pair(options: { secretKey?: string; queryTimeout?: number } = {}) {
    const register = await RawServer.start();
    const gateway = await MeshGateway.start({ secretKey: options.secretKey ?? '' });
    register.list([gateway.address]);
    const worker = new MeshWorker([register.address], options);
    await linked(gateway, worker);
    const dispose = async () => {
      await worker.mesh.close();
      await gateway.mesh.close();
      await register[Symbol.asyncDispose]();
    };
    return { register, gateway, worker, [Symbol.asyncDispose]: dispose };
  }

  it.each(['', 'sekret'])('are answered in order, many at once, with the key "%s"', async (secretKey) => {
    await using both = await pair({ secretKey });
    const ids = Array.from({ length: 200 }, (_, id) => id);
    expect(await Promise.all(ids.map((id) => both.worker.ask(id)))).toEqual(ids.map((id) => `i:${id};`));
    expect(both.gateway.workers.size).toBe(1);
  });

  it('that are not answered in time are all rejected, and the next one works', async () => {
    await using both = await pair({ queryTimeout: 1 });
    const { answer } = both.gateway;
    both.gateway.answer = () => {};
    const results = await Promise.allSettled([1, 2, 3].map((id) => both.worker.ask(id)));
    expect(results.map((result) => (result.status === 'rejected' ? result.reason.code : 'answered'))).toEqual(
      Array(3).fill('GW_LINK_TIMEOUT'),
    );
    both.gateway.answer = answer;
    expect(await both.worker.ask(4)).toBe('i:4;');
  });

  it('are rejected when the gateway hangs up instead, and one asked in the same breath works', async () => {
    await using both = await pair();
    const { answer } = both.gateway;
    both.gateway.answer = (_packet, from) => {
      (from as unknown as { connection: { destroy(): void } }).connection.destroy();
    };
    await expect(both.worker.ask(1)).rejects.toMatchObject({ code: 'GW_LINK_UNREACHABLE' });
    both.gateway.answer = answer;
    expect(await both.worker.ask(2)).toBe('i:2;');
  });

  it('are rejected by a gateway that is not there, and by one whose answer is no answer', async () => {
    await using both = await pair();
    both.gateway.answer = (_packet, from) => {
      (
        from as unknown as { connection: { sendRange(buffer: Buffer, start: number, end: number): void } }
      ).connection.sendRange(Buffer.alloc(4, 255), 0, 4);
    };
    await expect(both.worker.ask(1)).rejects.toMatchObject({ code: 'GW_LINK_UNREACHABLE' });
    await both.gateway.mesh.close();
    await expect(both.worker.ask(2)).rejects.toMatchObject({ code: 'GW_LINK_UNREACHABLE' });
  });

  it('that wait are rejected when the worker stops, and none can be asked any more', async () => {
    await using both = await pair();
    both.gateway.answer = () => {};
    const asked = both.worker.ask(1);
    const [peer] = both.worker.mesh.gateways;
    await eventually('the question', () => both.gateway.commands.length === 1);
    const rejected = expect(asked).rejects.toMatchObject({ code: 'GW_LINK_UNREACHABLE' });
    await both.worker.mesh.close();
    await rejected;
    await expect(
      peer?.ask({ ...both.gateway.commands[0], cmd: Command.IS_ONLINE } as never, '', ''),
    ).rejects.toMatchObject({
      code: 'GW_LINK_UNREACHABLE',
    });
    await eventually('the gateway to be alone', () => both.gateway.mesh.counters.connections === 0);
  });
});

describe('close', () => {
  it('hangs for nobody: a gateway and a register that do not hang up', async () => {
    await using register = await RawServer.start();
    await using php = await RawServer.start();
    for (const server of [register, php]) server.onData = (socket) => void socket.pause();
    register.list([php.address]);
    const worker = new MeshWorker([register.address]);
    await eventually('the link', () => worker.live.length === 1);
    for (const socket of php.sockets) socket.allowHalfOpen = true;
    const began = performance.now();
    await worker.mesh.close();
    expect(performance.now() - began).toBeLessThan(1500);
  });

  it('of a gateway writes what waits for its workers', async () => {
    const gateway = await MeshGateway.start();
    await using worker = new PhpPeer(gateway.port);
    worker.join();
    await eventually('the worker', () => gateway.workers.size === 1);
    gateway.event('last');
    await gateway.mesh.close();
    await worker.untilClosed();
    expect(worker.packets.at(-1)?.body).toBe('last');
  });

  it('of a worker writes what waits for its gateways, and dials no more', async () => {
    await using register = await RawServer.start();
    await using gateway = await MeshGateway.start();
    register.list([gateway.address]);
    const worker = new MeshWorker([register.address]);
    await linked(gateway, worker);
    worker.send(Command.SEND_TO_ALL, 0, 'last');
    await worker.mesh.close();
    await eventually('the command', () => gateway.commands.at(-1)?.body === 'last');
    await eventually('the worker to be gone', () => gateway.workers.size === 0);
    const { connections } = register;
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect([gateway.workers.size, register.connections]).toEqual([0, connections]);
  });
});

/** What a program shows the secret key with. */
function gatewayClientConnect(secretKey: string): Buffer {
  return packetBytes(Command.GATEWAY_CLIENT_CONNECT, 0, '', JSON.stringify({ secret_key: secretKey }));
}
