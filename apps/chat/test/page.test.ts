import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { chromiumMissing, launchChromium } from '../../../test/support/chromium.js';
import { startWeb } from '../src/web.js';
import { FakeRoom } from './support/fake-room.js';

const missing = chromiumMissing();
// The reporter folds skipped tests away, and their titles with them.
if (missing !== undefined) console.warn(`The tests of the chat page are skipped: ${missing}`);

// A browser on a busy machine takes its time; a test that passes does not wait.
const PATIENCE = 60_000;
vi.setConfig({ testTimeout: 2 * PATIENCE, hookTimeout: 2 * PATIENCE });

describe.skipIf(missing !== undefined)(`the chat page${missing ? `: ${missing}` : ''}`, () => {
  let browser: Browser;
  let web: Server;
  let url: string;
  let room: FakeRoom;
  const contexts: BrowserContext[] = [];
  /** What went wrong in any page: exceptions, and what the content security policy refused. */
  const complaints: string[] = [];

  beforeAll(async () => {
    browser = await launchChromium();
  });

  afterAll(async () => {
    await browser?.close();
  });

  beforeEach(async () => {
    room = await FakeRoom.open();
    web = await startWeb({ port: 0, host: '127.0.0.1', webSocketPort: room.port });
    url = `http://127.0.0.1:${(web.address() as AddressInfo).port}/`;
  });

  afterEach(async () => {
    for (const context of contexts.splice(0)) await context.close();
    await room.close();
    web.closeAllConnections();
    await new Promise((resolve) => web.close(resolve));
    expect(complaints.splice(0)).toEqual([]);
  });

  async function openPage(options: BrowserContextOptions = {}): Promise<Page> {
    const context = await browser.newContext({ reducedMotion: 'reduce', ...options });
    context.setDefaultTimeout(PATIENCE);
    contexts.push(context);
    const page = await context.newPage();
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('dialog', (dialog) => {
      complaints.push(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    page.on('console', (message) => {
      if (message.text().includes('Content Security Policy')) complaints.push(message.text());
    });
    return page;
  }

  async function join(name: string, options?: BrowserContextOptions): Promise<Page> {
    const page = await openPage(options);
    await page.goto(url);
    await page.getByLabel('Your name', { exact: true }).fill(name);
    await page.getByRole('button', { name: 'Join' }).click();
    await stateIs(page, 'Connected');
    return page;
  }

  const stateIs = (page: Page, text: string) => page.locator('#state', { hasText: text }).waitFor();
  const field = (page: Page) => page.getByLabel('Message', { exact: true });
  const see = (page: Page, text: string) => page.locator('.message', { hasText: text }).last().waitFor();
  const people = (page: Page) => page.locator('#people-list .who').allTextContents();
  const notices = (page: Page) => page.locator('.notice .words').allTextContents();
  const atEnd = (page: Page) =>
    page.evaluate<boolean>(
      "(({scrollHeight: h, scrollTop: t, clientHeight: c}) => h - t - c < 2)(document.querySelector('#log'))",
    );

  const until = (check: () => void | Promise<void>) => vi.waitFor(check, { timeout: PATIENCE });

  async function send(page: Page, text: string): Promise<void> {
    await field(page).fill(text);
    await field(page).press('Enter');
  }

  test('asks for a name, joins with it, and knows it the next time', async () => {
    const page = await join('  Ann   Müller ');
    expect(room.targets).toEqual(['/?name=Ann%20M%C3%BCller&view=page']);
    expect(await notices(page)).toEqual(['You joined']);
    await page.reload();
    await stateIs(page, 'Connected');
    expect(await page.locator('#own-name').textContent()).toBe('Ann Müller');
    expect(await page.getByRole('dialog').isVisible()).toBe(false);
  });

  test('does not let anybody in without a name', async () => {
    const page = await openPage();
    await page.goto(url);
    await page.getByLabel('Your name', { exact: true }).fill('   ');
    await page.keyboard.press('Enter');
    await page.keyboard.press('Escape');
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor();
    expect(room.targets).toEqual([]);
  });

  test('shows who is there, what they say, and who comes and goes', async () => {
    const guest = room.joinText();
    const ann = await join('Ann');
    const bo = await join('Bo');
    await until(async () => expect(await people(ann)).toEqual(['Ann', 'Bo', `guest ${guest.slice(-4)}`]));
    expect(await ann.locator('#people-count').textContent()).toBe('3');
    await send(ann, 'good morning');
    await see(bo, 'good morning');
    await see(ann, 'good morning');
    room.say(guest, 'hello from telnet');
    await see(ann, 'hello from telnet');
    expect(await ann.locator('.group.own .message').allTextContents()).toEqual(['good morning']);
    expect(await bo.locator('.group.own .message').count()).toBe(0);
    expect(await bo.locator('.group .meta bdi').allTextContents()).toEqual(['Ann', `guest ${guest.slice(-4)}`]);
    room.leave(guest);
    await bo.context().close();
    await until(async () => {
      expect(await notices(ann)).toEqual(['You joined', 'Bo joined', `guest ${guest.slice(-4)} left`, 'Bo left']);
      expect(await people(ann)).toEqual(['Ann']);
    });
    room.toAll('The server restarts at noon.');
    room.toAll('{"type":"from the future"}');
    await until(async () => expect((await notices(ann)).at(-1)).toBe('The server restarts at noon.'));
  });

  test('groups what one person says in a row', async () => {
    const page = await join('Ann');
    const [bo, cy] = [room.joinText('Bo'), room.joinText('Cy')];
    for (const [id, text] of [
      [bo, 'one'],
      [bo, 'two'],
      [cy, 'three'],
      [bo, 'four'],
    ] as const)
      room.say(id, text);
    await see(page, 'four');
    expect(await page.locator('.group .meta bdi').allTextContents()).toEqual(['Bo', 'Cy', 'Bo']);
    // The name is read aloud for the second as well.
    expect(await page.locator('.message').nth(1).textContent()).toBe('Bo: two');
  });

  test('changes the name, for everybody', async () => {
    const ann = await join('Ann');
    const bo = await join('Bo');
    await ann.getByRole('button', { name: 'Change your name' }).click();
    await ann.getByLabel('Your name', { exact: true }).fill('Anna');
    await ann.getByRole('button', { name: 'Save' }).click();
    await until(async () => {
      expect((await notices(bo)).at(-1)).toBe('Ann is now Anna');
      expect((await notices(ann)).at(-1)).toBe('You are now Anna');
      expect(await people(bo)).toEqual(['Bo', 'Anna']);
    });
    expect(room.received).toEqual(['{"type":"rename","name":"Anna"}']);
    expect(await ann.locator('#own-name').textContent()).toBe('Anna');
  });

  test('shows names and messages as the text they are', async () => {
    const evil = '<img src=x onerror=alert(1)>';
    const page = await join(evil);
    const other = room.joinText('<script>alert(1)</script>');
    await send(page, `${evil} said`);
    room.say(other, '<svg onload=alert(1)>');
    room.toAll('<img src=x onerror=alert(1)>');
    await until(async () => {
      expect((await notices(page)).at(-1)).toBe(evil);
      expect(await people(page)).toEqual([evil, '<script>alert(1)</script>']);
    });
    expect(await page.locator('.message').allTextContents()).toEqual([`${evil} said`, '<svg onload=alert(1)>']);
    expect(await page.locator('#log img, #log svg, #log script, #people img, #people script, .bar bdi *').count()).toBe(
      0,
    );
  });

  test('sends what looks like a command as the message it is', async () => {
    const page = await join('Ann');
    await send(page, '{"type":"rename","name":"Bo"}');
    await see(page, '{"type":"rename","name":"Bo"}');
    expect(room.received).toEqual([' {"type":"rename","name":"Bo"}']);
    await until(async () => expect(await people(page)).toEqual(['Ann']));
  });

  test('comes back by itself when the server was gone, with the text not yet sent', async () => {
    const page = await join('Ann');
    await send(page, 'before');
    await see(page, 'before');
    await field(page).fill('half a sent');
    const { port } = room;
    await room.close();
    await stateIs(page, 'Reconnecting');
    await field(page).press('Enter');
    expect(await page.locator('#hint').textContent()).toContain('kept');
    expect(await field(page).inputValue()).toBe('half a sent');
    room = await FakeRoom.open(port);
    await stateIs(page, 'Connected');
    expect(await notices(page)).toEqual(['You joined', 'Connection lost', 'You are back']);
    expect(await field(page).inputValue()).toBe('half a sent');
    await field(page).press('Enter');
    await see(page, 'half a sent');
    expect(await page.locator('.group.own .message').allTextContents()).toEqual(['before', 'half a sent']);
    await until(async () => expect(await people(page)).toEqual(['Ann']));
  });

  test('gives a message back that the room had not repeated when the connection broke', async () => {
    const page = await join('Ann');
    room.deaf = true;
    await send(page, 'into the void');
    await until(() => expect(room.received).toEqual(['into the void']));
    await room.close();
    await until(async () => expect(await field(page).inputValue()).toBe('into the void'));
  });

  test('tries at once when the browser is online again', async () => {
    const page = await openPage();
    await page.clock.install();
    await page.goto(url);
    await page.getByLabel('Your name', { exact: true }).fill('Ann');
    await page.getByRole('button', { name: 'Join' }).click();
    await stateIs(page, 'Connected');
    // With the page's clock stopped, the next attempt by back-off never comes.
    await page.clock.pauseAt(Date.now() + 60_000);
    const { port } = room;
    await room.close();
    await stateIs(page, 'Reconnecting');
    room = await FakeRoom.open(port);
    await page.evaluate("dispatchEvent(new Event('online'))");
    await stateIs(page, 'Connected');
  });

  test('follows the end, but not while the reader is looking further up', async () => {
    const page = await join('Ann', { viewport: { width: 900, height: 500 } });
    const bo = room.joinText('Bo');
    for (let n = 1; n <= 40; n++) room.say(bo, `line ${n}.`);
    await see(page, 'line 40.');
    await until(async () => expect(await atEnd(page)).toBe(true));
    await page.getByRole('log').hover();
    await page.mouse.wheel(0, -600);
    await until(async () => expect(await atEnd(page)).toBe(false));
    // The wheel may scroll over several frames.
    await page.waitForTimeout(300);
    const before = await page.evaluate<number>("document.querySelector('#log').scrollTop");
    room.say(bo, 'while you read');
    room.say(bo, 'and once more');
    const pill = page.getByRole('button', { name: '2 new messages' });
    await pill.waitFor();
    expect(await page.evaluate<number>("document.querySelector('#log').scrollTop")).toBe(before);
    await pill.click();
    await until(async () => expect(await atEnd(page)).toBe(true));
    expect(await pill.isVisible()).toBe(false);
    room.say(bo, 'the last');
    await see(page, 'the last');
    await until(async () => expect(await atEnd(page)).toBe(true));
  });

  test('keeps 500 entries and lets the oldest go', async () => {
    const page = await join('Ann');
    const bo = room.joinText('Bo');
    // With "You joined" and "Bo joined" these are 500.
    for (let n = 1; n <= 498; n++) room.say(bo, `line ${n}.`);
    await see(page, 'line 498.');
    expect(await page.locator('.message, .notice').count()).toBe(500);
    expect((await notices(page))[0]).toBe('You joined');
    room.say(bo, 'line 499.');
    await see(page, 'line 499.');
    expect(await page.locator('.message, .notice').count()).toBe(500);
    expect((await notices(page))[0]).toBe('Bo joined');
    await until(async () => expect(await atEnd(page)).toBe(true));
  });

  test('fits a phone, with the people in a panel', async () => {
    const page = await join('Ann with quite a long name here', {
      viewport: { width: 320, height: 600 },
      hasTouch: true,
    });
    room.say(room.joinText(), 'x'.repeat(400));
    await see(page, 'xxx');
    expect(await page.evaluate<number>('document.documentElement.scrollWidth')).toBe(320);
    expect(await page.locator('#people').isVisible()).toBe(false);
    await page.locator('#people-button').tap();
    await page.locator('#people').waitFor();
    await until(async () => expect(await people(page)).toHaveLength(2));
    await page.keyboard.press('Escape');
    await page.locator('#people').waitFor({ state: 'hidden' });
    await send(page, 'from the phone');
    await see(page, 'from the phone');
    const composer = await page.locator('#composer').boundingBox();
    expect((composer?.y ?? 0) + (composer?.height ?? 0)).toBeLessThanOrEqual(600);
  });

  test('connects to another address when told to', async () => {
    const other = await FakeRoom.open();
    try {
      url += `?ws=${encodeURIComponent(`ws://127.0.0.1:${other.port}/chat?room=2`)}`;
      await join('Ann');
      expect(other.targets).toEqual(['/chat?room=2&name=Ann&view=page']);
      expect(room.targets).toEqual([]);
    } finally {
      await other.close();
    }
  });
});
