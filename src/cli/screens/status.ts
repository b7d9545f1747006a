import type { ServiceStatus } from '../../core/process/mod.js';
import { tableText } from './table.js';

/** What a status does not say by itself. */
export interface StatusFacts {
  /** Of this package, as the service runs it. */
  readonly version: string;
  /** `v20.19.0` */
  readonly node: string;
  /** `linux x64` */
  readonly system: string;
  readonly daemon: boolean;
  /** Requests per second of each process, in their order; null: not known. Only where it is known at all. */
  readonly qps?: readonly (number | null)[];
}

/** What `status` shows. */
export function statusScreen(status: ServiceStatus, { version, node, system, daemon, qps }: StatusFacts): string {
  const rows = status.processes.map(({ worker, id, pid, state, restarts, listens, figures }, index) => [
    pid === undefined ? '' : String(pid),
    `${worker}:${id}`,
    listens[0] ?? 'none',
    figures === null ? 'N/A' : `${(figures.memory / 2 ** 20).toFixed(1)}M`,
    figures === null ? 'N/A' : String(figures.connections),
    figures === null ? 'N/A' : String(figures.totalRequest),
    String(Math.round(qps?.[index] ?? 0)),
    String(restarts),
    state === 'ready' && figures === null ? 'busy' : state,
  ]);
  const headings = ['pid', 'process', 'listen', 'memory', 'connections', 'requests', 'qps', 'restarts', 'state'];
  return [
    `gatewayworker/${version}    Node.js ${node}    ${system}    ${daemon ? 'in the background' : 'in the foreground'}`,
    `pid ${status.pid}    started ${new Date(status.startedAt).toISOString()}`,
    ...tableText([headings, ...rows]),
  ].join('\n');
}
