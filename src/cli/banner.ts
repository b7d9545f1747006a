import { rule } from './screens/table.js';

export interface BannerRow {
  readonly worker: string;
  /** As text: `websocket://0.0.0.0:8283`; the first is shown, the others are counted. */
  readonly listens: readonly string[];
  readonly processes: number;
}

export interface Banner {
  /** Of this package. */
  readonly version: string;
  /** `v20.19.0` */
  readonly node: string;
  /** `linux x64` */
  readonly system: string;
  readonly mode: 'many' | 'single';
  readonly rows: readonly BannerRow[];
  /** The last lines: how to stop it. */
  readonly hint: string;
}

const HEADINGS: readonly string[] = ['worker', 'listen', 'processes', 'state'];
const GAP = 4;
const TITLE = ' GATEWAYWORKER ';
const NARROWEST = 60;

/** What stands on the screen once everything is ready: lines without one at the end. */
export function bannerText({ version, node, system, mode, rows, hint }: Banner): string {
  const cells = rows.map((row) => [row.worker, listenText(row.listens), String(row.processes), '[OK]']);
  const widths = HEADINGS.map((heading, column) =>
    Math.max(heading.length, ...cells.map((line) => line[column]?.length ?? 0)),
  );
  const table = [HEADINGS, ...cells].map((line) =>
    line
      .map((cell, column) => cell.padEnd((widths[column] ?? 0) + GAP))
      .join('')
      .trimEnd(),
  );
  const width = Math.max(NARROWEST, ...table.map((line) => line.length));
  return [
    rule(TITLE, width),
    `gatewayworker/${version}    Node.js ${node}    ${system}${mode === 'single' ? '    all in one process' : ''}`,
    rule(' WORKERS ', width),
    ...table,
    rule('', width),
    hint,
  ].join('\n');
}

function listenText(listens: readonly string[]): string {
  const [first, ...others] = listens;
  if (first === undefined) return 'none';
  return others.length === 0 ? first : `${first} (+${others.length})`;
}
