/**
 * What sending to a group costs in a gateway, without the sockets: from the packet to each member's turn being collected, in ns
 * a delivery, for groups of 100 among ever more connections and groups; and what memberships cost in bytes.
 *
 *   npx tsc -p tsconfig.json --noEmit false --rootDir . --outDir dist/bench
 *   node --expose-gc --max-old-space-size=8000 dist/bench/bench/micro/group-send.js
 */
import { Buffer } from 'node:buffer';
import { Clients } from '../../src/cluster/gateway/clients.js';
import { COMMANDS } from '../../src/cluster/gateway/commands/mod.js';
import type { GatewayContext } from '../../src/cluster/gateway/context.js';
import { Command, groupExt, PacketReader, packetHead, writePacket } from '../../src/cluster/protocol/mod.js';
import type { TcpConnection } from '../../src/core/net/mod.js';
import { turnWriter } from '../../src/core/net/mod.js';
import { appendShared, type FrameRun, type SharedFrame } from '../../src/core/net/turn-writer.js';
import { textCodec } from '../../src/core/protocols/mod.js';
import { Arena } from '../../src/util/mod.js';

const MEMBERS = 100;
/** One to a turn: connections that several sends of a turn reach have their frames joined, which is another matter. */
const TURNS = 2000;
const ROUNDS = 40;
const BODY = 'x'.repeat(64);

/** Stands for a connection: takes what it is sent and writes it nowhere. */
class Sink {
  pending: FrameRun | null = null;
  scheduled = false;
  written = 0;
  readonly limits = { maxSendBufferSize: 1_048_576 };

  sendShared(frame: SharedFrame): boolean {
    this.pending = appendShared(this.pending, frame);
    if (!this.scheduled) {
      this.scheduled = true;
      turnWriter.schedule(this);
    }
    return true;
  }

  flushTurn(): boolean {
    this.scheduled = false;
    if (this.pending !== null) this.written += this.pending.bytes(turnWriter.arena).length;
    this.pending = null;
    return false;
  }
}

/** The same numbers at every run. */
function randomNumbers(): (below: number) => number {
  let state = 1;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 4_294_967_296) * below);
  };
}

function used(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}

function packetTo(group: number): Buffer {
  const out = new Arena();
  writePacket(out, packetHead({ cmd: Command.SEND_TO_GROUP }), groupExt([`group-${group}`]), BODY);
  return Buffer.from(out.buffer.subarray(0, out.offset));
}

function measure(connections: number, groups: number, members: number): string {
  const random = randomNumbers();
  const clients = new Clients<Sink>(1);
  const entries = Array.from({ length: connections }, () => clients.add(new Sink(), 0, 0));
  const before = used();
  for (let group = 0; group < groups; group++) {
    // As they come in, not as they lie in memory.
    const name = `group-${group}`;
    while (clients.inGroup(name).size < members) {
      // Each command has its own copy of the name.
      clients.joinGroup(entries[random(connections)]!, `group-${group}`);
    }
  }
  const bytes = (used() - before) / (groups * members);
  const gateway = { clients: clients as unknown as Clients<TcpConnection>, codec: textCodec } as GatewayContext;
  const from = { worker: null, reply: () => {} };
  const reader = new PacketReader();
  const sink = {
    packet: (view: Parameters<(typeof COMMANDS)[22]>[1]) => {
      COMMANDS[Command.SEND_TO_GROUP](gateway, view, from);
      return true;
    },
    fail: (error: Error) => {
      throw error;
    },
  };
  const turns = Array.from({ length: TURNS }, () => packetTo(random(groups)));
  // The best of each turn, which is short enough to be left alone by others now and then; in between all the other turns
  // have had the caches.
  const best = turns.map(() => Number.POSITIVE_INFINITY);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [index, turn] of turns.entries()) {
      const begun = performance.now();
      reader.push(turn, sink);
      turnWriter.flush();
      best[index] = Math.min(best[index]!, performance.now() - begun);
    }
  }
  const nanoseconds = (best.reduce((sum, turn) => sum + turn) * 1e6) / (TURNS * members);
  const reached = entries.reduce((sum, { connection }) => sum + connection.written, 0);
  if (reached !== ROUNDS * TURNS * members * (BODY.length + 1)) throw new Error('not all was delivered');
  const columns = [connections, groups, members, nanoseconds.toFixed(1), bytes.toFixed(0)];
  return columns.map((column) => String(column).padStart(12)).join('');
}

console.log(
  ['connections', 'groups', 'members', 'ns/delivery', 'bytes/member'].map((name) => name.padStart(12)).join(''),
);
// Once for the compiler.
measure(1000, 10, MEMBERS);
for (const connections of [1000, 10_000, 50_000]) {
  for (const groups of [10, 1000, 100_000]) console.log(measure(connections, groups, MEMBERS));
}
console.log(measure(50_000, 100_000, 1));
