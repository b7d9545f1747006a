import { lstatSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The longest path, in bytes, that every system takes for a Unix socket; libuv cuts off the rest without a word. */
export const LONGEST_SOCKET_PATH = 103;

/** Where the sockets of a user's processes are that have no better place. */
export function privateFolder(uid: number | undefined): string {
  return join(tmpdir(), `gatewayworker-${uid}`);
}

/** Nobody but this user may enter it, or put anything in its place; undefined: there is none that can be seen. */
export function isPrivateFolder(path: string, uid: number | undefined): boolean | undefined {
  try {
    const stats = lstatSync(path);
    return stats.isDirectory() && stats.uid === uid && (stats.mode & 0o077) === 0;
  } catch {
    return undefined;
  }
}
