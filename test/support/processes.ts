import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import { DEADLINE_MS, eventually } from './eventually.js';

export interface ScriptOptions {
  /** What runs the script; default: Node.js. */
  readonly interpreter?: string;
  readonly args?: readonly string[];
  /** Options of Node.js, in front of the script. */
  readonly flags?: readonly string[];
  /** A command that runs another one, in front of the interpreter: `ip netns exec host`. */
  readonly within?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** What runs Node.js scripts in the same folder, so that commands find what another one has started. */
  readonly beside?: Script;
}

export interface ScriptExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const running = new Set<Script>();
const folders = new Set<string>();

/**
 * Starts `node script …`, or with another interpreter, as the leader of a process group of its own, as a shell does.
 *
 * A script of Node.js runs from a folder of its own under its own name: the pid file lies beside the entry script, and many
 * tests start the same one at the same time.
 */
export function startScript(script: string, options: ScriptOptions = {}): Script {
  const started = new Script(options.interpreter === undefined ? entryFor(script, options) : script, options);
  running.add(started);
  return started;
}

/** For `afterEach`: nothing that a test started outlives it, however it failed. */
export async function endScripts(): Promise<void> {
  for (const script of running) {
    script.killGroup('SIGKILL');
    await script.exited;
  }
  running.clear();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  folders.clear();
}

/** The script under its own name in a folder where nothing else is. */
function entryFor(script: string, { beside }: ScriptOptions): string {
  const folder = beside === undefined ? emptyFolder() : dirname(beside.entry);
  const entry = join(folder, basename(script));
  // Not again: another one may just be reading it.
  if (!existsSync(entry)) writeFileSync(entry, `import ${JSON.stringify(pathToFileURL(script).href)};\n`);
  return entry;
}

function emptyFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'gatewayworker-test-'));
  folders.add(folder);
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }\n');
  return folder;
}

/** A program that a test started, and what became of it. */
export class Script {
  readonly pid: number;
  /** Its own end; what it started may still run. */
  readonly exited: Promise<ScriptExit>;
  /** The end of all that could still write to its output. */
  readonly closed: Promise<ScriptExit>;
  /** What it and its children wrote to standard output and standard error. */
  output = '';
  /** It has exited itself. */
  ended = false;
  /** What the interpreter was given. */
  readonly entry: string;
  readonly #process: ChildProcess;

  constructor(script: string, options: ScriptOptions) {
    const { interpreter = process.execPath, flags = [], within = [], args = [], env = {} } = options;
    const [command = interpreter, ...rest] = [...within, interpreter, ...flags, script, ...args];
    this.entry = script;
    this.#process = spawn(command, rest, {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    if (this.#process.pid === undefined) throw new Error(`${script} could not be started`);
    this.pid = this.#process.pid;
    this.#process.stdout?.on('data', (bytes) => this.#collect(bytes));
    this.#process.stderr?.on('data', (bytes) => this.#collect(bytes));
    this.exited = new Promise((resolve) => {
      this.#process.once('exit', (code, signal) => {
        this.ended = true;
        resolve({ code, signal });
      });
    });
    this.closed = new Promise((resolve) => {
      this.#process.once('close', (code, signal) => resolve({ code, signal }));
    });
  }

  /** Waits for the text in the output; returns the match. */
  async outputMatching(pattern: RegExp, withinMs?: number): Promise<RegExpExecArray> {
    try {
      return await eventually(`output matching ${pattern}`, () => pattern.exec(this.output), withinMs);
    } catch (error) {
      throw new Error(`${(error as Error).message}; the output is:\n${this.output}`);
    }
  }

  /** How often the pattern, which is a global one, stands in the output. */
  count(pattern: RegExp): number {
    return [...this.output.matchAll(pattern)].length;
  }

  /** Waits for the end of it and of what it started, with all output read; fails when that does not come in time. */
  async exit(withinMs = DEADLINE_MS): Promise<ScriptExit> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      const fail = () => reject(new Error(`still runs after ${withinMs} ms; the output is:\n${this.output}`));
      timer = setTimeout(fail, withinMs);
    });
    try {
      return await Promise.race([this.closed, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Of this one process. */
  kill(signal: NodeJS.Signals): void {
    process.kill(this.pid, signal);
  }

  /** Of it and all its descendants, as Ctrl+C in a terminal does. */
  killGroup(signal: NodeJS.Signals): void {
    try {
      process.kill(-this.pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }

  children(): number[] {
    return processesWhere((entry) => entry.parent === this.pid);
  }

  /** The process of one of its workers, as `ChatWorker:0`; undefined while there is none. */
  childOf(worker: string): number | undefined {
    return this.children().find((pid) => titleOf(pid) === `gatewayworker: ${worker}`);
  }

  /** Those of its process group that live, itself included; survives its death. */
  group(): number[] {
    return processesWhere((entry) => entry.group === this.pid);
  }

  #collect(bytes: Buffer): void {
    this.output += bytes.toString();
  }
}

/** Whether it runs; one that has ended and is not yet buried does not. */
export function isAlive(pid: number): boolean {
  const entry = readProcess(pid);
  return entry !== undefined && entry.state !== 'Z';
}

function titleOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replace(/\0[\s\S]*$/, '');
  } catch {
    return '';
  }
}

export interface ProcessEntry {
  readonly pid: number;
  readonly state: string;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
}

/** Pids of those that live and fulfil the condition. */
export function processesWhere(condition: (entry: ProcessEntry) => boolean): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => readProcess(Number(name)))
    .filter((entry) => entry !== undefined)
    .filter((entry) => entry.state !== 'Z' && condition(entry))
    .map((entry) => entry.pid);
}

/** Undefined where there is none. */
export function readProcess(pid: number): ProcessEntry | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  // The name stands in brackets and may hold anything; what follows the last bracket is regular.
  const [state = '', parent, group, session] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { pid, state, parent: Number(parent), group: Number(group), session: Number(session) };
}
