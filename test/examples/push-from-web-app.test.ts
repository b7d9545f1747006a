import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { chromiumMissing, launchChromium } from '../support/chromium.js';
import { eventually } from '../support/eventually.js';
import { freePorts } from '../support/free-port.js';
import { endScripts, type Script, startScript } from '../support/processes.js';
import { WebSocketTalker } from '../support/talkers.js';

const file = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const missing = chromiumMissing();

afterEach(endScripts);

interface Example {
  readonly cluster: Script;
  readonly web: Script;
  readonly webSocketPort: number;
  readonly url: string;
  post(path: string, query: Record<string, string>): Promise<Response>;
}

async function startExample(): Promise<Example> {
  if (!existsSync(file('dist/mod.js'))) throw new Error('the package is not built: npm run build');
  const [register = 0, webSocketPort = 0, inner = 0, webPort = 0] = await freePorts(4);
  const env = {
    REGISTER_PORT: String(register),
    WEBSOCKET_PORT: String(webSocketPort),
    INNER_PORT: String(inner),
    WEB_PORT: String(webPort),
  };
  const cluster = startScript(file('examples/push-from-web-app/start.js'), { args: ['start'], env });
  const web = startScript(file('examples/push-from-web-app/web.js'), { env });
  const url = `http://127.0.0.1:${webPort}`;
  await web.outputMatching(/\?user=ann/);
  const post: Example['post'] = (path, query) =>
    fetch(`${url}${path}?${new URLSearchParams(query)}`, { method: 'POST' });
  return { cluster, web, webSocketPort, url, post };
}

/** As the page does: shows the web app the client id it is told. */
async function visit(example: Example, user: string): Promise<WebSocketTalker> {
  // The gateway may be there before its worker is: the worker's first words then come a moment later.
  const page = await WebSocketTalker.connect(example.webSocketPort);
  const [, clientId = ''] = await page.hears(/^\{"clientId":"([0-9a-f]{20})"\}$/);
  expect(await (await example.post('/bind', { user, clientId })).text()).toBe('bound');
  return page;
}

describe('the example push-from-web-app', () => {
  it('pushes to all pages of a user, and to nobody else, also after the gateway was killed', async () => {
    const example = await startExample();
    const pages = await Promise.all(['ann', 'ann', 'bob'].map((user) => visit(example, user)));
    const [first, second, bob] = pages as [WebSocketTalker, WebSocketTalker, WebSocketTalker];
    expect((await example.post('/notify', { user: 'ann', text: 'grüße' })).status).toBe(200);
    await first.hears(/^\{"text":"grüße"\}$/);
    await second.hears(/^\{"text":"grüße"\}$/);
    expect((await example.post('/notify', { user: 'bob', text: 'to bob' })).status).toBe(200);
    await bob.hears(/^\{"text":"to bob"\}$/);
    expect(bob.heard).toHaveLength(2);

    const gateway = example.cluster
      .children()
      .find((pid) => readFileSync(`/proc/${pid}/cmdline`).includes(': Gateway'));
    process.kill(gateway ?? 0, 'SIGKILL');
    await eventually('the pages to notice', () => pages.every(({ connected }) => !connected));
    const again = await eventually('a page that is back', () => visit(example, 'ann'));
    await eventually('news', async () => (await example.post('/notify', { user: 'ann', text: 'back' })).status === 200);
    await again.hears(/^\{"text":"back"\}$/);

    example.web.kill('SIGTERM');
    expect(await example.web.exit(), example.web.output).toEqual({ code: 0, signal: null });
  });

  it('answers a malformed client id or user with 400, and lives', async () => {
    const example = await startExample();
    const bad = await example.post('/bind', { user: 'ann', clientId: '<script>' });
    expect([bad.status, await bad.text()]).toEqual([400, 'GW_API_CLIENT_ID']);
    expect((await example.post('/bind', { clientId: '7f0000010b5400000001' })).status).toBe(400);
    expect((await fetch(`${example.url}/nothing`)).status).toBe(404);
    expect((await example.post('/notify', { user: 'ann', text: 'x' })).status).toBe(200);
  });

  it.skipIf(missing !== undefined)('does so in a browser', { timeout: 60_000 }, async () => {
    const example = await startExample();
    const browser = await launchChromium();
    try {
      const page = await browser.newPage();
      await page.goto(`${example.url}/?user=ann`);
      await page.locator('#id', { hasText: /^[0-9a-f]{20}$/ }).waitFor();
      await example.post('/notify', { user: 'ann', text: '<b>news</b>' });
      await page.locator('#news li', { hasText: '<b>news</b>' }).waitFor();
    } finally {
      await browser.close();
    }
  });
});
