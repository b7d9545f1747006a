import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import { type Host, makeHosts, noHosts, removeHosts } from '../support/hosts.js';
import { endScripts, type Script } from '../support/processes.js';
import { TextTalker } from '../support/talkers.js';

const CHAT = fileURLToPath(new URL('../../apps/chat/dist/start.js', import.meta.url));
const TEXT_PORT = 8282;

const missing = noHosts();

afterEach(async () => {
  await endScripts();
  removeHosts();
});

describe(`the chat on three hosts${missing === undefined ? '' : `: ${missing}`}`, {
  skip: missing !== undefined,
}, () => {
  it('has its register and gateways on one and workers on two, and does without either of these', async () => {
    const [front, left, right] = makeHosts(['front', 'left', 'right']) as [Host, Host, Host];
    const start = async (host: Host, only: string): Promise<Script> => {
      const script = host.start(CHAT, {
        args: ['start', `--only=${only}`],
        env: {
          CHAT_HOST: '0.0.0.0',
          CHAT_LAN_IP: host.address,
          CHAT_REGISTER: `${front.address}:1236`,
          CHAT_SECRET_KEY: 'between us',
          CHAT_LOG_LEVEL: 'debug',
        },
      });
      await script.outputMatching(/Talk in a browser/);
      return script;
    };
    const linked = (count: number) => gateways.outputMatching(new RegExp(`(?:a worker joined[\\s\\S]*){${count}}`));

    // Workers of one host before there is anything for them, those of the other afterwards.
    const early = await start(left, 'businessworker');
    const gateways = await start(front, 'register,gateway');
    const late = await start(right, 'businessworker');
    await linked(8);
    expect(gateways.output).not.toMatch(/ChatWorker:\d \(pid|ChatPage/);

    const talkers = await Promise.all(Array.from({ length: 8 }, () => TextTalker.connect(TEXT_PORT, front.address)));
    for (const talker of talkers) await talker.hears(/^Hello /);
    await say(talkers, 'both');
    // Both hosts have clients: each talker stays with one worker.
    for (const host of [left, right]) expect(gateways.output).toContain(`${host.address}:ChatWorker:0`);

    early.kill('SIGTERM');
    expect(await early.exit()).toEqual({ code: 0, signal: null });
    await say(talkers, 'right');

    await start(left, 'businessworker');
    await linked(12);
    late.killGroup('SIGKILL');
    await late.exited;
    await eventually('the gateways to see it', () => gateways.count(/a worker left/g) >= 8);
    await say(talkers, 'left');
    expect(talkers.map((talker) => talker.connected)).not.toContain(false);
  });
});

/** Everybody says something, and everybody hears all of it. */
async function say(talkers: readonly TextTalker[], what: string): Promise<void> {
  for (const [index, talker] of talkers.entries()) talker.say(`${what} ${index}`);
  for (const talker of talkers) {
    for (const index of talkers.keys()) await talker.hears(new RegExp(`${what} ${index}$`));
  }
}
