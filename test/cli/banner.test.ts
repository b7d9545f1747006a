import { expect, test } from 'vitest';

import { bannerText } from '../../src/cli/banner.js';

const ABOUT = { version: '0.1.0', node: 'v20.19.0', system: 'linux x64', hint: 'Press Ctrl+C to stop.' } as const;

test('the banner lists the workers with their addresses and processes', () => {
  const text = bannerText({
    ...ABOUT,
    mode: 'many',
    rows: [
      { worker: 'Register', listens: ['text://127.0.0.1:1236'], processes: 1 },
      { worker: 'ChatGateway', listens: ['websocket://0.0.0.0:8283', 'tcp://127.0.0.1:2900'], processes: 2 },
      { worker: 'ChatWorker', listens: [], processes: 4 },
    ],
  });
  expect(text).toBe(
    `
------------------------- GATEWAYWORKER --------------------------
gatewayworker/0.1.0    Node.js v20.19.0    linux x64
---------------------------- WORKERS -----------------------------
worker         listen                           processes    state
Register       text://127.0.0.1:1236            1            [OK]
ChatGateway    websocket://0.0.0.0:8283 (+1)    2            [OK]
ChatWorker     none                             4            [OK]
------------------------------------------------------------------
Press Ctrl+C to stop.`.trim(),
  );
});

test('it says so when all run in one process', () => {
  const text = bannerText({ ...ABOUT, mode: 'single', rows: [] });
  expect(text).toContain('linux x64    all in one process');
});
