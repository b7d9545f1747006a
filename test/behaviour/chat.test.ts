import { afterEach, describe, expect, it } from 'vitest';
import { Chat } from '../support/chat.js';
import { eventually } from '../support/eventually.js';
import { busyPort } from '../support/free-port.js';
import { endScripts } from '../support/processes.js';
import type { Talker } from '../support/talkers.js';

afterEach(endScripts);

const HELLO = /^Hello ([0-9a-f]{20})$/;

async function idOf(talker: Talker): Promise<string> {
  return (await talker.hears(HELLO))[1] ?? '';
}

describe('the chat', () => {
  it('has two text clients and two WebSocket clients join, talk and leave in one room', async () => {
    const chat = await Chat.start();
    const talkers: Talker[] = [];
    const ids: string[] = [];
    for (const connect of [() => chat.text(), () => chat.webSocket(), () => chat.text(), () => chat.webSocket()]) {
      const talker = await connect();
      talkers.push(talker);
      // A gateway may take a while to accept, and another one overtake it.
      ids.push(await idOf(talker));
    }
    expect(new Set(ids).size).toBe(4);

    // Everybody hears of those who came after them, and of themselves.
    for (const [index, talker] of talkers.entries()) {
      for (const id of ids.slice(index)) await talker.hears(new RegExp(`^${id} login$`));
    }
    for (const [index, talker] of talkers.entries()) {
      talker.say(`line of ${index}: grüße, 你好 😀`);
      for (const listener of talkers) {
        await listener.hears(new RegExp(`^${ids[index]} said line of ${index}: grüße, 你好 😀$`));
      }
    }
    // In order, however fast.
    for (let n = 0; n < 500; n++) talkers[0]?.say(`n${n}`);
    await Promise.all(talkers.map((talker) => talker.hears(/ said n499$/)));
    for (const talker of talkers) {
      const numbers = talker.heard.flatMap((line) => line.match(/ said n(\d+)$/)?.[1] ?? []);
      expect(numbers).toEqual(Array.from({ length: 500 }, (_, n) => String(n)));
    }
    for (const [index, talker] of talkers.entries()) {
      await talker.leave();
      for (const listener of talkers.slice(index + 1)) await listener.hears(new RegExp(`^${ids[index]} logout$`));
    }
  });

  it('tells pages who is there, by name', async () => {
    const chat = await Chat.start();
    const telnet = await chat.text();
    const telnetId = await idOf(telnet);
    const ann = await chat.webSocket('/?view=page&name=Ann%20B');
    const annId = await idOf(ann);
    const roster = JSON.parse((await ann.hears(/^\{"type":"roster"/)).input);
    expect(roster.clients).toContainEqual({ id: telnetId, name: null, kind: 'text' });
    expect(roster.clients).toContainEqual({ id: annId, name: 'Ann B', kind: 'web' });
    const bob = await chat.webSocket('/?view=page&name=Bob');
    const bobId = await idOf(bob);
    expect(JSON.parse((await ann.hears(/^\{"type":"joined".*Bob/)).input)).toEqual({
      type: 'joined',
      id: bobId,
      name: 'Bob',
      kind: 'web',
    });
    bob.say('{"type":"rename","name":"Robert"}');
    await ann.hears(new RegExp(`^\\{"type":"renamed","id":"${bobId}","name":"Robert"\\}$`));
    // A line feed must not let one speak for another on a telnet screen.
    bob.say(`hi\n${annId} said I am Ann`);
    await telnet.hears(new RegExp(`^${bobId} said hi ${annId} said I am Ann$`));
    expect(telnet.heard.some((line) => line.startsWith('{'))).toBe(false);
  });

  it('goes on for the others when a client sends garbage or more than the limit', async () => {
    const chat = await Chat.start();
    const witness = await chat.webSocket();
    await idOf(witness);
    const vandal = await chat.webSocket();
    const vandalId = await idOf(vandal);
    vandal.say('x'.repeat(70_000));
    await witness.hears(new RegExp(`^${vandalId} logout$`));
    expect(vandal.closeCode).toBe(1009);
    const stranger = await fetch(`http://127.0.0.1:${chat.ports.webSocket}/`);
    expect(stranger.status).toBe(400);
    const report = await chat.script.outputMatching(/warn WebSocketGateway:0 .*GW_PACKAGE_TOO_LARGE.*/);
    expect(report[0]).toMatch(/limit=65536/);
    witness.say('still here');
    await witness.hears(/ said still here$/);
  });

  it('is reloaded under its clients, and keeps what can only be there once', async () => {
    const chat = await Chat.start();
    const witness = await chat.webSocket();
    await idOf(witness);
    const page = chat.pidOf('ChatPage:0');
    chat.script.kill('SIGUSR1');
    const [, outcome] = await chat.script.outputMatching(/master (reloaded: .*|the reload has ended: .*)/, 20_000);
    expect(outcome).toBe('reloaded: 2 replaced, 4 kept');
    expect(chat.pidOf('ChatPage:0')).toBe(page);
    witness.say('still here');
    await witness.hears(/ said still here$/);
    expect(witness.connected).toBe(true);
  });

  it('says what listens where, and stops within two seconds, leaving no process behind', async () => {
    const chat = await Chat.start();
    const { output } = chat.script;
    expect(output).toContain(`telnet 127.0.0.1 ${chat.ports.text}`);
    expect(output).toContain(`http://127.0.0.1:${chat.ports.web}`);
    expect(output).toContain(`websocket://127.0.0.1:${chat.ports.webSocket}`);
    expect(output).toContain(`text://127.0.0.1:${chat.ports.register}`);
    const text = await chat.text();
    const webSocket = await chat.webSocket();
    await idOf(text);
    await idOf(webSocket);
    const group = chat.script.group();
    expect(group.length).toBe(7);
    const begun = performance.now();
    chat.script.killGroup('SIGINT');
    const { code } = await chat.script.exit();
    expect(code).toBe(0);
    expect(performance.now() - begun).toBeLessThan(2000);
    expect(chat.script.group()).toEqual([]);
    // Clients are told that the server goes away, and hear of each other to the end.
    await eventually('both clients to be closed', () => !text.connected && !webSocket.connected);
    expect(webSocket.closeCode).toBe(1001);
  });

  it('refuses a port in use with one clear message, and starts nothing', async () => {
    const { server, port } = await busyPort('127.0.0.1');
    try {
      const chat = await Chat.launch({ CHAT_TEXT_PORT: String(port), CHAT_LOG_LEVEL: 'info' });
      const { code } = await chat.script.exit();
      expect(code).toBe(1);
      expect(chat.script.output.trim()).toBe(
        `TextGateway cannot listen on text://127.0.0.1:${port}: the port is in use; stop the program that uses it (ss -ltnp shows it) or choose another port`,
      );
      expect(chat.script.group()).toEqual([]);
    } finally {
      server.close();
    }
  });

  it('refuses a page port in use as clearly', async () => {
    const { server, port } = await busyPort('127.0.0.1');
    try {
      const chat = await Chat.launch({ CHAT_WEB_PORT: String(port), CHAT_LOG_LEVEL: 'error' });
      const { code } = await chat.script.exit();
      expect(code).toBe(1);
      expect(chat.script.output.trim()).toBe(
        `ChatPage:0 could not start: cannot listen on http://127.0.0.1:${port}: the port is in use; stop the program that uses it or choose another port with CHAT_WEB_PORT`,
      );
      expect(chat.script.group()).toEqual([]);
    } finally {
      server.close();
    }
  });
});
