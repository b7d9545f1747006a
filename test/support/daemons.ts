import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { eventually } from './eventually.js';
import { endScripts, processesWhere, type Script, type ScriptOptions, startScript } from './processes.js';

/** Stands in the environment of all that a test starts, and of what that starts, in whatever session. */
const MARK = 'GATEWAYWORKER_TEST';
const marks: string[] = [];

/** A command that may leave processes in the background. */
export interface Command {
  readonly script: Script;
  /** Pids of all that it started and that live, the command's own included. */
  processes(): number[];
}

/** For `afterEach`: nothing that a command has left in the background outlives the test. */
export async function endCommands(): Promise<void> {
  await endScripts();
  for (const mark of marks.splice(0)) {
    await eventually('the end of all that was started', () => {
      const left = markedWith(mark);
      for (const pid of left) process.kill(pid, 'SIGKILL');
      return left.length === 0;
    });
  }
}

/** Starts a command that may leave processes in the background. */
export function startCommand(file: string, options: ScriptOptions = {}): Command {
  const mark = randomUUID();
  marks.push(mark);
  const script = startScript(file, { ...options, env: { ...options.env, [MARK]: mark } });
  return { script, processes: () => markedWith(mark) };
}

/** What a process was started with, and has not changed since. */
export function environmentOf(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
  } catch {
    return [];
  }
}

function markedWith(mark: string): number[] {
  return processesWhere(({ pid }) => environmentOf(pid).includes(`${MARK}=${mark}`));
}
