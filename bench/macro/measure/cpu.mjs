// CPU time of processes, user and system together.
import { readdirSync } from 'node:fs';
import { readText } from './processes.mjs';

/** Kernel ticks per second in /proc/<pid>/stat: USER_HZ, 100 on every Linux of today. */
const TICKS = 100;

/** Seconds of CPU that the processes have used so far, those of all their threads that live. */
export function cpuOf(pids) {
  return pids.reduce((sum, pid) => sum + (fromScheduler(pid) ?? fromTicks(pid)), 0);
}

/** To the nanosecond; undefined where the kernel keeps no such statistics. */
function fromScheduler(pid) {
  let total = 0;
  for (const thread of threadsOf(pid)) {
    const text = readText(`/proc/${pid}/task/${thread}/schedstat`);
    if (text !== undefined) total += Number(text.split(' ')[0]);
  }
  return total > 0 ? total / 1e9 : undefined;
}

function fromTicks(pid) {
  const stat = readText(`/proc/${pid}/stat`);
  if (stat === undefined) return 0;
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS;
}

function threadsOf(pid) {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}
