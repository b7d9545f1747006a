import { Buffer } from 'node:buffer';
import { sessionOf } from '../api/mod.js';
import { serialize } from '../protocol/mod.js';

const NO_TEXT = Buffer.alloc(0);

/**
 * The session of one client in a worker, as a value: decoded when it is asked for, compared and written when a handler has
 * looked at it.
 *
 * Every event carries the session as the gateway had it when it forwarded the event. A gateway that has not yet seen our
 * last changes therefore sends older texts; the original then fetches the session over another connection, which may
 * overtake the change, and loses it. Here the texts written are remembered until an event shows that they arrived:
 *
 * - the event carries the text from before them: they are on their way, our value stands
 * - it carries one of them: that one has arrived, those after it are on their way
 * - it carries anything else: somebody else has written, that is the session now
 */
export class SessionState {
  /** What `value` was made of, or was last written as. */
  #text: Buffer = NO_TEXT;
  #value: Record<string, unknown> | null = null;
  /** The text of the gateway before the first of `#unseen`. */
  #base: Buffer = NO_TEXT;
  /** Texts written that no event has carried yet, oldest first; the last of them is `#text`. */
  #unseen: Buffer[] = [];
  #touched = false;

  /** An event came with the session text buffer[start…end). */
  arrived(buffer: Buffer, start: number, end: number): void {
    if (equals(this.#text, buffer, start, end)) {
      if (this.#unseen.length > 0) this.#unseen = [];
      return;
    }
    if (this.#unseen.length > 0) {
      const index = this.#unseen.findIndex((text) => equals(text, buffer, start, end));
      if (index >= 0) {
        this.#base = this.#unseen[index] as Buffer;
        this.#unseen.splice(0, index + 1);
        return;
      }
      if (equals(this.#base, buffer, start, end)) return;
      this.#unseen = [];
    }
    this.#text = start === end ? NO_TEXT : Buffer.from(buffer.subarray(start, end));
    this.#value = null;
  }

  /** The session as a plain object; changing it changes the session once the handler is done. */
  get value(): Record<string, unknown> {
    this.#touched = true;
    this.#value ??= sessionOf(this.#text);
    return this.#value;
  }

  set value(session: Record<string, unknown>) {
    this.#touched = true;
    this.#value = session;
  }

  /**
   * Called when a handler is done: the text to write, or null when the session is as it was. An object without entries is
   * no session.
   *
   * @throws PhpSerializeError when the session holds what PHP has no form for
   */
  takeChange(): Buffer | null {
    if (!this.#touched) return null;
    this.#touched = false;
    const value = this.#value;
    if (value === null) return null;
    const text = Object.keys(value).length === 0 ? NO_TEXT : serialize(value);
    if (this.#text.equals(text)) return null;
    if (this.#unseen.length === 0) this.#base = this.#text;
    this.#unseen.push(text);
    this.#text = text;
    return text;
  }
}

function equals(text: Buffer, buffer: Buffer, start: number, end: number): boolean {
  const length = end - start;
  if (text.length !== length) return false;
  return length === 0 || text.compare(buffer, start, end) === 0;
}
