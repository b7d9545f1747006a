import { Buffer } from 'node:buffer';
import { afterEach, expect, test } from 'vitest';
import { eventually } from '../support/eventually.js';
import { startExample } from '../support/example.js';
import { endScripts } from '../support/processes.js';
import { TextTalker, WebSocketTalker } from '../support/talkers.js';
import { TcpClient } from '../support/tcp-client.js';

afterEach(endScripts);

test('close-unauthenticated closes who does not sign in, and keeps who did', async () => {
  const { port } = await startExample('close-unauthenticated', { links: 1, env: { SECONDS: '0.5' } });
  const ada = await WebSocketTalker.connect(port);
  const stranger = await WebSocketTalker.connect(port);
  ada.say('sign in secret-of-ada');
  stranger.say('sign in somehow');
  await ada.hears(/^welcome ada$/);
  await stranger.hears(/^sign in first$/);
  await eventually('the close', () => !stranger.connected);
  expect(stranger.closeCode).toBe(1008);
  await new Promise((resolve) => setTimeout(resolve, 600));
  expect(ada.connected).toBe(true);
  await ada.leave();
});

test('custom-protocol carries objects both ways', async () => {
  const { port } = await startExample('custom-protocol', { links: 1 });
  await using client = await TcpClient.open(port);
  const json = Buffer.from(
    JSON.stringify({ add: [1, 2, 3.5], note: { text: 'grüße', list: [], none: null, yes: true } }),
  );
  const head = Buffer.alloc(4);
  head.writeUInt32BE(json.length);
  const bytes = Buffer.concat([head, json]);
  client.write(bytes.subarray(0, 7));
  await new Promise((resolve) => setTimeout(resolve, 20));
  client.write(Buffer.concat([bytes.subarray(7), bytes]));
  const answers = await eventually('two answers', () => {
    const found: unknown[] = [];
    for (let at = 0; at + 4 <= client.bytes.length; ) {
      const end = at + 4 + client.bytes.readUInt32BE(at);
      if (end > client.bytes.length) break;
      found.push(JSON.parse(client.bytes.toString('utf8', at + 4, end)));
      at = end;
    }
    return found.length === 2 ? found : undefined;
  });
  const answer = { sum: 6.5, note: { text: 'grüße', list: [], none: null, yes: true } };
  expect(answers).toEqual([answer, answer]);
});

test('two-protocols is one chat for terminals and browsers', async () => {
  const { port, textPort } = await startExample('two-protocols', { links: 2 });
  const browser = await WebSocketTalker.connect(port);
  const terminal = await TextTalker.connect(textPort);
  // Connected is not yet known to the gateway: who hears himself is.
  for (const talker of [browser, terminal]) {
    talker.say('here');
    await talker.hears(/: here$/);
  }
  browser.say('hello');
  await terminal.hears(/^from a browser: hello$/);
  terminal.say('hi');
  await browser.hears(/^from a terminal: hi$/);
  await Promise.all([browser.leave(), terminal.leave()]);
});

test('own-router brings all of a room to one process', async () => {
  const { port } = await startExample('own-router', { links: 2 });
  const ask = async (room: string) => {
    const talker = await TextTalker.connect(port);
    talker.say(`room ${room}`);
    await talker.hears(/^in /);
    const told = await eventually('an answer from the room', async () => {
      talker.say('who');
      const match = await talker.hears(/^(\w+) has (\d+) in process (\d+)$/, talker.heard.length);
      return match[1] === room ? match : undefined;
    });
    return { talker, members: Number(told[2]), process: told[3] };
  };
  // The sums of these names are odd and even.
  const [first, second, other] = [await ask('red'), await ask('red'), await ask('reds')];
  expect([first.members, second.members, other.members]).toEqual([1, 2, 1]);
  expect(second.process).toBe(first.process);
  expect(other.process).not.toBe(first.process);
  await Promise.all([first, second, other].map(({ talker }) => talker.leave()));
});
