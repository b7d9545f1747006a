import { Buffer } from 'node:buffer';
import { describe, expect, it } from 'vitest';
import { enterDispatch, leaveDispatch, WorkerGatewayApi } from '../../../src/cluster/api/mod.js';
import { AbsentGroups, type GatewayPeer } from '../../../src/cluster/link/mod.js';
import { Command, ipToNumber, type PacketHead, PhpFloat } from '../../../src/cluster/protocol/mod.js';
import { hex, plainValue, type Typed, vectors } from '../protocol/support.js';

interface Vector {
  readonly name: string;
  readonly direction: string;
  readonly api?: string;
  readonly args?: Typed[];
  readonly returns?: Typed;
  readonly gateway: string;
  readonly expected: {
    readonly cmd: number;
    readonly connection_id: number;
    readonly flag: number;
    readonly ext_data: { readonly hex: string };
    readonly body: { readonly hex: string };
  };
  readonly reply?: { readonly payload: { readonly hex: string } };
}

interface Call {
  readonly name: string;
  readonly packets: Vector[];
}

/** What the original's argument lists are called with here. */
const CALLS: Readonly<Record<string, (api: WorkerGatewayApi, ...args: never[]) => unknown>> = {
  sendToAll: (api, message: string, clientIds?: string[] | null, exclude?: string[] | null, raw = false) =>
    api.sendToAll(message, { ...(clientIds ? { clientIds } : {}), ...(exclude ? { exclude } : {}), raw }),
  sendToClient: (api, id: string, message: string, raw = false) => api.sendToClient(id, message, { raw }),
  sendToCurrentClient: (api, message: string, raw = false) => api.sendToCurrentClient(message, { raw }),
  sendToUid: (api, uid: string | string[], message: string, raw = false) => api.sendToUid(uid, message, { raw }),
  sendToGroup: (api, group: string | string[], message: string, exclude?: string[] | null, raw = false) =>
    api.sendToGroup(group, message, { ...(exclude ? { exclude } : {}), raw }),
  destoryClient: (api, id: string) => api.destroyClient(id),
};

/** Where we say something else on purpose, or nothing at all. */
const LEFT_OUT: Readonly<Record<string, string>> = {
  'lib-sendToClient-true': 'booleans are true and false here, not 1 and nothing',
  'lib-sendToClient-false': 'booleans are true and false here, not 1 and nothing',
  'lib-bindUid-zero': 'throws, and sends nothing',
  'lib-setSocketSession': 'internal to the original',
  'lib-session-write-back': 'no call: the worker does it when a handler has settled',
  'lib-session-write-back-null': 'no call: the worker does it when a handler has settled',
};

/**
 * What calls of functions sent: not what was encoded by hand, nor the events of the clients, nor the secret key in front
 * of a question, which is the business of the link.
 */
const sent = vectors<Vector>('gateway-protocol').filter(
  ({ api = 'GatewayProtocol::', direction, expected }) =>
    !api.startsWith('GatewayProtocol::') &&
    direction !== 'gateway->worker' &&
    expected.cmd !== Command.GATEWAY_CLIENT_CONNECT,
);
const calls = recordedCalls();

describe('the packets of the original', () => {
  it('are all replayed, but for those that are left out by name', () => {
    const replayed = new Set(calls.flatMap(({ packets }) => packets));
    const others = sent.filter((packet) => !replayed.has(packet)).map(({ name }) => name);
    expect(others.sort()).toEqual(Object.keys(LEFT_OUT).sort());
    expect(replayed.size).toBe(238);
  });

  it('are there for every function', () => {
    const functions = new Set(calls.map(({ packets }) => functionOf(packets)));
    expect(functions.size).toBeGreaterThan(35);
    for (const name of ['isUidsOnline', 'batchGetClientIdByUid', 'batchGetClientIdCountByGroup', 'ungroup']) {
      expect(functions).toContain(name);
    }
  });

  for (const { name, packets } of calls) {
    it(`${name}: sends the same, and makes the same of the answers`, async () => {
      const sent = new Map<string, unknown>();
      const { api, find } = replaying(packets, sent);
      const args = (packets[0]?.args ?? []).map(argumentOf) as never[];
      const call = CALLS[functionOf(packets)] ?? method(functionOf(packets));
      const outer = enterDispatch({ api, client: currentClient(api, find, packets) });
      let result: unknown;
      try {
        result = call(api, ...args);
      } finally {
        leaveDispatch(outer);
      }
      const answer = await result;
      expect(Object.fromEntries(sent)).toEqual(
        Object.fromEntries(packets.map(({ gateway, expected }) => [gateway, wireOf(expected)])),
      );
      const returns = packets[0]?.returns;
      if (packets[0]?.reply !== undefined && returns !== undefined) {
        expect(comparable(answer)).toEqual(comparable(plainValue(returns)));
      }
    });
  }
});

function recordedCalls(): Call[] {
  const names = new Set(vectors<Vector>('gateway-protocol').map(({ name }) => name));
  const byName = new Map<string, Vector[]>();
  for (const vector of sent) {
    const base = vector.name.replace(/-\d+$/, '');
    const name = base !== vector.name && names.has(base) ? base : vector.name;
    if (LEFT_OUT[name] !== undefined) continue;
    const packets = byName.get(name);
    if (packets === undefined) byName.set(name, [vector]);
    else packets.push(vector);
  }
  return Array.from(byName, ([name, packets]) => ({ name, packets }));
}

function functionOf(packets: readonly Vector[]): string {
  return packets[0]?.api?.split('::')[1] ?? '';
}

function method(name: string): (api: WorkerGatewayApi, ...args: never[]) => unknown {
  return (api, ...args) => {
    const call = (api as unknown as Record<string, (...args: unknown[]) => unknown>)[name];
    expect(call, name).toBeTypeOf('function');
    return call?.apply(api, args);
  };
}

/** Gateways that keep what they are sent and answer as it was recorded. */
function replaying(packets: readonly Vector[], sent: Map<string, unknown>) {
  const peers = packets.map(({ gateway, reply }): GatewayPeer => {
    const [host = '', port = ''] = gateway.split(':');
    const keep = (head: PacketHead, ext: string | Buffer, body: string | Buffer) => {
      expect(sent.has(gateway), `two packets to ${gateway}`).toBe(false);
      sent.set(gateway, {
        cmd: head.cmd,
        connectionId: head.connectionId,
        flag: head.flag,
        ext: Buffer.from(ext as string).toString('hex'),
        body: Buffer.from(body as string).toString('hex'),
      });
    };
    return {
      address: gateway,
      localIp: ipToNumber(host) ?? 0,
      localPort: Number(port),
      live: true,
      supports: () => false,
      undecided: false,
      process: null,
      absentGroups: new AbsentGroups(),
      send: (head, ext, body) => {
        keep(head, ext, body);
        return true;
      },
      ask: async (head, ext, body) => {
        keep(head, ext, body);
        return hex(reply?.payload.hex ?? '');
      },
    };
  });
  const find = (ip: number, port: number) => peers.find((peer) => peer.localIp === ip && peer.localPort === port);
  return { api: new WorkerGatewayApi({ gateways: peers, gateway: find }), find };
}

function currentClient(
  api: WorkerGatewayApi,
  find: (ip: number, port: number) => GatewayPeer | undefined,
  packets: readonly Vector[],
) {
  const [host = '', port = ''] = packets[0]?.gateway.split(':') ?? [];
  const peer = find(ipToNumber(host) ?? 0, Number(port)) as GatewayPeer;
  const id = packets[0]?.expected.connection_id ?? 0;
  return {
    send: (message: string, options = {}) => api.sendToPeer(peer, id, message, options),
    close: (message?: string) => api.closePeer(peer, id, message),
    destroy: () => false,
  } as never;
}

function wireOf({ cmd, connection_id, flag, ext_data, body }: Vector['expected']) {
  return { cmd, connectionId: connection_id, flag, ext: ext_data.hex, body: body.hex };
}

/** Floats stay floats. */
function argumentOf(typed: Typed): unknown {
  if (typed.t === 'float') {
    const value = hex(typed.bits).readDoubleBE();
    return Number.isSafeInteger(value) ? new PhpFloat(value) : value;
  }
  if (typed.t !== 'array') return plainValue(typed);
  if (typed.list) return typed.v.map(([, value]) => argumentOf(value));
  return Object.fromEntries(typed.v.map(([key, value]) => [String(plainValue(key)), argumentOf(value)]));
}

/** A map x → x is the list of the x, integers are texts, 1 and 0 are true and false; no order counts. */
function comparable(value: unknown): unknown {
  if (typeof value === 'boolean') return String(Number(value));
  if (value instanceof Map) return comparable(Object.fromEntries(value));
  if (typeof value !== 'object' || value === null) return String(value);
  const entries = Object.entries(value);
  if (entries.length === 0) return [];
  if (Array.isArray(value) || entries.every(([key, item]) => key === String(item))) {
    return entries.map(([, item]) => String(item)).sort();
  }
  return Object.fromEntries(entries.map(([key, item]) => [key, comparable(item)]));
}
