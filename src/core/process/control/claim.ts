import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import process from 'node:process';
import { LONGEST_SOCKET_PATH, messageOf } from '../../../util/mod.js';
import { StartError } from '../errors.js';
import { ControlClient, isListening, unsafeFolder } from './client.js';
import { ControlError, isControlError } from './errors.js';
import { withLock } from './lock.js';
import type { ControlPaths, SocketPlace } from './paths.js';
import { MAKING, readPid, statsOf } from './paths.js';
import type { ControlTarget } from './server.js';
import { ControlServer } from './server.js';

/** A file that is longer than a pid was not written as a pid file. Bytes. */
const LONGEST_PID = 32;

/** The right to run under a pid file. */
export interface Claim {
  /** Gives it back: removes the pid file and the socket where they are this process's own. */
  release(): void;
}

/**
 * Makes this process the one that runs under a pid file: listens on the control socket, where the target answers from
 * then on, and writes the pid file. Exiting gives the claim back.
 *
 * Whether another process runs is what the control socket says; a pid may belong to another program by now. Of several
 * that claim at once one succeeds.
 *
 * @throws StartError `GW_START_RUNNING`, `GW_START_PID_FILE`, `GW_START_CONTROL`
 */
export async function claim(paths: ControlPaths, target: ControlTarget): Promise<Claim> {
  for (;;) {
    await refuseIfRunning(paths);
    try {
      const claimed = await withLock(paths.lock, (held) => take(paths, target, held));
      if (claimed !== undefined) return claimed;
    } catch (error) {
      throw asStartError(error, paths.pidFile);
    }
  }
}

/** undefined: another process was faster. */
async function take(paths: ControlPaths, target: ControlTarget, held: () => boolean): Promise<Claim | undefined> {
  const { pidFile, own, found } = paths;
  if ((await isListening(own, pidFile)) || (await isListening(found, pidFile))) return undefined;
  refuseOthersFiles(paths);
  const server = new ControlServer(target);
  let socket: number | undefined;
  let released = false;
  const release = () => {
    if (released) return;
    released = true;
    process.off('exit', release);
    // Before the server closes: as long as it has the socket, no other file gets its number.
    if (socket !== undefined && statsOf(own.path)?.ino === socket) remove(own.path);
    if (readPid(pidFile) === process.pid) remove(pidFile);
    server.close();
  };
  process.on('exit', release);
  try {
    await listen(server, own, held);
    if (!own.isPipe) socket = statsOf(own.path)?.ino;
    rmSync(pidFile, { force: true });
    // The flag refuses a link that somebody puts there in between.
    writeFileSync(pidFile, String(process.pid), { flag: 'wx' });
  } catch (error) {
    release();
    throw error;
  }
  return { release };
}

/** @throws StartError `GW_START_CONTROL` */
async function listen(server: ControlServer, place: SocketPlace, held: () => boolean): Promise<void> {
  const { path, isPipe, privateFolder } = place;
  try {
    if (isPipe) return await server.listen(path);
    if (privateFolder !== null) mkdirSync(privateFolder.path, { recursive: true, mode: 0o700 });
    const unsafe = unsafeFolder(place);
    if (unsafe !== undefined) throw unsafe;
    // When a server closes, the system removes the name it was made under, whoever has it by then. So it gets its name
    // afterwards, which replaces the socket that a dead process has left.
    const making = path + MAKING;
    if (Buffer.byteLength(making) > LONGEST_SOCKET_PATH) throw new Error('its path is too long');
    rmSync(making, { force: true });
    await server.listen(making);
    if (!held()) throw new Error('another start has taken over');
    renameSync(making, path);
  } catch (error) {
    throw new StartError(
      'GW_START_CONTROL',
      `can't make the control socket ${path}: ${messageOf(error)}; give the option pidFile a path on a disk of this machine`,
      { path, reason: (error as NodeJS.ErrnoException).code },
      error,
    );
  }
}

/** @throws StartError `GW_START_RUNNING`, `GW_START_CONTROL` */
async function refuseIfRunning(paths: ControlPaths): Promise<void> {
  let client: ControlClient;
  try {
    client = await ControlClient.open(paths);
  } catch (error) {
    if (isControlError(error, 'GW_CONTROL_NOT_RUNNING')) return;
    throw asStartError(error, paths.pidFile);
  }
  const { pid, state } = client.hello;
  client.close();
  const text = state === 'stopping' ? `still stopping (pid ${pid})` : `already running (pid ${pid})`;
  throw new StartError('GW_START_RUNNING', text, { pid, pidFile: paths.pidFile });
}

/** What lies there and was not made by a service stays: a wrong `pidFile` must not cost anybody a file. */
function refuseOthersFiles({ pidFile, own }: ControlPaths): void {
  const old = statsOf(pidFile);
  const looksRight = old === undefined || (old.isFile() && old.size <= LONGEST_PID && isPid(pidFile));
  const socket = own.isPipe ? undefined : statsOf(own.path);
  if (looksRight && socket?.isSocket() !== false) return;
  const file = looksRight ? own.path : pidFile;
  throw new StartError(
    'GW_START_PID_FILE',
    `${file} is there and is no ${looksRight ? 'socket' : 'pid file'}; remove it, or give the option pidFile another path`,
    { pidFile, file },
  );
}

/** Where that is no longer allowed it stays: nobody takes it for a service that runs. */
function remove(file: string): void {
  try {
    rmSync(file);
  } catch {}
}

function isPid(file: string): boolean {
  return /^\s*\d*\s*$/.test(readFileSync(file, 'utf8'));
}

/** What is in the way, as the start says it; a bug stays what it is. */
function asStartError(error: unknown, pidFile: string): unknown {
  if (error instanceof ControlError) {
    if (error.code !== 'GW_CONTROL_NO_ANSWER')
      return new StartError('GW_START_CONTROL', error.message, error.fields, error);
    const pid = readPid(pidFile);
    const text = `already running (pid ${pid ?? 'unknown'}), but it does not answer: it is stuck; end that process first`;
    return new StartError('GW_START_RUNNING', text, { pid, pidFile }, error);
  }
  const { code: reason, syscall } = error as NodeJS.ErrnoException;
  if (syscall === undefined) return error;
  const text = `can't write the pid file ${pidFile} (${reason}); give the option pidFile a path that this user may write`;
  return new StartError('GW_START_PID_FILE', text, { pidFile, reason }, error);
}
