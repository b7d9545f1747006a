// Where the CPU time of a server goes, by Linux's perf: kernel, V8, Node.js and the functions of JavaScript.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { readText } from './processes.mjs';

const SAMPLES_A_SECOND = '1999';
/** Has Node.js tell perf the names of the functions it compiles. */
export const PROFILED_NODE = Object.freeze(['--perf-basic-prof-only-functions']);

export function canProfile() {
  return spawnSync('perf', ['version']).status === 0;
}

/**
 * Looks at processes for some seconds.
 *
 * @returns of each process that did something: `{ title, samples, parts, functions }`, the latter two from a name to samples
 */
export async function profile(pids, seconds) {
  const folder = mkdtempSync(join(tmpdir(), 'gatewayworker-profile-'));
  try {
    const data = join(folder, 'perf.data');
    const record = ['record', '-e', 'cpu-clock', '-F', SAMPLES_A_SECOND, '-g', '-o', data, '-p', pids.join(',')];
    const titles = new Map(pids.map((pid) => [pid, titleOf(pid)]));
    await ended(spawn('perf', [...record, '--', 'sleep', String(seconds)], { stdio: 'ignore' }));
    return await readSamples(data, titles);
  } finally {
    rmSync(folder, { recursive: true, force: true });
    // What PROFILED_NODE has them write.
    for (const pid of pids) rmSync(join(tmpdir(), `perf-${pid}.map`), { force: true });
  }
}

async function readSamples(data, titles) {
  const script = spawn('perf', ['script', '-i', data, '-F', 'pid,ip,sym,dso'], { stdio: ['ignore', 'pipe', 'ignore'] });
  const ending = ended(script);
  const found = new Map();
  let pid = null;
  let frames = [];
  for await (const line of createInterface({ input: script.stdout })) {
    const head = /^\s*(\d+)\s*$/.exec(line);
    if (head !== null) {
      pid = Number(head[1]);
      frames = [];
    } else if (line !== '') {
      const [, symbol = '', dso = ''] = /^\s*[0-9a-f]+ (.*) \(([^()]*)\)$/.exec(line) ?? [];
      frames.push({ symbol, dso });
    } else if (pid !== null) {
      count(found, titles.get(pid) ?? String(pid), frames);
      pid = null;
    }
  }
  await ending;
  return [...found.values()].sort((a, b) => b.samples - a.samples);
}

function count(found, title, frames) {
  if (!found.has(title)) found.set(title, { title, samples: 0, parts: {}, functions: {} });
  const process = found.get(title);
  const { part, name } = placeOf(frames);
  process.samples++;
  process.parts[part] = (process.parts[part] ?? 0) + 1;
  if (name !== null) process.functions[name] = (process.functions[name] ?? 0) + 1;
}

const SYSTEM_CALLS = {
  read: 'kernel: read',
  recvfrom: 'kernel: read',
  recvmsg: 'kernel: read',
  write: 'kernel: write',
  writev: 'kernel: write',
  sendto: 'kernel: write',
  sendmsg: 'kernel: write',
  epoll_wait: 'kernel: wait for events',
  epoll_pwait: 'kernel: wait for events',
};

/** Innermost frame first. */
function placeOf(frames) {
  const [{ symbol, dso } = { symbol: '', dso: '' }] = frames;
  if (isKernel(dso)) {
    // What asked for it: libc's function for the system call, or anything at all that was interrupted.
    const asked = frames.find((frame) => !isKernel(frame.dso))?.symbol ?? '';
    return { part: SYSTEM_CALLS[asked.replace(/^_*(GI_)?_*(libc_)?/, '')] ?? 'kernel: the rest', name: null };
  }
  if (/perf-\d+\.map|\[JIT\]|anon/.test(dso)) return { part: 'JavaScript', name: functionName(symbol) };
  if (/Builtins_/.test(symbol)) return { part: 'V8: built-in functions', name: null };
  if (/Scaveng|MarkCompact|Marking|Sweep|Evacuat|::Heap::|Spaces?::/.test(symbol)) {
    return { part: 'V8: garbage', name: null };
  }
  if (/v8::/.test(symbol)) return { part: 'V8: calls and the rest', name: null };
  if (/node::|uv_/.test(symbol)) return { part: 'Node.js and libuv', name: null };
  return { part: 'libc and the rest', name: null };
}

function isKernel(dso) {
  return dso.includes('kernel');
}

/** `JS:*#queue file:///…/tcp-connection.js:512:9` as `#queue (tcp-connection.js)`; null for what is no function of a file. */
function functionName(symbol) {
  const [, name, file] = /^(?:JS:)?[~*^+']*(\S*) .*?([^/\\]+):\d+(?::\d+)?$/.exec(symbol) ?? [];
  return file === undefined ? null : `${name || '(anonymous)'} (${file})`;
}

/** As `ps` shows it. */
function titleOf(pid) {
  const words = (readText(`/proc/${pid}/cmdline`) ?? '').split('\0').filter((word) => word !== '');
  return words[0]?.startsWith('gatewayworker: ') ? words[0].slice('gatewayworker: '.length) : String(pid);
}

async function ended(child) {
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`${child.spawnfile} ended with code ${code}`);
}
