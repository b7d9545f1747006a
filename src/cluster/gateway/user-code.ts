import { type LogFields, stackOf } from '../../util/mod.js';

/** What a call of user code gives that threw. */
export const THREW: unique symbol = Symbol('threw');

/**
 * The one place where a gateway process calls code of the user: hooks and routers. What it throws, or rejects with, is
 * reported; the client, the others and the process go on.
 */
export class UserCode {
  readonly #report: (message: string, fields: LogFields, alike: string) => void;

  /** @param report is to say messages that are alike once in a while */
  constructor(report: (message: string, fields: LogFields, alike: string) => void) {
    this.#report = report;
  }

  call<Args extends unknown[], Result>(
    name: string,
    code: (...args: Args) => Result,
    ...args: Args
  ): Result | typeof THREW {
    try {
      const result = code(...args);
      if (result instanceof Promise) result.catch((thrown) => this.failed(name, thrown));
      return result;
    } catch (thrown) {
      this.failed(name, thrown);
      return THREW;
    }
  }

  failed(name: string, thrown: unknown): void {
    this.#report(`${name} threw: ${stackOf(thrown)}`, { code: 'GW_GATEWAY_HOOK', hook: name }, `hook ${name}`);
  }
}
