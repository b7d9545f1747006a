import { Buffer } from 'node:buffer';
import process from 'node:process';
import { describe, expect, it } from 'vitest';
import { Command, PHP_MAX_PACKET_SIZE } from '../../../src/cluster/protocol/mod.js';
import { Register } from '../../../src/cluster/register/mod.js';
import { collectGarbage } from '../../support/collect-garbage.js';
import { eventually } from '../../support/eventually.js';
import { freePort } from '../../support/free-port.js';
import { packetBytes } from '../../support/gateway-link.js';
import { MeshGateway } from '../../support/mesh.js';
import { linkErrorOf, MeshClient } from '../../support/mesh-client.js';
import { RawServer } from '../../support/raw-server.js';
import { RecordingLogger } from '../../support/recording-logger.js';

const { SEND_TO_ONE, IS_ONLINE } = Command;
const PACKET = 28;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const bodies = (gateway: MeshGateway) =>
  gateway.commands.filter(({ cmd }) => cmd === SEND_TO_ONE).map(({ body }) => body);

async function startRegister(port: number, secretKey = ''): Promise<Register> {
  const register = new Register(`text://127.0.0.1:${port}`, { secretKey });
  await register.start({ logger: new RecordingLogger(), single: true, generation: 0 });
  return register;
}

/** A register of the test's, which lists one gateway, and who hears of it. */
async function pair(
  options: ConstructorParameters<typeof MeshClient>[1] = {},
  gatewayOptions: Parameters<typeof MeshGateway.start>[0] = {},
) {
  const register = await RawServer.start();
  const gateway = await MeshGateway.start(gatewayOptions);
  register.list([gateway.address]);
  const client = await MeshClient.ready([register.address], options);
  const dispose = async () => {
    await client[Symbol.asyncDispose]();
    await gateway.mesh.close();
    await register[Symbol.asyncDispose]();
  };
  return { register, gateway, client, [Symbol.asyncDispose]: dispose };
}

/** A gateway that takes connections and never reads. */
async function deafGateway(): Promise<RawServer> {
  const server = await RawServer.start();
  server.onConnect = (socket) => void socket.pause();
  return server;
}

describe('a program that pushes knows the gateways', () => {
  it('from one connection to the register, which it tells as a worker would, however much it calls', async () => {
    await using both = await pair({ secretKey: 'k"ey' }, { secretKey: 'k"ey' });
    for (let n = 0; n < 100; n++) both.client.send(SEND_TO_ONE, n);
    await both.client.ask(IS_ONLINE);
    expect(both.register.connections).toBe(1);
    expect(both.register.received.join('')).toBe('{"event":"worker_connect","secret_key":"k\\"ey"}\n');
  });

  it('from all registers together, of which one is dead and one dies', async () => {
    const one = await RawServer.start();
    await using two = await RawServer.start();
    one.list(['127.0.0.1:4001', '127.0.0.1:4002']);
    two.list({ '0': '127.0.0.1:4002', '2': '127.0.0.1:4003' });
    await using client = await MeshClient.ready([one.address, `127.0.0.1:${await freePort()}`, two.address]);
    await eventually('all', () => client.addresses.length === 3);
    two.list([]);
    await eventually('one less', () => client.addresses.length === 2);
    await one[Symbol.asyncDispose]();
    await pause(50);
    two.list(['127.0.0.1:4009']);
    await eventually('the new one', () => client.addresses.includes('127.0.0.1:4009'));
    expect(client.addresses, 'what the dead one said still counts, but for what the other took back').toEqual([
      '127.0.0.1:4001',
      '127.0.0.1:4009',
    ]);
  });

  it('also while a register that came back knows nobody yet; whoever does not come back is then forgotten', async () => {
    const port = await freePort();
    const dying = await RawServer.start();
    const registerAddresses = [`127.0.0.1:${port}`, dying.address];
    const register = await RawServer.start(port);
    await using gateway = await MeshGateway.start({ registerAddresses: [] });
    for (const one of [register, dying]) one.list([gateway.address, '127.0.0.1:4002']);
    await using client = await MeshClient.ready(registerAddresses);
    await eventually('both to be asked', () => dying.received.length > 0);
    await pause(50);
    for (const one of [register, dying]) await one[Symbol.asyncDispose]();
    await using again = await RawServer.start(port);
    again.list([]);
    await eventually('it to ask again', () => again.received.length > 0);
    await pause(100);
    expect(client.addresses).toEqual([gateway.address, '127.0.0.1:4002'].sort());
    expect(
      await client.ask(
        IS_ONLINE,
        5,
        [...client.mesh.gateways].find((peer) => peer.address === gateway.address),
      ),
    ).toBe('i:5;');
    again.list([gateway.address]);
    await eventually('the other to be forgotten', () => client.addresses.length === 1, 6000);
    expect(client.addresses).toEqual([gateway.address]);
  });

  it('and finds a gateway again that was started anew, and a register', async () => {
    const port = await freePort();
    const lanPort = await freePort();
    const registerAddresses = [`127.0.0.1:${port}`];
    let register = await startRegister(port);
    let gateway = await MeshGateway.start({ registerAddresses, lanPort });
    await using client = await MeshClient.ready(registerAddresses);
    expect(await client.ask(IS_ONLINE, 1)).toBe('i:1;');
    await gateway.mesh.close();
    await eventually('it to be gone', () => client.addresses.length === 0);
    gateway = await MeshGateway.start({ registerAddresses, lanPort });
    await client.mesh.ready();
    expect(await client.ask(IS_ONLINE, 2)).toBe('i:2;');
    await register.stop();
    expect(await client.ask(IS_ONLINE, 3)).toBe('i:3;');
    register = await startRegister(port);
    await pause(300);
    expect(client.send(SEND_TO_ONE, 4, 'four')).toBe(true);
    await eventually('the command', () => bodies(gateway).includes('four'));
    expect(gateway.mesh.counters.connections).toBe(1);
    await gateway.mesh.close();
    await register.stop();
  });

  it('and keeps a gateway that it is connected to, whatever a register has forgotten, for as long as that lasts', async () => {
    await using both = await pair();
    await both.client.ask(IS_ONLINE);
    both.register.list([]);
    await pause(50);
    expect(await both.client.ask(IS_ONLINE, 2)).toBe('i:2;');
    await both.gateway.mesh.close();
    await eventually('it to be forgotten', () => both.client.addresses.length === 0);
  });
});

describe('the connection to a gateway', () => {
  it('is one, made at the first need and kept, for commands and questions', async () => {
    await using both = await pair();
    await pause(50);
    expect(both.gateway.mesh.counters.connections).toBe(0);
    for (let n = 0; n < 50; n++) {
      both.client.send(SEND_TO_ONE, n, `c${n}`);
      expect(await both.client.ask(IS_ONLINE, n)).toBe(`i:${n};`);
    }
    expect(both.gateway.mesh.counters.connections).toBe(1);
    expect(both.gateway.workers.size).toBe(0);
  });

  it.each(['', 'sekret'])('begins with the key "%s" where there is one, and once', async (secretKey) => {
    await using register = await RawServer.start();
    await using php = await RawServer.start();
    register.list([php.address]);
    await using client = await MeshClient.ready([register.address], { secretKey });
    client.send(SEND_TO_ONE, 1, 'a');
    client.send(SEND_TO_ONE, 2, 'b');
    await client.mesh.drain();
    const commands = [packetBytes(SEND_TO_ONE, 1, '', 'a'), packetBytes(SEND_TO_ONE, 2, '', 'b')];
    const body = '{"secret_key":"sekret"}';
    if (secretKey !== '') commands.unshift(packetBytes(Command.GATEWAY_CLIENT_CONNECT, 0, '', body));
    const expected = Buffer.concat(commands).toString('latin1');
    await eventually('all of it', () => php.received.join('').length >= expected.length);
    expect(php.received.join('')).toBe(expected);
  });

  it('carries everything out in the order of the calls: a question sees the commands before it, 1000 times', async () => {
    await using both = await pair();
    let value = 0;
    both.gateway.answer = (_packet, from) => from.reply(`i:${value};`);
    const { command } = both.gateway;
    both.gateway.command = (packet, from) => {
      if (packet.cmd === SEND_TO_ONE) value = packet.connectionId;
      else command.call(both.gateway, packet, from);
    };
    const answers: Promise<string>[] = [];
    for (let n = 1; n <= 1000; n++) {
      both.client.send(SEND_TO_ONE, n);
      answers.push(both.client.ask(IS_ONLINE));
      // Some in one turn, some in several, the first ones before the connection is up.
      if (n % 7 === 0) await pause(0);
    }
    expect(await Promise.all(answers)).toEqual(Array.from({ length: 1000 }, (_, n) => `i:${n + 1};`));
  });

  it('is tried again while commands wait; they come in order, and questions asked meanwhile are rejected', async () => {
    await using register = await RawServer.start();
    const lanPort = await freePort();
    register.list([`127.0.0.1:${lanPort}`]);
    await using client = await MeshClient.ready([register.address]);
    const rejected: Promise<unknown>[] = [];
    for (let n = 0; n < 100; n++) {
      expect(client.send(SEND_TO_ONE, n, `c${n}`)).toBe(true);
      if (n % 10 === 0)
        rejected.push(expect(client.ask(IS_ONLINE, n)).rejects.toMatchObject({ code: 'GW_LINK_UNREACHABLE' }));
    }
    await Promise.all(rejected);
    await eventually('the complaint', () => client.logger.warnings.some((text) => text.includes("can't be reached")));
    const gateway = await MeshGateway.start({ lanPort });
    await client.mesh.drain();
    expect(await client.ask(IS_ONLINE, 7)).toBe('i:7;');
    expect(bodies(gateway)).toEqual(Array.from({ length: 100 }, (_, n) => `c${n}`));
    expect(gateway.commands.filter(({ cmd }) => cmd === IS_ONLINE)).toHaveLength(1);
    expect(client.logger.warnings).toHaveLength(1);
    await gateway.mesh.close();
  });

  it('is not tried again when nothing waits, and is not made in vain once a turn when much is asked', async () => {
    await using register = await RawServer.start();
    await using refusing = await RawServer.start();
    refusing.onConnect = (socket) => socket.destroy();
    register.list([refusing.address]);
    await using client = await MeshClient.ready([register.address]);
    for (let n = 0; n < 40; n++) {
      client.ask(IS_ONLINE, n).catch(() => {});
      await pause(5);
    }
    expect(refusing.connections).toBeLessThan(6);
    await pause(1100);
    const { connections } = refusing;
    await pause(1500);
    expect(refusing.connections).toBe(connections);
  });

  it('is of use again after the gateway came back, without a call that fails for it later', async () => {
    const lanPort = await freePort();
    await using register = await RawServer.start();
    register.list([`127.0.0.1:${lanPort}`]);
    const first = await MeshGateway.start({ lanPort });
    await using client = await MeshClient.ready([register.address]);
    await client.ask(IS_ONLINE);
    await first.mesh.close();
    await using second = await MeshGateway.start({ lanPort });
    client.send(SEND_TO_ONE, 1, 'to the second');
    expect(await client.ask(IS_ONLINE, 9)).toBe('i:9;');
    expect(bodies(second)).toEqual(['to the second']);
  });

  it('is ended when a gateway answers what nobody asked, or what is no answer', async () => {
    await using register = await RawServer.start();
    await using php = await RawServer.start();
    register.list([php.address]);
    await using client = await MeshClient.ready([register.address]);
    client.send(SEND_TO_ONE);
    await eventually('the connection', () => php.sockets.size === 1);
    php.say('\0\0\0\x04i:1;');
    await eventually('its end', () => php.sockets.size === 0);
    const asked = linkErrorOf(client.ask(IS_ONLINE));
    await eventually('the next', () => php.sockets.size === 1);
    php.say('\xff\xff\xff\xff');
    for (const socket of php.sockets) socket.write(Buffer.alloc(4, 255));
    expect((await asked).code).toBe('GW_LINK_UNREACHABLE');
  });
});

describe('limits', () => {
  it('a packet larger than any gateway takes is not sent', async () => {
    await using both = await pair();
    const room = PHP_MAX_PACKET_SIZE - PACKET;
    expect(both.client.send(SEND_TO_ONE, 1, 'x'.repeat(room + 1))).toBe(false);
    expect(both.client.send(SEND_TO_ONE, 1, 'x'.repeat(room))).toBe(true);
    const ext = 'x'.repeat(room + 1);
    const head = { ...both.gateway.commands[0], cmd: IS_ONLINE } as never;
    expect((await linkErrorOf(both.client.peer.ask(head, ext, ''))).code).toBe('GW_LINK_QUESTION_TOO_LARGE');
    await eventually('the large one', () => bodies(both.gateway)[0]?.length === room);
  });

  it('before the connection is up, what is sent waits up to sendBufferSize, and is false beyond', async () => {
    await using register = await RawServer.start();
    register.list([`127.0.0.1:${await freePort()}`]);
    await using client = await MeshClient.ready([register.address], {
      sendBufferSize: 3 * (PACKET + 2),
      drainTimeout: 0,
    });
    expect([1, 2, 3].map((id) => client.send(SEND_TO_ONE, id, 'xx'))).toEqual([true, true, true]);
    expect(client.send(SEND_TO_ONE, 4, 'xx')).toBe(false);
    const error = await linkErrorOf(client.ask(IS_ONLINE));
    expect(error).toMatchObject({ code: 'GW_LINK_TOO_MANY_QUESTIONS' });
  });

  it('a gateway that takes connections and does not read costs sendBufferSize and no more, and nobody else suffers', async () => {
    await using register = await RawServer.start();
    await using deaf = await deafGateway();
    await using gateway = await MeshGateway.start();
    register.list([deaf.address, gateway.address]);
    const sendBufferSize = 2_000_000;
    await using client = await MeshClient.ready([register.address], { sendBufferSize, drainTimeout: 0.2 });
    const peerOf = (address: string) => [...client.mesh.gateways].find((peer) => peer.address === address);
    const body = 'x'.repeat(10_000);
    let taken = 0;
    // The kernel takes some megabytes, then it is full.
    const deadline = performance.now() + 10_000;
    for (let refused = 0; refused < 20 && performance.now() < deadline; ) {
      if (client.send(SEND_TO_ONE, 1, body, peerOf(deaf.address))) taken++;
      else refused++;
      if (refused > 0 || taken % 50 === 0) await pause(1);
    }
    collectGarbage();
    const before = process.memoryUsage().arrayBuffers;
    let refused = 0;
    for (let n = 0; n < 5000; n++) {
      if (!client.send(SEND_TO_ONE, 1, body, peerOf(deaf.address))) refused++;
      if (n % 100 === 0) await pause(0);
    }
    expect(refused).toBeGreaterThan(4900);
    // 50 MB were refused; what is held of them shows once the rest is collected, which may take a turn.
    await eventually('no more to be held than before', () => {
      collectGarbage();
      return process.memoryUsage().arrayBuffers - before < 10_000_000;
    });
    expect(client.logger.warnings).toEqual([expect.stringContaining('send buffer is full')]);
    expect(await client.ask(IS_ONLINE, 3, peerOf(gateway.address))).toBe('i:3;');
    expect(await linkErrorOf(client.mesh.drain())).toMatchObject({
      code: 'GW_LINK_NOT_DRAINED',
      fields: { lost: [], waiting: [deaf.address] },
    });
  });

  it('so many questions may wait for answers and no more', async () => {
    await using both = await pair({ maxPendingQuestions: 3 });
    const { answer } = both.gateway;
    const held: (() => void)[] = [];
    both.gateway.answer = (packet, from) => {
      const { connectionId } = packet;
      held.push(() => from.reply(`i:${connectionId};`));
    };
    const three = [1, 2, 3].map((id) => both.client.ask(IS_ONLINE, id));
    expect(await linkErrorOf(both.client.ask(IS_ONLINE, 4))).toMatchObject({
      code: 'GW_LINK_TOO_MANY_QUESTIONS',
      fields: { gateway: both.gateway.address },
    });
    await eventually('the questions', () => held.length === 3);
    for (const reply of held) reply();
    expect(await Promise.all(three)).toEqual(['i:1;', 'i:2;', 'i:3;']);
    both.gateway.answer = answer;
    expect(await both.client.ask(IS_ONLINE, 5)).toBe('i:5;');
  });
});

describe('deadlines', () => {
  it('each question has its own; a gateway that is slow keeps its connection, and no answer goes astray', async () => {
    await using both = await pair({ queryTimeout: 0.5 });
    const held: (() => void)[] = [];
    both.gateway.answer = (packet, from) => {
      const { connectionId } = packet;
      held.push(() => from.reply(`i:${connectionId};`));
    };
    const outcomes = Array.from({ length: 20 }, (_, id) => both.client.ask(IS_ONLINE, id).catch(({ code }) => code));
    await eventually('the questions', () => held.length === 20);
    // Ten a second: the first are in time, the others are not, and are told so before their answers have all come.
    const began = performance.now();
    const answering = setInterval(() => held.shift()?.(), 100);
    const settled = await Promise.all(outcomes);
    expect(performance.now() - began).toBeLessThan(1900);
    expect(settled[0]).toBe('i:0;');
    expect(settled.at(-1)).toBe('GW_LINK_TIMEOUT');
    expect(settled.filter((outcome) => outcome !== 'GW_LINK_TIMEOUT')).toEqual(
      Array.from({ length: settled.indexOf('GW_LINK_TIMEOUT') }, (_, id) => `i:${id};`),
    );
    await eventually('the last late answer', () => held.length === 0);
    clearInterval(answering);
    both.gateway.answer = ({ connectionId }, from) => from.reply(`i:${connectionId};`);
    expect(await both.client.ask(IS_ONLINE, 99)).toBe('i:99;');
    expect(both.gateway.mesh.counters.connections).toBe(1);
    expect(both.client.logger.warnings).toEqual([]);
  });

  it('a gateway that answers nothing loses the connection, after the commands on it, and the next is in order', async () => {
    await using both = await pair({ queryTimeout: 1 });
    const { answer } = both.gateway;
    both.gateway.answer = () => {};
    both.client.send(SEND_TO_ONE, 1, 'before');
    const asked = linkErrorOf(both.client.ask(IS_ONLINE));
    both.client.send(SEND_TO_ONE, 1, 'behind');
    expect(await asked).toMatchObject({ code: 'GW_LINK_TIMEOUT', fields: { gateway: both.gateway.address } });
    both.gateway.answer = answer;
    both.client.send(SEND_TO_ONE, 1, 'next');
    expect(await both.client.ask(IS_ONLINE, 8)).toBe('i:8;');
    expect(bodies(both.gateway)).toEqual(['before', 'behind', 'next']);
  });

  it('a gateway that hangs with commands on the way gets all of them first; questions meanwhile have their deadlines', async () => {
    await using register = await RawServer.start();
    await using hung = await deafGateway();
    register.list([hung.address]);
    await using client = await MeshClient.ready([register.address], { queryTimeout: 0.3 });
    for (let n = 0; n < 100; n++) expect(client.send(SEND_TO_ONE, n, 'x'.repeat(90_000))).toBe(true);
    expect((await linkErrorOf(client.ask(IS_ONLINE))).code).toBe('GW_LINK_TIMEOUT');
    client.send(SEND_TO_ONE, 1, 'next');
    for (const id of [1, 2]) {
      const began = performance.now();
      expect((await linkErrorOf(client.ask(IS_ONLINE, id))).code).toBe('GW_LINK_TIMEOUT');
      expect(performance.now() - began).toBeLessThan(5000);
    }
    expect(hung.connections).toBe(1);
    hung.onConnect = () => {};
    for (const socket of hung.sockets) socket.resume();
    const bytes = 100 * (PACKET + 90_000) + PACKET + (PACKET + 4) + 2 * PACKET;
    await eventually('all of it', () => hung.received.join('').length === bytes);
    expect(hung.received.join('').indexOf('next')).toBe(bytes - 2 * PACKET - 4);
    expect(hung.connections).toBe(2);
    await client.mesh.drain();
  });

  it('hold while there is no connection, and for one whose answers never come after that', async () => {
    await using register = await RawServer.start();
    const lanPort = await freePort();
    register.list([`127.0.0.1:${lanPort}`]);
    await using client = await MeshClient.ready([register.address], { queryTimeout: 0.3 });
    client.send(SEND_TO_ONE, 1, 'x');
    // By now about a second passes between two tries: the question is late before there is a connection.
    await eventually('failures', () => client.logger.warnings.length > 0);
    await pause(900);
    expect((await linkErrorOf(client.ask(IS_ONLINE))).code).toMatch(/GW_LINK_(?:TIMEOUT|UNREACHABLE)/);
    const late = linkErrorOf(client.ask(IS_ONLINE));
    await using deaf = await RawServer.start(lanPort);
    expect((await late).code).toMatch(/GW_LINK_(?:TIMEOUT|UNREACHABLE)/);
    expect((await linkErrorOf(client.ask(IS_ONLINE))).code).toBe('GW_LINK_TIMEOUT');
    await eventually('the connection', () => deaf.connections > 0);
  });
});

describe('ready', () => {
  it('comes with the first gateway, however late, for all who wait', async () => {
    const port = await freePort();
    const client = new MeshClient([`127.0.0.1:${port}`]);
    const both = Promise.all([client.mesh.ready(), client.mesh.ready()]);
    await pause(100);
    const register = await startRegister(port);
    const gateway = await MeshGateway.start({ registerAddresses: [`127.0.0.1:${port}`] });
    await both;
    await client.mesh.ready();
    await client.mesh.close();
    await gateway.mesh.close();
    await register.stop();
  });

  it('rejects when no register can be reached, with what happened to each', async () => {
    await using mute = await RawServer.start();
    const dead = `127.0.0.1:${await freePort()}`;
    await using client = new MeshClient([dead, mute.address], { readyTimeout: 0.3 });
    const error = await linkErrorOf(client.mesh.ready());
    expect(error.code).toBe('GW_LINK_NO_REGISTER');
    expect(error.message).toContain(`${dead}: connect ECONNREFUSED ${dead}`);
    expect(error.fields).toMatchObject({
      registers: [
        { register: dead, state: 'unreachable' },
        { register: mute.address, state: 'silent' },
      ],
    });
  });

  it('rejects when the register does not take the key, and says so; it comes in when the key is right later', async () => {
    const port = await freePort();
    let register = await startRegister(port, 'right');
    await using client = new MeshClient([`127.0.0.1:${port}`], { secretKey: 'wrong', readyTimeout: 0.4 });
    const error = await linkErrorOf(client.mesh.ready());
    expect(error).toMatchObject({ code: 'GW_LINK_REGISTER_REFUSED', fields: { registers: [{ state: 'refused' }] } });
    expect(error.message).toContain('is the secretKey the same?');
    expect(error.message).not.toContain('wrong');
    await register.stop();
    register = await startRegister(port, 'wrong');
    const gateway = await MeshGateway.start({ registerAddresses: [`127.0.0.1:${port}`], secretKey: 'wrong' });
    await eventually('it to be ready', () => client.addresses.length === 1);
    await gateway.mesh.close();
    await register.stop();
  });

  it('rejects when there is no gateway', async () => {
    await using register = await RawServer.start();
    register.list([]);
    await using client = new MeshClient([register.address], { readyTimeout: 0.2 });
    expect(await linkErrorOf(client.mesh.ready())).toMatchObject({
      code: 'GW_LINK_NO_GATEWAY',
      fields: { registers: [{ register: register.address, state: 'answered' }] },
    });
  });

  it('rejects at once when it is closed', async () => {
    const client = new MeshClient([`127.0.0.1:${await freePort()}`]);
    const waiting = linkErrorOf(client.mesh.ready());
    await client.mesh.close();
    expect((await waiting).code).toBe('GW_LINK_CLOSED');
    expect((await linkErrorOf(client.mesh.ready())).code).toBe('GW_LINK_CLOSED');
  });
});

describe('drain', () => {
  it('has everything with the gateways, also what waited for the connection', async () => {
    await using both = await pair();
    for (let n = 0; n < 1000; n++) both.client.send(SEND_TO_ONE, n, `c${n}`);
    await both.client.mesh.drain();
    await eventually('all', () => both.gateway.commands.length === 1000);
    await both.client.mesh.drain();
  });

  it('waits for a gateway that reads slowly, and not for what others send meanwhile', async () => {
    await using register = await RawServer.start();
    await using slow = await deafGateway();
    register.list([slow.address]);
    await using client = await MeshClient.ready([register.address], { drainTimeout: 20 });
    for (let n = 0; n < 100; n++) client.send(SEND_TO_ONE, 1, 'x'.repeat(90_000));
    let drained = false;
    const draining = client.mesh.drain().then(() => {
      drained = true;
    });
    await pause(200);
    expect(drained).toBe(false);
    // More comes than it reads: there is no moment in which nothing waits.
    const chat = () => {
      while (client.send(SEND_TO_ONE, 1, 'x'.repeat(50_000)));
    };
    const chatter = setInterval(chat, 1);
    slow.onData = (socket) => {
      chat();
      socket.pause();
      setTimeout(() => socket.resume(), 2);
    };
    for (const socket of slow.sockets) socket.resume();
    await draining;
    clearInterval(chatter);
    for (const socket of slow.sockets) socket.destroy();
  });

  it('rejects when bytes were lost with a connection, with the name of the gateway, and once', async () => {
    await using register = await RawServer.start();
    await using deaf = await deafGateway();
    register.list([deaf.address]);
    await using client = await MeshClient.ready([register.address]);
    for (let n = 0; n < 100; n++) client.send(SEND_TO_ONE, 1, 'x'.repeat(90_000));
    const draining = linkErrorOf(client.mesh.drain());
    await eventually('the connection', () => deaf.sockets.size === 1);
    await pause(100);
    for (const socket of deaf.sockets) socket.resetAndDestroy();
    expect(await draining).toMatchObject({
      code: 'GW_LINK_NOT_DRAINED',
      fields: { lost: [deaf.address], waiting: [] },
    });
    await client.mesh.drain();
    expect(client.logger.warnings).toContainEqual(expect.stringContaining('is lost'));
  });

  it('rejects for what was lost before it was called: a gateway that left before it could be reached', async () => {
    await using register = await RawServer.start();
    const address = `127.0.0.1:${await freePort()}`;
    register.list([address]);
    await using client = await MeshClient.ready([register.address]);
    client.send(SEND_TO_ONE, 1, 'x');
    await pause(50);
    register.list([]);
    await eventually('it to be forgotten', () => client.addresses.length === 0);
    expect((await linkErrorOf(client.mesh.drain())).fields).toMatchObject({ lost: [address] });
    await client.mesh.drain();
  });
});

describe('close', () => {
  it('writes what waits, takes nothing more, dials no more, and can be called twice', async () => {
    await using both = await pair();
    both.client.send(SEND_TO_ONE, 1, 'last');
    const closing = both.client.mesh.close();
    expect(both.client.mesh.close()).toBe(closing);
    expect(both.client.send(SEND_TO_ONE, 1, 'too late')).toBe(false);
    expect((await linkErrorOf(both.client.ask(IS_ONLINE))).code).toBe('GW_LINK_CLOSED');
    await closing;
    await eventually('the command', () => bodies(both.gateway).length === 1);
    await eventually('the gateway to be alone', () => both.gateway.mesh.counters.connections === 0);
    await eventually('the register too', () => both.register.sockets.size === 0);
    await pause(300);
    expect([both.gateway.mesh.counters.connections, both.register.connections]).toEqual([0, 1]);
    expect(bodies(both.gateway)).toEqual(['last']);
  });

  it('rejects those who wait for answers', async () => {
    await using both = await pair();
    both.gateway.answer = () => {};
    const asked = linkErrorOf(both.client.ask(IS_ONLINE));
    await eventually('the question', () => both.gateway.commands.length === 1);
    await both.client.mesh.close();
    expect((await asked).code).toBe('GW_LINK_UNREACHABLE');
  });

  it('hangs for nobody: a gateway that does not read, one that is not there, a register that does not hang up', async () => {
    await using register = await RawServer.start();
    await using deaf = await deafGateway();
    const absent = `127.0.0.1:${await freePort()}`;
    register.list([deaf.address, absent]);
    register.onData = (socket) => void socket.pause();
    const client = await MeshClient.ready([register.address], { drainTimeout: 0.3 });
    for (const peer of client.mesh.gateways) {
      for (let n = 0; n < 100; n++) client.send(SEND_TO_ONE, 1, 'x'.repeat(90_000), peer);
    }
    await eventually('the connection', () => deaf.sockets.size === 1);
    const began = performance.now();
    const error = await linkErrorOf(client.mesh.close());
    expect(performance.now() - began).toBeLessThan(2000);
    expect(error.code).toBe('GW_LINK_NOT_DRAINED');
    expect([...(error.fields.waiting as string[])].sort()).toEqual([deaf.address, absent].sort());
  });
});
