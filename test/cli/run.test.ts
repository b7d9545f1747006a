import { fileURLToPath } from 'node:url';

import { afterEach, expect, test } from 'vitest';
import type { Script } from '../support/processes.js';
import { endScripts, startScript } from '../support/processes.js';

afterEach(endScripts);

function startFixture(name: string, ...args: string[]): Script {
  return startScript(fileURLToPath(new URL(`../core/process/fixtures/${name}.mjs`, import.meta.url)), { args });
}

test.each([['start'], []])('the banner is printed once everything is ready (%s)', async (...args) => {
  const script = startFixture('three-kinds', ...args);
  await script.outputMatching(/GATEWAYWORKER[\s\S]*TestGateway +none +2 +\[OK\][\s\S]*Press Ctrl\+C to stop\./);
  expect(script.count(/GATEWAYWORKER/g)).toBe(1);
  expect(script.output.indexOf('GATEWAYWORKER')).toBeGreaterThan(script.output.lastIndexOf('started as'));
  script.killGroup('SIGINT');
  expect(await script.exit()).toEqual({ code: 0, signal: null });
});

test('an unknown command shows the usage and the nearest one, with exit code 2', async () => {
  const script = startFixture('three-kinds', 'relaod');
  expect(await script.exit()).toEqual({ code: 2, signal: null });
  expect(script.output).toContain("Unknown command 'relaod'; did you mean 'reload'?");
  expect(script.output).toContain('Usage: node three-kinds.mjs <command> [options]');
  expect(script.output).not.toContain('started as');
});

test('nothing to start is one line and exit code 1', async () => {
  const script = startFixture('no-workers', 'start');
  expect(await script.exit()).toEqual({ code: 1, signal: null });
  expect(script.output).toBe(
    'there is nothing to start; make a Gateway, BusinessWorker, Register or Worker before run()\n',
  );
});
