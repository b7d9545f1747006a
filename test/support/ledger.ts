/**
 * The books of a run: what handlers noted and what clients were answered go in, and what broke a promise comes out.
 *
 * Notes come in the order of time, over all processes: they stand in one file that each appends to.
 */

/** Of two handlings of one event by two workers, one at least is marked; after a link has ended the unmarked one may come last for so long. */
const OVERLAP_MS = 10_000;

/** What the handlers noted of one client. */
class Account {
  readonly id: string;
  opened = false;
  /** The highest number that a handler began with. */
  last = 0;
  /** Below it, and no handler has begun with them. */
  readonly skipped = new Set<number>();
  /** Begun, and no handler came to the end. */
  readonly unended = new Set<number>();
  /** What is at work, by process. */
  readonly atWork = new Map<string, number>();
  /** Process and number of what was at work when a link ended: that handler goes on, and may come to its end behind others. */
  readonly inHand = new Set<string>();
  /** Those that came marked. */
  readonly marked = new Set<number>();
  /** A broken link had an event of it handled by two workers at once. */
  overlapped = false;
  readonly closes: { readonly last: number; readonly again: boolean }[] = [];

  constructor(id: string) {
    this.id = id;
  }

  /** The highest number up to which all were handled to their end. */
  get handled(): number {
    return Math.min(this.last, ...[...this.skipped, ...this.unended].map((number) => number - 1));
  }

  /** How many of so many messages were not handled to their end. */
  lost(sent: number): number {
    return sent - this.last + this.skipped.size + this.unended.size;
  }
}

export class Ledger {
  readonly faults: string[] = [];
  /**
   * Handlings, those that were marked, and the unmarked ones that overlapped with a marked one behind a broken link.
   */
  readonly counts = { handled: 0, again: 0, overlaps: 0, closes: 0 };
  readonly #accounts = new Map<string, Account>();
  /** When links ended while both ends lived. */
  #brokenAt = Number.NEGATIVE_INFINITY;
  /** Handled without a mark behind a handling of the same: right if one of the two was marked. */
  readonly #unmarked: { readonly account: Account; readonly number: number; readonly excusable: boolean }[] = [];

  account(id: string): Account | undefined {
    return this.#accounts.get(id);
  }

  get accounts(): Iterable<Account> {
    return this.#accounts.values();
  }

  note(line: string): void {
    const [what = '', id = '', ...words] = line.split(' ');
    switch (what) {
      case 'open':
        this.#open(this.#accountOf(id), words[0] === 'again');
        break;
      case 'begin': {
        const [number, how, pid = '', session, at] = words;
        this.#begin(this.#accountOf(id), Number(number), how === 'again', pid, Number(session), Number(at));
        break;
      }
      case 'end':
        this.#end(this.#accountOf(id), Number(words[0]), words[1] ?? '');
        break;
      case 'close':
        this.#close(this.#accountOf(id), Number(words[0]), words[1] === 'again');
        break;
      case 'broken':
        this.#brokenAt = Number(id);
        for (const { atWork, inHand } of this.#accounts.values())
          for (const [pid, number] of atWork) inHand.add(`${pid} ${number}`);
        break;
      case 'killed':
        for (const account of this.#accounts.values()) account.atWork.delete(id);
        break;
      default:
        this.#fault(`a note that nobody understands: ${line}`);
    }
  }

  /** Whether a second handling without a mark is what a link that ended excuses. */
  overlapped(id: string): boolean {
    return this.#accounts.get(id)?.overlapped === true;
  }

  /** To be called when all is noted. */
  conclude(): void {
    for (const { account, number, excusable } of this.#unmarked.splice(0)) {
      if (excusable && account.marked.has(number)) this.counts.overlaps++;
      else this.#fault(`${account.id}: ${number} was handled again without the mark`);
    }
  }

  #accountOf(id: string): Account {
    let account = this.#accounts.get(id);
    if (account === undefined) {
      account = new Account(id);
      this.#accounts.set(id, account);
    }
    return account;
  }

  #open(account: Account, again: boolean): void {
    if (account.opened && !again) this.#fault(`${account.id}: onConnect came twice without the mark`);
    if (account.last > 0 && !again) this.#fault(`${account.id}: onConnect came behind a message`);
    account.opened = true;
  }

  #begin(account: Account, number: number, again: boolean, pid: string, session: number, at: number): void {
    const { id } = account;
    this.counts.handled++;
    if (again) {
      this.counts.again++;
      account.marked.add(number);
    }
    const other = account.atWork.get(pid);
    if (other !== undefined) this.#fault(`${id}: ${number} began while ${other} was at work in process ${pid}`);
    account.atWork.set(pid, number);
    const excusable = at - this.#brokenAt < OVERLAP_MS;
    if (!account.opened) this.#fault(`${id}: ${number} came before onConnect`);
    if (account.closes.length > 0 && !again && !excusable) this.#fault(`${id}: ${number} came behind onClose`);
    const next = number > account.last;
    if (next) {
      for (let skipped = account.last + 1; skipped < number; skipped++) account.skipped.add(skipped);
      account.last = number;
      account.unended.add(number);
    } else if (account.skipped.delete(number)) {
      this.#fault(`${id}: ${number} came behind ${account.last}`);
    } else if (!again) {
      if (excusable) account.overlapped = true;
      this.#unmarked.push({ account, number, excusable });
    }
    // A session may be of later than an event that comes again, never of before.
    const wrong = again ? session < number - 1 : next && session !== number - 1;
    if (wrong) this.#fault(`${id}: ${number} came with the session of ${session}`);
  }

  #end(account: Account, number: number, pid: string): void {
    account.atWork.delete(pid);
    if (account.inHand.delete(`${pid} ${number}`) && account.marked.has(number)) {
      account.overlapped = true;
      this.counts.overlaps++;
    }
    account.unended.delete(number);
  }

  #close(account: Account, last: number, again: boolean): void {
    this.counts.closes++;
    if (account.closes.length > 0 && !again) this.#fault(`${account.id}: onClose came twice without the mark`);
    account.closes.push({ last, again });
  }

  #fault(text: string): void {
    this.faults.push(text);
  }
}
