import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { Command } from '../../src/cluster/protocol/mod.js';
import { eventually } from '../support/eventually.js';
import { freePort, freePortPair } from '../support/free-port.js';
import { LinkTap } from '../support/link-tap.js';
import { endScripts, startScript } from '../support/processes.js';
import { RawServer } from '../support/raw-server.js';
import { oneOfEachProcess, processOf, TextTalker } from '../support/talkers.js';

const SCRIPT = fileURLToPath(new URL('./fixtures/cluster.mjs', import.meta.url));
const { ABSENT, PRESENT, SEND_TO_GROUP, WORKER_CONNECT } = Command;

afterEach(endScripts);

interface Member {
  readonly id: string;
  readonly talker: TextTalker;
}

/** Says a command and waits for what came of it. */
async function does({ talker }: Member, command: string): Promise<string> {
  const from = talker.heard.length;
  talker.say(command);
  const [, answer = ''] = await talker.hears(new RegExp(`^${command}: (.*)$`), from);
  return answer;
}

describe('what is for a group, in a cluster of processes,', () => {
  it('goes to the gateway process with members alone, to another one after a join, to both again over new links', async () => {
    const inner = await freePortPair();
    const [text, registerPort] = [await freePort(), await freePort()];
    const shared = { EVENTS: './rooms.mjs', TEXT_PORT: String(text), INNER_PORT: String(inner), LOG_LEVEL: 'debug' };
    const gateways = startScript(SCRIPT, {
      args: ['start'],
      env: { ...shared, PARTS: 'register,gateway', REGISTER_PORT: String(registerPort) },
    });
    await gateways.outputMatching(/started register,gateway/);
    await using first = await LinkTap.start(inner);
    await using second = await LinkTap.start(inner + 1);
    // The workers' register names the taps.
    await using register = await RawServer.start();
    register.list([first.address, second.address]);
    // One, so that what any client gets done is behind what its gateway has told the worker that sends.
    const env = { ...shared, PARTS: 'worker', WORKERS: '1', REGISTER_PORT: String(register.port) };
    const workers = startScript(SCRIPT, { args: ['start'], env });
    const linked = (count: number) => gateways.outputMatching(new RegExp(`(?:a worker joined[\\s\\S]*){${count}}`));
    await workers.outputMatching(/started worker/);
    await linked(2);
    const members = await oneOfEachProcess(async () => {
      const talker = await TextTalker.connect(text);
      const [, id = ''] = await talker.hears(/^you are ([0-9a-f]{20})$/);
      return { talker, id };
    });
    const here = members.at(-1) as Member;
    const there = members[0] as Member;
    const tapOf = (member: Member) => (processOf(member) === inner ? first : second);
    const [tapHere, tapThere] = [tapOf(here), tapOf(there)];
    const sends = (tap: LinkTap) => tap.toGateway.filter(({ cmd }) => cmd === SEND_TO_GROUP).length;
    const told = (tap: LinkTap, cmd: number) => tap.toWorkers.filter((packet) => packet.cmd === cmd).length;

    await does(here, 'join room');
    expect(await does(here, 'send room one')).toBe('true');
    await here.talker.hears(/^one$/);
    await eventually('the other to say that nobody is there', () => told(tapThere, ABSENT) === 1);
    await does(there, 'leave nothing');
    expect([sends(tapHere), sends(tapThere)]).toEqual([1, 1]);
    for (const word of ['two', 'three', 'four']) {
      expect(await does(here, `send room ${word}`)).toBe('true');
      await here.talker.hears(new RegExp(`^${word}$`));
    }
    expect([sends(tapHere), sends(tapThere)]).toEqual([4, 1]);

    await does(there, 'join room');
    expect(told(tapThere, PRESENT)).toBe(1);
    await does(here, 'send room five');
    await there.talker.hears(/^five$/);
    expect([sends(tapHere), sends(tapThere)]).toEqual([5, 2]);

    await does(there, 'leave room');
    await does(here, 'send room six');
    await eventually('the other to say so again', () => told(tapThere, ABSENT) === 2);
    await does(there, 'leave nothing');
    await does(here, 'send room seven');
    expect([sends(tapHere), sends(tapThere)]).toEqual([7, 3]);
    tapThere.cut();
    await linked(3);
    expect(tapThere.toGateway.filter(({ cmd }) => cmd === WORKER_CONNECT)).toHaveLength(2);
    // Both have forgotten.
    await does(here, 'send room eight');
    await eventually('what is sent over the new link', () => sends(tapThere) === 4);
    await does(there, 'join room');
    await does(here, 'send room nine');
    await there.talker.hears(/^nine$/);
    expect([told(tapHere, ABSENT), there.talker.heard.filter((line) => /^(?:six|seven|eight)$/.test(line))]).toEqual([
      0,
      [],
    ]);
  });
});
