import { createHash } from 'node:crypto';
import type { Stats } from 'node:fs';
import { lstatSync, readFileSync, realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import process from 'node:process';
import { LONGEST_SOCKET_PATH, privateFolder } from '../../../util/mod.js';
import { besideEntry, entryFile } from '../entry.js';

/** What the socket is called while it is being made has this at the end. */
export const MAKING = '.new';

/** Where a control socket is. */
export interface SocketPlace {
  /** On Windows the name of a pipe, which is gone with its process. */
  readonly path: string;
  readonly isPipe: boolean;
  /** A folder that nobody but this user may enter; null: the socket lies beside the pid file, or is a pipe. */
  readonly privateFolder: { readonly path: string; readonly uid: number } | null;
}

/** What a service is found by. */
export interface ControlPaths {
  /** Absolute, and without symbolic links in its folder where that exists. */
  readonly pidFile: string;
  /** There while a service claims the pid file. */
  readonly lock: string;
  /** Where a service of this user listens. */
  readonly own: SocketPlace;
  /** Where the service listens whose user owns the pid file. */
  readonly found: SocketPlace;
}

/**
 * @param pidFile relative to the folder of the entry script, so that a command finds it wherever it is called from; null:
 *   `gatewayworker.<entry script>.pid` there, or `gatewayworker.<entry script>.<only>.pid`
 * @returns undefined where there is no entry script to be named by
 */
export function controlPaths(pidFile: string | null, only: readonly string[] | null = null): ControlPaths | undefined {
  const entry = entryFile();
  if (pidFile === null && entry === undefined) return undefined;
  const parts = [...new Set(only?.map(fileName))].sort();
  const part = only === null ? '' : `.${parts.join('+')}`;
  const named = pidFile ?? `gatewayworker.${basename(entry ?? '')}${part}.pid`;
  const path = besideEntry(named);
  const file = join(realFolder(dirname(path)), basename(path));
  return {
    pidFile: file,
    lock: `${file}.lock`,
    own: socketPlace(file, ownUid()),
    found: socketPlace(file, statsOf(file)?.uid ?? ownUid()),
  };
}

export function socketPlace(pidFile: string, uid: number): SocketPlace {
  const hash = createHash('sha256').update(pidFile).digest('hex').slice(0, 16);
  if (process.platform === 'win32') {
    return { path: `\\\\.\\pipe\\gatewayworker-${hash}`, isPipe: true, privateFolder: null };
  }
  const beside = `${pidFile.replace(/\.pid$/, '')}.sock`;
  if (Buffer.byteLength(beside + MAKING) <= LONGEST_SOCKET_PATH) {
    return { path: beside, isPipe: false, privateFolder: null };
  }
  const folder = privateFolder(uid);
  return { path: join(folder, `${hash}.sock`), isPipe: false, privateFolder: { path: folder, uid } };
}

/** The pid in a pid file; undefined when there is no such file, or no pid in it. */
export function readPid(pidFile: string): number | undefined {
  try {
    const content = readFileSync(pidFile, 'utf8');
    return /^[1-9]\d{0,14}$/.test(content) ? Number(content) : undefined;
  } catch {
    return undefined;
  }
}

/** Of the thing itself, also where it is a symbolic link; undefined when it can't be seen. */
export function statsOf(path: string): Stats | undefined {
  try {
    return lstatSync(path);
  } catch {
    return undefined;
  }
}

/** -1 on Windows, which has none. */
function ownUid(): number {
  return process.getuid?.() ?? -1;
}

/** A worker may have any name. */
function fileName(text: string): string {
  return encodeURIComponent(text.toLowerCase()).replaceAll('*', '%2A');
}

function realFolder(folder: string): string {
  try {
    return realpathSync.native(folder);
  } catch {
    return folder;
  }
}
