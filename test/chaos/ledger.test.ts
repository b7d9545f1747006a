import { describe, expect, it } from 'vitest';
import { Ledger } from '../support/ledger.js';

/** The books after these notes. Of a message `begin` and `end` are noted unless the lines say otherwise. */
function books(...lines: string[]): Ledger {
  const ledger = new Ledger();
  for (const line of lines) ledger.note(line);
  ledger.conclude();
  return ledger;
}

const begin = (number: number, { how = 'first', pid = 7, session = number - 1, at = 0 } = {}) =>
  `begin a ${number} ${how} ${pid} ${session} ${at}`;
const end = (number: number, pid = 7) => `end a ${number} ${pid}`;
const message = (...parts: Parameters<typeof begin>) => [begin(...parts), end(parts[0], parts[1]?.pid)];
const OPEN = 'open a first 7';

describe('the books', () => {
  it('find nothing wrong with messages in order, and one that comes again with its mark', () => {
    const { faults, counts } = books(
      OPEN,
      ...message(1),
      ...message(2),
      'killed 7',
      ...message(2, { how: 'again', pid: 8, session: 2 }),
      ...message(3, { pid: 8 }),
      'close a 3 first 8',
      'close a 3 again 9',
    );
    expect(faults).toEqual([]);
    expect(counts).toEqual({ handled: 4, again: 1, overlaps: 0, closes: 2 });
  });

  it.each<[what: string, fault: string, ...lines: string[]]>([
    [
      'a second handling without the mark',
      'a: 1 was handled again without the mark',
      OPEN,
      ...message(1),
      ...message(1, { session: 1 }).slice(0, 1),
    ],
    [
      'a message that comes behind a later one',
      'a: 1 came behind 2',
      OPEN,
      ...message(2, { session: 1 }),
      ...message(1),
    ],
    [
      'the same with a mark',
      'a: 1 came behind 2',
      OPEN,
      ...message(2, { session: 1 }),
      ...message(1, { how: 'again' }),
    ],
    ['two handlers of one client at once', 'a: 2 began while 1 was at work in process 7', OPEN, begin(1), begin(2)],
    ['a session of before', 'a: 2 came with the session of 0', OPEN, ...message(1), begin(2, { session: 0 })],
    [
      'a session of before with what comes again',
      'a: 2 came with the session of 0',
      OPEN,
      ...message(1),
      begin(2, { how: 'again', session: 0 }),
    ],
    ['a message before onConnect', 'a: 1 came before onConnect', begin(1)],
    ['onConnect twice', 'a: onConnect came twice without the mark', OPEN, OPEN],
    ['onClose twice', 'a: onClose came twice without the mark', OPEN, 'close a 0 first 7', 'close a 0 first 8'],
    ['a message behind onClose', 'a: 1 came behind onClose', OPEN, 'close a 0 first 7', begin(1, { at: 20_000 })],
  ])('find %s', (_, fault, ...lines) => {
    expect(books(...lines).faults).toEqual([fault]);
  });

  it('tell up to where all was handled to its end', () => {
    const handled = (...lines: string[]) => books(OPEN, ...lines).account('a')?.handled;
    expect(handled()).toBe(0);
    expect(handled(...message(1), ...message(2))).toBe(2);
    expect(handled(...message(1), begin(2))).toBe(1);
    expect(handled(...message(1), ...message(3, { session: 2 }))).toBe(1);
  });

  it('excuse the unmarked one of two handlings when a link had just ended, and no other', () => {
    const again = { how: 'again', pid: 8, at: 1000 };
    const late = (at: number) => begin(1, { session: 1, at });
    const lines = [OPEN, 'broken 900', ...message(1, again)];
    expect(books(...lines, late(1100))).toMatchObject({ faults: [], counts: { overlaps: 1 } });
    expect(books(...lines, late(20_000)).faults).toEqual(['a: 1 was handled again without the mark']);
    const unmarked = books(OPEN, 'broken 900', ...message(1, { ...again, how: 'first' }), late(1100));
    expect(unmarked.faults).toEqual(['a: 1 was handled again without the mark']);
  });

  it('tell of a handler that was at work when its link ended, and take no session that it left behind others', () => {
    const lines = [
      'broken 900',
      ...message(1, { how: 'again', pid: 8, at: 1000 }),
      ...message(2, { pid: 8, at: 1001 }),
    ];
    const next = (session: number) => books(OPEN, begin(1), ...lines, end(1), begin(3, { pid: 8, session, at: 1100 }));
    const { faults, counts } = next(2);
    expect(faults).toEqual([]);
    expect(counts).toMatchObject({ overlaps: 1 });
    expect(next(2).overlapped('a')).toBe(true);
    expect(next(1).faults).toEqual(['a: 3 came with the session of 1']);
  });
});
