import type { ConnectionRow } from '../../core/process/mod.js';
import { tableText } from './table.js';

/** What `connections` shows. */
export function connectionsScreen(rows: readonly ConnectionRow[]): string {
  const headings = [
    'pid',
    'worker',
    'id',
    'transport',
    'protocol',
    'in',
    'out',
    'read',
    'written',
    'status',
    'local',
    'foreign',
  ];
  const cells = rows.map((row) => [
    String(row.pid),
    row.worker,
    String(row.id),
    row.transport,
    row.protocol,
    String(row.receiveQueue),
    String(row.sendQueue),
    String(row.bytesRead),
    String(row.bytesWritten),
    row.status,
    row.localAddress,
    row.foreignAddress,
  ]);
  return tableText([headings, ...cells]).join('\n');
}
