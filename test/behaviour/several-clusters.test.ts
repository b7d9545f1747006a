import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import { freePortPair, freePorts } from '../support/free-port.js';
import { endScripts, isAlive, type Script, startScript } from '../support/processes.js';
import { oneOfEachProcess, TextTalker } from '../support/talkers.js';

const SCRIPT = fileURLToPath(new URL('./fixtures/cluster.mjs', import.meta.url));

afterEach(endScripts);

interface Member {
  readonly talker: TextTalker;
  readonly id: string;
}

/** One of several copies of an app: a program of many processes, with names that are the same in all of them. */
class Copy {
  readonly env: Readonly<Record<string, string>>;
  readonly script: Script;
  members: Member[] = [];

  constructor(env: Readonly<Record<string, string>>) {
    this.env = { EVENTS: './namesakes.mjs', LOG_LEVEL: 'debug', ...env };
    this.script = startScript(SCRIPT, { args: ['start'], env: this.env });
  }

  /** Its ports are chosen when all copies before it have taken theirs. */
  static async start(secretKey: string): Promise<Copy> {
    const inner = await freePortPair();
    const [text, register] = await freePorts(2);
    const copy = new Copy({
      SECRET_KEY: secretKey,
      REGISTER_PORT: String(register),
      TEXT_PORT: String(text),
      INNER_PORT: String(inner),
    });
    await copy.linked();
    return copy;
  }

  /** Waits until both gateway processes have both workers, and gives each some clients. */
  async linked(): Promise<void> {
    await this.script.outputMatching(/(?:a worker joined[\s\S]*){4}/);
    this.members = await oneOfEachProcess(async () => {
      const talker = await TextTalker.connect(Number(this.env.TEXT_PORT));
      const [, id = ''] = await talker.hears(/^you are ([0-9a-f]{20})$/);
      return { talker, id };
    });
  }

  get ids(): string[] {
    return this.members.map(({ id }) => id).sort();
  }

  /** What came of a command that the first member gave. */
  async does(command: string): Promise<unknown> {
    const { talker } = this.members[0] as Member;
    const from = talker.heard.length;
    talker.say(command);
    const answer = await eventually(`an answer to ${command}`, () =>
      talker.heard.slice(from).find((line) => line.startsWith(command)),
    );
    return JSON.parse(answer.slice(command.length + 2));
  }

  /** All its clients hear what goes to all, to their uid and to their group. */
  async talks(mark: string): Promise<void> {
    for (const way of ['all', 'uid', 'group']) {
      expect(await this.does(`${way} ${mark} by ${way}`)).toBe(true);
      for (const { talker } of this.members) await talker.hears(new RegExp(`^${mark} by ${way}$`));
    }
  }

  /** Lines that its clients have heard by now, from whomever. */
  hearing(mark: string): string[] {
    return this.members.flatMap(({ talker }) => talker.heard.filter((line) => line.includes(mark)));
  }

  get connected(): boolean[] {
    return this.members.map(({ talker }) => talker.connected);
  }
}

describe('two copies of an app on one machine, each a program of many processes', () => {
  it('have the same names for workers, uids and groups, and never hear of each other', async () => {
    const copies = [await Copy.start('secret of one'), await Copy.start('secret of two')] as const;
    for (const [copy, other] of [copies, copies.toReversed()] as [Copy, Copy][]) {
      const mark = `said in ${copy.env.SECRET_KEY}`;
      await copy.talks(mark);
      // Their turn: what had come to their clients before, these would have heard.
      await other.talks(`now ${other.env.SECRET_KEY}`);
      expect(other.hearing(mark)).toEqual([]);
      expect(await copy.does('census now')).toEqual([copy.ids, copy.ids, copy.ids]);
    }

    const [one, two] = copies;
    const stranger = two.ids[0];
    for (const command of ['one', 'destroy', 'online']) expect(await one.does(`${command} ${stranger}`)).toBe(false);
    expect(await one.does('ungroup all')).toBe(true);
    await eventually('the group to be gone', async () => {
      const [, , inGroup] = (await one.does('census later')) as string[][];
      return inGroup?.length === 0;
    });
    await two.talks('afterwards');
    expect(two.hearing('to one')).toEqual([]);
    expect(await two.does('census later')).toEqual([two.ids, two.ids, two.ids]);
  });

  it('are stopped and started without the other', async () => {
    const one = await Copy.start('secret of one');
    const two = await Copy.start('secret of two');
    const processes = two.script.children();
    one.script.kill('SIGTERM');
    expect(await one.script.exit()).toEqual({ code: 0, signal: null });
    await eventually('the clients of the one to be gone', () => !one.connected.includes(true));
    await two.talks('alone');

    const again = new Copy(one.env);
    await again.linked();
    await again.talks('back again');
    await two.talks('together');
    expect(two.hearing('back again')).toEqual([]);
    expect(two.connected).not.toContain(false);
    expect(two.script.children()).toEqual(processes);
  });

  it('refuse a worker of the other one, say why, and take no harm', async () => {
    const one = await Copy.start('secret of one');
    const two = await Copy.start('secret of two');
    const linked = () => two.script.count(/a worker (?:joined|left)/g);
    const before = linked();
    // Its name is that of a worker of theirs: were it let in, it would push that one out.
    const stray = new Copy({ ...one.env, PARTS: 'worker', REGISTER_PORT: two.env.REGISTER_PORT ?? '' });
    await two.script.outputMatching(/Register:0 a connection was refused: wrong secretKey .*GW_REGISTER_REFUSED/);
    for (const id of [0, 1]) {
      const reason = `Worker:${id} the register closed the connection .*is the secretKey the same`;
      await stray.script.outputMatching(new RegExp(`${reason}.* register=127\\.0\\.0\\.1:${two.env.REGISTER_PORT}`));
    }
    await two.talks('undisturbed');
    await one.talks('neither');
    expect(linked()).toBe(before);
    expect([...two.connected, ...one.connected]).not.toContain(false);
    expect(await two.does('census now')).toEqual([two.ids, two.ids, two.ids]);
    expect(stray.script.children().filter(isAlive)).toHaveLength(2);
    stray.script.kill('SIGTERM');
    expect(await stray.script.exit()).toEqual({ code: 0, signal: null });
  });

  it('are told which port is taken when they are given the same, and the first goes on', async () => {
    const one = await Copy.start('secret of one');
    const [text, register] = await freePorts(2);
    const two = new Copy({ ...one.env, REGISTER_PORT: String(register), TEXT_PORT: String(text) });
    expect(await two.script.exit()).toEqual({ code: 1, signal: null });
    expect(two.script.output).toContain(`tcp://127.0.0.1:${one.env.INNER_PORT}: the port is in use`);
    await one.talks('still there');
  });
});
