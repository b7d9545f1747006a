import type { Check, Checks } from '../../util/mod.js';
import { nonEmptyText, orNull, readOptions } from '../../util/mod.js';

/** For development: what reloads the workers. */
export interface WatchOptions {
  /**
   * Folders, watched with all below them but `node_modules` and what begins with a dot. Relative to the folder of the
   * entry script; default: that folder.
   */
  readonly paths: readonly string[];
  /**
   * A command for the shell, run in the working directory before each reload; when it fails nothing is reloaded. What it
   * writes should not lie in `paths`. null, the default: none.
   */
  readonly build: string | null;
}

export const WATCH_DEFAULTS: Readonly<WatchOptions> = Object.freeze({ paths: Object.freeze(['.']), build: null });

export const WATCH_CHECKS: Checks<WatchOptions> = { paths: folderList, build: orNull(nonEmptyText) };

/** @throws OptionsError */
export function readWatchOptions(given: Partial<WatchOptions>): Readonly<WatchOptions> {
  return readOptions("run: 'watch'", WATCH_DEFAULTS, WATCH_CHECKS, given);
}

function folderList(value: unknown): ReturnType<Check> {
  const fits = Array.isArray(value) && value.length > 0 && value.every((entry) => nonEmptyText(entry) === undefined);
  return fits ? undefined : 'a list of folders that is not empty';
}
