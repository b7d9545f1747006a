import { Buffer } from 'node:buffer';
import { describe, expect, it } from 'vitest';
import { Unacknowledged } from '../../../src/cluster/link/unacknowledged.js';
import { ackNumbers, Command, PacketView, packetHead } from '../../../src/cluster/protocol/mod.js';
import { seededRandom } from '../../support/seeded-random.js';

const NO_SESSION = Buffer.alloc(0);

function write(kept: Unacknowledged, text: string): string {
  const body = Buffer.from(text);
  const at = kept.write(packetHead({ cmd: Command.ON_MESSAGE, connectionId: 7 }), NO_SESSION, body, 0, body.length);
  return kept.buffer.toString('latin1', at + 28, kept.offset);
}

function ack(upTo: number, pending: readonly number[] = [], handled: readonly number[] = []): PacketView {
  const view = new PacketView();
  view.cmd = Command.ACK;
  view.connectionId = upTo >>> 0;
  view.buffer = Buffer.concat([ackNumbers(pending, pending.length), ackNumbers(handled, handled.length)]);
  view.extEnd = pending.length * 4;
  view.bodyStart = view.extEnd;
  view.bodyEnd = view.buffer.length;
  return view;
}

function taken(kept: Unacknowledged): string[] {
  const bodies: string[] = [];
  kept.take((event) => bodies.push(event.bodyText()));
  return bodies;
}

describe('the events that a worker has not acknowledged', () => {
  it('are those behind the number of the last ACK, and those that it named, in the order of sending', () => {
    const kept = new Unacknowledged(1_000_000);
    for (const text of ['1', '2', '3', '4', '5', '6']) expect(write(kept, text)).toBe(text);
    expect(kept.acknowledge(ack(4, [2, 3]))).toBe(true);
    expect(kept.acknowledge(ack(5, [], [2]))).toBe(true);
    expect(taken(kept)).toEqual(['3', '6']);
    expect([taken(kept), kept.bytes, kept.awaitsAck]).toEqual([[], 0, false]);
  });

  it('are the same as of a plain list, whatever their sizes and whenever they are handled', () => {
    for (let seed = 1; seed <= 30; seed++) {
      const random = seededRandom(seed);
      const kept = new Unacknowledged(1_000_000);
      const all = new Map<number, string>();
      const named = new Set<number>();
      let sent = 0;
      let told = 0;
      for (let step = 0; step < 300; step++) {
        for (let count = Math.floor(random() * 20); count > 0; count--) {
          const size = random() < 0.02 ? 100_000 : Math.floor(random() * (random() < 0.1 ? 20_000 : 200));
          const text = `${++sent} ${'x'.repeat(size)}`;
          expect(write(kept, text)).toBe(text);
          all.set(sent, text);
        }
        if (random() < 0.3) continue;
        const upTo = told + Math.floor(random() * (sent - told + 1));
        const pending = Array.from({ length: upTo - told }, (_, index) => told + index + 1).filter(
          () => random() < 0.2,
        );
        const handled = [...named].filter(() => random() < 0.5);
        expect(kept.acknowledge(ack(upTo, pending, handled))).toBe(true);
        for (let number = told + 1; number <= upTo; number++) if (!pending.includes(number)) all.delete(number);
        for (const number of pending) named.add(number);
        for (const number of handled) {
          named.delete(number);
          all.delete(number);
        }
        told = upTo;
        expect(kept.awaitsAck).toBe(sent > told);
      }
      const bytes = [...all].reduce((sum, [n, text]) => sum + text.length + 28 + (named.has(n) ? 100 : 0), 0);
      expect(kept.bytes, `seed ${seed}`).toBe(bytes);
      expect(taken(kept), `seed ${seed}`).toEqual([...all.values()]);
    }
  });

  it('hold no memory of large events when they are handled, and use that of small ones again', () => {
    const kept = new Unacknowledged(1_000_000);
    write(kept, 'small');
    const { buffer } = kept;
    kept.acknowledge(ack(1));
    write(kept, 'small');
    expect(kept.buffer).toBe(buffer);
    kept.acknowledge(ack(2));
    write(kept, 'x'.repeat(10_000_000));
    kept.acknowledge(ack(3));
    expect(kept.buffer.length).toBe(0);
    write(kept, 'small');
    expect(kept.buffer).toBe(buffer);
  });

  it('are full from their limit on, and take more up to four times as much', () => {
    const kept = new Unacknowledged(1000);
    const one = 'x'.repeat(472);
    write(kept, one);
    expect(kept.full).toBe(false);
    write(kept, one);
    expect([kept.bytes, kept.full, kept.overfull]).toEqual([1000, true, false]);
    for (let count = 0; count < 5; count++) write(kept, one);
    expect(kept.overfull).toBe(false);
    write(kept, one);
    expect([kept.bytes, kept.overfull]).toEqual([4000, true]);
    kept.acknowledge(ack(7));
    expect(kept.full).toBe(false);
  });

  it('stay as they are at an ACK that makes no sense', () => {
    const kept = new Unacknowledged(1000);
    for (const text of ['1', '2', '3']) write(kept, text);
    kept.acknowledge(ack(1));
    const odd = ack(2, [2]);
    odd.extEnd--;
    for (const wrong of [ack(4), ack(0), ack(3, [1]), ack(2, [3]), ack(3, [3, 2]), ack(3, [2, 2]), odd]) {
      expect(kept.acknowledge(wrong)).toBe(false);
    }
    expect(kept.acknowledge(ack(1, [], [77]))).toBe(true);
    expect(taken(kept)).toEqual(['2', '3']);
  });
});
