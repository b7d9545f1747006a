import { Buffer } from 'node:buffer';
import { checkSession, type LocalSession, sessionOf } from '../api/mod.js';
import { mergeSession, serialize, serializeLike } from '../protocol/mod.js';

const NO_TEXT = Buffer.alloc(0);
const EMPTY_ARRAY = 'a:0:{}';

/** From so many texts on that no event has shown to have arrived, one that carries the last of them settles all. */
const MAX_UNSEEN = 1000;

/**
 * So much is kept of the texts written since the last event, each with what it costs beside its bytes. A client that only
 * listens may have its session written for ever, and no event to show that it arrived.
 */
const MAX_UNASKED_BYTES = 16_384;
const TEXT_OVERHEAD_BYTES = 100;

/**
 * So long a write may be on its way. A question may have overtaken it for as long, and an answer from later that shows an old
 * text means that somebody wrote it again; an event that does may only be late.
 */
const OVERTAKEN_MS = 5000;

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
 * the next event carries would look like somebody else's. And somebody else may have written one of these texts again: an
 * event that carries it long after our last write is doubtful, and the gateway is asked.
 *
 * What the API writes (`replaced`, `updated`) stands in the same row: it goes over the same link, in order with the rest.
 */
export class SessionState implements LocalSession {
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
  /** `value` was decoded here; else it is the app's own object, perhaps one that several clients share. */
  #decoded = false;
  /** How many of `#unseen` were written since the last event, and what they cost. */
  #unasked = 0;
  #unaskedBytes = 0;
  #writtenAt = 0;

  /**
   * An event came with the session text buffer[start…end).
   *
   * @returns false when the text is doubtful: it is from before our last write, which must have arrived long ago. Either the
   *   event is very late, or somebody else has written an old text again; `answered` is to be told what the gateway has
   */
  arrived(buffer: Buffer, start: number, end: number): boolean {
    const unseen = this.#unseen;
    this.#unasked = 0;
    this.#unaskedBytes = 0;
    if (unseen.length === 0) {
      if (!equals(this.#text, buffer, start, end)) this.#replace(buffer, start, end);
      return true;
    }
    if (equals(this.#base, buffer, start, end)) {
      // One who sets and resets may have this text at every event; what came in between must not pile up for ever.
      if (unseen.length > MAX_UNSEEN && this.#base.equals(this.#text)) this.#unseen = [];
      return this.#certain();
    }
    const index = unseen.findIndex((text) => equals(text, buffer, start, end));
    if (index >= 0) {
      this.#base = unseen[index] as Buffer;
      unseen.splice(0, index + 1);
      return this.#certain();
    }
    this.#replace(buffer, start, end);
    return true;
  }

  /** What the gateway has, asked because of a doubtful text: unless it is ours, somebody else has written. */
  answered(answer: Buffer): void {
    const text = normal(answer);
    if (!text.equals(normal(this.#text))) this.#replace(text, 0, text.length);
  }

  /**
   * The session as a plain object; changing it changes the session once the handler is done.
   *
   * @throws PhpSerializeError when the gateway has what is no session text
   */
  get value(): Record<string, unknown> {
    if (this.#value === null) {
      this.#value = sessionOf(this.#text);
      this.#decoded = true;
      this.#unchanged = textOf(this.#value);
      this.#exotic = !this.#unchanged.equals(this.#text);
    }
    this.#touched = true;
    return this.#value;
  }

  /** @throws ApiError `GW_API_SESSION` for what is neither a plain object nor a list: PHP workers die of it */
  set value(session: Record<string, unknown>) {
    checkSession(session);
    this.#touched = true;
    this.#value = Array.isArray(session) ? { ...session } : session;
    this.#decoded = false;
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
    this.#wrote(text);
    return text;
  }

  /** What `takeChange` gave last could not be sent: the change stands, and is given again after the next handler. */
  notSent(): void {
    const text = this.#unseen.pop();
    if (text !== undefined) {
      this.#unasked--;
      this.#unaskedBytes -= costOf(text);
    }
    this.#text = this.#unseen.at(-1) ?? this.#base;
    this.#unchanged = this.#text;
    this.#touched = true;
  }

  /** What a handler has changed is not to be written, and what was written may not have arrived: the next event has the session. */
  discard(): void {
    const text = this.#text;
    this.#replace(text, 0, text.length);
  }

  /** SET_SESSION has been sent: the session is what it says, whatever a running handler has made of the one before. */
  replaced(text: Buffer): void {
    this.#wrote(text);
    this.#unchanged = normal(text);
    this.#exotic = false;
    this.#value = null;
    this.#touched = false;
  }

  /**
   * UPDATE_SESSION has been sent: the gateway will merge it into the text it has then, which is ours unless somebody else
   * writes. `value` gets the same changes and keeps those that are not written yet.
   */
  updated(update: Buffer): void {
    let text: Buffer;
    try {
      text = mergeSession(this.#text, update);
    } catch {
      // No session text: the gateway reports it and leaves it as it is.
      return;
    }
    this.#wrote(text);
    this.#unchanged = normal(text);
    const value = this.#value;
    if (value === null) return;
    const written = sessionOf(text);
    this.#unchanged = textOf(written);
    this.#exotic = !this.#unchanged.equals(text);
    // An object that is the app's is not ours to change; one decoded here may be in a handler's hands.
    const merged = this.#decoded && Object.isExtensible(value) ? value : { ...value };
    this.#value = merged;
    this.#decoded = true;
    for (const [key, entry] of Object.entries(mergedEntries(value, update, written))) assign(merged, key, entry);
  }

  get outdated(): readonly Buffer[] {
    return this.#unseen.length === 0 ? [] : [this.#base, ...this.#unseen.slice(0, -1)];
  }

  latest(answer: Buffer, outdated: readonly Buffer[], now: number): Buffer {
    if (now - this.#writtenAt > OVERTAKEN_MS) return answer;
    const old = [...outdated, ...this.outdated];
    // A gateway says `a:0:{}` where it has no text.
    const said = normal(answer);
    return old.some((text) => normal(text).equals(said)) ? this.#text : answer;
  }

  /** An event carried `#base`: that is our last text, or that one may still be on its way. */
  #certain(): boolean {
    return this.#base.equals(this.#text) || performance.now() - this.#writtenAt <= OVERTAKEN_MS;
  }

  #wrote(text: Buffer): void {
    const unseen = this.#unseen;
    if (unseen.length === 0) this.#base = this.#text;
    unseen.push(text);
    this.#text = text;
    this.#writtenAt = performance.now();
    this.#unasked++;
    this.#unaskedBytes += costOf(text);
    while (this.#unaskedBytes > MAX_UNASKED_BYTES && this.#unasked > 1) {
      const [dropped] = unseen.splice(unseen.length - this.#unasked, 1);
      this.#unasked--;
      this.#unaskedBytes -= costOf(dropped as Buffer);
    }
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
  return normal(serialize(session));
}

/** An array without entries is no session. */
function normal(text: Buffer): Buffer {
  return text.length === EMPTY_ARRAY.length && text.toString('latin1') === EMPTY_ARRAY ? NO_TEXT : text;
}

function equals(text: Buffer, buffer: Buffer, start: number, end: number): boolean {
  const length = end - start;
  if (text.length !== length) return false;
  return length === 0 || text.compare(buffer, start, end) === 0;
}

function costOf(text: Buffer): number {
  return text.length + TEXT_OVERHEAD_BYTES;
}

/**
 * The top-level entries of the update, merged with those of the session that is not written yet. Objects in them are new: the
 * app may share the ones it put there.
 */
function mergedEntries(
  value: Record<string, unknown>,
  update: Buffer,
  written: Record<string, unknown>,
): Record<string, unknown> {
  const keys = Object.keys(sessionOf(update));
  const pick = (from: Record<string, unknown>) => {
    const picked: Record<string, unknown> = Object.create(null);
    for (const key of keys) if (Object.hasOwn(from, key)) picked[key] = from[key];
    return picked;
  };
  try {
    return sessionOf(mergeSession(serialize(pick(value)), update));
  } catch {
    // What can't be sent could not have been saved either.
    return pick(written);
  }
}

/** Assigning to `__proto__` would change the prototype. */
function assign(target: Record<string, unknown>, key: string, value: unknown): void {
  Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true });
}
