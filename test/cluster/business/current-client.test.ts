import { Buffer } from 'node:buffer';
import { describe, expect, it } from 'vitest';
import { type ApiError, gateway, type WorkerGatewayApi } from '../../../src/cluster/api/mod.js';
import type { Client } from '../../../src/cluster/business/mod.js';
import { Command } from '../../../src/cluster/protocol/mod.js';
import { startCluster } from '../../../src/testing/mod.js';
import { LineClient } from '../../support/cluster-clients.js';
import { bench, deferred, turn } from '../../support/fake-link.js';
import { seededRandom } from '../../support/seeded-random.js';

const NO_CLIENT = expect.objectContaining({
  code: 'GW_API_NO_CURRENT_CLIENT',
  message: expect.stringContaining("'client' argument"),
});

describe('the current client', () => {
  it('is the one whose handler is being called', () => {
    const { link } = bench({
      onConnect: (client) => void client.gateway.sendToCurrentClient('hello'),
      onMessage: (client, message) => {
        if (message === 'bytes') client.gateway.sendToCurrentClient(Buffer.from('b'), { binary: false, raw: true });
        if (message === 'close') client.gateway.closeCurrentClient({ why: 1 });
        if (message === 'end') client.gateway.closeCurrentClient();
        if (message === 'destroy') client.gateway.destroyCurrentClient();
      },
      onClose: (client) => void client.gateway.sendToCurrentClient('gone'),
    });
    link.connect(1);
    for (const message of ['bytes', 'close', 'end', 'destroy']) link.message(2, message);
    link.hangUp(1);
    expect(link.peer.sent.map(({ cmd, connectionId, flag, body }) => [cmd, connectionId, flag, body])).toEqual([
      [Command.SEND_TO_ONE, 1, 1, 'hello'],
      [Command.SEND_TO_ONE, 2, 3, 'b'],
      [Command.KICK, 2, 0, 'a:1:{s:3:"why";i:1;}'],
      [Command.KICK, 2, 0, 'N;'],
      [Command.DESTROY, 2, 1, ''],
      [Command.SEND_TO_ONE, 1, 1, 'gone'],
    ]);
  });

  it('is nobody behind an await, in a timer, a microtask, and where no handler is called', async () => {
    const thrown: unknown[] = [];
    const attempt = (api: WorkerGatewayApi) => {
      for (const call of [
        () => api.sendToCurrentClient('x'),
        () => api.closeCurrentClient(),
        () => api.destroyCurrentClient(),
      ]) {
        try {
          call();
          thrown.push('nothing');
        } catch (error) {
          thrown.push(error);
        }
      }
    };
    const { link, process } = bench({
      onMessage: async ({ gateway: api }) => {
        setTimeout(() => attempt(api), 0);
        queueMicrotask(() => attempt(api));
        await null;
        attempt(api);
        await turn();
        attempt(api);
      },
    });
    attempt(process.api);
    link.message(1, 'x');
    attempt(process.api);
    await process.stop();
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(thrown).toHaveLength(18);
    for (const error of thrown) expect(error).toEqual(NO_CLIENT);
    expect(link.peer.sent).toEqual([]);
  });

  it('is nobody while a session is saved behind a handler', () => {
    const codes: string[] = [];
    const { link } = bench({
      onMessage: (client) => {
        client.session = {
          get a() {
            try {
              client.gateway.sendToCurrentClient('x');
            } catch (error) {
              codes.push((error as ApiError).code);
            }
            return 1;
          },
        };
      },
    });
    link.message(1, 'x');
    expect(codes).toEqual(['GW_API_NO_CURRENT_CLIENT']);
    expect(link.peer.of(Command.SEND_TO_ONE)).toEqual([]);
  });

  it('is the outer one again behind an event that is delivered inside a handler, also when that throws', () => {
    const { link } = bench({
      onMessage: (client, message) => {
        if (message === 'inner') throw new Error('asked to');
        link.message(2, 'inner');
        client.gateway.sendToCurrentClient('outer');
      },
    });
    link.message(1, 'outer');
    expect(link.peer.of(Command.SEND_TO_ONE).map(({ connectionId }) => connectionId)).toEqual([1]);
  });

  it('is not that of another worker in this process', () => {
    const other = bench({});
    const codes: string[] = [];
    const { link } = bench({
      onMessage: () => {
        try {
          other.process.api.sendToCurrentClient('x');
        } catch (error) {
          codes.push((error as ApiError).code);
        }
      },
    });
    link.message(1, 'x');
    expect(codes).toEqual(['GW_API_NO_CURRENT_CLIENT']);
    expect(link.peer.sent).toEqual([]);
    expect(other.link.peer.sent).toEqual([]);
  });

  it('is never another one, with interleaved handlers of many clients', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const random = seededRandom(seed);
      let refused = 0;
      const gates: (() => void)[] = [];
      const { link, process } = bench({
        onMessage: async (client: Client, message) => {
          client.gateway.sendToCurrentClient(`${client.id} ${message}`);
          const steps = Math.floor(random() * 4);
          for (let step = 0; step < steps; step++) {
            const gate = deferred();
            gates.push(gate.resolve);
            await (random() < 0.5 ? gate.promise : null);
            try {
              client.gateway.sendToCurrentClient('to nobody');
            } catch {
              refused++;
            }
          }
        },
      });
      for (let index = 0; index < 300; index++) {
        link.message(1 + Math.floor(random() * 20), String(index));
        if (random() < 0.3) await turn();
        if (random() < 0.5) gates.splice(Math.floor(random() * gates.length), 1)[0]?.();
      }
      const stopped = process.stop();
      const timer = setInterval(() => {
        for (const open of gates.splice(0)) open();
      }, 0);
      await stopped;
      clearInterval(timer);
      const sent = link.peer.of(Command.SEND_TO_ONE);
      expect(sent).toHaveLength(300);
      for (const { connectionId, body } of sent) expect(body).toMatch(new RegExp(`^7f0000010b54${hex(connectionId)} `));
      expect(refused).toBeGreaterThan(50);
    }
  });

  it('is there on the gateway functions of a real worker, and not in onWorkerStart', async () => {
    const seen: unknown[] = [];
    const attempt = () => {
      try {
        return gateway.sendToCurrentClient('x');
      } catch (error) {
        return (error as ApiError).code;
      }
    };
    await using cluster = await startCluster({
      events: {
        onWorkerStart: () => void seen.push(attempt()),
        onConnect: () => void gateway.sendToCurrentClient('hello'),
        onMessage: async (client) => {
          await null;
          client.send(String(attempt()));
          client.gateway.closeClient(client.id);
        },
      },
    });
    const client = await LineClient.open(cluster.gateways[0]?.port ?? 0);
    client.send('x');
    expect(await client.take(2)).toEqual(['hello', 'GW_API_NO_CURRENT_CLIENT']);
    client.socket.destroy();
    expect(seen).toEqual(['GW_API_NO_CURRENT_CLIENT']);
    expect(() => gateway.sendToCurrentClient('x')).toThrow(NO_CLIENT);
  });
});

function hex(connectionId: number): string {
  return connectionId.toString(16).padStart(8, '0');
}
