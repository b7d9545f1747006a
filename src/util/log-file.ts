import { Buffer } from 'node:buffer';
import { closeSync, fstatSync, mkdirSync, openSync, renameSync, statSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { messageOf } from './errors.js';

/** Others than the owner may not write, and only the owner's group may read: logs name clients and their addresses. */
const FILE_MODE = 0o640;
const FOLDER_MODE = 0o750;

/** Opens a file to append to, with the folders that lead to it. @throws the system's error */
export function openToAppend(path: string): number {
  mkdirSync(dirname(path), { recursive: true, mode: FOLDER_MODE });
  return openSync(path, 'a', FILE_MODE);
}

/**
 * A file that several processes append lines to, and that may be put aside meanwhile.
 *
 * Each line is one `write` of a file opened with O_APPEND, which the system does not mix with those of others. It is
 * written before `write` returns, so that what a dying process says is there.
 */
export class LogFile {
  readonly path: string;
  /** Told when lines can be written again, how many could not, and why. */
  onLost: (lines: number, reason: string) => void = ignore;
  #fd: number;
  #lost = 0;
  #reason = '';

  /** Makes it, and the folders that lead to it, where they are missing. @throws the system's error */
  constructor(path: string) {
    this.path = path;
    this.#fd = openToAppend(path);
  }

  /** In bytes; 0 for what is no file (a terminal, a pipe). */
  get size(): number {
    return fstatSync(this.#fd).size;
  }

  /** Whether its name stands for another file by now, or for none. */
  get moved(): boolean {
    const named = statSync(this.path, { throwIfNoEntry: false });
    const own = fstatSync(this.#fd);
    return named === undefined || named.ino !== own.ino || named.dev !== own.dev;
  }

  /** Never throws: a full disk costs lines, not the service. */
  write(line: string): void {
    try {
      // When a disk is full, the last of what it took, of this process or another, may be a part of a line.
      const bytes = Buffer.from(this.#lost > 0 && this.size > 0 ? `\n${line}` : line);
      let written = 0;
      while (written < bytes.length) written += writeSync(this.#fd, bytes, written);
    } catch (error) {
      this.#lost += 1;
      this.#reason = messageOf(error);
      return;
    }
    if (this.#lost === 0) return;
    const lost = this.#lost;
    this.#lost = 0;
    this.onLost(lost, this.#reason);
  }

  /** Leaves the file for the one that has its name now. False, and all as before, where that can't be opened. */
  reopen(): boolean {
    let fd: number;
    try {
      fd = openToAppend(this.path);
    } catch {
      return false;
    }
    closeSync(this.#fd);
    this.#fd = fd;
    return true;
  }

  /**
   * Renames the file to `<path>.1`, in place of the one before. Whoever has it open goes on writing to it until it is
   * reopened. @throws the system's error, with all as before
   */
  putAside(): void {
    renameSync(this.path, `${this.path}.1`);
  }

  /** What is written from now on is lost. */
  close(): void {
    closeSync(this.#fd);
    // The system gives the number to the next file or socket.
    this.#fd = -1;
  }
}

function ignore(): void {}
