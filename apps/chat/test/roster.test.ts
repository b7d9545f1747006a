import { describe, expect, test } from 'vitest';
import { parseLine } from '../public/lines.js';
import { labelOf } from '../public/names.js';
import { applyLine, clientOf, createRoster, type Fact, listClients, type Roster } from '../public/roster.js';

const ME = '7f0000010b5400000001';
const ANN = '7f0000010b540000000a';
const BO = '7f0000010b540000000b';

/** Feeds lines in and tells what is shown, as short as a reader sees it. */
function feed(roster: Roster, ...lines: string[]): string[] {
  // Read at once: a fact holds the client itself, which later lines change.
  return lines.flatMap((line) => applyLine(roster, parseLine(line)).map(summaryOf));
}

function summaryOf(fact: Fact): string {
  switch (fact.kind) {
    case 'changed':
      return 'changed';
    case 'notice':
      return `notice ${fact.text}`;
    case 'said':
      return `${labelOf(fact.client)}: ${fact.text}`;
    case 'renamed':
      return `${fact.from} renamed ${labelOf(fact.client)}`;
    default:
      return `${fact.kind} ${labelOf(fact.client)}`;
  }
}

const names = (roster: Roster) => listClients(roster).map(labelOf);
const joined = (id: string, name: string | null, kind = 'web') => JSON.stringify({ type: 'joined', id, name, kind });
const renamed = (id: string, name: string) => JSON.stringify({ type: 'renamed', id, name });
const rosterLine = (...clients: [string, string | null][]) =>
  JSON.stringify({ type: 'roster', clients: clients.map(([id, name]) => ({ id, name, kind: name ? 'web' : 'text' })) });

describe('joining', () => {
  test('tells who we are, and does not announce us again', () => {
    const roster = createRoster('Me');
    expect(feed(roster, `Hello ${ME}`)).toEqual(['self Me']);
    expect(feed(roster, `${ME} login`)).toEqual([]);
    expect(feed(roster, joined(ME, 'Me'))).toEqual(['named Me']);
    expect(feed(roster, rosterLine([ANN, 'Ann'], [ME, 'Me'], [BO, null]))).toEqual(['changed', 'changed', 'changed']);
    expect(names(roster)).toEqual(['Me', 'Ann', 'guest 000b']);
  });

  test('ends in the same roster whatever order the lines come in', () => {
    const lines = [`Hello ${ME}`, `${ME} login`, joined(ME, 'Me'), rosterLine([ME, 'Me'], [ANN, 'Ann'])];
    for (const order of permutations(lines)) {
      const roster = createRoster('Me');
      const shown = feed(roster, ...order);
      expect(names(roster), order.join(' | ')).toEqual(['Me', 'Ann']);
      expect(shown.filter((line) => line.startsWith('self'))).toEqual(['self Me']);
      expect(shown.filter((line) => line.includes('Ann'))).toEqual([]);
    }
  });

  test('announces another one once, and names who was announced as a guest', () => {
    const roster = createRoster('Me');
    feed(roster, `Hello ${ME}`);
    expect(feed(roster, `${ANN} login`, joined(ANN, 'Ann'))).toEqual(['joined guest 000a', 'named Ann']);
    expect(feed(roster, joined(BO, null, 'text'), `${BO} login`)).toEqual(['changed', 'joined guest 000b']);
    expect(clientOf(roster, BO)).toMatchObject({ name: null, clientKind: 'text', told: true });
  });

  test('does not announce who was in the room before us', () => {
    const roster = createRoster('Me');
    feed(roster, `Hello ${ME}`, rosterLine([ANN, 'Ann']));
    expect(feed(roster, `${ANN} login`, joined(ANN, 'Ann'))).toEqual(['named Ann']);
  });

  test('believes what was told one by one rather than the list, which is older', () => {
    const roster = createRoster('Me');
    feed(roster, joined(ANN, 'Ann'), renamed(ANN, 'Anna'), rosterLine([ANN, 'Ann']));
    expect(names(roster)).toEqual(['Anna']);
  });
});

describe('leaving', () => {
  test('takes who leaves off the list, and still knows the name', () => {
    const roster = createRoster('Me');
    feed(roster, joined(ANN, 'Ann'));
    expect(feed(roster, `${ANN} logout`)).toEqual(['left Ann']);
    expect(names(roster)).toEqual([]);
    expect(feed(roster, `${ANN} said late`)).toEqual(['Ann: late']);
    expect(names(roster)).toEqual([]);
  });

  test('does not bring back who has left, by any line that is late', () => {
    const roster = createRoster('Me');
    feed(roster, `${ANN} logout`);
    const late = [rosterLine([ANN, 'Ann']), joined(ANN, 'Ann'), renamed(ANN, 'Anna'), `${ANN} login`, `${ANN} logout`];
    expect(feed(roster, ...late)).toEqual(['changed']);
    expect(names(roster)).toEqual([]);
  });

  test('remembers 500 who left, and no more', () => {
    const roster = createRoster('Me');
    const idOf = (n: number) => n.toString(16).padStart(20, '0');
    for (let n = 0; n < 500; n++) feed(roster, `${idOf(n)} logout`);
    expect(roster.gone.size).toBe(500);
    expect(roster.gone.has(idOf(0))).toBe(true);
    feed(roster, `${idOf(500)} logout`);
    expect(roster.gone.size).toBe(500);
    expect(roster.gone.has(idOf(0))).toBe(false);
  });
});

describe('talking and names', () => {
  test('counts who speaks as present', () => {
    const roster = createRoster('Me');
    expect(feed(roster, `${ANN} said hi`)).toEqual(['guest 000a: hi']);
    expect(names(roster)).toEqual(['guest 000a']);
    expect(feed(roster, `${ANN} login`, joined(ANN, 'Ann'))).toEqual(['named Ann']);
  });

  test('tells a change of name once', () => {
    const roster = createRoster('Me');
    feed(roster, joined(ANN, 'Ann'));
    expect(feed(roster, renamed(ANN, 'Anna'), renamed(ANN, 'Anna'))).toEqual(['Ann renamed Anna']);
  });

  test('takes a new name of somebody not told yet for the name', () => {
    const roster = createRoster('Me');
    expect(feed(roster, renamed(ANN, 'Anna'))).toEqual(['changed']);
    expect(feed(roster, `${BO} login`, renamed(BO, 'Bob'))).toEqual(['joined guest 000b', 'named Bob']);
    expect(names(roster)).toEqual(['Anna', 'Bob']);
  });

  test('lists oneself, then names, then guests', () => {
    const roster = createRoster('Zoe');
    feed(roster, rosterLine([BO, null], ['00000000000000000003', 'carl'], [ANN, 'Ann']), `Hello ${ME}`);
    expect(names(roster)).toEqual(['Zoe', 'Ann', 'carl', 'guest 000b']);
  });

  test('passes other text on and skips what it may', () => {
    const roster = createRoster('Me');
    expect(feed(roster, 'Closing at noon.', '{"type":"typing"}')).toEqual(['notice Closing at noon.']);
  });
});

function permutations<T>(items: readonly T[]): T[][] {
  if (items.length < 2) return [[...items]];
  return items.flatMap((item, i) => permutations(items.toSpliced(i, 1)).map((rest) => [item, ...rest]));
}
