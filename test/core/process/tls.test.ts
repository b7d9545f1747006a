import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { eventually } from '../../support/eventually.js';
import { freePort } from '../../support/free-port.js';
import { endScripts, startScript } from '../../support/processes.js';
import { TcpClient } from '../../support/tcp-client.js';
import { TlsClient } from '../../support/tls-client.js';

const SCRIPT = fileURLToPath(new URL('fixtures/tls.mjs', import.meta.url));

afterEach(endScripts);

async function greeting(port: number): Promise<string> {
  await using client = await TlsClient.open(port);
  return await eventually('a greeting', () => client.text.trim() || undefined);
}

test('processes share a port with TLS, the banner says so, and plain clients are sent away with one line', async () => {
  const port = await freePort();
  const script = startScript(SCRIPT, { args: ['start'], env: { PORT: String(port) } });
  await script.outputMatching(/Press Ctrl\+C/);
  expect(script.output).toContain(`text://127.0.0.1:${port} (tls)`);
  const ids = new Set<string>();
  await eventually('both processes', async () => {
    ids.add(await greeting(port));
    return ids.size === 2;
  });
  for (let count = 0; count < 6; count++) {
    await using plain = await TcpClient.open(port);
    plain.write('hello\n');
    await plain.untilClosed(2000);
  }
  await script.outputMatching(/TLS handshake failed/);
  // One for each process at most.
  expect(script.count(/TLS handshake failed/g)).toBeLessThanOrEqual(2);
  script.kill('SIGINT');
  expect(await script.exit()).toEqual({ code: 0, signal: null });
});

test('it works the same in a single process', async () => {
  const port = await freePort();
  const script = startScript(SCRIPT, { args: ['start'], env: { PORT: String(port), PROCESSES: 'single' } });
  await script.outputMatching(/Press Ctrl\+C/);
  expect(await greeting(port)).toBe('0');
});

test('a wrong key ends the start with a message that names it, before a process is made', async () => {
  const script = startScript(SCRIPT, { args: ['start'], env: { PORT: '1', KEY: 'no key' } });
  expect((await script.exit()).code).not.toBe(0);
  expect(script.output).toContain("Worker: option 'tls.key' must be the PEM itself");
  expect(script.output).toContain('GW_TLS_INVALID');
});
