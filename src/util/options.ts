import { GatewayWorkerError } from './errors.js';

/** An option that is unknown, of the wrong type, or impossible beside another. Thrown by constructors, at once. */
export class OptionsError extends GatewayWorkerError {}

/** Looks at one given value; returns what was expected when the value does not fit, else undefined. */
export type Check = (value: unknown) => string | undefined;

/** Longest delay that the platform's timers know, in milliseconds; one that is longer would be over at once. */
export const MAX_DELAY_MS = 2 ** 31 - 1;

/** One check for each option of T: an option without a check does not compile. */
export type Checks<T> = { readonly [K in keyof T]-?: Check };

/**
 * The options of one object: the defaults, with what was given laid over them, frozen.
 *
 * A key given as undefined counts as not given.
 *
 * @param owner name of the class, for the messages
 * @throws OptionsError `GW_OPTION_UNKNOWN` (with the nearest known name), `GW_OPTION_INVALID`
 */
export function readOptions<T extends object>(
  owner: string,
  defaults: Readonly<T>,
  checks: Checks<T>,
  given: unknown,
): Readonly<T> {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new OptionsError('GW_OPTION_INVALID', `${owner}: expected an options object, got ${describe(given)}`, {
      owner,
    });
  }
  const options: Record<string, unknown> = { ...defaults };
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(checks, name)) throw unknownOption(owner, name, Object.keys(checks));
    if (value === undefined) continue;
    const expected = checks[name as keyof T](value);
    if (expected !== undefined) {
      throw new OptionsError(
        'GW_OPTION_INVALID',
        `${owner}: option '${name}' must be ${expected}, got ${name === 'secretKey' ? typeof value : describe(value)}`,
        {
          owner,
          option: name,
          expected,
        },
      );
    }
    options[name] = value;
  }
  return Object.freeze(options) as Readonly<T>;
}

/** @param min, max inclusive */
export function integer(min: number, max: number = Number.MAX_SAFE_INTEGER): Check {
  const expected =
    max === Number.MAX_SAFE_INTEGER ? `an integer of at least ${min}` : `an integer from ${min} to ${max}`;
  return (value) => (Number.isInteger(value) && Number(value) >= min && Number(value) <= max ? undefined : expected);
}

/** A number of seconds that a timer can wait, fractions allowed. */
export function seconds(min = 0): Check {
  return (value) =>
    typeof value === 'number' && value >= min && value * 1000 <= MAX_DELAY_MS
      ? undefined
      : `a number of seconds from ${min} to ${Math.floor(MAX_DELAY_MS / 1000)}`;
}

export const text: Check = (value) => (typeof value === 'string' ? undefined : 'a string');
export const flag: Check = (value) => (typeof value === 'boolean' ? undefined : 'true or false');
export const callback: Check = (value) => (typeof value === 'function' ? undefined : 'a function');
export const object: Check = (value) => (typeof value === 'object' && value !== null ? undefined : 'an object');

export const nonEmptyText: Check = (value) =>
  typeof value === 'string' && value !== '' ? undefined : 'a string that is not empty';

/** A Logger. */
export const loggerMethods: Check = (value) => {
  const methods = value as Readonly<Record<string, unknown>> | null | undefined;
  const complete = ['debug', 'info', 'warn', 'error'].every((level) => typeof methods?.[level] === 'function');
  return complete ? undefined : 'an object with the methods debug, info, warn and error';
};

/** The check itself, or null. */
export function orNull(check: Check): Check {
  return (value) => {
    const expected = value === null ? undefined : check(value);
    return expected === undefined ? undefined : `${expected}, or null`;
  };
}

/** The check itself, or 0, which turns something off. */
export function orZero(check: Check): Check {
  return (value) => {
    const expected = value === 0 ? undefined : check(value);
    return expected === undefined ? undefined : `0, or ${expected}`;
  };
}

export function oneOf(...values: readonly string[]): Check {
  const expected = values.map((value) => `'${value}'`).join(' or ');
  return (value) => (typeof value === 'string' && values.includes(value) ? undefined : expected);
}

/** The name among `known` that a person most likely meant, or undefined when none is near. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(name.length / 3)) + 1;
  for (const candidate of known) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

function unknownOption(owner: string, name: string, known: readonly string[]): OptionsError {
  const meant = nearest(name, known);
  const hint = meant === undefined ? `known options: ${known.join(', ')}` : `did you mean '${meant}'?`;
  return new OptionsError('GW_OPTION_UNKNOWN', `${owner}: unknown option '${name}'; ${hint}`, {
    owner,
    option: name,
    nearest: meant,
  });
}

/** A value as a message shows it: short, and never a secret's surroundings (objects are not printed). */
function describe(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  switch (typeof value) {
    case 'string':
      return `'${value.length > 40 ? `${value.slice(0, 40)}…` : value}'`;
    case 'object':
    case 'function':
      return typeof value === 'object' ? 'an object' : 'a function';
    default:
      return String(value);
  }
}

/** Levenshtein distance, two rows. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const substitution = (previous[column - 1] ?? 0) + (a[row - 1] === b[column - 1] ? 0 : 1);
      current.push(Math.min(substitution, (previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[b.length] ?? 0;
}
