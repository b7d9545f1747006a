import { byteKey, Command, type PacketView } from '../protocol/mod.js';

/** A gateway of ours says no more than this at a time; of another, the rest is not believed. */
const MAX_GROUPS = 10_000;

/** Groups of which is remembered when they were joined last: more than are joined while a send is answered. */
const MAX_JOINED = 1000;

/**
 * The groups that have no member at one gateway, as far as it has said so on the present link (extension `groups`): a
 * value. Not to know is always safe, it costs a packet; to believe what is not so any more costs a message.
 *
 * So what the gateway said of a group before it had read our last JOIN_GROUP for it is not believed: it says how many it had
 * read then, by giving back the count that stood in the send. docs/protocols/link.md has the orders in which things may happen.
 */
export class AbsentGroups {
  readonly #groups = new Set<string>();
  #joins = 0;
  /** The count at the last JOIN_GROUP for each, since it was `#floor`. */
  readonly #joined = new Map<string, number>();
  /** What was sent before this count is not known well enough any more to believe an answer to it. */
  #floor = 0;

  /** A count that goes up with each JOIN_GROUP, modulo 2^32; in each SEND_TO_GROUP it stands as the connection id. */
  get joins(): number {
    return this.#joins;
  }

  /** None of these has a member there. */
  hasAll(groups: readonly (string | number | bigint)[]): boolean {
    if (this.#groups.size === 0) return false;
    for (const group of groups) if (!this.#groups.has(byteKey(String(group)))) return false;
    return true;
  }

  /** A JOIN_GROUP is about to be sent. */
  joining(group: string): void {
    const key = byteKey(group);
    this.#joins = (this.#joins + 1) >>> 0;
    this.#groups.delete(key);
    this.#joined.set(key, this.#joins);
    if (this.#joined.size > MAX_JOINED) this.#begin();
  }

  /** Believes nothing that was said, or is said in answer to what was sent so far. */
  forget(): void {
    this.#joins = (this.#joins + 1) >>> 0;
    this.#groups.clear();
    this.#begin();
  }

  #begin(): void {
    this.#joined.clear();
    this.#floor = this.#joins;
  }

  /** @param packet ABSENT or PRESENT */
  told({ cmd, connectionId, buffer, extStart, extEnd }: PacketView): void {
    const group = buffer.toString('latin1', extStart, extEnd);
    if (cmd === Command.PRESENT) this.#groups.delete(group);
    else if (this.#groups.size < MAX_GROUPS && this.#isGood(group, connectionId)) this.#groups.add(group);
  }
  /** No JOIN_GROUP for it was sent behind the send that had this count. */
  #isGood(group: string, joins: number): boolean {
    return (
      isFrom(joins, this.#floor) && isFrom(joins, this.#joined.get(group) ?? this.#floor) && isFrom(this.#joins, joins)
    );
  }
}

/** Whether a count is not before another, modulo 2^32. */
function isFrom(count: number, other: number): boolean {
  return (count - other) >>> 0 < 0x8000_0000;
}
