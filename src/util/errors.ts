/** Facts about an error that a program can read. Values are plain data. */
export type ErrorFields = Readonly<Record<string, unknown>>;

/**
 * The base of every error this package throws or reports.
 *
 * Match on `code`, which is stable; `message` is for people and may change. `fields` carries the facts of the message
 * (an address, an option name, a limit and what exceeded it).
 */
export class GatewayWorkerError extends Error {
  readonly code: string;
  readonly fields: ErrorFields;

  constructor(code: string, message: string, fields: ErrorFields = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
    this.code = code;
    this.fields = fields;
  }
}

/** The text of anything that was thrown; user code may throw what it likes. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : textOf(thrown);
}

/** The stack of anything that was thrown, or its text where there is none. */
export function stackOf(thrown: unknown): string {
  return thrown instanceof Error ? (thrown.stack ?? thrown.message) : textOf(thrown);
}

/** Not every object can be made a text: one without a prototype can't, nor one whose `toString` throws. */
function textOf(thrown: unknown): string {
  try {
    return String(thrown);
  } catch {
    return Object.prototype.toString.call(thrown);
  }
}
