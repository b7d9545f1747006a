import { type Dirent, type FSWatcher, readdirSync, statSync, watch } from 'node:fs';
import { extname, join, resolve } from 'node:path';

/** What a program is made of; a log or a pid file beside it is not. */
const SOURCES: ReadonlySet<string> = new Set(['.js', '.mjs', '.cjs', '.ts', '.mts', '.cts', '.json']);

/** An editor or a compiler writes several files, and each in several steps: what follows so soon is the same change. */
const SETTLES_WITHIN_MS = 100;

interface WatchedDirectory {
  readonly watcher: FSWatcher;
  /** What each source file looked like last, by name: a read or a touch of its rights is no change. */
  files: ReadonlyMap<string, string>;
}

/**
 * Watches the source files in directories and in all below them, but for `node_modules` and what begins with a dot.
 * Changed, new and deleted ones are told, with their paths, together when they change together.
 *
 * Each directory is watched by itself: a platform that can watch recursively can't leave out `node_modules`.
 *
 * @returns ends it
 * @throws the system's error for a directory that can't be read or watched
 */
export function watchFiles(directories: readonly string[], onChange: (files: readonly string[]) => void): () => void {
  const watched = new Map<string, WatchedDirectory>();
  const changed = new Set<string>();
  let timer: NodeJS.Timeout | undefined;

  const add = (directory: string): void => {
    if (watched.has(directory)) return;
    const watcher = watch(directory);
    watched.set(directory, { watcher, files: new Map() });
    watcher.on('change', () => look(directory));
    watcher.on('error', () => remove(directory));
    look(directory);
  };
  const remove = (directory: string): void => {
    watched.get(directory)?.watcher.close();
    watched.delete(directory);
  };
  /** The whole directory: which file it was, the system does not always say. */
  const look = (directory: string): void => {
    const known = watched.get(directory);
    if (known === undefined) return;
    const entries = entriesOf(directory);
    const files = new Map<string, string>();
    for (const entry of entries) {
      if (entry.isDirectory()) addLater(join(directory, entry.name));
      else if (SOURCES.has(extname(entry.name))) files.set(entry.name, looksOf(join(directory, entry.name)));
    }
    for (const name of new Set([...known.files.keys(), ...files.keys()])) {
      if (known.files.get(name) !== files.get(name)) tell(join(directory, name));
    }
    known.files = files;
  };
  /** One that is gone again, or can't be read, is not worth an error: nobody asked for it by name. */
  const addLater = (directory: string): void => {
    try {
      add(directory);
    } catch {
      remove(directory);
    }
  };
  const tell = (file: string): void => {
    changed.add(file);
    clearTimeout(timer);
    timer = setTimeout(() => {
      const files = [...changed].sort();
      changed.clear();
      onChange(files);
    }, SETTLES_WITHIN_MS);
  };
  const close = (): void => {
    clearTimeout(timer);
    for (const directory of [...watched.keys()]) remove(directory);
  };

  try {
    for (const directory of directories) {
      readdirSync(directory);
      add(resolve(directory));
    }
  } catch (error) {
    close();
    throw error;
  }
  // What was there from the start has not changed.
  clearTimeout(timer);
  changed.clear();
  return close;
}

function entriesOf(directory: string): Dirent[] {
  try {
    const entries = readdirSync(directory, { withFileTypes: true });
    return entries.filter(({ name }) => !name.startsWith('.') && name !== 'node_modules');
  } catch {
    // It has been deleted: so have its files.
    return [];
  }
}

function looksOf(file: string): string {
  const stats = statSync(file, { throwIfNoEntry: false });
  return stats === undefined ? 'gone' : `${stats.ino} ${stats.size} ${stats.mtimeMs}`;
}
