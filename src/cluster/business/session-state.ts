import { Buffer } from 'node:buffer';
import { ApiError, sessionOf } from '../api/mod.js';
import { serialize, serializeLike } from '../protocol/mod.js';

const NO_TEXT = Buffer.alloc(0);
const EMPTY_ARRAY = 'a:0:{}';

/** From so many texts on that no event has shown to have arrived, one that carries the last of them settles all. */
const MAX_UNSEEN = 1000;

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
 *
 * A text may stand in that row more than once (on, off, on). Then the first is meant: were it taken for a later one, what
 * the next event carries would look like somebody else's.
 */
export class SessionState {
  /** What `value` was made of, or was last written as. */
  #text: Buffer = NO_TEXT;
  #value: Record<string, unknown> | null = null;
  /** What `value` is written as while nobody changes it: not always `#text`, PHP has more forms (`d:3;`, order of keys). */
  #unchanged: Buffer = NO_TEXT;
  /** The text has what plain values can't tell, so changes are written like it. */
  #exotic = false;
  /** The text of the gateway before the first of `#unseen`. */
  #base: Buffer = NO_TEXT;
  /** Texts written that no event has carried yet, oldest first; the last of them is `#text`. */
  #unseen: Buffer[] = [];
  #touched = false;

  /** An event came with the session text buffer[start…end). */
  arrived(buffer: Buffer, start: number, end: number): void {
    const unseen = this.#unseen;
    if (unseen.length === 0) {
      if (!equals(this.#text, buffer, start, end)) this.#replace(buffer, start, end);
      return;
    }
    if (equals(this.#base, buffer, start, end)) {
      // One who sets and resets may have this text at every event; what came in between must not pile up for ever.
      if (unseen.length > MAX_UNSEEN && this.#base.equals(this.#text)) this.#unseen = [];
      return;
    }
    const index = unseen.findIndex((text) => equals(text, buffer, start, end));
    if (index >= 0) {
      this.#base = unseen[index] as Buffer;
      unseen.splice(0, index + 1);
      return;
    }
    this.#replace(buffer, start, end);
  }

  /**
   * The session as a plain object; changing it changes the session once the handler is done.
   *
   * @throws PhpSerializeError when the gateway has what is no session text
   */
  get value(): Record<string, unknown> {
    if (this.#value === null) {
      this.#value = sessionOf(this.#text);
      this.#unchanged = textOf(this.#value);
      this.#exotic = !this.#unchanged.equals(this.#text);
    }
    this.#touched = true;
    return this.#value;
  }

  /** @throws ApiError `GW_API_SESSION` for what is neither a plain object nor a list: PHP workers die of it */
  set value(session: Record<string, unknown>) {
    if (!isPlain(session)) {
      throw new ApiError('GW_API_SESSION', 'a session must be a plain object; {} clears it', { type: typeof session });
    }
    this.#touched = true;
    this.#value = Array.isArray(session) ? { ...session } : session;
  }

  /**
   * Called when a handler is done: the text to write, or null when the session is as it was. An object without entries is
   * no session.
   *
   * @throws PhpSerializeError when the session holds what PHP has no form for; it is then as it was before the handler
   */
  takeChange(): Buffer | null {
    if (!this.#touched) return null;
    this.#touched = false;
    if (this.#value === null) return null;
    let plain: Buffer;
    try {
      plain = textOf(this.#value);
    } catch (thrown) {
      this.#value = null;
      throw thrown;
    }
    if (this.#unchanged.equals(plain)) return null;
    const text = this.#exotic && plain !== NO_TEXT ? serializeLike(this.#value, this.#text) : plain;
    this.#unchanged = plain;
    // Only the order of keys differs, and the order is the text's.
    if (this.#text.equals(text)) return null;
    if (this.#unseen.length === 0) this.#base = this.#text;
    this.#unseen.push(text);
    this.#text = text;
    return text;
  }

  /** What `takeChange` gave last could not be sent: the change stands, and is given again after the next handler. */
  notSent(): void {
    this.#unseen.pop();
    this.#text = this.#unseen.at(-1) ?? this.#base;
    this.#unchanged = this.#text;
    this.#touched = true;
  }

  #replace(buffer: Buffer, start: number, end: number): void {
    this.#unseen = [];
    this.#text = start === end ? NO_TEXT : Buffer.from(buffer.subarray(start, end));
    this.#unchanged = this.#text;
    this.#exotic = false;
    this.#value = null;
  }
}

function textOf(session: Record<string, unknown>): Buffer {
  const text = serialize(session);
  return text.length === EMPTY_ARRAY.length && text.toString('latin1') === EMPTY_ARRAY ? NO_TEXT : text;
}

function equals(text: Buffer, buffer: Buffer, start: number, end: number): boolean {
  const length = end - start;
  if (text.length !== length) return false;
  return length === 0 || text.compare(buffer, start, end) === 0;
}

/** Objects of another realm are plain too: their prototype is one without a prototype. */
function isPlain(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (Array.isArray(value)) return true;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}
