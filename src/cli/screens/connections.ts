import type { ConnectionRow } from '../../core/process/mod.js';
import { type Column, rule, tableText } from './table.js';
import { countText, sizeText, widthOf } from './text.js';

const COLUMNS: readonly Column[] = [
  { heading: 'PID', right: true },
  { heading: 'Worker' },
  { heading: 'CID', right: true },
  { heading: 'Trans' },
  { heading: 'Protocol' },
  { heading: 'ipv4' },
  { heading: 'ipv6' },
  { heading: 'Recv-Q', right: true },
  { heading: 'Send-Q', right: true },
  { heading: 'Bytes-R', right: true },
  { heading: 'Bytes-W', right: true },
  { heading: 'Status' },
  { heading: 'Local Address' },
  { heading: 'Foreign Address' },
];

const TITLE = ' CONNECTIONS ';

/** What `connections` shows, in the originals' columns: lines without one at the end. */
export function connectionsScreen(rows: readonly ConnectionRow[]): string {
  const table = tableText(COLUMNS, rows.map(cellsOf));
  const width = table.reduce((widest, line) => Math.max(widest, widthOf(line)), 0);
  return [rule(TITLE, width), ...table, rule('', width), countText(rows.length, 'connection')].join('\n');
}

function cellsOf(row: ConnectionRow): readonly string[] {
  return [
    String(row.pid),
    row.worker,
    String(row.id),
    row.transport,
    row.protocol,
    row.ipv6 ? '0' : '1',
    row.ipv6 ? '1' : '0',
    sizeText(row.receiveQueue),
    sizeText(row.sendQueue),
    sizeText(row.bytesRead),
    sizeText(row.bytesWritten),
    row.status.toUpperCase(),
    row.localAddress,
    row.foreignAddress,
  ];
}
