// What the figures were taken on, and what it allows.
import { spawnSync } from 'node:child_process';
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';
import { readText } from './processes.mjs';

/** What every file descriptor beside the connections may need in a process. */
const SPARE_FILES = 500;

/** From this load average on a machine is not quiet enough for latencies that mean something. */
export const BUSY_LOAD = 0.5;

export function hardware() {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memory: `${Math.round(totalmem() / 2 ** 30)} GB`,
    kernel: `Linux ${release()} (TCP ${readText('/proc/sys/net/ipv4/tcp_congestion_control')?.trim() ?? 'unknown'})`,
    node: process.version,
    loadBefore: loadavg()[0],
  };
}

/** Raises the limit on open files, for this process and those it starts, as far as the system lets it. */
export function raiseFileLimit() {
  spawnSync('prlimit', [`--pid=${process.pid}`, '--nofile=1048576:1048576']);
  const hard = fileLimits().hard;
  spawnSync('prlimit', [`--pid=${process.pid}`, `--nofile=${hard}:${hard}`]);
}

/** How many connections one process can hold. */
export function connectionsPerProcess() {
  return fileLimits().soft - SPARE_FILES;
}

function fileLimits() {
  const line = /^Max open files\s+(\S+)\s+(\S+)/m.exec(readText('/proc/self/limits') ?? '');
  const [soft, hard] = [line?.[1], line?.[2]].map((text) => (text === 'unlimited' ? 1_048_576 : Number(text)));
  return { soft, hard };
}

/** Where processes are pinned: servers to one core and the load to another, where there are two and `taskset` is. */
export function pinning() {
  const can = availableParallelism() > 1 && spawnSync('taskset', ['-V']).status === 0;
  return can ? { servers: '0', load: '1' } : null;
}

/** A command that runs another one on the core; the other one itself where nothing is pinned. */
export function pinned(core, command) {
  return core === undefined ? command : ['taskset', '-c', core, ...command];
}
