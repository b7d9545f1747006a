import process from 'node:process';
import type { ReaderSink } from '../../src/core/protocols/mod.js';

const ROUNDS = 5;
const ROUND_MICROS = 60_000;

/** Takes what readers deliver, and counts it. */
export class CountingSink implements ReaderSink {
  bytes = 0;

  message(_buffer: unknown, start: number, end: number): boolean {
    this.bytes += end - start;
    return true;
  }

  value(): boolean {
    return true;
  }

  handshake(): boolean {
    return true;
  }

  opened(): boolean {
    return true;
  }

  write(): void {}

  pong(): boolean {
    return true;
  }

  ended(): void {}

  fail(error: Error): void {
    throw error;
  }
}

/** µs of processor time of one call, the best of some rounds: steadier than time where others share the machine. */
export function microsOf(once: () => void): number {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    let calls = 0;
    const begun = micros();
    let spent = 0;
    while (spent < ROUND_MICROS) {
      for (let index = 0; index < 8; index++) once();
      calls += 8;
      spent = micros() - begun;
    }
    best = Math.min(best, spent / calls);
  }
  return best;
}

/** Of processor time, since the process began. */
function micros(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}
