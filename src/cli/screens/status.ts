import type { ExitCount, ProcessStatus, ServiceStatus } from '../../core/process/mod.js';
import { type Column, rule, tableText } from './table.js';
import { countText, durationText, printable, sizeText, timeText, widthOf } from './text.js';

/** What a status does not say by itself. */
export interface StatusFacts {
  /** Of this package, as the service runs it. */
  readonly version: string;
  /** `v20.19.0` */
  readonly node: string;
  /** `linux x64` */
  readonly system: string;
  readonly daemon: boolean;
  /** Over the last 1, 5 and 15 minutes. */
  readonly loadAverage: readonly number[];
  /** Milliseconds since 1970. */
  readonly now: number;
  /** Requests per second of each process, in their order; null: not known. Only where it is known at all. */
  readonly qps?: readonly (number | null)[] | undefined;
}

const EXIT_COLUMNS: readonly Column[] = [
  { heading: 'worker' },
  { heading: 'exit_status', right: true },
  { heading: 'exit_count', right: true },
];

const PROCESS_COLUMNS: readonly Column[] = [
  { heading: 'pid', right: true },
  { heading: 'memory', right: true },
  { heading: 'listening' },
  { heading: 'name' },
  { heading: 'connections', right: true },
  { heading: 'send_fail', right: true },
  { heading: 'timers', right: true },
  { heading: 'total_request', right: true },
  { heading: 'qps', right: true },
  { heading: 'links', right: true },
  { heading: 'down', right: true },
  { heading: 'queued', right: true },
  { heading: 'delay', right: true },
  { heading: 'restarts', right: true },
  { heading: 'status' },
];

const UNKNOWN = 'N/A';
const NONE = '-';

/** Of a stack; the others are counted. */
const FRAMES = 10;

/**
 * What `status` shows: the service, its processes with their sums, what they lost or refused by reason, and what is wrong
 * with those that are not at work. Lines without one at the end.
 */
export function statusScreen(status: ServiceStatus, facts: StatusFacts): string {
  const { processes } = status;
  const service = [...serviceLines(status, facts), ...tableText(EXIT_COLUMNS, exitRows(status))];
  const rows = processes.map((process, index) => processRow(process, facts.qps?.[index] ?? null));
  const table = tableText(PROCESS_COLUMNS, [...rows, summaryRow(status, facts)]);
  const sections: readonly (readonly [string, readonly string[]])[] = [
    [' GLOBAL STATUS ', service],
    [' PROCESS STATUS ', table],
    [' DROPPED ', droppedLines(processes)],
    [' NOT AT WORK ', processes.flatMap(troubleLines)],
  ];
  const width = [...service, ...table].reduce((widest, line) => Math.max(widest, widthOf(line)), 0);
  const shown = sections.filter(([, lines]) => lines.length > 0);
  // The sum stands apart.
  table.splice(-1, 0, rule('', width));
  return shown.flatMap(([title, lines]) => [rule(title, width), ...lines]).join('\n');
}

function serviceLines({ mode, pid, startedAt, processes }: ServiceStatus, facts: StatusFacts): readonly string[] {
  const { version, node, system, daemon, loadAverage, now } = facts;
  const workers = new Set(processes.map(({ worker }) => worker)).size;
  const load = loadAverage.map((value) => value.toFixed(2)).join(', ');
  const counted =
    mode === 'single'
      ? `${countText(workers, 'worker')} in one process`
      : `${countText(workers, 'worker')}    ${countText(processes.length, 'process', 'processes')}`;
  return [
    `gatewayworker/${version}    Node.js ${node}    ${system}    in the ${daemon ? 'background' : 'foreground'}`,
    `start time: ${timeText(startedAt)}    run ${durationText(now - startedAt)}    load average: ${load}`,
    `${counted}    pid ${pid}`,
  ].map(printable);
}

/** A worker none of whose processes has ended has a line as well. */
function exitRows({ exits, processes }: ServiceStatus): readonly (readonly string[])[] {
  const workers = [...new Set(processes.map(({ worker }) => worker))];
  return workers.flatMap((worker) => {
    const own = exits.filter((exit) => exit.worker === worker);
    const shown: readonly ExitCount[] = own.length > 0 ? own : [{ worker, status: '0', count: 0 }];
    return shown.map(({ status, count }) => [worker, status, String(count)]);
  });
}

function processRow(process: ProcessStatus, qps: number | null): readonly string[] {
  const { worker, id, pid, listens, figures, restarts } = process;
  const figure = (value: string | undefined) => (figures === null ? UNKNOWN : (value ?? NONE));
  return [
    pid === undefined ? NONE : String(pid),
    figure(figures === null ? undefined : sizeText(figures.memory)),
    listens[0] ?? 'none',
    `${worker}:${id}`,
    figure(figures?.connections.toString()),
    figure(figures?.sendFail.toString()),
    figure(figures?.timers.toString()),
    figure(figures?.totalRequest.toString()),
    rateText(qps),
    figure(figures?.links?.up.toString()),
    figure(figures?.links?.down.toString()),
    figure(figures === null ? undefined : sizeText(figures.queuedBytes)),
    figure(figures === null ? undefined : delayText(figures.delay)),
    String(restarts),
    `[${stateOf(process)}]`,
  ];
}

function summaryRow({ mode, processes }: ServiceStatus, { qps }: StatusFacts): readonly string[] {
  const all = processes.map(({ figures }) => figures).filter((figures) => figures !== null);
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  const memory = all.map((figures) => figures.memory);
  const rates = (qps ?? []).filter((rate) => rate !== null);
  const links = all.map((figures) => figures.links).filter((own) => own !== null);
  return [
    'Summary',
    // In one process each has said what all of them take.
    sizeText(mode === 'single' ? Math.max(0, ...memory) : sum(memory)),
    NONE,
    NONE,
    String(sum(all.map((figures) => figures.connections))),
    String(sum(all.map((figures) => figures.sendFail))),
    String(sum(all.map((figures) => figures.timers))),
    String(sum(all.map((figures) => figures.totalRequest))),
    rateText(rates.length > 0 ? sum(rates) : null),
    String(sum(links.map(({ up }) => up))),
    String(sum(links.map(({ down }) => down))),
    sizeText(sum(all.map((figures) => figures.queuedBytes))),
    delayText(Math.max(0, ...all.map((figures) => figures.delay))),
    String(sum(processes.map(({ restarts }) => restarts))),
    NONE,
  ];
}

/** Of all processes of a worker together. */
function droppedLines(processes: readonly ProcessStatus[]): readonly string[] {
  const workers = new Map<string, Map<string, number>>();
  for (const { worker, figures } of processes) {
    for (const [reason, count] of Object.entries(figures?.dropped ?? {})) {
      const reasons = workers.get(worker) ?? new Map<string, number>();
      reasons.set(reason, (reasons.get(reason) ?? 0) + count);
      workers.set(worker, reasons);
    }
  }
  const rows = [...workers].flatMap(([worker, reasons]) =>
    [...reasons].map(([reason, count]) => [worker, reason, String(count)]),
  );
  if (rows.length === 0) return [];
  return tableText([{ heading: 'worker' }, { heading: 'reason' }, { heading: 'count', right: true }], rows);
}

function stateOf({ state, figures, blocked, crashLoop }: ProcessStatus): string {
  if (blocked !== null) return 'blocked';
  if (crashLoop !== null) return 'crash loop';
  if (state !== 'ready') return state;
  return figures === null ? 'busy' : 'idle';
}

/** Why a process is not at work, as far as it is known. */
function troubleLines(process: ProcessStatus): readonly string[] {
  const { worker, id, pid, blocked, crashLoop, state } = process;
  const who = `${worker}:${id}${pid === undefined ? '' : ` (pid ${pid})`}`;
  if (blocked !== null) {
    const where = blocked.stack === null ? ' inside the system, or in code that is not JavaScript' : '';
    const text = `${who} is blocked: its event loop has not turned for ${durationText(blocked.seconds * 1000)}`;
    return [printable(`${text}${where}`), ...frameLines(blocked.stack)];
  }
  if (crashLoop !== null) {
    return [printable(`${who} dies shortly after its start, again and again; the last one ${crashLoop}`)];
  }
  if (state === 'waiting') return [printable(`${who} has ended and waits to be started again`)];
  if (stateOf(process) === 'busy') return [printable(`${who} has not answered: it is busy, or it is stopped`)];
  return [];
}

function frameLines(stack: string | null): readonly string[] {
  if (stack === null) return [];
  const frames = stack.split('\n').map((frame) => `    at ${printable(frame)}`);
  const left = frames.length - FRAMES;
  return left > 0 ? [...frames.slice(0, FRAMES), `    and ${left} more`] : frames;
}

function rateText(rate: number | null): string {
  return rate === null ? NONE : String(Math.round(rate));
}

function delayText(milliseconds: number): string {
  return milliseconds < 1000 ? `${Math.round(milliseconds)}ms` : `${(milliseconds / 1000).toFixed(1)}s`;
}
