import type { Name } from '../protocol/mod.js';
import { ApiError } from './errors.js';

/** A uid: not empty and not 0, which the original takes for "none". Numbers and their digits are the same uid. */
export type Uid = string | number | bigint;

/** The name of a group; the rule is the uid's. */
export type Group = string | number | bigint;

/** One name, or a list of them, each checked; for the JSON lists of the wire. */
export function namesOf(what: 'uid' | 'group', given: Uid | readonly Uid[]): readonly Name[] {
  return Array.isArray(given) ? given.map((name) => listedName(what, name)) : [listedName(what, given as Uid)];
}

/** A list of names, each checked. @throws ApiError `GW_API_NAME`, also for what is no list */
export function nameList(what: 'uid' | 'group', given: readonly Uid[]): readonly Name[] {
  if (!Array.isArray(given)) {
    const got = shown(given);
    throw new ApiError('GW_API_NAME', `expected a list of ${what}s, got ${got}`, { what, name: got });
  }
  return namesOf(what, given);
}

/** The text of a uid or group. @throws ApiError `GW_API_NAME` for what PHP calls empty, and for other types */
export function nameOf(what: 'uid' | 'group', name: Uid): string {
  const isName = typeof name === 'string' || typeof name === 'bigint' || Number.isSafeInteger(name);
  const text = isName ? String(name) : '';
  if (text === '' || text === '0') {
    const given = shown(name);
    throw new ApiError('GW_API_NAME', `a ${what} must be a text or an integer, not empty and not 0; got ${given}`, {
      what,
      name: given,
    });
  }
  return text;
}

/** A value of any type as a message shows it. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return `'${value.slice(0, 40)}'`;
  return typeof value === 'object' && value !== null ? 'an object' : String(value).slice(0, 40);
}

/** A number stays one, as in PHP's JSON; a bigint goes as its digits, for PHP reads those beyond 64 bits as a float. */
function listedName(what: 'uid' | 'group', name: Uid): Name {
  const text = nameOf(what, name);
  return typeof name === 'number' ? name : text;
}
