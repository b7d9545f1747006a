import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { freePortPair, freePorts } from '../support/free-port.js';
import { endScripts, type Script, startScript } from '../support/processes.js';
import { TextTalker } from '../support/talkers.js';

const SCRIPT = fileURLToPath(new URL('./fixtures/cluster.mjs', import.meta.url));

afterEach(endScripts);

async function start(env: Readonly<Record<string, string>> = {}): Promise<{ script: Script; port: number }> {
  const [port = 0, registerPort = 0] = await freePorts(2);
  const script = startScript(SCRIPT, {
    env: {
      REGISTER_PORT: String(registerPort),
      TEXT_PORT: String(port),
      INNER_PORT: String(await freePortPair()),
      ...env,
    },
  });
  return { script, port };
}

describe('bad input', () => {
  it.each([
    [
      'a missing events module',
      { EVENTS: './no-such-file.mjs' },
      /^Worker:\d could not start: the events module can't be loaded: Cannot find module '.*no-such-file\.mjs'.*; check the path/,
    ],
    [
      'an events module that throws while it loads',
      { EVENTS: './events-that-throw.mjs' },
      /^Worker:\d could not start: the events module can't be loaded: the database is away; check/,
    ],
  ])('%s: one message, exit code 1, nothing left running', async (_title, env, message) => {
    const { script } = await start(env);
    const { code } = await script.exit();
    const said = script.output
      .split('\n')
      .filter((line) => line !== '' && !/ (?:Register|Gateway|Worker):\d /.test(line));
    expect(said).toHaveLength(1);
    expect(said[0]).toMatch(message);
    expect(code).toBe(1);
    expect(script.group()).toEqual([]);
  });

  it.each([
    [
      'an unknown option',
      { PARTS: 'misspelt' },
      "Gateway: unknown option 'registerAdress'; did you mean 'registerAddress'?",
    ],
    ['an unknown protocol', { PARTS: 'scheme' }, "unknown protocol 'websockets'; did you mean 'websocket'?"],
  ])('%s: says where and what was meant, and starts nothing', async (_title, env, message) => {
    const { script } = await start(env);
    const { code } = await script.exit();
    expect(code).toBe(1);
    expect(script.output).toContain(message);
    // Node shows the line of the entry script.
    expect(script.output).toContain('cluster.mjs:');
    expect(script.group()).toEqual([]);
  });

  it('a handler that throws or rejects is reported with event, client and stack, and everybody goes on', async () => {
    const { script, port } = await start();
    await script.outputMatching(/^started/m);
    const client = await TextTalker.connect(port);
    const id = (await client.hears(/^Hello ([0-9a-f]{20})$/))[1];
    client.say('pid');
    const [, pid] = await client.hears(/^pid (\d+)$/);
    client.say('throw');
    client.say('reject');
    client.say('pid');
    const from = client.heard.length;
    expect((await client.hears(/^pid (\d+)$/, from))[1]).toBe(pid);
    await script.outputMatching(/error Worker:\d onMessage threw: Error: rejected by the handler/);
    const reports = script.output.match(
      /error Worker:\d onMessage threw: Error: (?:thrown|rejected) by the handler\n\s+at /g,
    );
    expect(reports).toHaveLength(2);
    expect(script.output).toContain(`client=${id}`);
  });

  it('a client that sends more than the limit is closed and named; the others go on', async () => {
    const { script, port } = await start();
    await script.outputMatching(/^started/m);
    const good = await TextTalker.connect(port);
    const bad = await TextTalker.connect(port);
    await good.hears(/^Hello/);
    await bad.hears(/^Hello/);
    good.write(`${'n'.repeat(99)}\n`);
    await good.hears(/ said n{99}$/);
    bad.write('x'.repeat(101));
    await script.outputMatching(/warn Gateway:\d .*GW_PACKAGE_TOO_LARGE.* client=127\.0\.0\.1:\d+.*limit=100/);
    good.say('still here');
    await good.hears(/ said still here$/);
    expect(good.connected).toBe(true);
  });
});
