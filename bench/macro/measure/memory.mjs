// Memory of processes; what they share counts in parts.
import { readText } from './processes.mjs';

/** Bytes of memory in use by the processes: Pss, of which pages that several share count once among them. */
export function memoryOf(pids) {
  return pids.reduce((sum, pid) => sum + pssOf(pid), 0);
}

function pssOf(pid) {
  const text = readText(`/proc/${pid}/smaps_rollup`) ?? '';
  return Number(/^Pss:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0) * 1024;
}
