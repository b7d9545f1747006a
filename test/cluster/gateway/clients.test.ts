import { Buffer } from 'node:buffer';
import { describe, expect, it, vi } from 'vitest';
import { type ClientEntry, Clients } from '../../../src/cluster/gateway/clients.js';
import { byteKey } from '../../../src/cluster/protocol/mod.js';
import { seededRandom } from '../../support/recording-sink.js';

const MAX = 0xffff_ffff;

describe('Clients', () => {
  it('gives ids from the first one on, and each client its own', () => {
    const clients = new Clients(77);
    expect([clients.add(null, 0, 0), clients.add(null, 0, 0)].map((entry) => entry.connectionId)).toEqual([77, 78]);
  });

  it('goes from the largest id to 1, never to 0', () => {
    const clients = new Clients(MAX - 1);
    const ids = Array.from({ length: 3 }, () => clients.add(null, 0, 0).connectionId);
    expect(ids).toEqual([MAX - 1, MAX, 1]);
  });

  it('skips ids in use on its second lap', () => {
    const clients = new Clients(MAX);
    // A second lap takes four billion clients: the look-up says that 1 to 3 are still there.
    const { has } = Map.prototype;
    const spy = vi.spyOn(Map.prototype, 'has').mockImplementation(function (this: Map<unknown, unknown>, key: unknown) {
      return key === 1 || key === 2 || key === 3 || has.call(this, key);
    });
    const ids = [clients.add(null, 0, 0).connectionId, clients.add(null, 0, 0).connectionId];
    spy.mockRestore();
    expect(ids).toEqual([MAX, 4]);
  });

  it('moves a client whose uid is bound anew, and forgets a uid that nobody has', () => {
    const clients = new Clients<string>(1);
    const a = clients.add('a', 0, 0);
    clients.bindUid(a, 'u');
    clients.bindUid(a, 'v');
    expect([...clients.withUid('u')]).toEqual([]);
    expect([...clients.withUid('v')]).toEqual([a]);
    clients.unbindUid(a);
    expect(a.uid).toBeNull();
    expect([...clients.withUid('v')]).toEqual([]);
  });

  it('tells "never in a group" from "left the last one"', () => {
    const clients = new Clients<string>(1);
    const a = clients.add('a', 0, 0);
    clients.leaveGroup(a, 'g');
    expect(a.groups).toBeNull();
    clients.joinGroup(a, 'g');
    clients.leaveGroup(a, 'g');
    expect(a.groups).toEqual(new Set());
    expect([...clients.groupNames]).toEqual([]);
  });

  it('says of a join whether the group has just come into being', () => {
    const clients = new Clients<string>(1);
    const [a, b] = [clients.add('a', 0, 0), clients.add('b', 0, 0)];
    expect([clients.joinGroup(a, 'g'), clients.joinGroup(a, 'g'), clients.joinGroup(b, 'g')]).toEqual([
      true,
      false,
      false,
    ]);
    clients.leaveGroup(a, 'g');
    clients.remove(b);
    expect(clients.joinGroup(a, 'g')).toBe(true);
    clients.ungroup('g');
    expect([clients.joinGroup(a, 'g'), clients.joinGroup(a, 'g')]).toEqual([true, false]);
  });

  it('lists members in the order of their joining', () => {
    const clients = new Clients<string>(1);
    const [a, b, c] = ['a', 'b', 'c'].map((name) => clients.add(name, 0, 0)) as [
      ClientEntry<string>,
      ClientEntry<string>,
      ClientEntry<string>,
    ];
    for (const entry of [c, a, b, a]) clients.joinGroup(entry, 'g');
    clients.leaveGroup(c, 'g');
    clients.joinGroup(c, 'g');
    expect([...clients.inGroup('g').keys()]).toEqual(['a', 'b', 'c']);
  });

  it('agrees with a naive model over many random operations', () => {
    for (let seed = 1; seed <= 20; seed++) agreesWithModel(seed);
  });
});

function agreesWithModel(seed: number): void {
  const random = seededRandom(seed);
  const clients = new Clients<number>(MAX - 3);
  const model = new Map<number, { entry: ClientEntry<number>; uid: string | null; groups: Set<string> }>();
  const names = ['a', 'b', '5', '05', '\xff', 'room'];
  const any = () => [...model.values()][random(model.size)];
  for (let step = 0; step < 400; step++) {
    const name = names[random(names.length)] as string;
    const one = any();
    switch (random(8)) {
      case 0:
      case 1: {
        const entry = clients.add(step, 0, 0);
        expect(model.has(entry.connectionId)).toBe(false);
        model.set(entry.connectionId, { entry, uid: null, groups: new Set() });
        break;
      }
      case 2:
        if (one === undefined) break;
        clients.remove(one.entry);
        model.delete(one.entry.connectionId);
        break;
      case 3:
        if (one === undefined) break;
        clients.bindUid(one.entry, name);
        one.uid = name;
        break;
      case 4:
        if (one === undefined) break;
        clients.unbindUid(one.entry);
        one.uid = null;
        break;
      case 5:
        if (one === undefined) break;
        clients.joinGroup(one.entry, name);
        one.groups.add(name);
        break;
      case 6:
        if (one === undefined) break;
        clients.leaveGroup(one.entry, name);
        one.groups.delete(name);
        break;
      default:
        if (random(5) > 0) break;
        clients.ungroup(name);
        for (const other of model.values()) other.groups.delete(name);
    }
    expect(clients.size).toBe(model.size);
    for (const each of names) {
      const ids = (entries: Iterable<ClientEntry<number>>) => [...entries].map((entry) => entry.connectionId).sort();
      const all = [...model.values()];
      expect(ids(clients.withUid(each))).toEqual(ids(all.filter((m) => m.uid === each).map((m) => m.entry)));
      expect(ids(clients.inGroup(each).values())).toEqual(
        ids(all.filter((m) => m.groups.has(each)).map((m) => m.entry)),
      );
    }
    expect([...clients.connections]).toEqual([...clients.all].map(({ connection }) => connection));
    for (const { entry, groups } of model.values()) {
      expect([...(entry.groups ?? [])].map(({ name: group }) => group).sort()).toEqual([...groups].sort());
    }
    const inUse = names.filter((each) => [...model.values()].some((m) => m.groups.has(each)));
    expect([...clients.groupNames].sort()).toEqual(inUse.sort());
  }
}

describe('byteKey', () => {
  it('is the UTF-8 bytes of a text, one character each', () => {
    expect(byteKey('room-1')).toBe('room-1');
    expect(byteKey('用户')).toBe(Buffer.from('用户').toString('latin1'));
    expect(byteKey('ÿ')).toBe('\xc3\xbf');
    expect(byteKey('\ud800')).toBe('\xef\xbf\xbd');
  });
});
