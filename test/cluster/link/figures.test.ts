import { Buffer } from 'node:buffer';
import { describe, expect, it } from 'vitest';
import { Command } from '../../../src/cluster/protocol/mod.js';
import { eventually } from '../../support/eventually.js';
import { freePort } from '../../support/free-port.js';
import { MeshGateway, MeshWorker, PhpPeer } from '../../support/mesh.js';
import { RawServer } from '../../support/raw-server.js';

/** Figures without what is 0. */
function shown({ mesh }: MeshGateway | MeshWorker): Record<string, unknown> {
  const { dropped, ...figures } = mesh.figures();
  const reasons = Object.entries(dropped).filter(([, count]) => count > 0);
  return { ...figures, dropped: Object.fromEntries(reasons) };
}

const names = ({ mesh }: MeshGateway | MeshWorker) => [...mesh.openConnections()].map(({ codec }) => codec.name).sort();

const NOTHING = { up: 0, down: 0, queuedBytes: 0, sendFail: 0, dropped: {} };

describe("the figures of a worker's end", () => {
  it('count gateways and registers, up and down', async () => {
    await using register = await RawServer.start();
    await using gateway = await MeshGateway.start();
    const away = `127.0.0.1:${await freePort()}`;
    register.list([gateway.address, away]);
    await using worker = new MeshWorker([register.address, `127.0.0.1:${await freePort()}`]);
    await eventually('the link', () => worker.live.length === 1);
    expect(shown(worker)).toEqual({ ...NOTHING, up: 2, down: 2 });
    expect(names(worker).filter((name) => name === 'register').length).toBeGreaterThan(0);
    expect(await worker.ask(7)).toBe('i:7;');
    await eventually('three kinds', () => new Set(names(worker)).size === 3);
    expect([...new Set(names(worker))]).toEqual(['link', 'link-replies', 'register']);
    await gateway.mesh.close();
    await eventually('the loss', () => shown(worker).up === 1);
    expect(shown(worker)).toEqual({ ...NOTHING, up: 1, down: 3 });
  });

  it('count commands that were not taken: gateway down, queue full, too large', async () => {
    await using register = await RawServer.start();
    await using gateway = await RawServer.start();
    register.list([gateway.address]);
    await using worker = new MeshWorker([register.address], { sendToGatewayBufferSize: 1_000_000 });
    const [peer] = await eventually('the gateway', () => {
      const all = [...worker.mesh.gateways];
      return all.length > 0 ? all : undefined;
    });
    gateway.onConnect = (socket) => socket.pause();
    await eventually('the link', () => worker.live.length === 1);
    for (const socket of gateway.sockets) socket.pause();
    expect(worker.send(Command.SEND_TO_ALL, 0, 'x'.repeat(11_000_000))).toBe(false);
    expect(shown(worker)).toMatchObject({ sendFail: 1, dropped: { tooLargeForGateway: 1 } });
    await eventually('a full queue', async () => {
      await new Promise((resolve) => setImmediate(resolve));
      return !worker.send(Command.SEND_TO_ALL, 0, 'x'.repeat(900_000));
    });
    const { queuedBytes, sendFail, dropped } = shown(worker);
    expect({ sendFail, dropped }).toEqual({ sendFail: 2, dropped: { tooLargeForGateway: 1, gatewayQueueFull: 1 } });
    expect(queuedBytes).toBeGreaterThanOrEqual(1_000_000);
    for (const socket of gateway.sockets) socket.destroy();
    await eventually('the loss', () => peer?.live === false);
    expect(peer?.send({ cmd: Command.SEND_TO_ALL } as never, '', 'x')).toBe(false);
    expect(shown(worker)).toMatchObject({ sendFail: 3, dropped: { gatewayDown: 1 } });
  });

  it('count what breaks the protocol, on links and from registers, also of a gateway that is forgotten', async () => {
    await using register = await RawServer.start();
    await using gateway = await RawServer.start();
    register.list([gateway.address]);
    await using worker = new MeshWorker([register.address]);
    await eventually('the link', () => worker.live.length === 1);
    register.list([]);
    register.say('garbage\n{"event":"what"}\n');
    gateway.say('GET / HTTP/1.1\r\nHost: this is no gateway\r\n\r\n');
    await eventually('the gateway to be forgotten', () => [...worker.mesh.gateways].length === 0);
    await eventually('both', () => Object.keys(shown(worker).dropped as object).length === 2);
    expect(shown(worker).dropped).toEqual({ linkProtocolErrors: 1, registerProtocolErrors: 2 });
  });

  it('count answers that are none', async () => {
    await using register = await RawServer.start();
    await using gateway = await RawServer.start();
    register.list([gateway.address]);
    await using worker = new MeshWorker([register.address]);
    // What the link says is read by then, or it would be answered too.
    await eventually('the link', () => worker.live.length === 1 && gateway.received.length === 1);
    gateway.onData = (socket) => void socket.write(Buffer.alloc(8, 0xff));
    await expect(worker.ask(1)).rejects.toThrow();
    await eventually('the count', () => worker.mesh.figures().dropped.linkProtocolErrors === 1);
  });
});

describe("the figures of a gateway's end", () => {
  it('count workers and registers', async () => {
    await using register = await RawServer.start();
    await using gateway = await MeshGateway.start({
      registerAddresses: [register.address, `127.0.0.1:${await freePort()}`],
    });
    await eventually('the register', () => shown(gateway).up === 1);
    expect(shown(gateway)).toEqual({ ...NOTHING, up: 1, down: 1 });
    await using worker = new PhpPeer(gateway.port);
    worker.join();
    // A program that pushes is no link: nobody waits for it.
    await using program = new PhpPeer(gateway.port);
    program.command(Command.GATEWAY_CLIENT_CONNECT, 0, '', '{"secret_key":""}');
    await eventually('the worker', () => shown(gateway).up === 2);
    await eventually('all connections', () => names(gateway).filter((name) => name === 'link').length === 2);
    expect(names(gateway)).toContain('register');
  });

  it('count who is refused, who breaks the protocol, and who is pushed out', async () => {
    await using gateway = await MeshGateway.start({ secretKey: 'sekret' });
    for (const body of ['{"worker_key":"w:0","secret_key":"nope"}', '{']) {
      await using peer = new PhpPeer(gateway.port);
      peer.command(Command.WORKER_CONNECT, 0, '', body);
      await peer.untilClosed();
    }
    await using foreign = new PhpPeer(gateway.port);
    foreign.write('GET / HTTP/1.1\r\n\r\n');
    await foreign.untilClosed();
    await using first = new PhpPeer(gateway.port);
    first.join({ worker_key: 'w:0', secret_key: 'sekret' });
    await eventually('the worker', () => gateway.workers.size === 1);
    await using second = new PhpPeer(gateway.port);
    second.join({ worker_key: 'w:0', secret_key: 'sekret' });
    await first.untilClosed();
    expect(shown(gateway)).toEqual({
      ...NOTHING,
      up: 1,
      dropped: { linkRefused: 2, linkProtocolErrors: 1, replacedWorkers: 1 },
    });
  });

  it('count askers that do not read, and what waits for workers', async () => {
    await using gateway = await MeshGateway.start({ sendToWorkerBufferSize: 1_000_000 });
    gateway.answer = (_packet, from) => from.reply(Buffer.alloc(1_000_000));
    await using asker = new PhpPeer(gateway.port);
    asker.socket.pause();
    await eventually('the loss', async () => {
      asker.command(Command.IS_ONLINE);
      await new Promise((resolve) => setImmediate(resolve));
      return gateway.mesh.figures().dropped.lostAnswers === 1;
    });
    await using worker = new PhpPeer(gateway.port);
    worker.join();
    await eventually('the worker', () => gateway.workers.size === 1);
    worker.socket.pause();
    await eventually('events to wait', async () => {
      gateway.event(Buffer.alloc(100_000));
      await new Promise((resolve) => setImmediate(resolve));
      return gateway.mesh.figures().queuedBytes >= 100_000;
    });
  });
});
