import { describe, expect, it } from 'vitest';
import { AbsentGroups } from '../../../src/cluster/link/mod.js';
import { Command, PacketReader } from '../../../src/cluster/protocol/mod.js';
import { packetBytes } from '../../support/gateway-link.js';

const LIMIT = 10_000;

function tell(groups: AbsentGroups, cmd: number, name: string, joins = groups.joins): void {
  new PacketReader().push(packetBytes(cmd, joins, name), {
    packet: (view) => {
      groups.told(view);
      return true;
    },
    fail: (error) => {
      throw error;
    },
  });
}

describe('what a gateway has said about groups', () => {
  it('is nothing at first, then what it said last', () => {
    const groups = new AbsentGroups();
    expect(groups.hasAll(['a'])).toBe(false);
    tell(groups, Command.ABSENT, 'a');
    expect(groups.hasAll(['a'])).toBe(true);
    tell(groups, Command.PRESENT, 'a', 77);
    expect(groups.hasAll(['a'])).toBe(false);
  });

  it('is of all groups of a call only when it is of each', () => {
    const groups = new AbsentGroups();
    tell(groups, Command.ABSENT, 'a');
    tell(groups, Command.ABSENT, '7');
    expect([groups.hasAll(['a', 7]), groups.hasAll(['a', 7n, 'b']), groups.hasAll(['b'])]).toEqual([
      true,
      false,
      false,
    ]);
  });

  it('finds names that are not ASCII, and tells them from the bytes they are made of', () => {
    const groups = new AbsentGroups();
    tell(groups, Command.ABSENT, 'ÿ');
    expect([groups.hasAll(['ÿ']), groups.hasAll(['\xc3\xbf'])]).toEqual([true, false]);
    groups.joining('ÿ');
    expect(groups.hasAll(['ÿ'])).toBe(false);
  });

  it('is not believed when a join for that group was sent since the send that it answers', () => {
    const groups = new AbsentGroups();
    const before = groups.joins;
    groups.joining('a');
    groups.joining('b');
    tell(groups, Command.ABSENT, 'a', before);
    expect(groups.hasAll(['a'])).toBe(false);
    tell(groups, Command.ABSENT, 'c', before);
    expect(groups.hasAll(['c'])).toBe(true);
    tell(groups, Command.ABSENT, 'a');
    groups.joining('b');
    expect(groups.hasAll(['a'])).toBe(true);
    groups.joining('a');
    expect(groups.hasAll(['a'])).toBe(false);
  });

  it('is believed again only of sends from then on when more groups were joined than are remembered', () => {
    const groups = new AbsentGroups();
    const before = groups.joins;
    for (let n = 0; n < 1000; n++) groups.joining(`g${n}`);
    tell(groups, Command.ABSENT, 'a', before);
    expect(groups.hasAll(['a'])).toBe(true);
    groups.joining('one more');
    tell(groups, Command.ABSENT, 'b', before);
    tell(groups, Command.ABSENT, 'g3', before);
    expect([groups.hasAll(['b']), groups.hasAll(['g3'])]).toEqual([false, false]);
    tell(groups, Command.ABSENT, 'b');
    expect(groups.hasAll(['b'])).toBe(true);
  });

  it('is forgotten with all that is on its way', () => {
    const groups = new AbsentGroups();
    tell(groups, Command.ABSENT, 'a');
    const before = groups.joins;
    groups.forget();
    tell(groups, Command.ABSENT, 'b', before);
    expect([groups.hasAll(['a']), groups.hasAll(['b'])]).toEqual([false, false]);
  });

  it('is believed of so many groups and no more, until one of them is there again', () => {
    const groups = new AbsentGroups();
    for (let number = 1; number <= LIMIT + 1; number++) tell(groups, Command.ABSENT, `g${number}`);
    expect([groups.hasAll([`g${LIMIT}`]), groups.hasAll([`g${LIMIT + 1}`])]).toEqual([true, false]);
    tell(groups, Command.PRESENT, 'g1');
    tell(groups, Command.ABSENT, `g${LIMIT + 1}`);
    expect([groups.hasAll(['g1']), groups.hasAll([`g${LIMIT + 1}`])]).toEqual([false, true]);
  });
});
