import { afterEach, describe, expect, it } from 'vitest';
import { Chat } from '../support/chat.js';
import { eventually } from '../support/eventually.js';
import { endScripts } from '../support/processes.js';
import type { Talker } from '../support/talkers.js';

afterEach(endScripts);

/** Both hear what each says, sent again until it comes back: a process that is being replaced may lose a line. */
async function talk(chat: Chat, talkers: readonly Talker[], mark: string): Promise<void> {
  for (const [index, talker] of talkers.entries()) {
    const line = `${mark} from ${index}`;
    const deaf = () => talkers.filter((listener) => !listener.heard.some((heard) => heard.endsWith(` said ${line}`)));
    try {
      await eventually(`everybody to hear '${line}'`, async () => {
        talker.say(line);
        await new Promise((resolve) => setTimeout(resolve, 50));
        return deaf().length === 0;
      });
    } catch (error) {
      const states = talkers.map(({ connected, heard }) => JSON.stringify({ connected, heard: heard.slice(-5) }));
      throw new Error(`${(error as Error).message}\n${states.join('\n')}\n${chat.script.output}`);
    }
  }
}

/** A client of each gateway, which both have been heard. */
async function couple(chat: Chat): Promise<Talker[]> {
  const talkers = await eventually('both gateways to take clients', async () => {
    try {
      return [await chat.text(), await chat.webSocket()];
    } catch {
      return undefined;
    }
  });
  for (const talker of talkers) await talker.hears(/^Hello /);
  return talkers;
}

describe('the chat recovers', () => {
  it('when each of its processes is killed in turn', async () => {
    const chat = await Chat.start();
    let talkers = await couple(chat);
    await talk(chat, talkers, 'before');

    for (const process of ['ChatWorker:0', 'ChatWorker:1', 'Register:0', 'ChatPage:0']) {
      await chat.replace(process);
      // Clients stay connected: no gateway was touched.
      await talk(chat, talkers, `after ${process}`);
      expect(talkers.every((talker) => talker.connected)).toBe(true);
    }
    for (const process of ['TextGateway:0', 'WebSocketGateway:0']) {
      const survivor = talkers[process === 'TextGateway:0' ? 1 : 0] as Talker;
      await chat.replace(process);
      // Its own clients have to come back; those of the other gateway stay, and meet the newcomers.
      const [text, webSocket] = await couple(chat);
      expect(survivor.connected).toBe(true);
      talkers = [survivor, text as Talker, webSocket as Talker];
      await talk(chat, talkers, `after ${process}`);
      talkers = [text as Talker, webSocket as Talker];
    }
    const page = await eventually('the page to be served again', async () => {
      const answer = await fetch(`http://127.0.0.1:${chat.ports.web}/`).catch(() => undefined);
      return answer?.ok === true;
    });
    expect(page).toBe(true);
  });

  it('when all business workers die at once: clients stay, and what they say meanwhile waits', async () => {
    const chat = await Chat.start();
    const talkers = await couple(chat);
    await talk(chat, talkers, 'before');
    const names = ['ChatWorker:0', 'ChatWorker:1'];
    const pids = await Promise.all(names.map((name) => eventually(`the process ${name}`, () => chat.pidOf(name))));
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    // Until then a line may still be on its way to a dead worker.
    await chat.script.outputMatching(/(?:TextGateway:0 a worker left[\s\S]*){2}/);
    talkers[0]?.say('said while nobody was there');
    await talkers[1]?.hears(/ said said while nobody was there$/);
    await talk(chat, talkers, 'after');
    expect(talkers.every((talker) => talker.connected)).toBe(true);
  });

  it('leaves nothing running when its master is killed', async () => {
    const chat = await Chat.start();
    await couple(chat);
    chat.script.kill('SIGKILL');
    await eventually('all processes to be gone', () => chat.script.group().length === 0);
  });
});
