import { describe, expect, it } from 'vitest';
import { AddressBook } from '../../../src/cluster/register/address-book.js';

describe('AddressBook', () => {
  it('tells a newcomer alone, and every worker of a gateway that comes or goes', () => {
    const book = new AddressBook<string>();
    expect([...book.workerJoined('w1')]).toEqual(['w1']);
    expect([...book.workerJoined('w2')]).toEqual(['w2']);
    expect([...book.gatewayJoined('g', '10.0.0.1:1')]).toEqual(['w1', 'w2']);
    expect([...book.left('g')]).toEqual(['w1', 'w2']);
    expect([...book.left('g')]).toEqual([]);
    expect([...book.left('w1')]).toEqual([]);
    expect(book.size).toEqual({ gateways: 0, workers: 1 });
  });

  it('lists addresses once, in the order of registration; joining again keeps the place', () => {
    const book = new AddressBook<string>();
    book.gatewayJoined('a', 'x:2');
    book.gatewayJoined('b', 'x:1');
    book.gatewayJoined('c', 'x:2');
    expect(book.addresses).toEqual(['x:2', 'x:1']);
    book.gatewayJoined('a', 'x:9');
    expect(book.addresses).toEqual(['x:9', 'x:1', 'x:2']);
    book.left('c');
    expect(book.addresses).toEqual(['x:9', 'x:1']);
  });

  it('lets one connection be both, and tells it nothing when it leaves', () => {
    const book = new AddressBook<string>();
    book.workerJoined('x');
    expect([...book.gatewayJoined('x', 'a:1')]).toEqual(['x']);
    expect([...book.left('x')]).toEqual([]);
    expect(book.addresses).toEqual([]);
  });
});
