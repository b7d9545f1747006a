import { expect, it } from 'vitest';
import { Command } from '../../src/cluster/protocol/mod.js';
import { bench, deferred, FakePeer, turn } from '../support/fake-link.js';

const EXTENSIONS = ['acknowledgements', 'draining'] as const;

it('a client whose handler outlasts a broken link is reached over the new one', async () => {
  const work = deferred();
  const said: boolean[] = [];
  let count = 0;
  const { link, process } = bench({
    onMessage: (client): Promise<void> | undefined => {
      if (count++ === 0) return work.promise;
      said.push(client.send('answer'));
      return undefined;
    },
  });
  const old = link.peer;
  old.extensions.push(...EXTENSIONS);
  old.process = 'p';
  process.gatewayIdentified(old);
  link.message(1, 'slow');
  old.live = false;
  process.gatewayLeft(old);
  const now = new FakePeer();
  now.extensions.push(...EXTENSIONS);
  now.process = 'p';
  link.peers[0] = now;
  process.gatewayJoined(now);
  process.gatewayIdentified(now);
  link.message(1, 'slow');
  work.resolve();
  await turn();
  await turn();
  link.message(1, 'later');
  await turn();
  expect(said).toEqual([true, true]);
  expect(now.of(Command.SEND_TO_ONE)).toHaveLength(2);
});

it('an event is not acknowledged before the session that it has changed is sent, also when the next is at work', async () => {
  const work = deferred();
  const { link, process } = bench({
    onMessage: (client, message): Promise<void> | undefined => {
      client.session.last = String(message);
      return message === 'b' ? work.promise : undefined;
    },
  });
  const { peer } = link;
  peer.extensions.push(...EXTENSIONS);
  peer.process = 'p';
  process.gatewayIdentified(peer);
  const send = peer.send.bind(peer);
  let full = true;
  peer.send = (head, ext, body) => (head.cmd === Command.SET_SESSION && full ? false : send(head, ext, body));
  link.message(1, 'a');
  full = false;
  link.message(1, 'b');
  await turn();
  await turn();
  // What the first ACK names is not handled: the first because of its session, the second because of its handler.
  expect(acks()).toEqual([{ upTo: 2, open: [1, 2], settled: [] }]);
  work.resolve();
  await turn();
  await turn();
  expect(peer.sent.map(({ cmd }) => cmd)).toEqual([Command.ACK, Command.SET_SESSION, Command.ACK]);
  expect(acks().at(-1)).toEqual({ upTo: 2, open: [], settled: [1, 2] });

  function acks() {
    return peer.of(Command.ACK).map(({ connectionId: upTo, ext, body }) => ({
      upTo,
      open: numbersOf(ext),
      settled: numbersOf(body),
    }));
  }
});

function numbersOf(bytes: Uint8Array | string): number[] {
  const buffer = Buffer.from(bytes as string, 'latin1');
  return Array.from({ length: buffer.length / 4 }, (_, index) => buffer.readUInt32BE(index * 4));
}
