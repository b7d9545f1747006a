import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { connectionsScreen } from '../../src/cli/screens/connections.js';
import { type StatusFacts, statusScreen } from '../../src/cli/screens/status.js';
import type { ConnectionRow } from '../../src/core/process/mod.js';
import { figuresSample, inUtc, NOON, processSample, statusSample } from '../support/status-samples.js';

const ROOT = resolve(fileURLToPath(import.meta.url), '../../..');
const page = readFileSync(join(ROOT, 'docs/reference/status.md'), 'utf8');
const source = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => readFileSync(join(ROOT, 'src', file), 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, ''))
  .join('\n');

/** Names in the lists from which figures take what was dropped. */
const counted = [...source.matchAll(/(?:\b(?:dropped(?:Events)?(?::| =)|counted\() ?)\{([^}]*)\}/g)].flatMap(
  ([, list = '']) => list.split(',').flatMap((entry) => /^\s*(\w+)\s*(?::|$)/.exec(entry)?.[1] ?? []),
);

const section = /## What was dropped\n([\s\S]*?)\n## /.exec(page)?.[1] ?? '';
const rows = [...section.matchAll(/^\| `(\w+)` /gm)].map(([, reason = '']) => reason);

/** What the page shows, as data. */
const MB = 2 ** 20;
const listens = ['websocket://0.0.0.0:8282', 'tcp://127.0.0.1:2900'];
const gateway = { links: { up: 4, down: 0 }, delay: 1 };
const worker = { connections: 3, timers: 1, links: { up: 3, down: 0 }, delay: 2 };
const stack = 'spin (file:///srv/chat/events.js:34:5)\nonMessage (file:///srv/chat/events.js:12:3)';
const status = statusSample(
  [
    processSample('ChatGateway', 0, {
      listens,
      figures: figuresSample({
        ...gateway,
        memory: 58.2 * MB,
        connections: 612,
        sendFail: 12,
        totalRequest: 123_456,
        queuedBytes: 123_456,
        dropped: { sendBufferFull: 12 },
      }),
    }),
    processSample('ChatGateway', 1, {
      listens,
      figures: figuresSample({ ...gateway, memory: 57.9 * MB, connections: 608, totalRequest: 120_044 }),
    }),
    processSample('ChatWorker', 0, {
      pid: 4713,
      figures: figuresSample({ ...worker, memory: 61 * MB, totalRequest: 81_230 }),
    }),
    processSample('ChatWorker', 1, { pid: 4720, restarts: 2, figures: null, blocked: { seconds: 12, stack } }),
    processSample('ChatWorker', 2, {
      pid: 4715,
      restarts: 1,
      figures: figuresSample({ ...worker, memory: 60.4 * MB, totalRequest: 80_934 }),
    }),
    processSample('Register', 0, {
      pid: 4716,
      listens: ['text://127.0.0.1:1236'],
      figures: figuresSample({ memory: 52.3 * MB, connections: 5, totalRequest: 2110, links: { up: 5, down: 0 } }),
    }),
  ],
  {
    exits: [
      { worker: 'ChatWorker', status: 'SIGKILL', count: 2 },
      { worker: 'ChatWorker', status: '250', count: 1 },
    ],
  },
);
const link: ConnectionRow = {
  pid: 4711,
  worker: 'ChatGateway',
  id: 1,
  transport: 'tcp',
  protocol: 'link',
  ipv6: false,
  receiveQueue: 0,
  sendQueue: 0,
  bytesRead: 5200,
  bytesWritten: 12_288,
  status: 'established',
  localAddress: '127.0.0.1:2900',
  foreignAddress: '127.0.0.1:50124',
};
const register = {
  id: 2,
  protocol: 'register',
  bytesRead: 61,
  bytesWritten: 57,
  localAddress: '127.0.0.1:50120',
  foreignAddress: '127.0.0.1:1236',
};
const client: Partial<ConnectionRow> = {
  id: 3,
  transport: 'ssl',
  protocol: 'websocket',
  ipv6: true,
  sendQueue: 1025,
  bytesRead: 1200,
  bytesWritten: 9_647_000,
  localAddress: '[::]:8282',
  foreignAddress: '[2001:db8::1]:50001',
};

describe('the screens in docs/reference/status.md', () => {
  it('look as they really do', () => {
    const facts: StatusFacts = {
      version: '0.1.0',
      node: 'v20.19.0',
      system: 'linux x64',
      daemon: true,
      loadAverage: [0.1, 0.23, 0.4],
      now: NOON + 3.2 * 86_400_000,
    };
    const rows = [link, { ...link, ...register }, { ...link, ...client }];
    const blocks = [...page.matchAll(/^```\n(-[\s\S]*?)\n```$/gm)].map(([, block]) => block);
    expect(blocks).toEqual([inUtc(() => statusScreen(status, facts)), connectionsScreen(rows)]);
  });
});

describe('the reasons in docs/reference/status.md', () => {
  it('are those that are counted', () => {
    expect(counted.length).toBeGreaterThan(20);
    expect([...new Set(rows)].toSorted()).toEqual([...new Set(counted)].toSorted());
  });
});
