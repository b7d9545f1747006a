import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import { freePorts } from '../support/free-port.js';
import { giveOrder } from '../support/orders.js';
import { endScripts, type Script, startScript } from '../support/processes.js';
import { type Talker, TextTalker, WebSocketTalker } from '../support/talkers.js';

const SCRIPT = fileURLToPath(new URL('./fixtures/reload-cluster.mjs', import.meta.url));

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gatewayworker-'));
});

afterEach(async () => {
  await endScripts();
  rmSync(folder, { recursive: true });
});

interface Running {
  readonly script: Script;
  readonly text: () => Promise<Talker>;
  readonly webSocket: () => Promise<Talker>;
  readonly workers: () => Promise<(number | undefined)[]>;
}

async function start(): Promise<Running> {
  const [register, text = 0, socket = 0, control = 0] = await freePorts(4);
  const events = join(folder, 'events.mjs');
  writeFileSync(events, "export const onMessage = (client, message) => client.send(process.pid + ' ' + message);");
  const script = startScript(SCRIPT, {
    env: {
      REGISTER_PORT: String(register),
      TEXT_PORT: String(text),
      SOCKET_PORT: String(socket),
      CONTROL_PORT: String(control),
      EVENTS: events,
    },
  });
  await script.outputMatching(/takes orders/);
  await script.outputMatching(/(?:a worker joined[\s\S]*){6}/);
  return {
    script,
    text: () => TextTalker.connect(text),
    webSocket: () => WebSocketTalker.connect(socket),
    workers: async () => {
      const { processes } = await giveOrder(control, {});
      return processes.filter(({ worker, state }) => worker === 'Worker' && state === 'ready').map(({ pid }) => pid);
    },
  };
}

async function answered(talker: Talker, line: string): Promise<number> {
  talker.say(line);
  return Number((await talker.hears(new RegExp(`^(\\d+) ${line}$`)))[1]);
}

describe('a graceful stop of a cluster', () => {
  it('serves the clients that are there until the last has gone, also by workers that come only now', async () => {
    const { script, text, webSocket, workers } = await start();
    const [first, second] = [await text(), await webSocket()];
    for (const talker of [first, second]) await answered(talker, 'before');
    const processes = script.children().length;
    script.kill('SIGQUIT');
    await script.outputMatching(/TextGateway:0 1 connection remains/);
    await script.outputMatching(/SocketGateway:0 1 connection remains/);
    // The master, which has the ports, hears of it a moment later; who comes in between is never served.
    for (const connect of [text, webSocket]) {
      await eventually('the refusal', () =>
        connect().then(
          async (early) => void (await early.leave()),
          () => true,
        ),
      );
    }
    // All of them, so that only successors can answer.
    const before = await workers();
    expect(before).toHaveLength(3);
    for (const pid of before) process.kill(pid as number, 'SIGKILL');
    await eventually('three others', async () => {
      const now = await workers();
      return now.length === 3 && !now.some((pid) => before.includes(pid));
    });
    for (const talker of [first, second]) expect(before).not.toContain(await answered(talker, 'meanwhile'));
    await first.leave();
    await eventually('its gateway to have ended', () => script.children().length === processes - 1);
    expect(await answered(second, 'still there')).toBeGreaterThan(0);
    await second.leave();
    expect(await script.exit()).toEqual({ code: 0, signal: null });
    expect(script.output).not.toContain('killing');
  });

  it('closes the clients that remain when it is hurried, and tells WebSocket clients why', async () => {
    const { script, webSocket } = await start();
    const talker = (await webSocket()) as WebSocketTalker;
    await answered(talker, 'before');
    script.kill('SIGQUIT');
    await script.outputMatching(/SocketGateway:0 1 connection remains/);
    script.kill('SIGTERM');
    expect(await script.exit()).toEqual({ code: 0, signal: null });
    await eventually('the close', () => !talker.connected);
    expect(talker.closeCode).toBe(1001);
    expect(script.output).not.toContain('killing');
  });
});
