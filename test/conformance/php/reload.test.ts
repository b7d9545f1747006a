import { afterAll, describe, expect, it } from 'vitest';
import { endScripts } from '../../support/processes.js';
import { type Guest, MixedCluster } from './support/mixed-cluster.js';
import { originalsMissing } from './support/originals.js';

const BOTH = ['php', 'ours'] as const;
const SLOW_MS = 120_000;
const missing = originalsMissing();

describe.skipIf(missing !== undefined)(`a reload of our workers${missing ? ` (${missing})` : ''}`, () => {
  afterAll(endScripts);

  it(
    'keeps the clients of gateways of the original connected: the new process has joined under its own key before',
    async () => {
      const cluster = new MixedCluster({ register: 'php', gateways: BOTH, workers: ['ours'] });
      await cluster.start();
      await cluster.kill('worker', 'ours');
      const script = cluster.begin('worker', 'ours', { run: {} });
      await cluster.linked();
      const guests: Guest[] = [];
      for (const gateway of BOTH) {
        for (const scheme of ['text', 'websocket'] as const) guests.push(await cluster.guest(gateway, scheme, 'ours'));
      }
      const pids: unknown[] = [];
      for (let round = 1; round <= 3; round++) {
        for (const { talker } of guests) {
          talker.say(`run ${round} return process.pid`);
          pids.push((await talker.hears(new RegExp(`^result ${round} \\{"answer":(\\d+)\\}$`)))[1]);
        }
        script.kill('SIGUSR1');
        await script.outputMatching(new RegExp(`(reloaded: 1 replaced[\\s\\S]*){${round}}`));
      }
      expect(new Set(pids).size).toBe(3);
      expect(guests.every(({ talker }) => talker.connected)).toBe(true);
      expect(script.output).not.toContain('killing');
      await cluster.stop();
    },
    SLOW_MS,
  );
});
