import { Buffer } from 'node:buffer';
import { afterEach, expect, test } from 'vitest';
import { eventually } from '../support/eventually.js';
import { startExample } from '../support/example.js';
import { endScripts } from '../support/processes.js';
import { oneOfEachProcess, processOf, TextTalker, WebSocketTalker } from '../support/talkers.js';
import { TcpClient } from '../support/tcp-client.js';

afterEach(endScripts);

interface Member<T> {
  readonly talker: T;
  readonly id: string;
}

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

test('groups-by-tag reaches everyone with the tag, in both gateway processes, and nobody else', async () => {
  const { port } = await startExample('groups-by-tag', { links: 2 });
  const tagged = async (tags: string) => {
    const talker = await WebSocketTalker.connect(port);
    talker.say(`tags ${tags}`);
    const [, id = ''] = await talker.hears(/^([0-9a-f]{20}) has the tags /);
    return { talker, id };
  };
  const members = await oneOfEachProcess<Member<WebSocketTalker>>(() => tagged('tea chess'));
  const [member] = members;
  const other = await tagged('chess');

  other.talker.say('#tea a cup?');
  for (const { talker } of members) await talker.hears(new RegExp(`^${other.id} to #tea: a cup\\?$`));
  // What comes behind it has come, so it would have.
  member.talker.say('#chess a game?');
  await other.talker.hears(/ to #chess: a game\?$/);
  expect(other.talker.heard.filter((line) => line.includes('#tea'))).toEqual([]);

  // Tags replace those before them.
  member.talker.say('tags chess go');
  await member.talker.hears(/ has the tags chess, go$/);
  other.talker.say('#tea another?');
  for (const { talker } of members.slice(1)) await talker.hears(/ to #tea: another\?$/);
  other.talker.say('#chess and now?');
  await member.talker.hears(/ to #chess: and now\?$/);
  expect(member.talker.heard.filter((line) => line.includes('#tea'))).toHaveLength(1);

  other.talker.say('tags');
  await other.talker.hears(/ has the tags none$/);
  const many = Array.from({ length: 21 }, (_, index) => `t${index}`);
  other.talker.say(`tags ${many.join(' ')}`);
  await other.talker.hears(new RegExp(` has the tags ${many.slice(0, 20).join(', ')}$`));
  await Promise.all([...members, other].map(({ talker }) => talker.leave()));
});

test('forward-to-client reaches one client through any gateway process, and says when it is gone', async () => {
  const { script, port } = await startExample('forward-to-client', { links: 2 });
  const come = async () => {
    const talker = await TextTalker.connect(port);
    const [, id = ''] = await talker.hears(/^you are ([0-9a-f]{20})$/);
    return { talker, id };
  };
  const [sender, ...others] = await oneOfEachProcess<Member<TextTalker>>(come);
  const receiver = others.at(-1) ?? sender;
  const bystander = await come();

  sender.talker.say(`to ${receiver.id} hello`);
  await receiver.talker.hears(new RegExp(`^from ${sender.id}: hello$`));
  await sender.talker.hears(new RegExp(`^forwarded to ${receiver.id}$`));
  for (const { id } of [receiver, bystander]) sender.talker.say(`to ${id} all have something`);
  await bystander.talker.hears(/: all have something$/);
  expect(bystander.talker.heard).toHaveLength(2);

  sender.talker.say('to nobody hello');
  await sender.talker.hears(/^not forwarded: GW_API_CLIENT_ID$/);
  sender.talker.say('to 0a0000010fa000000001 hello');
  await sender.talker.hears(/^0a0000010fa000000001 is gone$/);
  await bystander.talker.leave();
  await saysGone(sender.talker, bystander.id);

  // With the process that had it. Until that is known the sender is told something else, but is never left without an answer.
  const name = `Gateway:${processOf(receiver) > processOf(sender) ? 1 : 0}`;
  process.kill(script.childOf(name) ?? Number.NaN, 'SIGKILL');
  await saysGone(sender.talker, receiver.id);
  await sender.talker.leave();
});

async function saysGone(sender: TextTalker, id: string): Promise<void> {
  await eventually(`${id} to be gone`, async () => {
    const from = sender.heard.length;
    sender.say(`to ${id} still there?`);
    const [answer] = await sender.hears(/^(?:forwarded to|not forwarded|[0-9a-f]{20} (?:is gone|can't)).*$/, from);
    return answer === `${id} is gone`;
  });
}
