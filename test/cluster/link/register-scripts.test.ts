import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { Gateway } from '../../../src/cluster/gateway/mod.js';
import { Command } from '../../../src/cluster/protocol/mod.js';
import { eventually } from '../../support/eventually.js';
import { freePort, freePortPair } from '../../support/free-port.js';
import { MeshWorker } from '../../support/mesh.js';
import { linkErrorOf, MeshClient } from '../../support/mesh-client.js';
import { RawServer } from '../../support/raw-server.js';
import { RecordingLogger } from '../../support/recording-logger.js';
import { type Bytes, hex, plainValue, type Typed, vectors } from '../protocol/support.js';

interface PeerLine {
  readonly after_seconds: number;
  readonly line: Bytes;
  /** Null for what is no JSON. */
  readonly json: { readonly event: string; readonly address?: string; readonly secret_key?: string } | null;
}

/** What a gateway or worker says to a register. */
interface PeerScript {
  readonly name: string;
  readonly kind: 'peer';
  readonly secret_key: string;
  readonly expected: readonly PeerLine[];
}

/** What a worker does with what a register says. */
interface ConsumerScript {
  readonly name: string;
  readonly kind: 'consumer';
  readonly register_sends: Bytes;
  readonly register_closes_after: boolean;
  readonly expected: {
    readonly joins: readonly string[];
    readonly connections_to_register: number;
    readonly php_prints?: readonly string[];
  };
}

/** The same for a program that pushes. */
interface ClientScript {
  readonly name: string;
  readonly kind: 'client';
  readonly register_sends: Bytes;
  readonly register_closes_after: boolean;
  readonly expected: { readonly returns?: Typed; readonly throws?: string; readonly client_sends: Bytes };
}

interface ServerScript {
  readonly name: string;
  readonly kind: 'server';
}

const all = vectors<PeerScript | ConsumerScript | ClientScript | ServerScript>('register');
const peers = all.filter((script) => script.kind === 'peer');
const consumers = all.filter((script) => script.kind === 'consumer');
const clients = all.filter((script) => script.kind === 'client');

/** The original pastes the key in unescaped (spec 1.7), so that no register can ever read the line. Ours it can. */
const NOT_COPIED: Readonly<Record<string, string>> = {
  'peer-worker-secret-quote': '{"event":"worker_connect","secret_key":"se\\"k\\\\ret"}\n',
};

/** Where a program that pushes fails, and as what. */
const FAILURES: Readonly<Record<string, string>> = {
  'client-empty': 'GW_LINK_NO_GATEWAY',
  'client-garbage': 'GW_LINK_NO_REGISTER',
  'client-closed': 'GW_LINK_REGISTER_REFUSED',
};

afterEach(() => void vi.useRealTimers());

it('every script that is not for the Register itself is run here', () => {
  expect([peers.length, consumers.length, clients.length]).toEqual([8, 9, 5]);
  expect(all.every(({ kind }) => ['server', 'peer', 'consumer', 'client'].includes(kind))).toBe(true);
});

describe('what is said to a register, byte for byte', () => {
  it.each(peers)('$name', async ({ name, secret_key: secretKey, expected }) => {
    // The sockets are real, and so is the clock by which they and the tests wait: only the pings come by this one.
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    await using register = await RawServer.start();
    // A register is pinged unless its address begins with 127.0.0.1.
    const host = name.endsWith('-ping') ? 'localhost' : '127.0.0.1';
    const registerAddress = `${host}:${register.port}`;
    const joins = expected.flatMap(({ json }) => (json?.event === 'gateway_connect' ? [json.address as string] : []));
    let ports = (line: string) => line;
    if (joins.length > 0) ports = await startGateways(joins, registerAddress, secretKey);
    else startWorker(registerAddress, secretKey);

    const lines: string[] = [];
    let seconds = 0;
    for (const { after_seconds: after, line } of expected) {
      vi.advanceTimersByTime((after - seconds) * 1000);
      seconds = after;
      lines.push(NOT_COPIED[name] ?? ports(textOf(line)));
      await eventually('the line', () => linesOf(register).length >= lines.length);
    }
    // Processes that start at once come in any order.
    expect(linesOf(register).sort()).toEqual(lines.sort());
    for (const line of lines) expect(() => JSON.parse(line)).not.toThrow();
  });
});

describe('what a register says to a worker', () => {
  it.each(consumers)('$name', async ({ register_sends: sends, register_closes_after: closes, expected }) => {
    const gateways = await Gateways.for(textOf(sends));
    await using register = await RawServer.start();
    register.onConnect = (socket) => {
      socket.write(gateways.replaced(textOf(sends)));
      if (closes) socket.end();
    };
    const worker = startWorker(register.address, '');
    await eventually('its line', () => register.received.length > 0);
    await eventually('the joins', () => gateways.joined.length >= expected.joins.length);
    if (closes) {
      // The original tries once a second. We begin sooner, and are as patient when it lasts: see Redial.
      await eventually('it to come again', () => register.connections >= expected.connections_to_register);
    } else {
      // What it says next is understood as well, and by then everything has been done that was to be.
      await using next = await RawServer.start();
      register.say(`{"event":"broadcast_addresses","addresses":["${next.address}"]}\n`);
      await eventually('the last join', () => next.received.length > 0);
      expect(register.connections).toBe(expected.connections_to_register);
    }
    expect(gateways.joined).toEqual([...expected.joins].sort());
    expect(worker.logger.count('not understood')).toBe(expected.php_prints?.length ?? 0);
  });
});

describe('what a register says to a program that pushes', () => {
  it('fails where it did with the original, and has a name for each', () => {
    const failing = clients.filter(({ expected }) => expected.throws !== undefined).map(({ name }) => name);
    expect(failing.sort()).toEqual(Object.keys(FAILURES).sort());
  });

  it.each(clients)('$name', async ({ name, register_sends: sends, register_closes_after: closes, expected }) => {
    await using register = await RawServer.start();
    register.onData = (socket) => {
      socket.write(textOf(sends));
      if (closes) socket.end();
    };
    await using client = new MeshClient([register.address], { readyTimeout: 1 });
    if (expected.returns === undefined) {
      expect((await linkErrorOf(client.mesh.ready())).code).toBe(FAILURES[name]);
      expect(client.addresses).toEqual([]);
    } else {
      await client.mesh.ready();
      expect(client.addresses).toEqual(Object.values(plainValue(expected.returns) as object));
    }
    // One that was sent away comes again.
    expect(linesOf(register).at(0)).toBe(textOf(expected.client_sends));
    expect(new Set(linesOf(register)).size).toBe(1);
  });
});

/** A server for each gateway that a register's lines name, and which of them a worker has joined, as they were named. */
class Gateways {
  readonly #servers = new Map<string, RawServer>();

  static async for(text: string): Promise<Gateways> {
    const gateways = new Gateways();
    for (const [address] of text.matchAll(/127\.0\.0\.1:\d+/g)) {
      if (gateways.#servers.has(address)) continue;
      const server = await RawServer.start();
      onTestFinished(() => server[Symbol.asyncDispose]());
      gateways.#servers.set(address, server);
    }
    return gateways;
  }

  replaced(text: string): string {
    return text.replace(/127\.0\.0\.1:\d+/g, (address) => this.#servers.get(address)?.address as string);
  }

  /** One for each connection that began with a WORKER_CONNECT. */
  get joined(): string[] {
    return [...this.#servers].flatMap(([address, server]) =>
      server.received.filter((packet) => packet.charCodeAt(4) === Command.WORKER_CONNECT).map(() => address),
    );
  }
}

/** The processes of a Gateway, each with the inner port that it announces; what turns recorded ports into theirs. */
async function startGateways(addresses: readonly string[], registerAddress: string, secretKey: string) {
  const recorded = Math.min(...addresses.map((address) => Number(address.split(':')[1])));
  const [lanIp = ''] = addresses[0]?.split(':') ?? [];
  const startPort = addresses.length > 1 ? await freePortPair(lanIp) : await freePort(lanIp);
  for (let id = 0; id < addresses.length; id++) {
    const count = addresses.length;
    const gateway = new Gateway('text://127.0.0.1:0', { lanIp, startPort, count, registerAddress, secretKey });
    gateway.id = id;
    await gateway.start({ logger: new RecordingLogger(), single: true, generation: 0 });
    onTestFinished(() => gateway.stop(AbortSignal.abort()));
  }
  return (line: string) =>
    line.replace(/(?<="address":"[\d.]+:)\d+/, (port) => String(Number(port) - recorded + startPort));
}

function startWorker(registerAddress: string, secretKey: string): MeshWorker {
  const worker = new MeshWorker([registerAddress], { secretKey });
  onTestFinished(() => worker.mesh.close());
  return worker;
}

/** What the register was sent, with the ends of the lines. */
function linesOf(register: RawServer): string[] {
  return register.received.join('').match(/.*\n/g) ?? [];
}

function textOf(bytes: Bytes): string {
  return hex(bytes.hex).toString();
}
