import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { basename, relative } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../../util/mod.js';
import { messageOf, stackOf } from '../../util/mod.js';
import { besideEntry, entryFile } from './entry.js';
import { ReloadError } from './errors.js';
import { settledWithin } from './settled-within.js';
import { watchFiles } from './watch-files.js';
import type { WatchOptions } from './watch-options.js';

/** By then what a build or a reload has written is told of, so that it is known to have been written meanwhile. */
const TOLD_WITHIN_MS = 250;

/** A file that changes during so many rounds in a row is taken to be written by them, not by a person. */
const WRITTEN_BY_ROUNDS = 5;

/** How long the system may take to end a build that is killed. */
const BURIAL_MS = 1000;

/** A change names so many files. */
const SHOWN = 3;

/**
 * Builds and reloads when source files change, one round at a time: whatever changes during a round leads to one more
 * behind it.
 */
export class Watching {
  readonly #build: string | null;
  readonly #reload: () => Promise<unknown>;
  readonly #log: Logger;
  readonly #unwatch: () => void;
  readonly #changed = new Set<string>();
  /** During how many rounds in a row a file has changed. */
  #rows: ReadonlyMap<string, number> = new Map();
  #entry = entryText();
  #child: ChildProcess | undefined;
  #building: Promise<unknown> = Promise.resolve();
  #state: 'waiting' | 'idle' | 'busy' | 'closed' = 'waiting';

  /**
   * Takes note of changes from now on.
   *
   * @param reload what it rejects with as a ReloadError has been logged
   * @throws the system's error for a folder that can't be watched
   */
  constructor({ paths, build }: WatchOptions, reload: () => Promise<unknown>, log: Logger) {
    this.#build = build;
    this.#reload = reload;
    this.#log = log;
    this.#unwatch = watchFiles(paths.map(besideEntry), (files) => {
      for (const file of files) this.#changed.add(file);
      void this.#react();
    });
  }

  /** There is something to reload now. */
  begin(): void {
    if (this.#state !== 'waiting') return;
    this.#state = 'idle';
    this.#log.info('watching for changes');
    void this.#react();
  }

  /** Resolves when a build that runs has been ended. */
  async close(): Promise<void> {
    this.#state = 'closed';
    this.#unwatch();
    if (this.#child !== undefined) killTree(this.#child);
    await settledWithin(this.#building, BURIAL_MS);
  }

  async #react(): Promise<void> {
    if (this.#state !== 'idle') return;
    while (this.#changed.size > 0 && !this.#isClosed()) {
      this.#state = 'busy';
      await this.#round();
      if (this.#isClosed()) return;
      await sleep(TOLD_WITHIN_MS, undefined, { ref: false });
      this.#passOver();
    }
    if (!this.#isClosed()) this.#state = 'idle';
  }

  async #round(): Promise<void> {
    this.#log.info(`changed: ${listed(this.#changed)}`);
    this.#changed.clear();
    if (this.#build !== null && !(await this.#built(this.#build))) return;
    this.#noteEntry();
    try {
      await this.#reload();
    } catch (error) {
      if (!(error instanceof ReloadError)) this.#log.error(stackOf(error));
    }
  }

  /** Whether it succeeded, and is still wanted. */
  async #built(command: string): Promise<boolean> {
    this.#log.info(`building: ${command}`);
    // A group of its own can be ended as a whole: a shell that is killed leaves behind what it has started.
    const child = spawn(command, {
      shell: true,
      stdio: ['ignore', 'inherit', 'inherit'],
      detached: process.platform !== 'win32',
      windowsHide: true,
    });
    this.#child = child;
    const building = new Promise<string | null>((done) => {
      child.once('error', (error) => done(`could not be started: ${messageOf(error)}`));
      child.once('exit', (code, signal) => {
        if (signal !== null) done(`was ended by signal ${signal}`);
        else done(code === 0 ? null : `has failed with exit code ${code}`);
      });
    });
    this.#building = building;
    const problem = await building;
    this.#child = undefined;
    if (this.#isClosed()) return false;
    if (problem !== null) this.#log.error(`the build ${problem}; nothing is reloaded before the next change`);
    return problem === null;
  }

  /** The master has read it once and for all. */
  #noteEntry(): void {
    const before = this.#entry;
    this.#entry = entryText();
    if (this.#entry === before) return;
    const name = basename(entryFile() ?? '');
    this.#log.warn(
      `${name} has changed: counts, names and addresses of workers are read at the start only; restart for those`,
    );
  }

  /** What the rounds themselves write would have them go on for ever. */
  #passOver(): void {
    const rows = new Map<string, number>();
    for (const file of this.#changed) rows.set(file, (this.#rows.get(file) ?? 0) + 1);
    this.#rows = rows;
    const written = [...rows].filter(([, row]) => row >= WRITTEN_BY_ROUNDS).map(([file]) => file);
    for (const file of written) this.#changed.delete(file);
    const fresh = written.filter((file) => rows.get(file) === WRITTEN_BY_ROUNDS);
    if (fresh.length === 0) return;
    this.#log.warn(
      `changed during ${WRITTEN_BY_ROUNDS} builds or reloads in a row, as if they wrote it: ${listed(fresh)}; not followed until it changes at another time. Leave it out of the 'paths' of 'watch'`,
    );
  }

  #isClosed(): boolean {
    return this.#state === 'closed';
  }
}

function entryText(): string | undefined {
  try {
    return readFileSync(entryFile() ?? '', 'utf8');
  } catch {
    // Just being written, or gone; what is left of it the new processes will say.
    return undefined;
  }
}

function listed(files: Iterable<string>): string {
  const names = [...files].map((file) => relative(process.cwd(), file));
  const more = names.length > SHOWN ? ` and ${names.length - SHOWN} more` : '';
  return `${names.slice(0, SHOWN).join(', ')}${more}`;
}

function killTree(child: ChildProcess): void {
  const { pid } = child;
  if (pid === undefined) return;
  if (process.platform === 'win32') {
    spawn('taskkill', ['/pid', String(pid), '/t', '/f'], { stdio: 'ignore' }).once('error', () => child.kill());
    return;
  }
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has just ended.
  }
}
