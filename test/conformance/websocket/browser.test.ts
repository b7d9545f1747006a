import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { chromiumMissing, launchChromium } from '../../support/chromium.js';
import { echoServer } from './support/echo.js';

const missing = chromiumMissing();
if (missing !== undefined) process.stderr.write(`Compression is not tried in a browser: ${missing}\n`);

// A browser on a busy machine takes its time; a test that passes does not wait.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

describe.skipIf(missing !== undefined)('a browser', () => {
  const server = echoServer({ perMessageDeflate: true });
  let browser: Browser;

  beforeAll(async () => {
    browser = await launchChromium();
  });

  afterAll(() => browser.close());

  it('agrees to compression, and reads and writes it', async () => {
    const page = await browser.newPage();
    const texts = ['short', 'grüße 🙂 '.repeat(1000), '', 'x'.repeat(100_000), 'grüße 🙂 '.repeat(1000)];
    const said = await page.evaluate(
      ({ port, messages }) =>
        new Promise<{ extensions: string; echoes: string[] }>((resolve, reject) => {
          const socket = new WebSocket(`ws://127.0.0.1:${port}/`);
          const echoes: string[] = [];
          socket.onopen = () => {
            for (const message of messages) socket.send(message);
          };
          socket.onmessage = ({ data }) => {
            echoes.push(data);
            if (echoes.length === messages.length) resolve({ extensions: socket.extensions, echoes });
          };
          socket.onclose = ({ code }) => reject(new Error(`closed with ${code}`));
        }),
      { port: server.port, messages: texts },
    );
    expect(said.extensions).toMatch(/^permessage-deflate/);
    expect(said.echoes).toEqual(texts);
  });
});
