import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { Chat } from '../support/chat.js';
import { chromiumMissing, launchChromium } from '../support/chromium.js';
import { endScripts } from '../support/processes.js';

const missing = chromiumMissing();
if (missing !== undefined) process.stderr.write(`The chat is not tried in a browser: ${missing}\n`);

// A browser on a busy machine takes its time; a test that passes does not wait.
const PATIENCE_MS = 60_000;
vi.setConfig({ testTimeout: 2 * PATIENCE_MS, hookTimeout: 2 * PATIENCE_MS });

afterEach(endScripts);

describe.skipIf(missing !== undefined)('the real chat in a real browser', () => {
  let browser: Browser;

  beforeAll(async () => {
    browser = await launchChromium();
  });

  afterAll(async () => {
    await browser?.close();
  });

  async function enter(chat: Chat, name: string): Promise<Page> {
    const page = await browser.newPage({ viewport: { width: 1100, height: 700 } });
    page.setDefaultTimeout(PATIENCE_MS);
    await page.goto(`http://127.0.0.1:${chat.ports.web}/`);
    await page.getByLabel('Your name', { exact: true }).fill(name);
    await page.getByRole('button', { name: 'Join' }).click();
    await page.locator('#state', { hasText: 'Connected' }).waitFor();
    return page;
  }

  const see = (page: Page, text: string) => page.locator('.message', { hasText: text }).last().waitFor();
  const say = async (page: Page, text: string) => {
    await page.getByLabel('Message', { exact: true }).fill(text);
    await page.keyboard.press('Enter');
  };

  it('talks with telnet, knows who is there, and comes back by itself when its gateway is restarted', async () => {
    const chat = await Chat.start();
    const telnet = await chat.text();
    const [hello] = await telnet.hears(/^Hello [0-9a-f]{20}$/);
    const ann = await enter(chat, 'Ann');
    const bob = await enter(chat, 'Bob');
    await vi.waitFor(
      async () => expect(await ann.locator('#people-list .who').allTextContents()).toHaveLength(3),
      PATIENCE_MS,
    );

    await say(ann, 'Good morning, all');
    await telnet.hears(/^[0-9a-f]{20} said Good morning, all$/);
    await see(bob, 'Good morning, all');
    telnet.say('Hello from a terminal');
    await see(ann, 'Hello from a terminal');
    await say(bob, 'Both in one room!');
    await see(ann, 'Both in one room!');
    const picture = join(mkdtempSync(join(tmpdir(), 'chat-page-')), 'chat.png');
    await ann.screenshot({ path: picture });
    if (process.env.SHOW_PICTURES !== undefined) process.stdout.write(`${picture}\n`);

    // Waited for from before: it may be over when the new process is known to be there.
    const reconnecting = ann.locator('#state', { hasText: 'Reconnecting' }).waitFor();
    await chat.replace('WebSocketGateway:0');
    await reconnecting;
    await ann.locator('#state', { hasText: 'Connected' }).waitFor();
    await bob.locator('#state', { hasText: 'Connected' }).waitFor();
    await say(ann, 'Back again');
    await telnet.hears(/ said Back again$/);
    await see(bob, 'Back again');

    await telnet.leave();
    // The page says of those that the dead process had that they left, too.
    await ann.locator('.notice', { hasText: `guest ${hello.slice(-4)} left` }).waitFor();
  });
});
