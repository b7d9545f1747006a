import { Buffer } from 'node:buffer';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { SessionState } from '../../../src/cluster/business/session-state.js';
import { mergeSession, serialize, unserialize } from '../../../src/cluster/protocol/mod.js';
import { seededRandom } from '../../support/seeded-random.js';

const NONE = Buffer.alloc(0);

afterEach(() => void vi.useRealTimers());

describe('the session of a client in a worker', () => {
  it('is an empty object while there is none, and asking for it writes nothing', () => {
    const session = new SessionState();
    arrive(session, NONE);
    expect(session.value).toEqual({});
    expect(session.takeChange()).toBeNull();
  });

  it('is what the event carries, from wherever in the buffer it stands', () => {
    const session = new SessionState();
    const text = serialize({ name: 'Zoë', list: [1, 2], deep: { er: { still: true } }, none: null, half: 0.5 });
    const buffer = Buffer.concat([Buffer.from('before'), text, Buffer.from('behind')]);
    session.arrived(buffer, 6, 6 + text.length);
    buffer.fill(0);
    expect(session.value).toEqual({ name: 'Zoë', list: [1, 2], deep: { er: { still: true } }, none: null, half: 0.5 });
    expect(session.takeChange()).toBeNull();
  });

  it('is written when it has changed, once', () => {
    const session = new SessionState();
    session.value.name = 'Zoë';
    expect(decoded(session.takeChange())).toEqual({ name: 'Zoë' });
    expect(session.takeChange()).toBeNull();
    expect(session.value).toEqual({ name: 'Zoë' });
    expect(session.takeChange()).toBeNull();
  });

  it('is written when something deep in it has changed, and not when the change was taken back', () => {
    const session = arrived({ cart: { items: [{ id: 1 }] } });
    const { items } = session.value.cart as { items: { id: number }[] };
    items.push({ id: 2 });
    items.pop();
    expect(session.takeChange()).toBeNull();
    (session.value.cart as { items: { id: number }[] }).items[0]!.id = 3;
    expect(decoded(session.takeChange())).toEqual({ cart: { items: [{ id: 3 }] } });
  });

  it('is cleared by an empty object, by deleting every entry, and by setting each to undefined', () => {
    const ways: ((session: SessionState) => void)[] = [
      (session) => {
        session.value = {};
      },
      (session) => {
        delete session.value.a;
      },
      (session) => {
        session.value.a = undefined;
      },
    ];
    for (const way of ways) {
      const session = arrived({ a: 1 });
      way(session);
      expect(session.takeChange()).toEqual(NONE);
      expect(session.takeChange()).toBeNull();
    }
  });

  it('is not written for being read, however PHP wrote it', () => {
    const texts = [
      'a:0:{}',
      'a:1:{s:1:"a";d:3;}',
      'a:2:{i:5;s:1:"x";i:1;s:1:"y";}',
      'a:1:{S:1:"a";i:1;}',
      'a:1:{s:1:"a";i:1;}trailing',
      'a:1:{s:2:"\xff\xfe";s:2:"\xff\xfe";}',
    ];
    for (const text of texts) {
      const session = new SessionState();
      arrive(session, Buffer.from(text, 'latin1'));
      expect(session.value).toBeTypeOf('object');
      expect(session.takeChange(), text).toBeNull();
    }
  });

  it('is written after such a read when something has changed', () => {
    const session = new SessionState();
    arrive(session, Buffer.from('a:2:{i:5;d:3;i:1;s:1:"y";}'));
    session.value.new = true;
    expect(decoded(session.takeChange())).toEqual({ 1: 'y', 5: 3, new: true });
  });

  it('keeps what PHP wrote and nobody touched, byte for byte, change after change', () => {
    const session = new SessionState();
    const rest = 'i:5;a:2:{i:1;d:2;i:0;a:0:{}}s:1:"\xff";s:2:"\xff\xfe";i:1;i:9007199254740993;s:1:"n";N;';
    arrive(session, Buffer.from(`a:5:{s:5:"price";d:3;${rest}}`, 'latin1'));
    session.value.visits = 1;
    expect(latin1(session.takeChange())).toBe(`a:6:{s:5:"price";d:3;${rest}s:6:"visits";i:1;}`);
    session.value.price = 4;
    expect(latin1(session.takeChange())).toBe(`a:6:{s:5:"price";d:4;${rest}s:6:"visits";i:1;}`);
    session.value = { ...session.value, visits: undefined };
    expect(latin1(session.takeChange())).toBe(`a:5:{s:5:"price";d:4;${rest}}`);
    expect(session.takeChange()).toBeNull();
  });

  it('keeps it also when the change is given again', () => {
    const session = new SessionState();
    arrive(session, Buffer.from('a:1:{s:1:"a";d:3;}'));
    session.value.b = 1;
    session.takeChange();
    session.notSent();
    expect(latin1(session.takeChange())).toBe('a:2:{s:1:"a";d:3;s:1:"b";i:1;}');
    session.notSent();
    delete session.value.b;
    expect(session.takeChange()).toBeNull();
  });

  it('keeps it also when the API changes something else in it meanwhile', () => {
    const session = new SessionState();
    arrive(session, serialize({ a: 1 }));
    session.value.mine = 1;
    session.updated(Buffer.from('a:2:{s:5:"price";d:3;i:5;i:1;}'));
    expect(latin1(session.takeChange())).toBe('a:4:{s:1:"a";i:1;s:5:"price";d:3;i:5;i:1;s:4:"mine";i:1;}');
    session.replaced(Buffer.from('a:1:{s:5:"price";d:3;}'));
    session.value.mine = 2;
    expect(latin1(session.takeChange())).toBe('a:2:{s:5:"price";d:3;s:4:"mine";i:2;}');
  });

  it('is not written when only the order of keys is another', () => {
    const session = new SessionState();
    arrive(session, Buffer.from('a:2:{s:1:"a";d:3;s:1:"b";i:1;}'));
    const { a, b } = session.value;
    session.value = { b, a };
    expect(session.takeChange()).toBeNull();
    session.value.b = 2;
    expect(latin1(session.takeChange())).toBe('a:2:{s:1:"a";d:3;s:1:"b";i:2;}');
  });

  it('is cleared when PHP left it empty, or in a form of its own', () => {
    for (const text of ['a:0:{}', 'a:1:{s:1:"a";d:3;}']) {
      const session = new SessionState();
      arrive(session, Buffer.from(text));
      session.value.b = 1;
      session.takeChange();
      session.value = {};
      expect(session.takeChange()).toEqual(NONE);
    }
  });

  it('carries bigints, Buffers and nested values there and back', () => {
    const value = {
      big: 2n ** 62n,
      negative: -(2n ** 63n),
      bytes: Buffer.from([0xff, 0, 0xfe]),
      nested: [{ deeper: [null, true, -0.25, ''] }],
      emoji: '👩‍🚀',
    };
    const session = new SessionState();
    session.value = value;
    const text = session.takeChange();
    const other = new SessionState();
    arrive(other, text as Buffer);
    expect(other.value).toEqual(value);
    expect(other.takeChange()).toBeNull();
  });

  it('keeps a key named __proto__ as a key', () => {
    const text = Buffer.from('a:2:{s:9:"__proto__";a:1:{s:5:"admin";b:1;}s:1:"a";i:1;}');
    const session = new SessionState();
    arrive(session, text);
    expect(Object.keys(session.value)).toEqual(['__proto__', 'a']);
    expect((session.value as { admin?: boolean }).admin).toBeUndefined();
    expect(({} as { admin?: boolean }).admin).toBeUndefined();
    session.value.a = 2;
    expect(session.takeChange()?.toString()).toBe(text.toString().replace('s:1:"a";i:1;', 's:1:"a";i:2;'));
  });

  it('reads a list as an object with its indexes, and takes one', () => {
    const session = new SessionState();
    arrive(session, serialize(['a', 'b']));
    expect(session.value).toEqual({ 0: 'a', 1: 'b' });
    expect(session.takeChange()).toBeNull();
    session.value = ['c'] as unknown as Record<string, unknown>;
    expect(session.value).toEqual({ 0: 'c' });
    expect(session.takeChange()?.toString()).toBe('a:1:{i:0;s:1:"c";}');
  });

  it('refuses to be set to what is no plain object', () => {
    class Cart {}
    for (const value of ['text', 5, null, undefined, new Map([['a', 1]]), Buffer.from('x'), new Date(), new Cart()]) {
      const session = arrived({ a: 1 });
      expect(() => {
        session.value = value as Record<string, unknown>;
      }).toThrow(expect.objectContaining({ code: 'GW_API_SESSION' }));
      expect(session.value).toEqual({ a: 1 });
      expect(session.takeChange()).toBeNull();
    }
  });

  it('is as it was when it holds what can not be sent', () => {
    for (const bad of [() => {}, Symbol('x'), 2n ** 70n, new Map([[{}, 1]]), new Date()]) {
      const session = arrived({ a: 1 });
      session.value.a = 2;
      session.value.bad = bad;
      expect(() => session.takeChange()).toThrow(expect.objectContaining({ code: 'GW_PHP_UNSUPPORTED' }));
      expect(session.value).toEqual({ a: 1 });
      expect(session.takeChange()).toBeNull();
      session.value.a = 3;
      expect(decoded(session.takeChange())).toEqual({ a: 3 });
    }
  });

  it('reports a value that contains itself', () => {
    const session = new SessionState();
    session.value.self = session.value;
    expect(() => session.takeChange()).toThrow(expect.objectContaining({ code: 'GW_PHP_LIMIT' }));
  });

  it('throws when the gateway has a session that can not be read, and does not touch it', () => {
    const session = new SessionState();
    arrive(session, Buffer.from('O:8:"stdClass":0:{}'));
    expect(() => session.value).toThrow(expect.objectContaining({ code: 'GW_PHP_REFUSED' }));
    expect(session.takeChange()).toBeNull();
    arrive(session, serialize({ a: 1 }));
    expect(session.value).toEqual({ a: 1 });
  });

  it('counts what is no array as none', () => {
    const session = new SessionState();
    arrive(session, Buffer.from('s:4:"text";'));
    expect(session.value).toEqual({});
    expect(session.takeChange()).toBeNull();
  });
});

describe('a session whose changes are on their way', () => {
  it('stands while events carry the text from before them', () => {
    const session = arrived({ n: 0 });
    for (let n = 1; n <= 5; n++) {
      arrive(session, serialize({ n: 0 }));
      expect(session.value.n).toBe(n - 1);
      session.value.n = n;
      session.takeChange();
    }
  });

  it('stands while events carry one of them', () => {
    const session = arrived({ n: 0 });
    for (const n of [1, 2, 3]) write(session, { n });
    for (const n of [0, 1, 1, 3, 3]) {
      arrive(session, serialize({ n }));
      expect(session.value).toEqual({ n: 3 });
    }
  });

  it("gives way to somebody else's text", () => {
    const session = arrived({ n: 0 });
    write(session, { n: 1 });
    arrive(session, serialize({ n: 77 }));
    expect(session.value).toEqual({ n: 77 });
    expect(session.takeChange()).toBeNull();
  });

  it('gives way to an older text of its own once a newer one has arrived', () => {
    const session = arrived({ n: 0 });
    write(session, { n: 1 });
    write(session, { n: 2 });
    arrive(session, serialize({ n: 2 }));
    arrive(session, serialize({ n: 1 }));
    expect(session.value).toEqual({ n: 1 });
  });

  it('stands when it goes back and forth between two texts', () => {
    const session = arrived({ on: false });
    write(session, { on: true });
    write(session, { on: false });
    // Forwarded before the first of them, then between the two, then behind both.
    for (const on of [false, true, false]) {
      arrive(session, serialize({ on }));
      expect(session.value).toEqual({ on: false });
    }
  });

  it('does not remember without end what is set and reset between events', () => {
    const session = arrived({});
    // Two events at a time, in step with the gateway: each carries the empty session, which may be old or new.
    for (let n = 0; n < 1200; n++) {
      arrive(session, NONE);
      write(session, n % 2 === 0 ? { request: n } : {});
    }
    arrive(session, NONE);
    // Nothing of it is taken for our own any more.
    arrive(session, serialize({ request: 0 }));
    expect(session.value).toEqual({ request: 0 });
  });

  it('is given again when it could not be sent', () => {
    const session = arrived({ n: 0 });
    session.value.n = 1;
    session.takeChange();
    session.notSent();
    arrive(session, serialize({ n: 0 }));
    expect(decoded(session.takeChange())).toEqual({ n: 1 });
    expect(session.takeChange()).toBeNull();
  });

  it('is given again when only the last of several could not be sent', () => {
    const session = arrived({ n: 0 });
    write(session, { n: 1 });
    session.value.n = 2;
    session.takeChange();
    session.notSent();
    arrive(session, serialize({ n: 1 }));
    expect(session.value.n).toBe(2);
    expect(decoded(session.takeChange())).toEqual({ n: 2 });
  });

  it('gives way to somebody else also when it could not be sent', () => {
    const session = arrived({ n: 0 });
    session.value.n = 1;
    session.takeChange();
    session.notSent();
    arrive(session, serialize({ n: 77 }));
    expect(session.takeChange()).toBeNull();
    expect(session.value).toEqual({ n: 77 });
  });
});

describe('a session that the API sets', () => {
  it('is what is given, also while a handler has changed the one before, and is not written again', () => {
    for (const before of [{}, { a: 1 }]) {
      const session = arrived(before);
      session.value.unsaved = true;
      session.replaced(serialize({ b: 2 }));
      expect(session.takeChange()).toBeNull();
      expect(session.value).toEqual({ b: 2 });
      expect(session.takeChange()).toBeNull();
    }
  });

  it('is written when the handler then changes it, also back to what it was', () => {
    const session = arrived({ a: 1 });
    session.value.a = 1;
    session.replaced(serialize({ b: 2 }));
    session.value.c = 3;
    expect(decoded(session.takeChange())).toEqual({ b: 2, c: 3 });
    session.replaced(serialize({ b: 2 }));
    session.value = { b: 2, c: 3 };
    expect(decoded(session.takeChange())).toEqual({ b: 2, c: 3 });
  });

  it('is none when it is set to an empty one', () => {
    const session = arrived({ a: 1 });
    expect(session.value).toEqual({ a: 1 });
    session.replaced(serialize({}));
    expect(session.value).toEqual({});
    expect(session.takeChange()).toBeNull();
    session.value = {};
    expect(session.takeChange()).toBeNull();
    // What the gateway has is the text of an empty array.
    arrive(session, Buffer.from('a:0:{}'));
    expect(session.value).toEqual({});
  });

  it('stands while events carry the texts from before, and gives way to somebody else', () => {
    const session = arrived({ n: 0 });
    write(session, { n: 1 });
    session.replaced(serialize({ n: 2 }));
    for (const n of [0, 1, 2, 2]) {
      arrive(session, serialize({ n }));
      expect(session.value).toEqual({ n: 2 });
    }
    session.replaced(serialize({ n: 3 }));
    arrive(session, serialize({ n: 77 }));
    expect(session.value).toEqual({ n: 77 });
  });

  it('does not depend on the object it was given, nor that on it', () => {
    const session = arrived({});
    const text = serialize({ list: [1] });
    session.replaced(text);
    (session.value.list as number[]).push(2);
    expect(decoded(text)).toEqual({ list: [1] });
    expect(decoded(session.takeChange())).toEqual({ list: [1, 2] });
  });
});

describe('a session that the API updates', () => {
  it('gets the changes by the rule of the original, and is not written again', () => {
    const session = arrived({ list: [1, 2, 3], deep: { a: { b: 1 } }, text: 'x', gone: [1] });
    expect(session.value.text).toBe('x');
    session.updated(serialize({ list: [9], deep: { a: { c: 2 } }, text: { now: 'map' }, gone: null, new: 1 }));
    expect(session.value).toEqual({
      list: [9, 2, 3],
      deep: { a: { b: 1, c: 2 } },
      text: { now: 'map' },
      gone: null,
      new: 1,
    });
    expect(session.takeChange()).toBeNull();
  });

  it('is the same decoded before or after, for all that PHP can hold', () => {
    const stored =
      'a:5:{i:5;d:3;i:1;s:1:"y";s:9:"__proto__";a:1:{s:1:"a";i:1;}s:1:"l";a:2:{i:0;i:1;i:1;i:2;}s:1:"b";s:1:"\xff";}';
    const updates = [
      'a:0:{}',
      'a:1:{i:1;s:1:"z";}',
      'a:1:{s:9:"__proto__";a:1:{s:1:"b";i:2;}}',
      'a:2:{s:1:"l";a:2:{i:5;i:9;s:1:"k";N;}s:1:"b";s:1:"\xfe";}',
      'a:1:{s:11:"constructor";a:1:{s:1:"x";i:1;}}',
    ];
    for (const text of updates) {
      const update = Buffer.from(text, 'latin1');
      const states = [true, false].map((before) => {
        const session = new SessionState();
        arrive(session, Buffer.from(stored, 'latin1'));
        if (before) expect(session.value).toBeTypeOf('object');
        session.updated(update);
        expect(session.value).toBeTypeOf('object');
        expect(session.takeChange(), text).toBeNull();
        return session.value;
      });
      expect(serialize(states[0])).toEqual(serialize(states[1]));
      expect(Object.getPrototypeOf(states[0])).toBe(Object.prototype);
    }
  });

  it('keeps what a running handler has changed, before and behind, and writes it', () => {
    const session = arrived({ a: 1, deep: { x: 1, gone: 1 }, list: [1] });
    const { value } = session;
    value.own = true;
    (value.deep as { y?: number }).y = 2;
    delete (value.deep as { gone?: number }).gone;
    delete value.list;
    session.updated(serialize({ b: 2, deep: { z: 3 }, list: { 5: 'x' } }));
    value.behind = true;
    expect(session.value).toBe(value);
    const expected = { a: 1, own: true, deep: { x: 1, y: 2, z: 3 }, list: { 5: 'x' }, b: 2, behind: true };
    expect(session.value).toEqual(expected);
    expect(decoded(session.takeChange())).toEqual(expected);
    expect(session.takeChange()).toBeNull();
  });

  it('does not change what the app has put there and may share', () => {
    const defaults = Object.freeze({ theme: 'dark', deep: { list: [1] } });
    const shared = { deep: { x: 1 } };
    const nested = { x: 1 };
    for (const own of [defaults, shared]) {
      const session = arrived({});
      session.value = own;
      session.updated(serialize({ deep: { y: 2 }, new: 1 }));
      expect(session.value).toMatchObject({ deep: { y: 2 }, new: 1 });
      expect(decoded(session.takeChange())).toMatchObject({ deep: { y: 2 }, new: 1 });
    }
    const session = arrived({});
    session.value.nested = nested;
    session.updated(serialize({ nested: { y: 2 } }));
    expect(session.value).toEqual({ nested: { x: 1, y: 2 } });
    expect(defaults).toEqual({ theme: 'dark', deep: { list: [1] } });
    expect(shared).toEqual({ deep: { x: 1 } });
    expect(nested).toEqual({ x: 1 });
  });

  it('takes the place of what can not be sent, under its names', () => {
    const session = arrived({ a: { x: 1 } });
    session.value.a = { bad: () => {} };
    session.value.own = 1;
    session.updated(serialize({ a: { y: 2 } }));
    expect(session.value).toEqual({ a: { x: 1, y: 2 }, own: 1 });
    expect(decoded(session.takeChange())).toEqual({ a: { x: 1, y: 2 }, own: 1 });
  });

  it('stays as it is where the gateway has no session text', () => {
    const session = new SessionState();
    arrive(session, Buffer.from('x'));
    session.updated(serialize({ a: 1 }));
    expect(() => session.value).toThrow(expect.objectContaining({ code: 'GW_PHP_MALFORMED' }));
    expect(session.outdated).toEqual([]);
  });

  it('gives a change again that could not be sent', () => {
    const session = arrived({ n: 0 });
    session.value.n = 1;
    session.takeChange();
    session.notSent();
    session.updated(serialize({ k: 1 }));
    arrive(session, serialize({ n: 0 }));
    arrive(session, serialize({ n: 0, k: 1 }));
    expect(session.value).toEqual({ n: 1, k: 1 });
    expect(decoded(session.takeChange())).toEqual({ n: 1, k: 1 });
  });

  it('does not remember without end what is written while no event comes', () => {
    const session = arrived({ n: 0 });
    for (let n = 1; n <= 10_000; n++) session.updated(serialize({ n }));
    expect(session.outdated.length).toBeLessThan(200);
    // What matters still stands: the oldest text and the newest.
    for (const n of [0, 9999, 10_000]) {
      arrive(session, serialize({ n }));
      expect(session.value).toEqual({ n: 10_000 });
    }
  });

  it('remembers each text of a row with events between', () => {
    const session = arrived({ n: 0 });
    for (let n = 1; n <= 2000; n++) {
      arrive(session, serialize({ n: 0 }));
      session.updated(serialize({ n }));
    }
    for (let n = 0; n <= 2000; n++) {
      arrive(session, serialize({ n }));
      expect(session.value.n).toBe(2000);
    }
    expect(session.outdated).toEqual([]);
  });
});

describe('an old text that an event carries', () => {
  it('is doubtful when what was written since must have arrived long ago', () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const session = arrived({ n: 0 });
    write(session, { n: 1 });
    write(session, { n: 2 });
    const certain = (n: number) => {
      const text = serialize({ n });
      return session.arrived(text, 0, text.length);
    };
    vi.advanceTimersByTime(5000);
    expect(certain(0)).toBe(true);
    vi.advanceTimersByTime(1);
    expect(certain(0)).toBe(false);
    expect(certain(1)).toBe(false);
    expect(certain(77), 'somebody else has written').toBe(true);
    write(session, { n: 3 });
    vi.advanceTimersByTime(5001);
    expect(certain(3)).toBe(true);
    expect(session.value).toEqual({ n: 3 });
  });

  it('is the session when the gateway says so, and was only late when it says what we wrote', () => {
    for (const [answer, expected] of [
      [{ n: 0 }, { n: 0 }],
      [{ n: 1 }, { n: 1 }],
      [{}, {}],
      [{ n: 77 }, { n: 77 }],
    ]) {
      const session = arrived({ n: 0 });
      write(session, { n: 1 });
      arrive(session, serialize({ n: 0 }));
      session.answered(serialize(answer));
      expect(session.value).toEqual(expected);
      expect(session.takeChange()).toBeNull();
    }
  });
});

describe('an answer about a session', () => {
  it('is what the gateway says, unless it overtook what was written', () => {
    const now = performance.now();
    const session = arrived({ n: 0 });
    const latest = (n: unknown, outdated = session.outdated, at = now) =>
      decoded(session.latest(serialize({ n }), outdated, at));
    expect(latest(0)).toEqual({ n: 0 });
    expect(latest(77)).toEqual({ n: 77 });
    write(session, { n: 1 });
    session.replaced(serialize({ n: 2 }));
    for (const n of [0, 1, 2]) expect(latest(n)).toEqual({ n: 2 });
    expect(latest(77)).toEqual({ n: 77 });
    // An event shows that they have arrived while the question was on its way.
    const { outdated } = session;
    arrive(session, serialize({ n: 2 }));
    expect(latest(1, outdated)).toEqual({ n: 2 });
    expect(latest(1)).toEqual({ n: 1 });
  });

  it('is believed when what was written must have arrived long ago', () => {
    const session = arrived({});
    session.replaced(serialize({ user: 'ann' }));
    const empty = Buffer.from('a:0:{}');
    expect(decoded(session.latest(empty, session.outdated, performance.now()))).toEqual({ user: 'ann' });
    expect(session.latest(empty, session.outdated, performance.now() + 6000)).toBe(empty);
  });
});

describe('a random model of a gateway and a worker', () => {
  it('loses no change of handlers and API when nobody else writes, whatever the texts', () => {
    type Op = { readonly set: Buffer } | { readonly update: Buffer };
    for (let seed = 1; seed <= 150; seed++) {
      const random = seededRandom(seed);
      const session = new SessionState();
      let expected: Record<string, unknown> = {};
      let stored: Buffer = NONE;
      const toGateway: Op[] = [];
      const toWorker: Buffer[] = [];
      const carryOut = (op: Op) => {
        stored = 'set' in op ? op.set : mergeSession(stored, op.update);
      };
      const keys = ['a', 'b', '7'];
      const someKey = () => keys[Math.floor(random() * keys.length)] as string;
      const some = (): unknown => {
        const number = Math.floor(random() * 3);
        return random() < 0.3 ? { [someKey()]: number } : number;
      };
      const byApi = () => {
        const given = random() < 0.1 ? {} : { [someKey()]: some() };
        const text = serialize(given);
        // A refused one is as if it had not been called.
        if (random() < 0.4) {
          toGateway.push({ set: text });
          session.replaced(text);
          expected = structuredClone(given);
        } else {
          toGateway.push({ update: text });
          session.updated(text);
          expected = merged(expected, given);
        }
      };
      const change = () => {
        const key = someKey();
        if (random() < 0.2) {
          delete session.value[key];
          delete expected[key];
        } else {
          const value = some();
          session.value[key] = value;
          expected[key] = structuredClone(value);
        }
      };
      const finish = () => {
        const text = session.takeChange();
        if (text === null) return;
        if (random() < 0.1) session.notSent();
        else toGateway.push({ set: text });
      };
      let handling = false;
      for (let step = 0; step < 400; step++) {
        const choice = random();
        if (choice < 0.25) toWorker.push(stored);
        else if (choice < 0.5 && toGateway.length > 0) carryOut(toGateway.shift() as Op);
        else if (choice < 0.6) byApi();
        else if (choice < 0.75 && handling) change();
        else if (choice < 0.85 && handling) {
          finish();
          handling = false;
        } else if (!handling && toWorker.length > 0) {
          arrive(session, toWorker.shift() as Buffer);
          handling = true;
        }
        if (handling && random() < 0.5) expect(session.value, `seed ${seed}, step ${step}`).toEqual(expected);
      }
      while (toWorker.length > 0) arrive(session, toWorker.shift() as Buffer);
      const last = session.takeChange();
      if (last !== null) toGateway.push({ set: last });
      for (const op of toGateway) carryOut(op);
      arrive(session, stored);
      expect(session.value, `seed ${seed}`).toEqual(expected);
      expect(stored.length === 0 ? {} : plain(unserialize(stored)), `seed ${seed}`).toEqual(expected);
    }
  });

  it('loses no change of its own when nobody else writes, whatever the texts', () => {
    for (let seed = 1; seed <= 300; seed++) {
      const random = seededRandom(seed);
      const session = new SessionState();
      // What the worker believes, what the gateway has, and what is on its way in each direction.
      let expected: Record<string, unknown> = {};
      let stored: Buffer = NONE;
      const toGateway: Buffer[] = [];
      const toWorker: Buffer[] = [];
      const values = 2 + Math.floor(random() * 4);
      for (let step = 0; step < 400; step++) {
        const choice = random();
        if (choice < 0.35) {
          toWorker.push(stored);
        } else if (choice < 0.65 && toGateway.length > 0) {
          stored = toGateway.shift() as Buffer;
        } else if (toWorker.length > 0) {
          arrive(session, toWorker.shift() as Buffer);
          expect(session.value, `seed ${seed}, step ${step}`).toEqual(expected);
          // Few values, so that the same texts come again and again.
          const value = Math.floor(random() * values);
          if (random() < 0.8) session.value = value === 0 ? {} : { value };
          expected = structuredClone(session.value);
          const text = session.takeChange();
          if (text === null) continue;
          if (random() < 0.1) session.notSent();
          else toGateway.push(text);
        }
      }
      // Everything arrives, one more event comes and its handler: the gateway then has what the worker has.
      while (toWorker.length > 0) arrive(session, toWorker.shift() as Buffer);
      const last = session.takeChange();
      if (last !== null) toGateway.push(last);
      stored = toGateway.at(-1) ?? stored;
      arrive(session, stored);
      expect(session.value, `seed ${seed}`).toEqual(expected);
      expect(stored.length === 0 ? {} : unserialize(stored), `seed ${seed}`).toEqual(expected);
    }
  });

  it('sees what somebody else wrote at the next event that was forwarded behind it', () => {
    for (let seed = 1; seed <= 300; seed++) {
      const random = seededRandom(seed);
      const session = new SessionState();
      let stored: Buffer = NONE;
      let counter = 0;
      const toGateway: Buffer[] = [];
      const toWorker: Buffer[] = [];
      for (let step = 0; step < 300; step++) {
        const choice = random();
        if (choice < 0.05) stored = serialize({ foreign: ++counter });
        else if (choice < 0.35) toWorker.push(stored);
        else if (choice < 0.65 && toGateway.length > 0) stored = toGateway.shift() as Buffer;
        else if (toWorker.length > 0) {
          arrive(session, toWorker.shift() as Buffer);
          session.value.own = ++counter;
          toGateway.push(session.takeChange() as Buffer);
        }
      }
      // All own writes have arrived, then somebody else's.
      while (toWorker.length > 0) arrive(session, toWorker.shift() as Buffer);
      if (toGateway.length > 0) arrive(session, toGateway.at(-1) as Buffer);
      arrive(session, serialize({ foreign: 'last' }));
      expect(session.value, `seed ${seed}`).toEqual({ foreign: 'last' });
    }
  });
});

function arrive(session: SessionState, text: Buffer): void {
  session.arrived(text, 0, text.length);
}

function arrived(value: Record<string, unknown>): SessionState {
  const session = new SessionState();
  arrive(session, Object.keys(value).length === 0 ? NONE : serialize(value));
  return session;
}

function write(session: SessionState, value: Record<string, unknown>): void {
  session.value = value;
  expect(session.takeChange()).not.toBeNull();
}

/** The original's rule, for objects of numbers and objects. */
function merged(value: Record<string, unknown>, update: Record<string, unknown>): Record<string, unknown> {
  const result = { ...value };
  for (const [key, given] of Object.entries(update)) {
    const old = result[key];
    const both = typeof old === 'object' && typeof given === 'object';
    result[key] = both ? merged(old as Record<string, unknown>, given as Record<string, unknown>) : given;
  }
  return result;
}

/** An empty list is an empty object. */
function plain(value: unknown): unknown {
  return Array.isArray(value) ? { ...value } : value;
}

function decoded(text: Buffer | null): unknown {
  return text === null ? null : unserialize(text);
}

function latin1(text: Buffer | null): string | undefined {
  return text?.toString('latin1');
}
