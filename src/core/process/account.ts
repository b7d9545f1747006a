import { userInfo } from 'node:os';
import process from 'node:process';
import type { Check, Checks } from '../../util/mod.js';
import { text } from '../../util/mod.js';
import type { BaseWorker } from './base-worker.js';
import { StartError } from './errors.js';
import { codeOf } from './messages.js';

/** Options of each kind of worker. */
export interface AccountOptions {
  /** The system's user that its processes run as, by name; default empty: the one that starts the service. Not on Windows. */
  user: string;
  /** The group, by name; default empty: the primary group of `user`. */
  group: string;
}

export const ACCOUNT_DEFAULTS: Readonly<AccountOptions> = Object.freeze({ user: '', group: '' });

export const ACCOUNT_CHECKS: Checks<AccountOptions> = { user: accountName(), group: accountName() };

/** `@types/node` leaves one of them out; none is there on Windows. */
type PosixProcess = NodeJS.Process & { readonly initgroups?: (user: string, extraGroup: string | number) => void };

/** On Windows a process keeps its user. */
export function accountName(platform: NodeJS.Platform = process.platform): Check {
  if (platform !== 'win32') return text;
  return (value) => (value === '' ? undefined : "'' on Windows, where a process keeps its user");
}

export function keepsAccount({ user, group }: AccountOptions): boolean {
  return user === '' && group === '';
}

/**
 * Gives this process the user and group that were asked for, and no right of the ones it had.
 *
 * @throws StartError `GW_START_USER_UNKNOWN`, `GW_START_USER_FORBIDDEN`; the process must not go on then: it may have
 *   changed in part
 */
export function takeAccount({ user, group }: AccountOptions): void {
  const { getuid, setgid, setuid, initgroups }: PosixProcess = process;
  if (keepsAccount({ user, group }) || !getuid || !setgid || !setuid || !initgroups) return;
  const own = userInfo().username;
  const name = user === '' ? own : user;
  const changesUser = name !== own;
  if (!changesUser && group === '') return;
  const primary = changesUser ? attempt('user', user, () => primaryGroupOf(user)) : 0;
  const isRoot = getuid() === 0;
  attempt(group === '' ? 'user' : 'group', group || user, () => {
    const wanted = group || primary;
    // Who is not root has no list of groups to make, and may still be what was asked for.
    if (changesUser || isRoot) initgroups(name, wanted);
    setgid(wanted);
  });
  if (changesUser) attempt('user', user, () => setuid(name));
}

/**
 * What a process that runs all workers has to become.
 *
 * @throws StartError `GW_START_USERS_DIFFER`
 */
export function commonAccount(workers: readonly BaseWorker[]): AccountOptions {
  const [first, ...others] = workers;
  if (first === undefined) return ACCOUNT_DEFAULTS;
  const other = others.find((worker) => worker.user !== first.user || worker.group !== first.group);
  if (other !== undefined) {
    throw new StartError(
      'GW_START_USERS_DIFFER',
      `${first.name} and ${other.name} run in one process, which has one user and group; give all workers the same, or leave out processes: 'single'`,
      { workers: [first.name, other.name] },
    );
  }
  return first;
}

/** Node can't look up a user; but it can say who one is, and who may become the other may do so for a moment. */
function primaryGroupOf(user: string): number {
  const before = process.geteuid?.() ?? 0;
  process.seteuid?.(user);
  try {
    return userInfo().gid;
  } finally {
    process.seteuid?.(before);
  }
}

function attempt<T>(kind: 'user' | 'group', name: string, change: () => T): T {
  try {
    return change();
  } catch (error) {
    const reason = codeOf(error);
    if (reason === 'ERR_UNKNOWN_CREDENTIAL') {
      throw new StartError('GW_START_USER_UNKNOWN', `there is no ${kind} '${name}' on this machine`, { [kind]: name });
    }
    const text = `this process may not become ${kind} '${name}'; start the service as root, or leave out the option ${kind}`;
    throw new StartError('GW_START_USER_FORBIDDEN', text, { [kind]: name, reason }, error);
  }
}
