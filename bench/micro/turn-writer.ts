/**
 * What it costs to collect a turn's frames for many sockets and join them, without the sockets: ns a delivery.
 *
 *   npx tsc -p tsconfig.json --noEmit false --rootDir . --outDir dist/bench
 *   node dist/bench/bench/micro/turn-writer.js
 */
import { Buffer } from 'node:buffer';
import { appendOwn, appendShared, type FrameRun, SharedFrame, TurnWriter } from '../../src/core/net/turn-writer.js';

const FRAME = Buffer.alloc(66, 'x');
const SOCKETS = 500;
const FRAMES_PER_TURN = 4;
const TURNS = 4000;
const ROUNDS = 5;

/** Stands for a socket: takes what it is sent and writes it nowhere. */
class Sink {
  pending: FrameRun | null = null;
  bytes = 0;

  flushTurn(): boolean {
    this.bytes += this.pending?.bytes(writer.arena).length ?? 0;
    this.pending = null;
    return false;
  }
}

const writer = new TurnWriter();
const sinks = Array.from({ length: SOCKETS }, () => new Sink());

function frame(): number {
  const { arena } = writer;
  arena.reserve(FRAME.length);
  const start = arena.offset;
  arena.buffer.set(FRAME, start);
  arena.offset = start + FRAME.length;
  return start;
}

function own(): void {
  for (const sink of sinks) {
    for (let count = 0; count < FRAMES_PER_TURN; count++) {
      const start = frame();
      sink.pending = appendOwn(sink.pending, writer.arena.buffer, start, writer.arena.offset);
    }
  }
}

function shared(): void {
  for (let count = 0; count < FRAMES_PER_TURN; count++) {
    const start = frame();
    const one = new SharedFrame(writer.arena.buffer, start, writer.arena.offset);
    for (const sink of sinks) sink.pending = appendShared(sink.pending, one);
  }
}

/** Every socket is sent a broadcast, something of its own, and another broadcast. */
function mixed(): void {
  for (let count = 0; count < FRAMES_PER_TURN; count++) {
    if (count % 2 === 0) {
      const start = frame();
      const one = new SharedFrame(writer.arena.buffer, start, writer.arena.offset);
      for (const sink of sinks) sink.pending = appendShared(sink.pending, one);
    } else {
      for (const sink of sinks) {
        const start = frame();
        sink.pending = appendOwn(sink.pending, writer.arena.buffer, start, writer.arena.offset);
      }
    }
  }
}

for (const fill of [own, shared, mixed]) {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    const begun = performance.now();
    for (let turn = 0; turn < TURNS / ROUNDS; turn++) {
      fill();
      for (const sink of sinks) writer.schedule(sink);
      writer.flush();
    }
    best = Math.min(best, performance.now() - begun);
  }
  const deliveries = (TURNS / ROUNDS) * SOCKETS * FRAMES_PER_TURN;
  console.log(
    `${fill.name.padEnd(8)} ${((best * 1e6) / deliveries).toFixed(1)} ns a delivery of ${FRAME.length} bytes`,
  );
}
