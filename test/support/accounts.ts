import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** Changing the user of a process takes root; these tests say so where they can't run. */
export const isRoot = process.getuid?.() === 0;

/** What a process is allowed to: real, effective, saved and file-system ids, and its further groups. */
export interface Account {
  readonly users: readonly number[];
  readonly groups: readonly number[];
  readonly further: readonly number[];
}

export function accountOf(pid: number): Account {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const numbers = (name: string) => {
    const text = new RegExp(`^${name}:(.*)$`, 'm').exec(status)?.[1] ?? '';
    return text.split(/\s+/).filter(Boolean).map(Number);
  };
  return { users: numbers('Uid'), groups: numbers('Gid'), further: numbers('Groups') };
}

/** The four ids of a process that is nothing but this. */
export function onlyUser(name: string): number[] {
  return Array(4).fill(idOf('-u', name));
}

export function primaryGroup(user: string): number {
  return idOf('-g', user);
}

function idOf(which: '-u' | '-g', name: string): number {
  return Number(execFileSync('id', [which, name], { encoding: 'utf8' }));
}
