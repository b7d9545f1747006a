import { describe, expect, test } from 'vitest';
import { statusScreen as localScreen, type StatusFacts } from '../../../src/cli/screens/status.js';
import { widthOf } from '../../../src/cli/screens/text.js';
import type { ServiceStatus } from '../../../src/core/process/mod.js';
import { figuresSample, inUtc, NOON, processSample, statusSample } from '../../support/status-samples.js';

const FACTS: StatusFacts = {
  version: '0.1.0',
  node: 'v20.19.0',
  system: 'linux x64',
  daemon: true,
  loadAverage: [0.1, 0.234, 12],
  now: NOON + 3.2 * 86_400_000,
};

function statusScreen(status: ServiceStatus, facts: StatusFacts): string {
  return inUtc(() => localScreen(status, facts));
}

/** The lines between the rule with this title and the next one. */
function section(screen: string, title: string): string[] {
  const lines = screen.split('\n');
  const begin = lines.findIndex((line) => line.startsWith('-') && line.includes(` ${title} `));
  const end = lines.findIndex((line, index) => index > begin && line.startsWith('---'));
  return begin < 0 ? [] : lines.slice(begin + 1, end < 0 ? undefined : end);
}

/** Cells of a line by their headings. */
function row(screen: string, name: string): Record<string, string> {
  const [headings = '', ...rows] = section(screen, 'PROCESS STATUS').concat(screen.split('\n'));
  const line = rows.find((text) => text.split(/ {2,}/).includes(name)) ?? '';
  const cells = line.trim().split(/ {2,}/);
  return Object.fromEntries(
    headings
      .trim()
      .split(/ {2,}/)
      .map((heading, index) => [heading, cells[index] ?? '']),
  );
}

describe('the screen of status', () => {
  test('shows the service, its processes and their sums, what was dropped, and what is wrong', () => {
    const listens = ['websocket://0.0.0.0:8282', 'tcp://127.0.0.1:2900'];
    const screen = statusScreen(
      statusSample(
        [
          processSample('ChatGateway', 0, {
            listens,
            figures: figuresSample({
              connections: 1200,
              sendFail: 12,
              totalRequest: 123_456,
              queuedBytes: 123_456,
              links: { up: 3, down: 0 },
              dropped: { sendBufferFull: 12, protocolErrors: 3 },
              timers: 1,
              delay: 1.2,
            }),
          }),
          processSample('ChatGateway', 1, {
            pid: 4721,
            listens,
            figures: figuresSample({
              connections: 7,
              totalRequest: 9,
              links: { up: 2, down: 1 },
              dropped: { sendBufferFull: 1 },
            }),
          }),
          processSample('ChatWorker', 0, {
            pid: 4731,
            restarts: 3,
            figures: null,
            blocked: {
              seconds: 72.9,
              stack: 'spin (file:///app/events.js:34:5)\nonMessage (file:///app/events.js:12:3)',
            },
          }),
          processSample('ChatWorker', 1, { pid: undefined, state: 'waiting', restarts: 1, figures: null }),
        ],
        {
          exits: [
            { worker: 'ChatWorker', status: 'SIGKILL', count: 3 },
            { worker: 'ChatWorker', status: '250', count: 1 },
          ],
        },
      ),
      { ...FACTS, qps: [120.4, 0, null, null] },
    );
    expect(`\n${screen}`).toBe(`
------------------------------------------------------------------------ GLOBAL STATUS ------------------------------------------------------------------------
gatewayworker/0.1.0    Node.js v20.19.0    linux x64    in the background
start time: 2026-11-21 12:00:00    run 3 days 4 hours    load average: 0.10, 0.23, 12.00
2 workers    4 processes    pid 4700
worker       exit_status  exit_count
ChatGateway            0           0
ChatWorker       SIGKILL           3
ChatWorker           250           1
----------------------------------------------------------------------- PROCESS STATUS ------------------------------------------------------------------------
    pid   memory  listening                 name           connections  send_fail  timers  total_request  qps  links  down   queued  delay  restarts  status
   4711   54.4MB  websocket://0.0.0.0:8282  ChatGateway:0         1200         12       1         123456  120      3     0  120.6KB    1ms         0  [idle]
   4721   54.4MB  websocket://0.0.0.0:8282  ChatGateway:1            7          0       0              9    0      2     1       0B    0ms         0  [idle]
   4731      N/A  none                      ChatWorker:0           N/A        N/A     N/A            N/A    -    N/A   N/A      N/A    N/A         3  [blocked]
      -      N/A  none                      ChatWorker:1           N/A        N/A     N/A            N/A    -    N/A   N/A      N/A    N/A         1  [waiting]
---------------------------------------------------------------------------------------------------------------------------------------------------------------
Summary  108.7MB  -                         -                     1207         12       1         123465  120      5     1  120.6KB    1ms         4  -
--------------------------------------------------------------------------- DROPPED ---------------------------------------------------------------------------
worker       reason          count
ChatGateway  sendBufferFull     13
ChatGateway  protocolErrors      3
------------------------------------------------------------------------- NOT AT WORK -------------------------------------------------------------------------
ChatWorker:0 (pid 4731) is blocked: its event loop has not turned for 1 minute 12 seconds
    at spin (file:///app/events.js:34:5)
    at onMessage (file:///app/events.js:12:3)
ChatWorker:1 has ended and waits to be started again`);
  });

  test('shows a service none of whose processes is ready', () => {
    const screen = statusScreen(
      statusSample([
        processSample('A', 0, { state: 'starting', figures: null }),
        processSample('A', 1, { state: 'ended', pid: undefined, figures: null }),
      ]),
      { ...FACTS, daemon: false, now: NOON },
    );
    expect(section(screen, 'GLOBAL STATUS')).toEqual([
      'gatewayworker/0.1.0    Node.js v20.19.0    linux x64    in the foreground',
      'start time: 2026-11-21 12:00:00    run 0 seconds    load average: 0.10, 0.23, 12.00',
      '1 worker    2 processes    pid 4700',
      'worker  exit_status  exit_count',
      'A                 0           0',
    ]);
    expect(row(screen, 'A:0')).toMatchObject({ memory: 'N/A', connections: 'N/A', qps: '-', status: '[starting]' });
    expect(row(screen, 'A:1')).toMatchObject({ pid: '-', status: '[ended]' });
    expect(row(screen, 'Summary')).toMatchObject({ memory: '0B', connections: '0', qps: '-', delay: '0ms' });
    expect(section(screen, 'DROPPED').concat(section(screen, 'NOT AT WORK'))).toEqual([]);
  });

  test.each([
    ['idle', {}],
    ['busy', { figures: null }],
    ['blocked', { figures: null, blocked: { seconds: 5, stack: null } }],
    ['starting', { state: 'starting', figures: null }],
    ['waiting', { state: 'waiting', figures: null }],
    ['crash loop', { state: 'waiting', figures: null, crashLoop: 'ended with exit code 7' }],
    ['leaving', { state: 'leaving' }],
    ['ended', { state: 'ended', figures: null }],
  ] as const)('names a process that is %s', (name, given) => {
    expect(row(statusScreen(statusSample([processSample('A', 0, given)]), FACTS), 'A:0').status).toBe(`[${name}]`);
  });

  test('says why a process is not at work, as far as that is known', () => {
    const stack = Array.from({ length: 13 }, (_, index) => `frame${index} (a.js:1:1)`).join('\n');
    const screen = statusScreen(
      statusSample([
        processSample('A', 0, { figures: null, blocked: { seconds: 7200.5, stack } }),
        processSample('A', 1, { figures: null, blocked: { seconds: 6, stack: null } }),
        processSample('A', 2, { figures: null }),
        processSample('A', 3, {
          pid: undefined,
          state: 'waiting',
          figures: null,
          crashLoop: 'ended with exit code 7',
        }),
      ]),
      FACTS,
    );
    expect(section(screen, 'NOT AT WORK')).toEqual([
      'A:0 (pid 4711) is blocked: its event loop has not turned for 2 hours 0 minutes',
      ...Array.from({ length: 10 }, (_, index) => `    at frame${index} (a.js:1:1)`),
      '    and 3 more',
      'A:1 (pid 4712) is blocked: its event loop has not turned for 6 seconds inside the system, or in code that is not JavaScript',
      'A:2 (pid 4713) has not answered: it is busy, or it is stopped',
      'A:3 dies shortly after its start, again and again; the last one ended with exit code 7',
    ]);
  });

  test('keeps its columns with a hundred processes and huge numbers', () => {
    const huge = figuresSample({
      connections: 1_000_000,
      sendFail: Number.MAX_SAFE_INTEGER,
      totalRequest: 123_456_789_012,
      queuedBytes: 2 ** 42,
      memory: 2 ** 36,
      delay: 123_456.7,
      links: { up: 1024, down: 1023 },
    });
    const processes = Array.from({ length: 100 }, (_, id) =>
      processSample('Worker', id, { pid: 10 ** (id % 7), figures: id === 99 ? huge : figuresSample() }),
    );
    const screen = statusScreen(statusSample(processes), { ...FACTS, qps: processes.map((_, id) => id * 1000) });
    const lines = section(screen, 'PROCESS STATUS');
    expect(lines).toHaveLength(101);
    const [headings = ''] = lines;
    for (const heading of ['connections', 'total_request', 'queued', 'restarts']) {
      const end = headings.indexOf(heading) + heading.length;
      // A number ends below the end of its heading, and two spaces follow.
      for (const line of lines.slice(1)) expect(line.slice(end - 1, end + 2)).toMatch(/^\S {2}$/);
    }
    expect(row(screen, 'Worker:99')).toEqual({
      pid: '10',
      memory: '64.0GB',
      listening: 'none',
      name: 'Worker:99',
      connections: '1000000',
      send_fail: '9007199254740991',
      timers: '0',
      total_request: '123456789012',
      qps: '99000',
      links: '1024',
      down: '1023',
      queued: '4.0TB',
      delay: '123.5s',
      restarts: '0',
      status: '[idle]',
    });
    expect(row(screen, 'Summary')).toMatchObject({ qps: '4950000', total_request: '123456789012' });
  });

  test('counts the memory of a service in one process once', () => {
    const workers = ['A', 'B', 'C'].map((name) => processSample(name, 0, { pid: 4700 }));
    const screen = statusScreen(statusSample(workers, { mode: 'single' }), FACTS);
    expect(row(screen, 'Summary')).toMatchObject({ memory: '54.4MB' });
    expect(section(screen, 'GLOBAL STATUS')[2]).toBe('3 workers in one process    pid 4700');
  });

  test('is neither coloured nor broken by names, addresses and stacks, however long', () => {
    const evil = '\x1b[31m\r\nred\u202e';
    const screen = statusScreen(
      statusSample(
        [
          processSample(`${evil}${'x'.repeat(500)}`, 0, {
            listens: [evil],
            figures: figuresSample({ dropped: { [evil]: 1 } }),
          }),
          processSample('計数器🚀', 1, { figures: null, blocked: { seconds: 5, stack: `${evil} (a.js:1:1)` } }),
        ],
        { exits: [{ worker: '計数器🚀', status: evil, count: 1 }] },
      ),
      { ...FACTS, system: evil },
    );
    expect(screen).not.toMatch(/[^\P{Cc}\n]|\p{Cf}/u);
    const lines = screen.split('\n');
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(300);
    const table = section(screen, 'PROCESS STATUS');
    expect(table).toHaveLength(3);
    const placesBefore = (line: string | undefined, cell: string) => widthOf((line ?? '').split(cell)[0] ?? '');
    expect(placesBefore(table[2], '[blocked]')).toBe(placesBefore(table[1], '[idle]'));
  });
});
