import { Buffer } from 'node:buffer';
import type { WorkerPeer } from '../link/mod.js';
import { Command, FLAG_SCALAR, packetHead } from '../protocol/mod.js';
import { nameBytes } from './names.js';

/** Groups that one worker is told of at a time: with names of usual length about 1 MB for each worker, here and there. */
const MAX_GROUPS = 10_000;

/** Longer names are not remembered. */
const MAX_NAME_BYTES = 255;

/**
 * When as many are remembered one in so many takes the place of the oldest. All of them would make each send to such a group
 * dearer where a worker sends to more of them in turn; none would keep groups that nobody sends to any more for ever.
 */
const REPLACED_ONE_IN = 16;

const NO_BODY = Buffer.alloc(0);

/**
 * Which groups each worker was told have no member here (extension `groups`), so that it can be told when they get one. A
 * worker that was never told, or whose link has ended, sends everything.
 */
export class Absences {
  readonly #told = new Map<WorkerPeer, Set<string>>();
  readonly #head = packetHead({ flag: FLAG_SCALAR });
  #untold = 0;

  /**
   * A worker has sent to a group without members; it need not do so again.
   *
   * @param group its key: one character a byte
   * @param joins what stood in the send, which tells the worker whether the answer is still good
   */
  tell(worker: WorkerPeer, group: string, joins: number): void {
    // One that does not read gets nothing that it can do without.
    if (group.length > MAX_NAME_BYTES || worker.full) return;
    const groups = this.#told.get(worker) ?? new Set();
    // Said again also when it was said before: it may not have been believed.
    if (!groups.has(group) && groups.size >= MAX_GROUPS && !this.#replace(worker, groups)) return;
    const head = this.#head;
    head.cmd = Command.ABSENT;
    head.connectionId = joins;
    if (!worker.sendEvent(head, nameBytes(group), NO_BODY, 0, 0)) return;
    groups.add(group);
    this.#told.set(worker, groups);
  }

  /** A group has a member again: for what comes now. */
  appeared(group: string): void {
    for (const [worker, groups] of this.#told) if (groups.delete(group)) this.#present(worker, group);
  }

  /** Its link has ended, and both sides forget. */
  left(worker: WorkerPeer): void {
    this.#told.delete(worker);
  }

  #replace(worker: WorkerPeer, groups: Set<string>): boolean {
    this.#untold = (this.#untold + 1) % REPLACED_ONE_IN;
    if (this.#untold !== 0) return false;
    for (const oldest of groups) {
      groups.delete(oldest);
      this.#present(worker, oldest);
      return true;
    }
    return false;
  }

  #present(worker: WorkerPeer, group: string): void {
    const head = this.#head;
    head.cmd = Command.PRESENT;
    head.connectionId = 0;
    worker.tell(head, nameBytes(group));
  }
}
